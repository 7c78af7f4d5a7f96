"""Read the body of a response without waiting for it, so that one thread can wait for many of them.

An event loop knows which sockets have something to read.  `Response.set_nonblocking` puts a `SocketBody` in the
place of the file that http.client reads from: the loop calls `receive` when the socket has something to read, and the
body's pieces are made of what was received.  While nothing has arrived, the next piece is NOTHING_YET, which passes
through all that reads the body and says: read again later.

Only a chunked body without compression is read so.  That is what servers send for a stream; everything else is read by
a thread that waits.
"""

import socket
from collections.abc import Iterator
from typing import Any, Optional

from ..wire import NOTHING_YET
from .responses import READ_SIZE

#: What a socket raises that has nothing to read, TLS's in the middle of a record.
NOT_READY: tuple[type[OSError], ...] = (BlockingIOError,)
try:
    import ssl
except ImportError:
    pass  # a Python without TLS has plain sockets only
else:
    NOT_READY += (ssl.SSLWantReadError, ssl.SSLWantWriteError)


class SocketBody:
    """The bytes of a body that arrive on `sock`, which only this object reads from here on.

    Neither `receive` nor `pieces` ever waits.
    """

    def __init__(self, file: Any, sock: socket.socket, timeout: float):
        """Take the bytes that `file`, through which the headers were read, has in its buffer."""
        self.timeout = timeout
        self.is_over = False
        self._sock = sock
        self._failure: Optional[OSError] = None
        self._received: Optional[bytes] = None  # b"": the connection is closed
        sock.settimeout(0)
        try:
            # It may read from the socket once, so nothing is left in its buffer afterwards.
            self._received = file.read1(len(file.peek())) or None
        except NOT_READY:
            pass
        except OSError as error:
            self._failure = error

    def fileno(self) -> int:
        """Return the descriptor of the socket, for a selector."""
        return self._sock.fileno()

    def receive(self) -> bool:
        """Receive what has arrived; return False, and receive nothing, while the last piece is unread."""
        if self._received is not None or self._failure:
            return False
        try:
            self._received = self._sock.recv(READ_SIZE)
        except NOT_READY:
            pass
        except OSError as error:
            self._failure = error
        return True

    def time_out(self) -> None:
        """Make the next read of the pieces raise a timeout, unless something has arrived.

        A loop that was busy with something else may call this before it looks at its sockets.
        """
        if self.receive() and self._received is None and not self._failure:
            self._failure = socket.timeout("timed out")

    def pieces(self) -> Iterator[bytes]:
        """Yield what was received, with NOTHING_YET while there is nothing, up to the end of the connection."""
        pending = getattr(self._sock, "pending", None)
        while True:
            if self._failure:
                raise self._failure
            piece = self._received
            self._received = None
            if piece:
                yield piece
            elif piece is not None:
                return
            elif pending is not None and pending():
                self.receive()  # TLS has decrypted more than was received, which no selector sees
            else:
                yield NOTHING_YET
