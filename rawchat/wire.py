"""Request and Response: the interface between client and transport; and the headers of both.

A transport is any function `Request -> Response`.  This one returns the same bytes for every request:

>>> def transport(request):
...     return Response(200, {"content-type": "application/json"}, [b'{"ok":', b' true}'])
>>> transport(Request("GET", "http://localhost/v1/models")).read()
b'{"ok": true}'

Cache, trace and rate limit are wrappers around a transport: they take one and return another.  `Response.tap` lets
them watch a body while it is read.
"""

import re
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Callable, NamedTuple, Optional
from urllib.parse import quote

from .errors import APIError, APIResponseValidationError, ConfigError, one_line
from .urls import strip_userinfo

__version__ = "0.1.0"

#: default bound in bytes on one decoded body, event or line; an ordinary response is far below it
MAX_BYTES = 64 * 2**20

#: seconds to connect, and seconds for each read of the socket: the SDK's defaults
TIMEOUT = (5.0, 600.0)

#: a header or URL value shorter than this is a word, not a secret: no real key is so short
MIN_SECRET_LENGTH = 5

# A token (RFC 9110, 5.6.2).
HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")

# A character that a header's value, which is Latin-1, cannot hold (RFC 9110, 5.5).
INVALID_HEADER_VALUE = re.compile(r"[^\t\x20-\x7e\x80-\xff]")

# The end of the name of a header whose value is never shown.
SECRET_HEADER = re.compile(
    r".*(auth|authorization|key|token|secret|password|cookie|credentials?|session|session-id"
    r"|signature|jwt|bearer)",
    re.IGNORECASE,
)


# ---- headers


class Headers(dict[str, str]):
    """Header fields, found by name without regard to case (RFC 9110, 5.1); secrets are hidden in its repr.

    Each mapping given is a layer over those before it; a value of None removes the header.

    >>> Headers({"Accept": "*/*", "X-A": "1"}, {"accept": "text/plain", "x-a": None})
    {'accept': 'text/plain'}
    """

    def __init__(self, *layers: Mapping[str, Optional[str]]):
        super().__init__()
        spellings: dict[str, str] = {}  # each name in lower case -> the spelling in use
        for layer in layers:
            for name, value in layer.items():
                lowered = name.lower()
                if lowered in spellings:
                    del self[spellings.pop(lowered)]
                if value is not None:
                    self[name] = value
                    spellings[lowered] = name

    def _spelling(self, name: str) -> str:
        """Return `name` as it is spelled here; `name` itself if it is missing."""
        if dict.__contains__(self, name):
            return name
        lowered = name.lower()
        for spelling in self:
            if spelling.lower() == lowered:
                return spelling
        return name

    def __getitem__(self, name: str) -> str:
        return super().__getitem__(self._spelling(name))

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and super().__contains__(self._spelling(name))

    def get(self, name: str, default: Any = None) -> Any:
        """Return the value of `name`, or `default`."""
        return super().get(self._spelling(name), default)

    def __repr__(self) -> str:
        shown = {}
        for name, value in self.items():
            shown[name] = "***" if SECRET_HEADER.fullmatch(name) else value
        return repr(shown)

    @property
    def secrets(self) -> list[str]:
        """Return the credentials in these headers, plain and percent-encoded, to be kept out of errors.

        A value shorter than MIN_SECRET_LENGTH is left out: a word like it may stand in any message.
        """
        found = []
        for name, value in self.items():
            if not SECRET_HEADER.fullmatch(name):
                continue
            credential = value.split(" ", 1)[-1]  # without the scheme: "Bearer sk-..."
            if len(credential) >= MIN_SECRET_LENGTH:
                found += sorted({credential, quote(credential, safe="")})
        return found


def validate_headers(headers: Headers) -> Headers:
    """Return `headers` if they can be sent.

    Raises ConfigError that names the header and the position, never the value.
    """
    for name, value in headers.items():
        if not isinstance(value, str):
            kind = type(value).__name__
            raise ConfigError(f"header {name!r}: the value must be a string, got {kind}")
        if not HEADER_NAME.fullmatch(name):
            raise ConfigError(f"not a header name: {name!r}")
        invalid = INVALID_HEADER_VALUE.search(value)
        if invalid:
            position = invalid.start() + 1
            raise ConfigError(
                f"header {name!r}: U+{ord(invalid[0]):04X} at position {position} cannot be sent"
            )
    return headers


def default_headers(has_body: bool) -> dict[str, str]:
    """Return the headers of every request, as the SDK sends them; a streaming request accepts JSON too."""
    headers = {
        "Accept": "application/json",
        "Accept-Encoding": "gzip, deflate",
        "User-Agent": f"rawchat/{__version__} Python/{sys.version_info[0]}.{sys.version_info[1]}",
    }
    if has_body:
        headers["Content-Type"] = "application/json"
    return headers


def parse_header_lines(text: str, source: str) -> dict[str, str]:
    """Return the headers in the lines of `text`, each 'Name: value'.

    Raises ConfigError that names `source`, never the text: it may hold a key.
    """
    headers = {}
    for line in text.splitlines():
        if not line.strip():
            continue
        name, colon, value = line.partition(":")
        if not colon:
            raise ConfigError(f"{source}: every line must be 'Name: value'")
        headers[name.strip()] = value.strip()
    return headers


# ---- request and response


class Added(dict[str, Any]):
    """A part of a body that rawchat, not the caller, put there: `compat` may leave it out if a server refuses it."""


