"""Request and Response: the interface between client and transport.

A transport is any function `Request -> Response`.  This one returns the same bytes for every request:

>>> def transport(request):
...     return Response(200, {"content-type": "application/json"}, [b'{"ok":', b' true}'])
>>> transport(Request("GET", "http://localhost/v1/models")).read()
b'{"ok": true}'

Cache, trace and rate limit are wrappers around a transport: they take one and return another.  `Response.tap` lets
them watch a body while it is read.
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Callable, NamedTuple, Optional, Union

from ..errors import APIError, APIResponseValidationError, one_line
from ..urls import strip_userinfo
from .headers import Headers as Headers
from .nonblocking import NOTHING_YET as NOTHING_YET
from .nonblocking import ReplaceablePieces
from .tap import Ending as Ending
from .tap import Tap

if TYPE_CHECKING:
    from .upload import Upload

__version__ = "0.2.0"

#: default bound in bytes on one decoded body, event or line; an ordinary response is far below it
MAX_BYTES = 64 * 2**20

#: seconds to connect, and seconds for each read of the socket: the SDK's defaults
TIMEOUT = (5.0, 600.0)


class Request(NamedTuple):
    """A complete request: a transport adds nothing but what HTTP itself needs.

    The client adds the API key, if `send_key`, and what is left of the deadline.
    """

    method: str
    url: str
    headers: Headers = Headers()
    body: Union[bytes, "Upload", None] = None  #: an Upload is read while it is sent
    timeout: tuple[float, float] = TIMEOUT  #: seconds to connect, seconds for each read
    deadline: Optional[float] = None  #: seconds that this attempt may take, to its last byte
    send_key: bool = True  #: False if the caller gave, or forbade, an Authorization header
    n_choices: int = 1  #: the number of choices asked for (n)
    model: Optional[str] = None  #: the model that the body names
    fallbacks: tuple["Request", ...] = ()  #: the same request for each further model
    draft: Optional[dict[str, Any]] = None  #: the body before it was encoded, for `compat`

    @property
    def excerpt(self) -> bytes:
        """Return the body for a log: all of it, without the files of an Upload; b"" if there is none."""
        body = self.body or b""
        return body if isinstance(body, bytes) else body.excerpt

    @property
    def summary(self) -> str:
        """Return method and URL for a message, without user:password@ and query: both may hold keys."""
        url = self.url.partition("?")[0]
        return f"{self.method} {strip_userinfo(url)}"


def do_nothing(*_: object) -> None:
    """Stand in for a method of a response that holds no connection."""


class Response(ReplaceablePieces):
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
        # The transport sets these, if it knows.
        self.connection_reused: Optional[bool] = None
        self.set_read_timeout: Callable[[float], None] = do_nothing
        self.record_attempt(Request("?", "?"), 0, float)

    def record_attempt(self, request: Request, retries: int, elapsed: Callable[[], float]) -> None:
        """Record what this is a response to: the request, the retries before it, the seconds since the call began."""
        self.request = request
        self.retries = retries
        self.elapsed = elapsed

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
        after `close` or `release`, or where the body breaks, whichever comes first.  `wire.tap` shows a wrapper.
        """
        tap = Tap(self, on_piece, on_end)
        self._pieces = tap.pieces()  # it passes NOTHING_YET on
        self.close = tap.close
        self.release = tap.release
        return self


Transport = Callable[[Request], Response]
