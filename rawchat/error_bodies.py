"""Find the error in what a server sent: the body of a response, an event of a stream, or a choice.

Servers put errors in many places, under any status, and word them in their own ways.  Everything that is known about
that is in this chapter: the places (`find_error`), the fields (`parse_error_body`), the wording of a prompt that is
too long (`OVERFLOW_WORDINGS`), and waits that are given only in the body (`requested_wait`).  tests/test_servers.py
has a recording of each server.
"""

import json
import math
import re
from collections.abc import Iterator
from typing import Any, NamedTuple, Optional, TypedDict

from .normalise import decode_json

#: Fields that hold the words of an error, the best first.
MESSAGE_FIELDS = ("message", "detail", "msg", "error_msg", "status_msg", "error")

#: Fields that hold its code: OpenAI's, Baidu's, MiniMax's.
CODE_FIELDS = ("code", "error_code", "status_code")

#: Fields that hold its type: OpenAI's, TGI's.
TYPE_FIELDS = ("type", "error_type")

#: Values of `code` that say that all is well.
GOOD_CODES = {"0", "200", "ok", "success"}

#: Errors within errors that are looked into: a message that is the JSON of an error, which quotes another one.
MAX_NESTING = 4

#: Characters of a message, and of one that is searched for the wording of an overflow.
MAX_MESSAGE = 500
MAX_SEARCHED = 20_000


class ErrorFields(TypedDict):
    """The fields of an APIError that come from an error body."""

    body: Any
    code: Optional[str]
    param: Optional[str]
    type: Optional[str]


# ---- where errors are


def is_error(payload: Any) -> bool:
    """Return True if decoded JSON holds an error, whatever the status is."""
    return find_error(payload) is not None


def find_error(payload: Any) -> Any:
    """Return the error in decoded JSON, of a body or of an event, or None if it holds none.

    The result is an object or a text.  An object whose fields are all empty is not an error (new-api sends one in
    every chunk).
    """
    if isinstance(payload, list):
        # Gemini: a list with one object.
        first = payload[0] if payload else None
        return find_error(first) if isinstance(first, dict) and "error" in first else None
    if not isinstance(payload, dict):
        return None
    error = payload.get("error")
    if has_content(error):
        return error
    if payload.get("object") == "error":  # vLLM, SGLang, Mistral
        return payload
    choices = payload.get("choices")
    if isinstance(choices, list) and choices:
        for choice in choices:  # OpenRouter: the upstream failed in the middle of the answer
            if isinstance(choice, dict) and has_content(choice.get("error")):
                return choice["error"]
    status = payload.get("base_resp")
    if isinstance(status, dict) and has_content(status.get("status_code")):  # MiniMax
        return status
    if choices or has_content(payload.get("data")):
        return None
    errors = payload.get("errors")
    if isinstance(errors, list) and errors and has_content(errors[0]):  # Cloudflare
        return errors[0]
    if has_content(payload.get("error_code")):  # Baidu
        return payload
    code = payload.get("code")
    words = payload.get("msg") or payload.get("message")
    if isinstance(code, (int, str)) and has_content(code) and isinstance(words, str):  # Coze
        return None if str(code).lower() in GOOD_CODES else payload
    return None


def has_content(value: Any) -> bool:
    """Return True if a value says something: not null, empty, 0 or false, nor made of nothing but those."""
    if isinstance(value, dict):
        return any(has_content(item) for item in value.values())
    if isinstance(value, list):
        return any(has_content(item) for item in value)
    if isinstance(value, str):
        return bool(value.strip())
    return bool(value)


# ---- its words and its fields


def parse_error_body(payload: Any, limit: int = MAX_MESSAGE) -> tuple[str, ErrorFields]:
    """Return the message of an error, in one line of at most `limit` characters, and the fields of the exception.

    `payload` is the decoded JSON, or the text if it is not JSON.  The message keeps what the server said, in whatever
    field; `body` is the error itself if there is one, else the whole JSON, else the text.
    """
    if isinstance(payload, str) and decode_object(payload) is None:
        page_fields: ErrorFields = {"body": payload, "code": None, "param": None, "type": None}
        return one_line(first_line_of_page(payload), limit), page_fields
    body = find_error(payload)
    if body is None:
        body = payload
        if isinstance(payload, dict) and payload.get("error") is not None:
            body = payload["error"]
    sources = list(iter_objects(body))
    if isinstance(payload, dict) and not isinstance(body, dict):
        # xAI, TGI: `error` is a text, and the code or the type stands beside it.
        sources.append(payload)
    fields: ErrorFields = {
        "body": body,
        "code": first_text(sources, CODE_FIELDS),
        "param": first_text(sources, ("param",)),
        "type": first_text(sources, TYPE_FIELDS),
    }
    message = find_words(body)
    if message is None:
        message = json.dumps(body, ensure_ascii=False)
    return one_line(message, limit), fields


