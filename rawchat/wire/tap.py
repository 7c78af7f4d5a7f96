"""Watch the body of a response on its way to the reader: what `Response.tap` puts in the place of its methods.

With it, a wrapper of a transport is a few lines:

>>> from rawchat.wire import Request, Response
>>> def counted(request):
...     sizes = []
...     response = Response(200, {}, [b"Hello, ", b"world"])
...     return response.tap(lambda piece: sizes.append(len(piece)), lambda ending: print(sum(sizes), ending))
>>> counted(Request("GET", "http://localhost")).read()
12 Ending(error=None, exhausted=True, released=False)
b'Hello, world'
"""

import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Callable, NamedTuple, Optional

from .nonblocking import NOTHING_YET

if TYPE_CHECKING:
    from . import Response


class Ending(NamedTuple):
    """The end of a response, as `Response.tap` reports it."""

    error: Optional[Exception]  #: what broke the body, or None
    exhausted: bool  #: True if the body was read to its end
    released: bool  #: True if the reader declared the body complete by `release`


class Tap:
    """The body of a response with a pair of callbacks beside it; see `Response.tap`."""

    def __init__(
        self,
        response: "Response",
        on_piece: Optional[Callable[[bytes], object]],
        on_end: Optional[Callable[[Ending], object]],
    ):
        self._pieces = response.pieces
        self._close = response.close
        self._release = response.release
        self._on_piece = on_piece
        self._on_end = on_end
        self._exhausted = False
        # Taken by the one that ends the response first: `close` may be called from another thread, and more than once.
        self._ended = threading.Lock()

    def pieces(self) -> Iterator[bytes]:
        """Yield the pieces of the body, each after `on_piece` was called with it."""
        try:
            for piece in self._pieces:
                if self._on_piece and piece is not NOTHING_YET:
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
