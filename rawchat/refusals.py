"""What servers say when they do not answer, in its many spellings, and the exception that each becomes."""

import json
import re
from collections.abc import Mapping
from typing import Any

from . import errors
from .encode import decode_json
from .errors import (
    APIConnectionError,
    APIError,
    APIResponseValidationError,
    APIStatusError,
    APITimeoutError,
    DeadlineExceededError,
    StreamInterruptedError,
    one_line,
)
from .wire import Response

BY_STATUS: dict[int, type[APIStatusError]] = {
    400: errors.BadRequestError,
    401: errors.AuthenticationError,
    403: errors.PermissionDeniedError,
    404: errors.NotFoundError,
    409: errors.ConflictError,
    422: errors.UnprocessableEntityError,
    429: errors.RateLimitError,
}

# OpenAI's code, and llama.cpp's type, for a prompt that is longer than the context.
TOO_LONG = {"context_length_exceeded", "exceed_context_size_error"}


def refusal(response: Response, limit: int) -> APIStatusError:
    """The error that a response with a status other than 2xx tells of, even if its body breaks off."""
    reason = "no reason given"
    try:
        body = response.read(limit)
    except DeadlineExceededError:
        raise
    except APIConnectionError:
        body = b""
    except APIResponseValidationError:  # over the limit: the status counts all the same
        body = b""
        reason = f"its body is over {limit} bytes; raise max_bytes if it may be"
    return status_error(response.status, response.headers, body, response.asked, reason)


def status_error(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    asked: str,
    reason: str = "no reason given",
) -> APIStatusError:
    """The exception for an answer that is not 2xx.  `asked` says what was: 'POST https://host/path'.

    `reason` stands in the message where the server gave none.

    >>> status_error(404, {}, b'{"error": {"message": "no such model"}}', "GET http://h/v1/models/x").message
    '404: no such model (GET http://h/v1/models/x)'
    """
    text = body.decode("utf-8-sig", "replace")
    try:
        payload = decode_json(text)
    except ValueError:
        payload = text
    said, fields = told(payload)
    if 300 <= status < 400:
        said = (
            f"redirected to {one_line(headers.get('location') or 'nowhere')}, which is not followed"
        )
    names = {fields["code"], fields["type"]}
    kind = BY_STATUS.get(status, errors.InternalServerError if status >= 500 else APIStatusError)
    if status == 400 and names & TOO_LONG:
        kind = errors.ContextLengthExceededError
    name = next((n for n in (fields["code"], fields["type"]) if n and n != str(status)), "")
    return kind(
        f"{status} {name}".strip() + f": {said or reason} ({asked})",
        status_code=status,
        headers=headers,
        request_id=headers.get("x-request-id"),
        **fields,
    )


def tells_error(payload: Any) -> bool:
    """Is this the JSON of an error, whatever the status says?"""
    return isinstance(payload, dict) and bool(
        payload.get("error") or payload.get("object") == "error"
    )


def told(payload: Any) -> tuple[str, dict[str, Any]]:
    """What an error body says: its one-line message, and the fields `body code param type`.

    Servers spell it in many ways: `{"error": {"message": …}}` (OpenAI), `{"error": "…"}` (Ollama),
    `{"detail": …}` (FastAPI), `{"object": "error", "message": …}` (vLLM), plain text (proxies).
    """
    body = (
        payload["error"]
        if isinstance(payload, dict) and payload.get("error") is not None
        else payload
    )
    facts = body if isinstance(body, dict) else {}
    said = next((facts[name] for name in ("message", "detail") if facts.get(name)), body)
    if not isinstance(said, str):
        said = json.dumps(said, ensure_ascii=False)
    elif said is payload:  # a proxy's page or line: its first words, without the tags
        said = next(filter(None, map(str.strip, re.sub("<[^<>]*>", "", said).splitlines())), "")
    fields: dict[str, Any] = {"body": body}
    for name in ("code", "param", "type"):
        fields[name] = None if facts.get(name) is None else str(facts[name])
    return one_line(said), fields


def interrupted(error: APIError) -> APIError:
    """`error`, told as one of a stream, where it is one of the network."""
    if isinstance(error, APITimeoutError) and not isinstance(error, DeadlineExceededError):
        return errors.StreamTimeoutError(f"the stream fell silent: {error.message}")
    if isinstance(error, APIConnectionError) and not isinstance(
        error, (StreamInterruptedError, APITimeoutError)
    ):
        return StreamInterruptedError(f"the stream broke off: {error.message}")
    return error


def error_inside(payload: Any, response: Response) -> APIResponseValidationError:
    """The error for a 2xx whose JSON tells one."""
    said, fields = told(payload)
    return APIResponseValidationError(
        f"{response.status}, but an error: {said} ({response.asked})",
        **{**response.facts, **fields},
    )


def not_json(body: bytes, response: Response, cut: bool = False) -> APIResponseValidationError:
    """The error for a 2xx whose body is not the JSON object that was asked for."""
    text = body[:2000].decode("utf-8-sig", "replace")
    what = "JSON that stops half way" if cut else "no JSON object"
    hint = "; is base_url right? It is a web page" if text.lstrip()[:1] == "<" else ""
    kind = response.headers.get("content-type") or "no content type"
    return APIResponseValidationError(
        f"{response.status}, but {what} ({kind}): {one_line(text, 120) or 'empty body'}{hint} ({response.asked})",
        body=text,
        cut=cut,
        **response.facts,
    )


def stops_half_way(body: bytes) -> bool:
    """Return whether `body` begins as a JSON object and ends before that does.  Brackets in strings do not count.

    The escapes go first, so that a string is all up to the next quote: one pattern for both would try an open string
    again from each of its escaped quotes, in quadratic time.
    """
    text = re.sub(rb"(?s)\\.", b"", body.strip(b"\xef\xbb\xbf \t\r\n"))
    text = re.sub(rb'"[^"]*"?', b"", text)
    return text[:1] == b"{" and (text[-1:] != b"}" or text.count(b"{") > text.count(b"}"))


def objects(things: Any) -> list[dict[str, Any]]:
    """The objects in a list; [] for what is none."""
    return (
        [thing for thing in things if isinstance(thing, dict)] if isinstance(things, list) else []
    )
