"""Bound a whole exchange in time, and cancel one from another thread.

A timeout bounds a single read, so a server that sends a byte now and then would never end.  A deadline bounds the
exchange: a timer shuts the connection's socket down, which ends any read from it at once.  A cancel token does the
same when another thread calls `cancel`.  Code that finds its connection closed asks `has_expired` for the reason.

The deadline of a call covers all of its attempts: `Client.send` gives each what is left (`Request.deadline`).  The
transport makes a Deadline of it, clamps the timeouts to it, and its connection arms it with the socket.
"""

import contextlib
import math
import socket
import threading
import time
from contextvars import ContextVar
from typing import Any, Optional

from .errors import ConfigError, DeadlineExceededError


class CancelToken:
    """Cancels, from any thread, the exchanges that are made under it: the present one and every later one."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._sock: Optional[socket.socket] = None

    @property
    def cancelled(self) -> bool:
        """True once `cancel` was called."""
        return self._event.is_set()

    def cancel(self) -> None:
        """End the present exchange now, and allow no other one."""
        self._event.set()
        sock = self._sock
        if sock:
            shutdown_socket(sock)

    def wait(self, seconds: float) -> None:
        """Sleep for `seconds`, or until `cancel` is called."""
        self._event.wait(seconds)

    def attach(self, sock: socket.socket) -> None:
        """Let `cancel` shut `sock` down; do it now if it was called already."""
        self._sock = sock
        if self.cancelled:
            shutdown_socket(sock)

    def detach(self) -> None:
        """Forget the socket: it may serve another exchange by now."""
        self._sock = None


#: The token of the calls that the current thread makes; `aio` sets it, the transport reads it once per request.
cancel_token: ContextVar[Optional[CancelToken]] = ContextVar("cancel_token", default=None)


class Deadline:
    """The end of one exchange: `seconds` from now (None: no bound), or the moment that `token` is cancelled.

    `summary` names the request in the error message.
    """

    def __init__(self, seconds: Optional[float], summary: str, token: Optional[CancelToken] = None):
        self._end = math.inf
        if seconds is not None:
            self._end = time.monotonic() + seconds
        self._summary = summary
        self._token = token
        self._timer: Optional[threading.Timer] = None

    def has_expired(self) -> bool:
        """Return True if the time is over or the token was cancelled."""
        if self._token and self._token.cancelled:
            return True
        return self._end != math.inf and time.monotonic() >= self._end

    def error(self) -> DeadlineExceededError:
        """Return the error for an exchange that outlived this deadline."""
        return DeadlineExceededError(f"the deadline has passed ({self._summary})")

    def raise_if_expired(self) -> None:
        """Raise DeadlineExceededError if the time is over."""
        if self.has_expired():
            raise self.error()

    def clamp(self, timeout: tuple[float, float]) -> tuple[float, float]:
        """Return `timeout` (connect, read), neither longer than the time that is left.

        Raises DeadlineExceededError if no time is left.
        """
        self.raise_if_expired()
        if self._end == math.inf:
            return timeout
        remaining = self._end - time.monotonic()
        connect, read = timeout
        return min(connect, remaining), min(read, remaining)

    def arm(self, sock: socket.socket) -> None:
        """Shut `sock` down when the deadline expires.

        Raises ConfigError where no thread can be started for the timer (WebAssembly, a limit on processes).
        """
        if self._token:
            self._token.attach(sock)
        if self._end == math.inf:
            return
        remaining = max(0, self._end - time.monotonic())
        self._timer = threading.Timer(remaining, shutdown_socket, [sock])
        self._timer.daemon = True
        try:
            self._timer.start()
        except RuntimeError:
            message = "a deadline needs a thread, and no more can be started here"
            raise ConfigError(message) from None

    @property
    def is_bounded(self) -> bool:
        """True if the exchange can end before it is complete: it has an end, or can be cancelled."""
        return self._end != math.inf or self._token is not None

    def disarm(self) -> None:
        """Let go of the socket: the exchange is over."""
        if self._token:
            self._token.detach()
        if self._timer:
            self._timer.cancel()


def shutdown_socket(sock: socket.socket) -> None:
    """Shut `sock` down while another thread may be reading from it.

    TLS's own shutdown would first discard its state, so the plain socket's method is called.  For TLS inside TLS,
    urllib3's SSLTransport holds the socket beneath in `.socket`.
    """
    plain: Any = sock
    while not isinstance(plain, socket.socket) and hasattr(plain, "socket"):
        plain = plain.socket
    # eventlet puts a class of its own in the place of socket.socket; it wraps the real socket, and has no TLS state.
    shutdown: Any = getattr(socket.socket, "shutdown", None)
    with contextlib.suppress(OSError):
        if shutdown:
            shutdown(plain, socket.SHUT_RDWR)
        else:
            plain.shutdown(socket.SHUT_RDWR)
