"""Recognise by its wording that an error says that the prompt is too long.

Each server words an overflow of the context window in its own way, under various statuses: OVERFLOW_WORDINGS is the
list of those that were seen.  tests/test_servers.py has a recording of each.
"""

import re
from typing import Any, NamedTuple, Optional

from .error_bodies import parse_error_body

#: Characters of a message that is searched for the wording of an overflow.
MAX_SEARCHED = 20_000

# ---- a prompt that is longer than the context window

#: Codes and types that name it: OpenAI, llama.cpp, Copilot, GitHub Models.
OVERFLOW_CODES = {
    "context_length_exceeded",
    "exceed_context_size_error",
    "model_max_prompt_tokens_exceeded",
    "tokens_limit_reached",
}


class Wording(NamedTuple):
    """A wording of servers for a prompt that is too long."""

    #: In lower case; … stands for any text.
    words: str
    #: The servers that it was seen on.
    seen_on: str
    #: A similar text that is not an overflow: it is about the output, the account, or something else.
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
        "Gemini (Vertex)",
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
    Wording("exceed max message tokens", "Volcengine (Doubao)", "exceed max message length"),
    Wording("total tokens exceeds the model's max", "Cohere", "max_tokens exceeds the model's max"),
    Wording(
        "request body too large for … model. max size: … tokens",
        "GitHub Models",
        "request body too large for the server. max size: 32 MB",
    ),
    Wording(
        "length of prompt_tokens … must be less than max_seq_len",
        "SiliconFlow",
        "length of the name must be less than 64",
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

# A wording that was not reported yet says the same three things: what is sent, its size, and that this is too much.
SENT = re.compile(r"\b(?:prompt|inputs?|messages?|conversation|context|history|request)\b")
SIZE = re.compile(
    r"tokens?\b|\bcontext[ _-](?:length|window|size|limit)|\bmax_(?:seq|model|input)_len|\b(?:sequence|input) length"
)
EXCESS = re.compile(
    r"exceed|\btoo (?:long|large|many|big)\b|\b(?:longer|larger|greater|more) than\b|\bmust be (?:less|at most|<)"
)
#: What else has a size in tokens, or is about a token of another kind.
OTHER_SIZES = re.compile(
    r"max(?:imum)?_(?:new_|completion_|output_)?tokens|output|completion|character|(?:per|this) (?:min|hour|day|sec|month)|rate.?limit|quota|"
    r"too many requests|credit|balance|logit|logprob|stop|tool|function|image|audio|file|auth|"
    r"api.?key|access token|credential|unexpected|invalid token"
)


def holds_overflow(payload: Any) -> bool:
    """Return True if an error body says that the prompt is longer than the context window: see `is_overflow`."""
    message, fields = parse_error_body(payload, MAX_SEARCHED)
    return is_overflow(message, fields["code"], fields["type"])


def is_overflow(message: str, code: Optional[str], type: Optional[str]) -> bool:
    """Return True if an error says that the prompt is longer than the context window.

    The caller has checked the status: a 429 never means an overflow.

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
    if any(contains(text, wording.words) for wording in OVERFLOW_WORDINGS):
        return True
    return resembles_overflow(text)


def resembles_overflow(text: str) -> bool:
    """Return True if a text in lower case says of the prompt, and of nothing else, that it has too many tokens.

    >>> resembles_overflow("prompt length 9000 is greater than max_seq_len 8192")
    True
    >>> resembles_overflow("max_tokens 9000 is greater than the context length")
    False
    """
    if OTHER_SIZES.search(text):
        return False
    if not SENT.search(text) or not SIZE.search(text):
        return False
    return EXCESS.search(text) is not None


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