def find_words(error: Any, nesting: int = MAX_NESTING) -> Optional[str]:
    """Return the words of an error, or None if it has none.

    A text that is itself the JSON of an error (new-api, Azure) is decoded; the upstream's own words (OpenRouter's
    metadata.raw) follow the gateway's.
    """
    if isinstance(error, str):
        inner = decode_object(error)
        words = find_words(inner, nesting - 1) if inner is not None and nesting else None
        if words is None and inner is None:
            words = error
        return words
    if isinstance(error, list):
        return find_words_of_list(error, nesting)
    if not isinstance(error, dict):
        return None
    words = None
    for name in MESSAGE_FIELDS:
        if nesting and has_content(error.get(name)):
            words = find_words(error[name], nesting - 1)
            if words:
                break
    metadata = error.get("metadata")
    raw = metadata.get("raw") if isinstance(metadata, dict) else None
    upstream = find_words(raw, nesting - 1) if nesting and has_content(raw) else None
    if upstream and words:
        return f"{words}: {upstream}"
    return upstream or words


def find_words_of_list(errors: list[Any], nesting: int) -> Optional[str]:
    """Return the words of a list of errors: those of FastAPI have `msg` and the place `loc`."""
    found = []
    for error in errors[:MAX_NESTING]:
        words = find_words(error, nesting - 1) if nesting else None
        if words is None:
            continue
        place = error.get("loc") if isinstance(error, dict) else None
        if isinstance(place, list):
            words += f" ({'.'.join(str(step) for step in place)})"
        found.append(words)
    return "; ".join(found) or None


def iter_objects(error: Any, nesting: int = MAX_NESTING) -> Iterator[dict[str, Any]]:
    """Yield the objects of an error that may hold its code and type, the outer ones first."""
    if isinstance(error, str):
        error = decode_object(error)
    if not isinstance(error, dict) or not nesting:
        return
    yield error
    metadata = error.get("metadata")
    raw = metadata.get("raw") if isinstance(metadata, dict) else None
    for inner in (error.get("error"), error.get("message"), raw):
        yield from iter_objects(inner, nesting - 1)


def first_text(sources: list[dict[str, Any]], names: tuple[str, ...]) -> Optional[str]:
    """Return the first value under one of `names` as a text; some servers send codes as numbers."""
    for source in sources:
        for name in names:
            value = source.get(name)
            if value is not None and not isinstance(value, (dict, list)):
                return str(value)
    return None


def decode_object(text: str) -> Any:
    """Return the object or list in a JSON text, or None if it is something else."""
    if text.lstrip()[:1] not in ("{", "["):
        return None
    try:
        return decode_json(text)
    except ValueError:
        return None


def first_line_of_page(page: str) -> str:
    """Return the title of an HTML page, or the first line with words in it, without the tags."""
    _, _, after = page.partition("<title>")
    title = after.partition("<")[0].strip()
    if title:
        return title
    start, *comments = page.split("<!--")
    parts = [start]
    for comment in comments:
        # <!--> is a comment, too.
        parts.append(comment[1:] if comment.startswith(">") else comment.partition("-->")[2])
    text = re.sub("<[^<>]*>", "", "".join(parts))
    for line in text.splitlines():
        if line.strip():
            return line.strip()
    return ""


def one_line(text: str, limit: int = MAX_MESSAGE) -> str:
    """Return `text` in one line, with its white space folded, cut off after `limit` characters."""
    text = " ".join(text.split())
    if len(text) <= limit:
        return text
    return text[:limit] + "…"


# ---- a prompt that is longer than the context window


#: Codes and types that name it: OpenAI, llama.cpp, Copilot.
OVERFLOW_CODES = {
    "context_length_exceeded",
    "exceed_context_size_error",
    "model_max_prompt_tokens_exceeded",
}


