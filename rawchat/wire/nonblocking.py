"""The interface of a body that is read without waiting: see `transport.nonblocking`, which reads it."""

from typing import Protocol


class NothingYet(bytes):
    """The type of NOTHING_YET."""

    __slots__ = ()


#: The piece of a body that says that nothing has arrived.  It is known by its identity.
NOTHING_YET = NothingYet()


class NonblockingBody(Protocol):
    """What an event loop needs to know of a body: when to read from its socket, and how to end in time."""

    timeout: float  #: seconds to wait for each piece, at most

    def fileno(self) -> int:
        """Return the descriptor of the socket, for a selector."""

    def receive(self) -> bool:
        """Take what has arrived; return False, and take nothing, while the last piece has not been read."""

    def time_out(self) -> None:
        """Let the next question for a piece raise a timeout."""