class Request(NamedTuple):
    """A complete request: a transport adds nothing but what HTTP itself needs.

    The client adds the API key, if `send_key`, and what is left of the deadline.
    """

    method: str
    url: str
    headers: Headers = Headers()
    body: Optional[bytes] = None
    timeout: tuple[float, float] = TIMEOUT  #: seconds to connect, seconds for each read
    deadline: Optional[float] = None  #: seconds that this attempt may take, to its last byte
    send_key: bool = True  #: False if the caller gave, or forbade, an Authorization header
    n_choices: int = 1  #: the number of choices asked for (n)
    model: Optional[str] = None  #: the model that the body names
    fallbacks: tuple["Request", ...] = ()  #: the same request for each further model
    draft: Optional[dict[str, Any]] = None  #: the body before it was encoded, for `compat`

    @property
    def summary(self) -> str:
        """Return method and URL for a message, without user:password@ and query: both may hold keys."""
        url = self.url.partition("?")[0]
        return f"{self.method} {strip_userinfo(url)}"


def do_nothing() -> None:
    """Close a response that holds no connection."""


class Response:
    """Status, headers, and the body in pieces as they arrive, already decompressed.

    `close` frees the connection at once.  `release` declares that the body is complete: it may read on for a moment,
    so that the connection can serve the next request.
    """

    def __init__(
        self,
        status: int,
        headers: Mapping[str, str],
        pieces: Iterable[bytes],
        close: Callable[[], None] = do_nothing,
        release: Optional[Callable[[], None]] = None,
    ):
        self.status = status
        self.headers = Headers(headers)
        self.pieces = pieces
        self.close = close
        self.release = release or close
        # The transport sets this one, if it knows.
        self.connection_reused: Optional[bool] = None
        # The client sets these: the request, the retries before this attempt, the seconds since the call began.
        self.request = Request("?", "?")
        self.retries = 0
        self.elapsed: Callable[[], float] = float

    @property
    def request_id(self) -> Optional[str]:
        """Return the server's name for this call, to quote when asking its support."""
        found: Optional[str] = self.headers.get("x-request-id")
        return found

    @property
    def summary(self) -> str:
        """Return what was requested, for a message: 'POST https://host/path, request id req_1'."""
        if not self.request_id:
            return self.request.summary
        return f"{self.request.summary}, request id {one_line(self.request_id)}"

    def annotate(self, error: APIError) -> None:
        """Set the fields of `error` that are known from this response, unless it has them already."""
        if error.status_code is None:
            error.status_code = self.status
        if not error.headers:
            error.headers = self.headers
        if error.request_id is None:
            error.request_id = self.request_id
        if not error.retries:
            error.retries = self.retries

    def read(self, limit: int = MAX_BYTES) -> bytes:
        """Return the whole body and close the response.

        Raises APIResponseValidationError for more than `limit` bytes, and what the transport raises.
        """
        pieces: list[bytes] = []
        size = 0
        try:
            for piece in self.pieces:
                pieces.append(piece)
                size += len(piece)
                if size > limit:
                    error = APIResponseValidationError(
                        f"the body is over {limit} bytes; raise max_bytes if that is expected"
                        f" ({self.summary})"
                    )
                    self.annotate(error)
                    raise error
        finally:
            self.close()
        return b"".join(pieces)

    def tap(
        self,
        on_piece: Optional[Callable[[bytes], object]] = None,
        on_end: Optional[Callable[["Ending"], object]] = None,
    ) -> "Response":
        """Watch the body on its way to the reader; return this response.

        `on_piece(piece)` is called with every piece before the reader receives it.  `on_end(ending)` is called once,
        after `close` or `release`, or where the body breaks, whichever comes first.  A transport wrapper is a few lines:

        >>> def counted(request):
        ...     sizes = []
        ...     response = Response(200, {}, [b"Hello, ", b"world"])
        ...     return response.tap(lambda piece: sizes.append(len(piece)), lambda ending: print(sum(sizes), ending))
        >>> counted(Request("GET", "http://localhost")).read()
        12 Ending(error=None, exhausted=True, released=False)
        b'Hello, world'
        """
        tap = Tap(self, on_piece, on_end)
        self.pieces = tap.pieces()
        self.close = tap.close
        self.release = tap.release
        return self


Transport = Callable[[Request], Response]


# ---- watching a body


class Ending(NamedTuple):
    """The end of a response, as `Response.tap` reports it."""

    error: Optional[Exception]  #: what broke the body, or None
    exhausted: bool  #: True if the body was read to its end
    released: bool  #: True if the reader declared the body complete by `release`


class Tap:
    """The body of a response with a pair of callbacks beside it; see `Response.tap`."""

    def __init__(
        self,
        response: Response,
        on_piece: Optional[Callable[[bytes], object]],
        on_end: Optional[Callable[[Ending], object]],
    ):
        self._pieces = response.pieces
        self._close = response.close
        self._release = response.release
        self._on_piece = on_piece
        self._on_end = on_end
        self._exhausted = False
        # Taken by whoever ends the response first: `close` may be called from another thread, and more than once.
        self._ended = threading.Lock()

    def pieces(self) -> Iterator[bytes]:
        """Yield the pieces of the body, each after `on_piece` was called with it."""
        try:
            for piece in self._pieces:
                if self._on_piece:
                    self._on_piece(piece)
                yield piece
            self._exhausted = True
        except Exception as error:
            self._end(error)
            raise

    def close(self) -> None:
        """Close the response, then report its end."""
        try:
            self._close()
        finally:
            self._end()

    def release(self) -> None:
        """Release the connection of the response, then report its end."""
        try:
            self._release()
        finally:
            self._end(released=True)

    def _end(self, error: Optional[Exception] = None, released: bool = False) -> None:
        if self._on_end and self._ended.acquire(blocking=False):
            self._on_end(Ending(error, self._exhausted, released))
