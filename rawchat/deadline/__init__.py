"""Bound a whole exchange in time.

A timeout bounds a single read, so a server that sends a byte now and then would never end.  A deadline bounds the
exchange: a timer shuts the connection's socket down, which ends any read from it at once.  A cancel token (`cancel`)
does the same when another thread asks for it.  Code that finds its connection closed asks `has_expired` for the reason.

The deadline of a call covers all of its attempts: `Client.send` gives each what is left (`Request.deadline`).  The
transport makes a Deadline of it, clamps the timeouts to it, and its connection arms it with the socket.
"""

import math
import socket
import threading
import time
from typing import Optional

from ..errors import ConfigError, DeadlineExceededError
from .cancel import CancelToken as CancelToken
from .cancel import cancel_token as cancel_token
from .cancel import shutdown_socket as shutdown_socket


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
