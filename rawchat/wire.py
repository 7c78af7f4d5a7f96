"""The narrow waist: a `Request` goes out, a `Response` comes in, still bytes.

A transport is any function `Request -> Response`.  This one answers everything with the same bytes:

>>> transport = lambda request: Response(200, {"content-type": "application/json"}, [b'{"ok":', b' true}'])
>>> transport(Request("GET", "http://localhost/v1/models")).read()
b'{"ok": true}'
"""

import re
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Callable, NamedTuple, Optional
from urllib.parse import quote

from .errors import APIResponseValidationError, ConfigError, one_line
from .urls import without_user

__version__ = "0.1.0"


HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # a token (RFC 9110, 5.6.2)


INVALID_HEADER_VALUE = re.compile(r"[^\t\x20-\x7e\x80-\xff]")  # in a value, which is Latin-1 (5.5)


SECRET_HEADER = re.compile(
    r".*(auth|authorization|key|token|secret|password|cookie)", re.IGNORECASE
)  # a name's end


# What makes a header or a query parameter a credential: a word anywhere in its name, or the form of its value.
CREDENTIAL_NAME = re.compile(
    r"(?<!idempotency[-_])key|auth|token|secret|passw|cookie|credential|session|signature|jwt"
    r"|bearer|(?<![a-z])sig(?![a-z])",
    re.IGNORECASE,
)


CREDENTIAL_VALUE = re.compile(
    r"\s*(?:bearer|basic|digest|negotiate|api-?key|token)\s+\S|\s*sk-\S", re.IGNORECASE
)


FOREIGN = (
    "base_url comes from .env, {}: a .env file must not send your key elsewhere; "
    "put both into .env, or set both yourself"
)


class Headers(dict[str, str]):
    """Header fields, found by name without regard to case (RFC 9110, 5.1); secrets do not show in its repr.

    >>> Headers({"Accept": "*/*", "X-A": "1"}, {"accept": "text/plain", "x-a": None})
    {'accept': 'text/plain'}
    """

    def __init__(self, *layers: Mapping[str, Optional[str]]):
        super().__init__()
        spelled: dict[str, str] = {}  # every name in small letters -> as it stands here
        for layer in layers:  # later layers win; None removes
            for name, value in layer.items():
                small = name.lower()
                if small in spelled:
                    del self[spelled.pop(small)]
                if value is not None:
                    self[name], spelled[small] = value, name

    def _spelling(self, name: str) -> str:
        if dict.__contains__(self, name):
            return name
        small = name.lower()
        for own in self:
            if own.lower() == small:
                return own
        return name

    def __getitem__(self, name: str) -> str:
        return super().__getitem__(self._spelling(name))

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and super().__contains__(self._spelling(name))

    def get(self, name: str, default: Any = None) -> Any:
        """The value of `name`, or `default`."""
        return super().get(self._spelling(name), default)

    def __repr__(self) -> str:
        return repr(
            {
                name: "***" if SECRET_HEADER.fullmatch(name) else value
                for name, value in self.items()
            }
        )

    @property
    def secrets(self) -> list[str]:
        """The credentials, to be kept out of errors; what is shorter than any real key is left to be a word."""
        values = [
            value.split(" ", 1)[-1] for name, value in self.items() if SECRET_HEADER.fullmatch(name)
        ]
        return [
            form for value in values if len(value) >= 5 for form in {value, quote(value, safe="")}
        ]


def is_credential(name: str, value: Any) -> bool:
    """Return whether a header or query parameter carries a credential; a value of None carries nothing.

    This is wider than SECRET, which decides what is hidden: here a wrong yes costs one clear error, a wrong no a key.
    """
    if value is None:
        return False
    return bool(CREDENTIAL_NAME.search(str(name)) or CREDENTIAL_VALUE.match(str(value)))


def refuse_credentials(headers: Mapping[str, Any], query: Mapping[str, Any], where: str) -> None:
    """Raise ConfigError if a header or query parameter holds a credential, for a base_url that comes from .env.

    Whoever writes the .env of a folder must not receive what its user gives elsewhere.  `where` says where that was.
    """
    for kind, values in (("header", headers), ("query parameter", query)):
        for name, value in values.items():
            if is_credential(name, value):
                raise ConfigError(FOREIGN.format(f"the key from {where} ({kind} {name!r})"))


