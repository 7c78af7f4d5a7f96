"""The tree of exceptions, and the way from an error response to one of them.

    RawchatError                              alias OpenAIError, the name of the SDK's root
    ├── ConfigError                           a setting cannot be used; nothing was sent
    │   └── MissingKeyError                   the server needs a key, and there is none
    ├── LengthFinishReasonError               a structured output was cut off by the token limit
    ├── ContentFilterFinishReasonError        ... or by the content filter
    ├── ToolRoundsError                       the model did not stop calling tools
    └── APIError                              a call failed (itself: an error event inside a stream)
        ├── APIResponseValidationError        a 2xx response without the expected content
        ├── APIConnectionError                no complete response: refused, reset, interrupted
        │   ├── CircuitOpenError              ... and nothing was sent, as the circuit breaker is open
        │   ├── APITimeoutError               ... within the timeout
        │   │   └── DeadlineExceededError     the whole call took longer than its `deadline`
        │   └── StreamInterruptedError        the connection was lost while streaming
        │       └── StreamTimeoutError        no data while streaming (an APITimeoutError as well)
        └── APIStatusError                    the server returned an error status
            ├── BadRequestError 400           ── ContextLengthExceededError
            ├── AuthenticationError 401       ├── PermissionDeniedError 403
            ├── NotFoundError 404             ├── ConflictError 409
            ├── UnprocessableEntityError 422  ├── RateLimitError 429
            └── InternalServerError >= 500

Names and tree are the official SDK's, so that `except` clauses move over unchanged.  Every error prints as one
line, pickles with its fields, and holds no key.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple, Optional

# 408 request timeout, 409 lock conflict, 429 rate limit; and every status from 500 on.  The SDK's choice.
RETRYABLE_STATUSES = {408, 409, 429}
# What explains a failed connection.
DOCTOR_COMMAND = "python -m rawchat.doctor"
DOCTOR = f"{DOCTOR_COMMAND} shows which step fails"
# The code or type of a 429 that no waiting can resolve.
NO_QUOTA = "insufficient_quota"

#: Characters of a message.
MAX_MESSAGE = 500


# ---- the tree


class RawchatError(Exception):
    """The root of everything that rawchat raises on purpose."""


OpenAIError = RawchatError  # the SDK's root: `except OpenAIError` moves over unchanged


class ConfigError(RawchatError):
    """A setting cannot be used; raised before anything is sent."""


class MissingKeyError(ConfigError):
    """There is no API key, although base_url is OpenAI's, which needs one."""


class ErrorResponse(NamedTuple):
    """The response behind an error: `error.response.status_code`, `error.response.headers`, as in the SDK."""

    status_code: int
    headers: Mapping[str, str]


class APIError(RawchatError):
    """A call failed.  `str()` is one line: what happened, after how many attempts, what to try next.

    status_code   of the response, or None if there was none
    headers       of the response, or {}
    body          the `error` object of the response, else its JSON, else its text
    code, param, type   of the `error` object
    request_id    of the response: quote it when asking the server's support
    retries       the attempts after the first one
    key           with several API keys, the one that was used: "key 2 of 3"
    partial       the Reply so far, if the error came out of a stream
    """

    hint = ""  #: what to try next

    def __init__(
        self,
        message: str,
        *,
        status_code: Optional[int] = None,
        headers: Optional[Mapping[str, str]] = None,
        body: Any = None,
        code: Optional[str] = None,
        param: Optional[str] = None,
        type: Optional[str] = None,
        request_id: Optional[str] = None,
        retries: int = 0,
        key: str = "",
        partial: Any = None,
    ):
        # One positional argument, and fields in __dict__: this is what makes the error pickle.
        super().__init__(message)
        self.status_code = status_code
        self.headers: Mapping[str, str] = {} if headers is None else headers
        self.body = body
        self.code = code
        self.param = param
        self.type = type
        self.request_id = request_id
        self.retries = retries
        self.key = key
        self.partial = partial

    @property
    def message(self) -> str:
        """Return what happened, without attempts, key and hint."""
        return str(self.args[0])

    @property
    def response(self) -> Optional[ErrorResponse]:
        """Return status and headers of the response as the SDK's errors do, or None if there was none."""
        if self.status_code is None:
            return None
        return ErrorResponse(self.status_code, self.headers)

    @property
    def retryable(self) -> bool:
        """Return True if the same request may succeed later.  Only `backoff.retry_delay` asks."""
        return False

    def __str__(self) -> str:
        parts = [self.message]
        if self.retries:
            parts.append(f"after {self.retries + 1} attempts")
        if self.key:
            parts.append(self.key)
        if self.hint:
            parts.append(self.hint)
        return "; ".join(parts)


