"""Adapt a request to a server that refuses something which rawchat, not the caller, put into it.

rawchat adds a little to a body by itself: `stream_options`, to learn the tokens of a stream; `strict`, for tools and
typed answers; a `response_format` of type json_schema, for `parse`; and it sends an answer back as it was received, with
`content: null` beside tool calls and with its reasoning (see `answer_fields`).  Some servers refuse the whole request for
one of these.  `find_unsupported` reads in the words of the error which of them it was, `adapt` makes the request without
it, and `Client.send` sends that at once.  If it succeeds, the client keeps to it.  What the caller passed is never
changed: what rawchat adds is marked as `Added`.
"""

import functools
import json
import re
from collections.abc import Collection
from typing import Any, Callable, Optional

from ..errors import APIError, APIStatusError, ContextLengthExceededError
from ..wire import Request, Response, Transport
from ..wire.json_text import Added, AddedText, encode_json
from .answer_fields import find_refused_field, without_fields

Body = dict[str, Any]

# What a client can learn to leave out, in the order in which a refusal is looked for.
STREAM_OPTIONS = "stream_options"
STRICT = "strict"
JSON_SCHEMA = "json_schema"
NULL_CONTENT = "null content"
ADDITIONAL_PROPERTIES = "additionalProperties"
ENCODING_FORMAT = "encoding_format"

# A server that checks the body says so with 400 or 422; llama-cpp-python's says 500 if its own check fails.
REFUSAL_STATUSES = (400, 422)
CHECK_STATUSES = (400, 422, 500)

# OpenAI's "in strict mode, …" is about a schema, and no refusal of `strict`.
STRICT_NAMED = re.compile(r"\bstrict\b(?! mode)")
SCHEMA_INVALID = re.compile(r"invalid schema|in strict mode")
# What follows `response_format` if it is refused.  DeepSeek: "This response_format type is unavailable now".
REFUSED = re.compile(r"unavailable|support|unknown|unrecogni|unexpected|not permitted|not allowed")
REFUSED_ENCODING = re.compile(r"\bencoding_format\b|\bbase64\b")
CONTENT_NAMED = re.compile(r"\b(?:content|messages)\b")

JSON_MODE_PROMPT = "Answer with one JSON object, and nothing else. It must fit this JSON schema: "


# ---- what was refused


def find_unsupported(failure: APIError, request: Request, known: Collection[str]) -> Optional[str]:
    """Return what the server refuses in `request`, or None if it is nothing that can be left out.

    known    what has been left out of it already
    """
    body = request.draft
    if body is None or not isinstance(failure, APIStatusError):
        return None
    if isinstance(failure, ContextLengthExceededError):
        return None
    words = error_words(failure)
    if failure.status_code in REFUSAL_STATUSES:
        if STREAM_OPTIONS not in known and adds_stream_options(body) and "stream_options" in words:
            return STREAM_OPTIONS
        if ENCODING_FORMAT not in known and adds_encoding(body) and REFUSED_ENCODING.search(words):
            return ENCODING_FORMAT
        if STRICT not in known and adds_strict(body) and STRICT_NAMED.search(words):
            return STRICT
        if ADDITIONAL_PROPERTIES not in known and adds_strict(body) and refuses_additional(words):
            return ADDITIONAL_PROPERTIES
        field = find_refused_field(words, list_of(body, "messages"), body.get("model"), known)
        if field is not None:
            return field
    if failure.status_code in CHECK_STATUSES:
        if JSON_SCHEMA not in known and adds_json_schema(body) and refuses_format(words):
            return JSON_SCHEMA
        if NULL_CONTENT not in known and has_null_content(body) and CONTENT_NAMED.search(words):
            return NULL_CONTENT
    return None


def error_words(failure: APIStatusError) -> str:
    """Return all that an error response says, in lower case: its message, its parameter, its body."""
    body = failure.body
    if not isinstance(body, str):
        body = json.dumps(body, ensure_ascii=False, default=str)
    return f"{failure.message} {failure.param or ''} {body}".lower()


def refuses_format(words: str) -> bool:
    """Return whether an error is about the type of `response_format`, rather than about the schema in it."""
    if SCHEMA_INVALID.search(words):
        return False
    if "json_schema" in words:
        return True
    # One search after the first mention: a pattern for both would search again from each one, in quadratic time.
    _, mention, after = words.partition("response_format")
    return bool(mention) and REFUSED.search(after) is not None


def refuses_additional(words: str) -> bool:
    """Return whether an error is about `additionalProperties`, which some servers do not know (Gemini, Cerebras)."""
    return "additionalproperties" in words and not SCHEMA_INVALID.search(words)


def adds_stream_options(body: Body) -> bool:
    """Return whether rawchat put `stream_options` into `body`."""
    return isinstance(body.get("stream_options"), Added)


def adds_encoding(body: Body) -> bool:
    """Return whether rawchat put `encoding_format` into `body`."""
    return isinstance(body.get("encoding_format"), AddedText)


def adds_json_schema(body: Body) -> bool:
    """Return whether rawchat put a `response_format` with a schema into `body`."""
    return isinstance(body.get("response_format"), Added)


def adds_strict(body: Body) -> bool:
    """Return whether rawchat put `strict` into `body`: into a typed answer's format, or into a function's tool."""
    return adds_json_schema(body) or any(isinstance(tool, Added) for tool in list_of(body, "tools"))


def has_null_content(body: Body) -> bool:
    """Return whether a message of `body` has tool calls and `content: null`."""
    return any(is_null_beside_calls(message) for message in list_of(body, "messages"))


