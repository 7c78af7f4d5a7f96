"""Cancel a call from another thread: shut down the socket that it reads from.

`aio` makes a CancelToken for every call and sets `cancel_token` in the thread that makes it; the transport reads it once
per request, and the `Deadline` of the exchange attaches the socket to it.
"""

import contextlib
import socket
import threading
from contextvars import ContextVar
from typing import Any, Optional


class CancelToken:
    """Cancels, from any thread, the exchanges that are made under it: the present one and every later one."""

    def __init__(self) -> None:
        #: True once `cancel` was called.
        self.cancelled = False
        self._event: Optional[threading.Event] = None  # made when it is waited for
        self._sock: Optional[socket.socket] = None

    def cancel(self) -> None:
        """End the present exchange now, and allow no other one."""
        self.cancelled = True
        event = self._event
        if event:
            event.set()
        sock = self._sock
        if sock:
            shutdown_socket(sock)

    def wait(self, seconds: float) -> None:
        """Sleep for `seconds`, or until `cancel` is called."""
        event = threading.Event()
        self._event = event
        # Asked afterwards: `cancel` may not have seen the event.
        if not self.cancelled:
            event.wait(seconds)

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
