"""Find the error in what a server sent: the body of a response, an event of a stream, or a choice.

Servers put errors in many places, under any status, and word them in their own ways.  Everything that is known about
that is in this chapter: the places (`find_error`) and the fields (`parse_error_body`).  What they say of a prompt that
is too long, and of a wait, is in `wordings` and `waits`.  tests/test_servers.py has a recording of each server.
"""

import json
import re
from collections.abc import Iterator
from typing import Any, Optional, TypedDict

from ..errors import MAX_MESSAGE, one_line
from ..wire.json_text import decode_json, mend

#: Fields that hold the words of an error, the best first, in the spelling of `plain_name`: AWS has `Message`, OAuth (RFC
#: 6749, 5.2) `error_description`, problem details (RFC 9457) `title`, Google a list `errors`, FastChat `text`.
MESSAGE_FIELDS = (
    "message",
    "detail",
    "msg",
    "errormsg",
    "errormessage",
    "errordescription",
    "statusmsg",
    "error",
    "errors",
    "reason",
    "title",
    "text",
)

#: Those of them that stand beside an `error` which is only a word, and say more than it does: Fastify, OAuth.
EXPLANATION_FIELDS = ("message", "detail", "errordescription", "errormessage")

#: Fields that hold its code: OpenAI's, Baidu's, MiniMax's.
CODE_FIELDS = ("code", "errorcode", "statuscode")

#: Fields that hold its type: OpenAI's, TGI's.
TYPE_FIELDS = ("type", "errortype")

#: Values of `code` that mean success.
GOOD_CODES = {"0", "200", "ok", "success"}

#: Errors within errors that are looked into: a message that is the JSON of an error, which quotes another one.
MAX_NESTING = 4


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
    # This runs for every chunk of a stream, so a call is saved where there is nothing to look at.
    error = payload.get("error")
    if error is not None and has_content(error):
        return error
    if payload.get("object") == "error":  # vLLM, SGLang, Mistral
        return payload
    choices = payload.get("choices")
    if isinstance(choices, list) and choices:
        for choice in choices:  # OpenRouter: the upstream failed in the middle of the answer
            error = choice.get("error") if isinstance(choice, dict) else None
            if error is not None and has_content(error):
                return error
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
    field; `body` is the error itself if there is one, else the whole JSON, else the text.  Both can be printed: half of
    a surrogate pair becomes U+FFFD.
    """
    payload = mend(payload)
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
    if isinstance(payload, dict) and not isinstance(body, (dict, list)):
        message = explain(message, payload)
    if message is None:
        message = json.dumps(body, ensure_ascii=False)
    return one_line(message, limit), fields


def explain(word: Optional[str], payload: dict[str, Any]) -> Optional[str]:
    """Return the text under `error`, and what stands beside it in other words.

    >>> explain("Not Found", {"error": "Not Found", "message": "Route POST:/v1 not found", "statusCode": 404})
    'Not Found: Route POST:/v1 not found'
    """
    fields = plain_names(payload)
    for name in EXPLANATION_FIELDS:
        words = find_words(fields.get(name))
        if words is None:
            continue
        if word is None or word in words:
            return words
        return word if words in word else f"{word}: {words}"
    return word


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
    fields = plain_names(error)
    for name in MESSAGE_FIELDS:
        if nesting and has_content(fields.get(name)):
            words = find_words(fields[name], nesting - 1)
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
    if isinstance(error, list) and error:
        # Cloudflare's AI Gateway: `error` is a list.
        error = error[0]
    if not isinstance(error, dict) or not nesting:
        return
    yield error
    metadata = error.get("metadata")
    raw = metadata.get("raw") if isinstance(metadata, dict) else None
    for inner in (error.get("error"), error.get("message"), raw):
        yield from iter_objects(inner, nesting - 1)


def plain_names(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of an object under names in lower case without underscores; the first of two equal ones.

    >>> plain_names({"errorCode": 1, "Message": "no", "message": "yes", "error_code": 2})
    {'errorcode': 1, 'message': 'no'}
    """
    found: dict[str, Any] = {}
    for name, value in fields.items():
        found.setdefault(name.lower().replace("_", ""), value)
    return found


def first_text(sources: list[dict[str, Any]], names: tuple[str, ...]) -> Optional[str]:
    """Return the first value under one of `names` as a text; some servers send codes as numbers."""
    for source in sources:
        fields = plain_names(source)
        for name in names:
            value = fields.get(name)
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