class Wording(NamedTuple):
    """How servers word that the prompt is too long."""

    #: In small letters; … stands for any text.
    words: str
    #: The servers that it was seen on.
    seen_on: str
    #: A similar text that is no overflow: it is about the output, the account, or something else.
    unlike: str


OVERFLOW_WORDINGS = [
    Wording(
        "maximum context length is",
        "OpenAI, Azure, vLLM, DeepSeek, OpenRouter, llama-cpp-python, LiteLLM",
        "max_tokens is too large: 9. This model's maximum context length is 8 tokens",
    ),
    Wording(
        "maximum context length of",
        "SGLang, vLLM",
        "max_tokens is too large for the maximum context length of 8 tokens",
    ),
    Wording(
        "too large for model with … maximum context length",
        "Mistral",
        "max_tokens too large for model with 8 maximum output tokens",
    ),
    Wording(
        "is longer than the model's context length",
        "SGLang",
        "the output is longer than the model's limit",
    ),
    Wording(
        "longer than the maximum model length",
        "vLLM (since 0.8)",
        "the name is longer than the maximum length",
    ),
    Wording(
        "tokens + `max_new_tokens` must be <=",
        "TGI, Together",
        "`max_new_tokens` must be <= 512",
    ),
    Wording(
        "inputs` must have less than … tokens",
        "TGI",
        "`stop` must have less than 4 sequences",
    ),
    Wording("inputs must have less than … tokens", "TGI", "tools must have less than 128 entries"),
    Wording(
        "exceeded max context length",
        "Ollama",
        "exceeded max concurrent requests",
    ),
    Wording(
        "input length exceeds the context length",
        "Ollama",
        "max_tokens exceeds the output length",
    ),
    Wording(
        "exceeds the available context size",
        "llama.cpp",
        "exceeds the available memory size",
    ),
    Wording("context size has been exceeded", "llama.cpp", "the quota has been exceeded"),
    Wording(
        "exceed context window of",
        "llama-cpp-python",
        "max_tokens is less than the context_window for this model",
    ),
    Wording(
        "exceeds the context window",
        "OpenAI (Responses), LM Studio",
        "max_tokens is less than the context window",
    ),
    Wording(
        "tokens to keep from the initial prompt is greater than the context length",
        "LM Studio",
        "n_keep is greater than 0",
    ),
    Wording(
        "context length of only … tokens",
        "LM Studio",
        "loaded with a context length of 4096 tokens",
    ),
    Wording("cannot truncate prompt with n_keep", "LM Studio", "cannot parse prompt"),
    Wording(
        "reached context length of … tokens",
        "LM Studio",
        "reached the limit of 8 tokens for max_tokens",
    ),
    Wording(
        "input token count … exceeds the maximum number of tokens",
        "Gemini",
        "the output token count exceeds the maximum number of tokens",
    ),
    Wording(
        "input token count … model only supports up to",
        "Gemini on Vertex",
        "max_output_tokens is 9 but the model only supports up to 8",
    ),
    Wording(
        "prompt is too long",
        "Anthropic, Fireworks, OpenRouter",
        "the prompt for an image is too short",
    ),
    Wording("prompt too long", "Ollama", "the request took too long"),
    Wording(
        "input length and `max_tokens` exceed context limit",
        "Anthropic",
        "`max_tokens` exceed the output limit",
    ),
    Wording(
        "input is too long",
        "Bedrock, Anthropic",
        "Too many tokens, please wait before trying again.",
    ),
    Wording(
        "expected maxlength: … actual:",
        "Bedrock (Titan, Cohere)",
        "expected maxLength of the stop sequences",
    ),
    Wording(
        "maximum prompt length is",
        "xAI",
        "the maximum output length is 8",
    ),
    Wording(
        "reduce the length of the messages",
        "Groq, Cerebras, Azure",
        "please reduce your message size and try again",
    ),
    Wording(
        "reduce the length of the input",
        "vLLM (of 2026)",
        "please reduce the number of requested output tokens",
    ),
    Wording(
        "current length is … while limit is", "Cerebras", "current usage is 9 while quota is 8"
    ),
    Wording(
        "input tokens exceed the configured limit of",
        "Azure, OpenAI",
        "max_tokens exceed the configured limit of 8",
    ),
    Wording(
        "exceeded model token limit",
        "Moonshot",
        "exceeded current quota",
    ),
    Wording("prompt exceeds max length", "GLM", "max_tokens exceeds max length"),
    Wording(
        "tokens in request more than max tokens allowed",
        "GLM (z.ai)",
        "requests more than max requests allowed",
    ),
    Wording("context window exceeds limit", "MiniMax", "the rate exceeds limit"),
    Wording(
        "range of input length should be",
        "DashScope",
        "Range of max_tokens should be [1, 8192]",
    ),
    Wording(
        "prompt token count of … exceeds the limit of",
        "Copilot",
        "completion token count of 9 exceeds the limit of 8",
    ),
    Wording(
        "too many tokens: size limit exceeded",
        "Cohere",
        "too many tokens, please wait before trying again",
    ),
    Wording(
        "too many tokens: total number of tokens",
        "Cohere (before)",
        "too many tokens per minute",
    ),
    Wording(
        "contextwindowexceedederror",
        "LiteLLM",
        "litellm.BadRequestError",
    ),
]

