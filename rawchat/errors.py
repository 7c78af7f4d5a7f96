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

# ruff: noqa: E701  # the small classes stand as a table
from collections.abc import Mapping
from typing import Any, Optional


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