def is_null_beside_calls(message: Any) -> bool:
    """Return whether `message` has tool calls, and null for its content."""
    if not isinstance(message, dict) or not message.get("tool_calls"):
        return False
    return "content" in message and message["content"] is None


def list_of(body: Body, name: str) -> list[Any]:
    """Return a list in `body`; [] if there is none."""
    value = body.get(name)
    return list(value) if isinstance(value, (list, tuple)) else []


# ---- the request without it


def adapt(request: Request, refused: Collection[str]) -> Request:
    """Return `request` without what is `refused`; the request itself if it has nothing of it."""
    body = request.draft
    if body is None or not refused:
        return request
    adapted = adapt_body(body, refused)
    if adapted == body:
        return request
    return request._replace(body=encode_json(adapted), draft=adapted)


def adapt_body(body: Body, refused: Collection[str]) -> Body:
    """Return a copy of `body` without what is `refused`."""
    body = dict(body)
    if STREAM_OPTIONS in refused and adds_stream_options(body):
        del body["stream_options"]
    if ENCODING_FORMAT in refused and adds_encoding(body):
        del body["encoding_format"]
    if STRICT in refused and adds_strict(body):
        change_schemas(body, without_strict)
    if ADDITIONAL_PROPERTIES in refused and adds_strict(body):
        change_schemas(body, without_additional)
    if JSON_SCHEMA in refused and adds_json_schema(body):
        use_json_mode(body)
    if NULL_CONTENT in refused and has_null_content(body):
        body["messages"] = [with_text(message) for message in body["messages"]]
    messages = without_fields(list_of(body, "messages"), body.get("model"), refused)
    if messages is not None:
        body["messages"] = messages
    return body


def change_schemas(body: Body, change: Callable[[Body], Body]) -> None:
    """Replace what holds a schema in the tools and the format that rawchat made by what `change` returns for it."""
    if adds_json_schema(body):
        body["response_format"] = changed_part(body["response_format"], "json_schema", change)
    if "tools" in body:
        tools = []
        for tool in list_of(body, "tools"):
            if isinstance(tool, Added):
                tool = changed_part(tool, "function", change)
            tools.append(tool)
        body["tools"] = tools


def changed_part(part: Body, name: str, change: Callable[[Body], Body]) -> Added:
    """Return a copy of `part` with its object `name` changed; JSON mode has none."""
    if name not in part:
        return Added(part)
    return Added({**part, name: change(part[name])})


def without_strict(holder: Body) -> Body:
    """Return a copy of what holds a schema, without `strict`."""
    return {key: value for key, value in holder.items() if key != "strict"}


def without_additional(holder: Body) -> Body:
    """Return a copy of what holds a schema, without `additionalProperties` in it, nor `strict`, which demands that."""
    result: Body = without_false(without_strict(holder), "additionalProperties")
    return result


def without_false(value: Any, name: str) -> Any:
    """Return a copy of decoded JSON without the fields `name` that are false: a property of that name is an object."""
    if isinstance(value, dict):
        kept = {}
        for key, item in value.items():
            if key != name or item is not False:
                kept[key] = without_false(item, name)
        return kept
    if isinstance(value, list):
        return [without_false(item, name) for item in value]
    return value


def use_json_mode(body: Body) -> None:
    """Ask for JSON mode, with the schema beside the type, where some servers look for it, and in a system message."""
    schema = body["response_format"]["json_schema"]["schema"]
    body["response_format"] = {"type": "json_object", "schema": schema}
    prompt = JSON_MODE_PROMPT + json.dumps(schema, ensure_ascii=False)
    messages = list_of(body, "messages")
    instructions = system_text(messages[0]) if messages else None
    if instructions is None:
        messages.insert(0, {"role": "system", "content": prompt})
    else:
        # Some chat templates take a single system message, at the beginning.
        messages[0] = {**messages[0], "content": f"{instructions}\n\n{prompt}"}
    body["messages"] = messages


def system_text(message: Any) -> Optional[str]:
    """Return the text of a system message, or None if `message` is not one, or not a text."""
    if not isinstance(message, dict) or message.get("role") != "system":
        return None
    content = message.get("content")
    return content if isinstance(content, str) else None


def with_text(message: Any) -> Any:
    """Return a message with "" in place of null beside its tool calls, and any other message as it is."""
    if is_null_beside_calls(message):
        return {**message, "content": ""}
    return message


# ---- a parameter by its new name


def rename_max_tokens(transport: Transport) -> Transport:
    """Return a transport that repeats a request once with max_completion_tokens, if the server wants that name.

    OpenAI's newer models refuse max_tokens with a 400 that names the other parameter; older servers know only the old
    name, so it is sent first.  Later requests use the name that worked.
    """
    renamed = False

    @functools.wraps(transport, assigned=())
    def send(request: Request) -> Response:
        nonlocal renamed
        new_request = with_max_completion_tokens(request)
        if renamed:
            return transport(new_request)
        response = transport(request)
        if response.status != 400 or new_request is request:
            return response
        body = response.read()
        if b"max_completion_tokens" not in body:
            response.pieces = [body]
            return response
        renamed = True
        return transport(new_request)

    return send


def with_max_completion_tokens(request: Request) -> Request:
    """Return the request with its max_tokens renamed; the same one if it has none."""
    body = request.draft or {}
    if "max_tokens" not in body or "max_completion_tokens" in body:
        return request
    renamed = {}
    for name, value in body.items():
        if name == "max_tokens":
            name = "max_completion_tokens"
        renamed[name] = value
    return request._replace(body=encode_json(renamed))