def validate_headers(headers: Headers) -> Headers:
    """`headers` if they can be sent; else a ConfigError that names the header and the place, never the value."""
    for name, value in headers.items():
        if not isinstance(value, str):
            raise ConfigError(
                f"header {name!r}: the value is not a string but {type(value).__name__}"
            )
        if not HEADER_NAME.fullmatch(name):
            raise ConfigError(f"not a header name: {name!r}")
        bad = INVALID_HEADER_VALUE.search(value)
        if bad:
            raise ConfigError(
                f"header {name!r}: U+{ord(bad[0]):04X} at position {bad.start() + 1} cannot be sent"
            )
    return headers


def default_headers(body: bool) -> dict[str, str]:
    """The headers that every request has, with or without a body; a stream accepts JSON too: what the SDK sends."""
    headers = {
        "Accept": "application/json",
        "Accept-Encoding": "gzip, deflate",
        "User-Agent": f"rawchat/{__version__} Python/{sys.version_info[0]}.{sys.version_info[1]}",
    }
    return {**headers, "Content-Type": "application/json"} if body else headers


def parse_header_lines(text: str, what: str) -> dict[str, str]:
    """The headers in the lines of `text`, each 'Name: value'; raises ConfigError that says of `what`."""
    lines = [line for line in text.splitlines() if line.strip()]
    if not all(":" in line for line in lines):
        raise ConfigError(f"{what}: every line must be 'Name: value'")
    return {
        name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)
    }


MAX_BYTES = (
    64 * 2**20
)  #: default bound on one decoded body, event or line: a plain answer is never near it


TIMEOUT = (5.0, 600.0)  #: seconds to connect, and for each read of the socket: the SDK's defaults


class Request(NamedTuple):
    """What goes out, whole: nothing is added to it on the way but the key and what HTTP itself needs."""

    method: str
    url: str
    headers: Headers = Headers()
    body: Optional[bytes] = None
    timeout: tuple[float, float] = TIMEOUT  #: seconds to connect, seconds for each read
    deadline: Optional[float] = None  #: seconds that this attempt may take, to its last byte
    send_key: bool = True  #: does the client put its key into it?
    n_choices: int = 1  #: how many answers it asks for (n)
    model: Optional[str] = None  #: the one that its body names
    fallback: Optional["Request"] = (
        None  #: what to ask if that model cannot answer: the same of another one
    )

    @property
    def summary(self) -> str:
        """Method and URL for a message, without user:password@ and the query: some services carry keys there."""
        return f"{self.method} {without_user(self.url.partition('?')[0])}"


class Response:
    """What comes in: status, headers, and the body in pieces as they arrive, already unpacked (gzip).

    `close` frees the connection at once.  `release` is called when the answer is known to be whole, and may
    read on for a moment so that the connection can be used again.
    """

    def __init__(
        self,
        status: int,
        headers: Mapping[str, str],
        pieces: Iterable[bytes],
        close: Callable[[], None] = lambda: None,
        release: Optional[Callable[[], None]] = None,
    ):
        self.status, self.headers, self.pieces = status, Headers(headers), pieces
        self.close, self.release = close, release or close
        self.request = Request("?", "?")  # the client fills these in: what was asked,
        self.retries = 0  # after how many retries it was answered,
        self.connection_reused: Optional[bool] = (
            None  # over a connection that had served before? (the transport knows)
        )
        self.elapsed: Callable[[], float] = lambda: (
            0.0
        )  # and the seconds that the caller has waited so far

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
        self.pieces, self.close, self.release = tap.pieces(), tap.close, tap.release
        return self

    @property
    def summary(self) -> str:
        """What was asked, for a message: 'POST https://host/path, request id req_1'."""
        name = self.headers.get("x-request-id")
        return (
            f"{self.request.summary}, request id {one_line(name)}" if name else self.request.summary
        )

    @property
    def error_fields(self) -> dict[str, Any]:
        """The fields that an error about this response carries."""
        return {
            "status_code": self.status,
            "headers": self.headers,
            "retries": self.retries,
            "request_id": self.headers.get("x-request-id"),
        }

    def read(self, limit: int = MAX_BYTES) -> bytes:
        """The whole body.  Raises APIResponseValidationError over `limit` bytes, and what the transport raises."""
        whole: list[bytes] = []
        size = 0
        try:
            for piece in self.pieces:
                whole.append(piece)
                size += len(piece)
                if size > limit:
                    raise APIResponseValidationError(
                        f"the answer is over {limit} bytes; raise max_bytes if it may be ({self.summary})",
                        **self.error_fields,
                    )
        finally:
            self.close()
        return b"".join(whole)


class Ending(NamedTuple):
    """How a response ended, as `Response.tap` reports it."""

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
        """Yield the pieces of the body, each after `on_piece` has seen it."""
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


Transport = Callable[[Request], Response]
