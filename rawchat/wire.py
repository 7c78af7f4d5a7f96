"""The narrow waist: a `Request` goes out, a `Response` comes in, still bytes.

A transport is any function `Request -> Response`.  This one answers everything with the same bytes:

>>> transport = lambda request: Response(200, {"content-type": "application/json"}, [b'{"ok":', b' true}'])
>>> transport(Request("GET", "http://localhost/v1/models")).read()
b'{"ok": true}'
"""

from collections.abc import Iterable, Mapping
from typing import Any, Callable, NamedTuple, Optional

from .errors import APIResponseValidationError, one_line
from .headers import Headers
from .urls import without_user

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
    keyed: bool = True  #: does the client put its key into it?
    choices: int = 1  #: how many answers it asks for (n)
    model: Optional[str] = None  #: the one that its body names
    instead: Optional["Request"] = (
        None  #: what to ask if that model cannot answer: the same of another one
    )

    @property
    def where(self) -> str:
        """Method and URL for a message, without user:password@ and the query: some services carry keys there."""
        return f"{self.method} {without_user(self.url.partition('?')[0])}"


class Response:
    """What comes in: status, headers, and the body in pieces as they arrive, already unpacked (gzip).

    `close` frees the connection at once.  `finish` is called when the answer is known to be whole, and may
    read on for a moment so that the connection can be used again.
    """

    def __init__(
        self,
        status: int,
        headers: Mapping[str, str],
        pieces: Iterable[bytes],
        close: Callable[[], None] = lambda: None,
        finish: Optional[Callable[[], None]] = None,
    ):
        self.status, self.headers, self.pieces = status, Headers(headers), pieces
        self.close, self.finish = close, finish or close
        self.request = Request("?", "?")  # the client fills these in: what was asked,
        self.retries = 0  # after how many retries it was answered,
        self.reused: Optional[bool] = (
            None  # over a connection that had served before? (the transport knows)
        )
        self.elapsed: Callable[[], float] = lambda: (
            0.0
        )  # and the seconds that the caller has waited so far

    @property
    def asked(self) -> str:
        """What was asked, for a message: 'POST https://host/path, request id req_1'."""
        name = self.headers.get("x-request-id")
        return f"{self.request.where}, request id {one_line(name)}" if name else self.request.where

    @property
    def facts(self) -> dict[str, Any]:
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
                        f"the answer is over {limit} bytes; raise max_bytes if it may be ({self.asked})",
                        **self.facts,
                    )
        finally:
            self.close()
        return b"".join(whole)


Transport = Callable[[Request], Response]