#: Words of an error that is about the output alone, or about a rate, whatever else it says.
NOT_OVERFLOW = (
    "max_tokens is too large",
    "max_tokens' or 'max_completion_tokens' is too large",
    "max_completion_tokens is too large",
    "max_tokens too large",
    "tokens per min",
)


def holds_overflow(payload: Any) -> bool:
    """Return True if an error body says that the prompt is longer than the context window: see `is_overflow`."""
    message, fields = parse_error_body(payload, MAX_SEARCHED)
    return is_overflow(message, fields["code"], fields["type"])


def is_overflow(message: str, code: Optional[str], type: Optional[str]) -> bool:
    """Return True if an error says that the prompt is longer than the context window.

    Whoever asks has seen the status: a 429 is never one.

    >>> is_overflow("Prompt is too long: 9 tokens > 8 maximum", None, None)
    True
    """
    if code == "429" or "rate_limit_exceeded" in (code, type):
        return False
    if code in OVERFLOW_CODES or type in OVERFLOW_CODES:
        return True
    text = message.lower()
    if any(words in text for words in NOT_OVERFLOW):
        return False
    return any(contains(text, wording.words) for wording in OVERFLOW_WORDINGS)


def contains(text: str, words: str) -> bool:
    """Return True if the parts of `words`, between the …, stand in `text` in this order."""
    position = 0
    for part in words.split("…"):
        part = part.strip()
        found = text.find(part, position)
        if found < 0:
            return False
        position = found + len(part)
    return True


# ---- a wait that is given only in the body


#: "try again in 20s", "retry after 7.66 seconds", "retry in 1m2s": OpenAI, Groq, Gemini, Azure.
WAIT_WORDING = re.compile(
    r"(?:try again|retry|wait)(?: in| after| for)? (\d{1,6}(?:\.\d{1,9})?)\s?"
    r"(ms|milliseconds?|s\b|secs?\b|seconds?|m\b|mins?\b|minutes?|m\d{1,2}(?:\.\d{1,9})?s)",
    re.IGNORECASE,
)


def requested_wait(body: Any, message: str) -> float:
    """Return the seconds that an error body asks to wait; NaN if it asks for none.

    Gemini's `retryDelay` (google.rpc.RetryInfo) comes first, then the words of the message.

    >>> requested_wait(None, "Rate limit reached. Please try again in 7.5s.")
    7.5
    """
    details = body.get("details") if isinstance(body, dict) else None
    if isinstance(details, list):
        for detail in details:
            delay = detail.get("retryDelay") if isinstance(detail, dict) else None
            if isinstance(delay, str):
                return parse_seconds(delay)
    found = WAIT_WORDING.search(message)
    if found is None:
        return math.nan
    number = float(found[1])
    unit = found[2].lower()
    if unit.startswith("ms") or unit.startswith("milli"):
        return number / 1000
    if unit.startswith("s"):
        return number
    rest = unit[1:-1]  # of 1m2.5s
    seconds = float(rest) if rest.replace(".", "").isdigit() else 0.0
    return number * 60 + seconds


def parse_seconds(delay: str) -> float:
    """Return the seconds of a protobuf Duration such as 39.5s; NaN for another text."""
    try:
        return float(delay.strip().rstrip("s"))
    except ValueError:
        return math.nan
