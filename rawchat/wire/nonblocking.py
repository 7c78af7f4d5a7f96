"""The interface of a body that is read without waiting: see `transport.nonblocking`, which reads it."""

from collections.abc import Iterable
from typing import Callable, Optional, Protocol


class NothingYet(bytes):
    """The type of NOTHING_YET."""

    __slots__ = ()


#: The piece of a body that says that nothing has arrived.  It is known by its identity.
NOTHING_YET = NothingYet()

#: Seconds to read on after `[DONE]`, so that the connection can be used again.
AFTER_DONE = 0.1


class NonblockingBody(Protocol):
    """What an event loop needs to know of a body: when to read from its socket, and how to end in time."""

    timeout: float  #: seconds to wait for each piece, at most
    is_over: bool  #: True when the body has ended, and its socket may serve another request

    def fileno(self) -> int:
        """Return the descriptor of the socket, for a selector."""

    def receive(self) -> bool:
        """Receive what has arrived; return False, and receive nothing, while the last piece is unread."""

    def time_out(self) -> None:
        """Make the next read of the body raise a timeout, unless something has arrived."""


class ReplaceablePieces:
    """The body of a `Response`: its pieces as they arrive, and the way to read them without waiting.

    A wrapper of a transport may replace the pieces.  It may have read some of the body for that, and does not know
    NOTHING_YET, so from then on only a thread that waits can read the body.
    """

    _pieces: Iterable[bytes]
    #: Begins to read the body without waiting, or returns None.  The transport sets it if it can do so.
    set_nonblocking: Callable[[], Optional[NonblockingBody]]
    #: Reads what has arrived of the body, if it is read without waiting; returns False if more is to come.
    has_arrived: Callable[[], bool]

    @property
    def pieces(self) -> Iterable[bytes]:
        """The body, in pieces of any size."""
        return self._pieces

    @pieces.setter
    def pieces(self, pieces: Iterable[bytes]) -> None:
        self._pieces = pieces
        self.set_nonblocking = decline_nonblocking
        self.has_arrived = report_arrived


def decline_nonblocking() -> None:
    """Return None: only a thread that waits can read the body."""


def report_arrived() -> bool:
    """Return True: nothing has to be waited for before the body is released."""
    return True
