"""The bound on a whole exchange: when it rings, it shuts the socket down, which ends any read at once.

A timeout alone bounds each read: a server that sends a byte now and then would never end.
"""

import contextlib
import socket
import threading
import time
from contextvars import ContextVar
from typing import Any, Optional

from .errors import ConfigError, DeadlineExceededError


class CancelToken:
    """Ends from another thread what is done under it: one that is waited for no longer has reached its deadline."""

    def __init__(self) -> None:
        self.cancelled = threading.Event()
        self.sock: Optional[socket.socket] = None  # that the exchange reads from

    def cancel(self) -> None:
        """End the exchange now; there will be no further one."""
        self.cancelled.set()
        sock = self.sock
        if sock:
            shutdown_socket(sock)


cancel_token: ContextVar[Optional[CancelToken]] = ContextVar(
    "cut", default=None
)  #: what this thread's exchanges are under


class Deadline:
    """Rings `deadline` seconds from now, if at all, or by the thread's Cut; `where` says of what, for the error."""

    def __init__(self, deadline: Optional[float], where: str):
        self._end = None if deadline is None else time.monotonic() + deadline
        self._where = where
        self._timer: Optional[threading.Timer] = None
        self._cut = cancel_token.get()

    def over(self) -> bool:
        """Has it rung, or should it have?"""
        return bool(self._cut and self._cut.cancelled.is_set()) or (
            self._end is not None and time.monotonic() >= self._end
        )

    def check(self) -> None:
        """Raise DeadlineExceededError if the time is over."""
        if self.over():
            raise self.late()

    def late(self) -> DeadlineExceededError:
        """The error that says so."""
        return DeadlineExceededError(f"the deadline has passed ({self._where})")

    def within(self, timeout: tuple[float, float]) -> tuple[float, float]:
        """The timeouts for connecting and reading, within what is left; raises if nothing is."""
        self.check()
        left = float("inf") if self._end is None else self._end - time.monotonic()
        return min(timeout[0], left), min(timeout[1], left)

    def watch(self, sock: socket.socket) -> None:
        """Begin to bound what is read from `sock`."""
        if self._cut:
            self._cut.sock = sock
            if self._cut.cancelled.is_set():
                shutdown_socket(sock)
        if self._end is not None:
            self._timer = threading.Timer(
                max(0, self._end - time.monotonic()), shutdown_socket, [sock]
            )
            self._timer.daemon = True
            try:
                self._timer.start()
            except RuntimeError:  # WebAssembly, or a limit on processes
                raise ConfigError(
                    "a deadline needs a thread, and no more can be started here"
                ) from None

    def stop(self) -> None:
        """The exchange is over."""
        if self._cut:
            self._cut.sock = None  # it may serve another one by now
        if self._timer:
            self._timer.cancel()


def shutdown_socket(sock: socket.socket) -> None:
    """Shut `sock` down under whoever reads from it; TLS's own shutdown would first take its state apart."""
    below: Any = sock
    while not isinstance(below, socket.socket) and hasattr(below, "socket"):
        below = (
            below.socket
        )  # TLS inside TLS: urllib3's SSLTransport holds the socket that it goes over
    with contextlib.suppress(OSError):
        socket.socket.shutdown(below, socket.SHUT_RDWR)