class APIResponseValidationError(APIError):
    """The status is 2xx, but the body is not what was asked for."""

    truncated = False  #: True if the body is JSON that is cut off
    reply: Any = None  #: from `parse`: the Reply that does not fit the type

    @property
    def retryable(self) -> bool:
        """Return True for a truncated body: it is a connection that broke without an error."""
        return self.truncated and self.headers.get("x-should-retry") != "false"


class APIConnectionError(APIError):
    """No complete response was received."""

    hint = "check base_url, the network and the proxy settings; " + DOCTOR
    permanent = (
        False  #: True if another attempt cannot help: an untrusted certificate, a wrong protocol
    )

    @property
    def retryable(self) -> bool:
        """Return True if the next connection may hold."""
        return not self.permanent


class CircuitOpenError(APIConnectionError):
    """Nothing was sent: the last attempts failed, and the circuit breaker is open."""

    permanent = True  # fail fast is what a circuit breaker is for


class APITimeoutError(APIConnectionError):
    """No complete response was received within the timeout."""

    hint = "a larger timeout may help"


class DeadlineExceededError(APITimeoutError):
    """The whole call took longer than its `deadline`."""

    hint = "a larger deadline may help"
    permanent = True  # no time is left


class StreamInterruptedError(APIConnectionError):
    """The connection was lost while streaming."""

    hint = "the text received so far is in .partial"


class StreamTimeoutError(StreamInterruptedError, APITimeoutError):
    """No data was received for longer than `timeout` while streaming."""


class APIStatusError(APIError):
    """The server returned a status that is not 2xx."""

    @property
    def retryable(self) -> bool:
        """Return True for 408, 409, 429 and 5xx, as in the SDK.

        The header `x-should-retry`, spelled exactly `true` or `false`, overrules all else.
        """
        verdict = self.headers.get("x-should-retry")
        if verdict in ("true", "false"):
            return verdict == "true"
        if NO_QUOTA in (self.code, self.type):
            return False
        status = self.status_code or 0
        return status in RETRYABLE_STATUSES or status >= 500


class BadRequestError(APIStatusError):
    """Status 400."""


class ContextLengthExceededError(BadRequestError):
    """The prompt is longer than the model's context window, under 400 or another status, never 429: see `compat.wordings`."""

    hint = "send fewer or shorter messages"

    @property
    def retryable(self) -> bool:
        """Return False: the same prompt is too long again, also where the status is 500."""
        return False


class AuthenticationError(APIStatusError):
    """Status 401."""

    hint = "check the key (OPENAI_API_KEY, --key-file or api_key=)"


class PermissionDeniedError(APIStatusError):
    """Status 403."""

    hint = "this key has no permission for this request"


class NotFoundError(APIStatusError):
    """Status 404."""

    hint = "check the model name and base_url"


class ConflictError(APIStatusError):
    """Status 409."""


class UnprocessableEntityError(APIStatusError):
    """Status 422."""


class RateLimitError(APIStatusError):
    """Status 429."""

    hint = "wait a while, or check the account's limits and billing"


class InternalServerError(APIStatusError):
    """Status 500 or more."""

    hint = "the server failed; try again later"


class LengthFinishReasonError(RawchatError):
    """A structured output was cut off by the token limit."""

    reply: Any = None  #: the Reply that was received


class ContentFilterFinishReasonError(RawchatError):
    """A structured output was stopped by the content filter."""

    reply: Any = None  #: the Reply that was received


class ToolRoundsError(RawchatError):
    """The model still called tools after the last round that was allowed."""

    messages: Any = None  #: the conversation so far, to continue from


def one_line(text: str, limit: int = MAX_MESSAGE) -> str:
    """Return `text` in one line, with its white space folded, cut off after `limit` characters."""
    text = " ".join(text.split())
    if len(text) <= limit:
        return text
    return text[:limit] + "…"
