"""All that can go wrong, as one tree.

    RawchatError
    ├── ConfigError                           a setting cannot be used; nothing was sent
    │   └── MissingKeyError                   there is no key, and the server wants one
    ├── LengthFinishReasonError               a typed answer was cut by the token limit
    ├── ContentFilterFinishReasonError        ... or by the content filter
    ├── ToolRoundsError                       the model went on calling tools
    └── APIError                              a call failed (itself: an error told inside a stream)
        ├── APIResponseValidationError        a 2xx that is not what was asked for
        ├── APIConnectionError                no whole answer came: refused, reset, cut
        │   ├── APITimeoutError               ... in time
        │   │   └── DeadlineExceededError     the whole call outlived its `deadline`
        │   └── StreamInterruptedError        a stream broke off
        │       └── StreamTimeoutError        ... in silence (an APITimeoutError as well)
        └── APIStatusError                    the server said no
            ├── BadRequestError 400           ── ContextLengthExceededError
            ├── AuthenticationError 401       ├── PermissionDeniedError 403
            ├── NotFoundError 404             ├── ConflictError 409
            ├── UnprocessableEntityError 422  ├── RateLimitError 429
            └── InternalServerError >= 500

Names and tree are the official SDK's, so that `except` clauses move over unchanged.  Every error prints as one
line, pickles with its fields, and holds no key.
"""

import json
import re
from collections.abc import Mapping
from typing import Any, Optional

from .normalise import decode_json


class RawchatError(Exception):
    """The root of everything that rawchat raises on purpose."""


class ConfigError(RawchatError):
    """A setting cannot be used; raised before anything is sent."""


class MissingKeyError(ConfigError):
    """There is no key, and base_url is OpenAI's, which wants one."""


class APIError(RawchatError):
    """A call failed.  `str()` is one line: what happened, how many attempts, what to try next."""

    hint = ""
    status_code: Optional[int] = None
    body: Any = None  #: the `error` object of the answer, else its JSON, else its text
    code: Optional[str] = None
    param: Optional[str] = None
    type: Optional[str] = None
    request_id: Optional[str] = None
    headers: Mapping[str, str] = {}
    retries: int = 0
    key: str = ""  #: with several keys, which one: "key 2 of 3"
    partial: Any = None  #: out of a stream: the Reply so far

    def __init__(self, message: str, **fields: Any):
        super().__init__(message)  # one argument and a __dict__: that is what makes it pickle
        self.__dict__.update(fields)

    @property
    def message(self) -> str:
        """What happened, without attempts and hint."""
        return str(self.args[0])

    def __str__(self) -> str:
        attempts = f"after {self.retries + 1} attempts" if self.retries else ""
        return "; ".join(part for part in (self.message, attempts, self.key, self.hint) if part)


# The tree above says what each of these is; `hint` is what to try next.


class APIResponseValidationError(APIError):
    cut = False  #: is it JSON that stops half way?
    reply: Any = None  #: of `parse`: what came instead of an instance


class APIConnectionError(APIError):
    hint = "check base_url, the network and the proxy settings"


class APITimeoutError(APIConnectionError):
    hint = "a larger timeout may help"


class DeadlineExceededError(APITimeoutError):
    hint = "a larger deadline may help"


class StreamInterruptedError(APIConnectionError):
    hint = "what came before is kept (.partial)"


class StreamTimeoutError(StreamInterruptedError, APITimeoutError):
    """A stream fell silent for longer than `timeout`."""


class APIStatusError(APIError):
    """The server answered with a status that is not 2xx."""


class BadRequestError(APIStatusError):
    """400."""


class ContextLengthExceededError(BadRequestError):
    hint = "send fewer or shorter messages"


class AuthenticationError(APIStatusError):
    hint = "check the key (OPENAI_API_KEY, --key-file or api_key=)"


class PermissionDeniedError(APIStatusError):
    hint = "this key may not do that here"


class NotFoundError(APIStatusError):
    hint = "check the model name and base_url"


class ConflictError(APIStatusError):
    """409."""


class UnprocessableEntityError(APIStatusError):
    """422."""


class RateLimitError(APIStatusError):
    hint = "wait a while, or look at the account's limits and billing"


class InternalServerError(APIStatusError):
    hint = "the server failed; try again later"


class LengthFinishReasonError(RawchatError):
    reply: Any = None  # what came


class ContentFilterFinishReasonError(RawchatError):
    reply: Any = None


class ToolRoundsError(RawchatError):
    messages: Any = None  # all that was said, to go on from


def one_line(text: str, limit: int = 500) -> str:
    """`text` with its white space folded, cut after `limit` characters."""
    text = " ".join(text.split())
    return text if len(text) <= limit else text[:limit] + "…"


ERROR_BY_STATUS: dict[int, type[APIStatusError]] = {
    400: BadRequestError,
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    409: ConflictError,
    422: UnprocessableEntityError,
    429: RateLimitError,
}


# OpenAI's code, and llama.cpp's type, for a prompt that is longer than the context.
CONTEXT_LENGTH_CODES = {"context_length_exceeded", "exceed_context_size_error"}


def error_from_status(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    asked: str,
    reason: str = "no reason given",
) -> APIStatusError:
    """The exception for an answer that is not 2xx.  `asked` says what was: 'POST https://host/path'.

    `reason` stands in the message where the server gave none.

    >>> error_from_status(404, {}, b'{"error": {"message": "no such model"}}', "GET http://h/v1/models/x").message
    '404: no such model (GET http://h/v1/models/x)'
    """
    text = body.decode("utf-8-sig", "replace")
    try:
        payload = decode_json(text)
    except ValueError:
        payload = text
    said, fields = parse_error_body(payload)
    if 300 <= status < 400:
        said = (
            f"redirected to {one_line(headers.get('location') or 'nowhere')}, which is not followed"
        )
    names = {fields["code"], fields["type"]}
    kind = ERROR_BY_STATUS.get(status, InternalServerError if status >= 500 else APIStatusError)
    if status == 400 and names & CONTEXT_LENGTH_CODES:
        kind = ContextLengthExceededError
    name = next((n for n in (fields["code"], fields["type"]) if n and n != str(status)), "")
    return kind(
        f"{status} {name}".strip() + f": {said or reason} ({asked})",
        status_code=status,
        headers=headers,
        request_id=headers.get("x-request-id"),
        **fields,
    )


def is_error(payload: Any) -> bool:
    """Is this the JSON of an error, whatever the status says?"""
    return isinstance(payload, dict) and bool(
        payload.get("error") or payload.get("object") == "error"
    )


def parse_error_body(payload: Any) -> tuple[str, dict[str, Any]]:
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


def as_stream_error(error: APIError) -> APIError:
    """`error`, told as one of a stream, where it is one of the network."""
    if isinstance(error, APITimeoutError) and not isinstance(error, DeadlineExceededError):
        return StreamTimeoutError(f"the stream fell silent: {error.message}")
    if isinstance(error, APIConnectionError) and not isinstance(
        error, (StreamInterruptedError, APITimeoutError)
    ):
        return StreamInterruptedError(f"the stream broke off: {error.message}")
    return error
