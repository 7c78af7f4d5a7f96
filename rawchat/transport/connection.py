"""Connections that keep to a request's time limits, and end when cancelled.  Their responses are in `responses`.

urllib3 chooses the connection for a request deep inside requests' adapter, so nothing can be handed to it as an
argument.  An `Exchange` therefore stands in a context variable while the adapter sends: `Http` enters it and leaves it,
and the connection that urllib3 chose reads its deadline and read timeout there.

The classes here are complete.  Those of the same purpose in `fast` do the same work in less time.
"""

import base64
import contextlib
import queue
import socket
import weakref
from collections.abc import Iterator
from contextvars import ContextVar, Token
from typing import TYPE_CHECKING, Any, Optional
from urllib.parse import unquote_to_bytes, urlsplit

import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection

from ..deadline import Deadline, shutdown_socket
from ..wire import NOTHING_YET
from ..wire.nonblocking import AFTER_DONE
from .responses import StrictHTTPResponse

if TYPE_CHECKING:
    from .nonblocking import SocketBody


# ---- the exchange


class Exchange:
    """One request on one connection: the deadline, the read timeout, and the connection that was chosen for it."""

    def __init__(self, deadline: Deadline, read_timeout: float):
        self.deadline = deadline
        self.read_timeout = read_timeout
        self.connection: Optional[DeadlineConnection] = None
        self._token: Optional[Token[Optional[Exchange]]] = None

    def __enter__(self) -> "Exchange":
        self._token = current_exchange.set(self)
        return self

    def __exit__(self, *_: object) -> None:
        if self._token:
            current_exchange.reset(self._token)

    @property
    def reused(self) -> bool:
        """True if the connection had served a request before."""
        return self.connection is not None and self.connection.requests_sent > 1

    @property
    def sock(self) -> Any:
        """The connection's socket; None if there is no connection of ours, or if it has given its socket away."""
        return getattr(self.connection, "sock", None)


#: The exchange that the current thread is sending.
current_exchange: ContextVar[Optional[Exchange]] = ContextVar("current_exchange", default=None)


# ---- connections


class DeadlineConnection(HTTPConnection):
    """urllib3's connection, but it reports to the current exchange, and obeys the deadline and the read timeout."""

    response_class = StrictHTTPResponse
    #: Requests since the connection was opened.
    requests_sent = 0
    _connecting: Optional[socket.socket] = None

    def __init__(self, *args: Any, **options: Any):
        super().__init__(*args, **options)
        # A NAT forgets a connection on which nothing is sent while a long answer is computed.
        keep_alive = (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self.socket_options = [*(self.socket_options or []), keep_alive]

    def connect(self) -> None:
        """Open the connection; urllib3 reopens the same object after the server has closed it."""
        self.requests_sent = 0
        try:
            super().connect()
        finally:
            self._end_connecting()

    def _new_conn(self) -> socket.socket:
        sock: socket.socket = super()._new_conn()
        self.watch(sock)
        return sock

    def watch(self, sock: socket.socket) -> None:
        """Let the deadline end what follows on a new socket: a proxy's CONNECT, a handshake.

        Each read of them has its timeout, but a proxy that sends a byte now and then has as much time as it likes.
        The deadline gets a descriptor of its own, as TLS takes that of `sock` away.
        """
        self._end_connecting()
        exchange = current_exchange.get()
        if exchange and exchange.deadline.is_bounded:
            self._connecting = sock.dup()
            exchange.deadline.arm(self._connecting)

    def _tunnel(self) -> None:
        super()._tunnel()
        # http.client takes headers that the deadline has cut off for whole ones, and TLS would begin.
        exchange = current_exchange.get()
        if exchange:
            exchange.deadline.raise_if_expired()

    def _end_connecting(self) -> None:
        """Let go of the socket that `watch` was given."""
        exchange = current_exchange.get()
        if self._connecting and exchange:
            exchange.deadline.disarm()
            self._connecting.close()
            self._connecting = None

    def request(self, *args: Any, **options: Any) -> None:
        """Send a request under the current exchange.

        A long upload has the time of a read: urllib3 would give it the time that is meant for connecting.
        """
        if self.sock is None:
            self.connect()
        self.requests_sent += 1
        exchange = current_exchange.get()
        if exchange:
            exchange.connection = self
            self.timeout = exchange.read_timeout  # urllib3 2 gives it to the socket, 1.26 does not
            self.sock.settimeout(exchange.read_timeout)
            exchange.deadline.arm(self.sock)
        self.write_request(*args, **options)

    def write_request(self, *args: Any, **options: Any) -> None:
        """Write head and body to the socket.

        A server may refuse an upload (413) before it has read all of it, and close the connection.  Its response says
        more than the reset, so it is read.  urllib3 does so after a broken pipe; before 2.0 not after a reset.
        """
        with contextlib.suppress(ConnectionResetError):
            super().request(*args, **options)


class DeadlineTLSConnection(DeadlineConnection, HTTPSConnection):
    """The same over TLS."""


class AutoClosingPool(urllib3.HTTPConnectionPool):
    """A pool that closes its idle connections when it is no longer referenced, as urllib3's own do since 2.0."""

    ConnectionCls = DeadlineConnection

    def __init__(self, *args: Any, **options: Any):
        super().__init__(*args, **options)
        if self.pool is not None:
            weakref.finalize(self, close_all, self.pool)


class AutoClosingTLSPool(AutoClosingPool, urllib3.HTTPSConnectionPool):
    """The same for connections over TLS."""

    ConnectionCls = DeadlineTLSConnection


def close_all(idle: "queue.Queue[Any]") -> None:
    """Close the connections in `idle`; urllib3 puts a None there for each that it may still open."""
    with contextlib.suppress(queue.Empty):
        while True:
            connection = idle.get_nowait()
            if connection:
                connection.close()


class StrictAdapter(HTTPAdapter):
    """requests' adapter, but a TLS connection is always verified."""

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """Set up the verification of `conn`.

        requests looks at the target alone: on the way to an http:// URL it takes any certificate of an https:// proxy.
        """
        if getattr(conn, "scheme", None) == "https":
            url = "https://"
        super().cert_verify(conn, url, verify, cert)  # type: ignore[no-untyped-call]

    def proxy_headers(self, proxy: str) -> dict[str, str]:
        """Return the header with the credentials of a proxy's URL: the bytes that its %XX stand for, as curl sends them.

        requests encodes them as Latin-1, and fails with other characters.
        """
        return proxy_authorization(proxy)


def proxy_authorization(proxy: str) -> dict[str, str]:
    """Return the header with the credentials of a proxy's URL (RFC 7617); {} without any."""
    userinfo, at, _ = urlsplit(proxy).netloc.rpartition("@")
    if not at:
        return {}
    user, _, password = userinfo.partition(":")
    credentials = unquote_to_bytes(user) + b":" + unquote_to_bytes(password)
    return {"Proxy-Authorization": "Basic " + base64.b64encode(credentials).decode("ascii")}


# ---- the end of a response


class ResponseEnd:
    """The two ways to end a response: `close` at once, or `release`, which keeps the connection."""

    def __init__(self, raw: Any, body: Iterator[bytes], exchange: Exchange):
        self._raw = raw
        self._body = body
        self._deadline = exchange.deadline
        # Now: a connection that is closed after its response gives it away.
        self._sock = exchange.sock
        self._read_timeout = exchange.read_timeout
        self._nonblocking: Optional[SocketBody] = None
        self._is_closed = False

    def set_nonblocking(self) -> "Optional[SocketBody]":
        """Read the body without waiting; return None where that is not possible."""
        response: Any = getattr(self._raw, "_original_response", None)
        if self._sock and hasattr(response, "set_nonblocking"):
            self._nonblocking = response.set_nonblocking(self._sock, self._read_timeout)
        return self._nonblocking

    def close(self) -> None:
        """Close the response, even while another thread reads from it."""
        if self._is_closed:
            return
        self._is_closed = True
        self._deadline.disarm()
        if self._sock and not self._raw.closed:
            shutdown_socket(self._sock)  # else a thread that is reading would hold this one up
        self._raw.close()

    def set_read_timeout(self, seconds: float) -> None:
        """Bound each read that is still to come."""
        if self._nonblocking:
            self._nonblocking.timeout = seconds
            return
        with contextlib.suppress(OSError):  # closed by another thread
            if self._sock:
                self._sock.settimeout(seconds)

    def has_arrived(self) -> bool:
        """Read what has arrived of a body that is read without waiting; return True if no more of it is to come.

        True for any other body, too: `release` waits for its end.
        """
        if not self._nonblocking:
            return True
        self._nonblocking.receive()
        # The response is complete already, so no failure matters.
        with contextlib.suppress(Exception):
            return all(piece is not NOTHING_YET for piece in self._body)
        return True

    def release(self) -> None:
        """Read on for a moment, so that the connection can be used again; then close."""
        # A body that ends with its connection leaves no connection to be used again, and no socket.
        if self._sock and not self._nonblocking:
            # The response is complete already, so no failure matters.
            with contextlib.suppress(Exception):
                self._raw._original_response.read_to_end(self._body, self._sock, AFTER_DONE)
        self.close()


Adapter = StrictAdapter

POOL_CLASSES: dict[str, type[urllib3.HTTPConnectionPool]] = {
    "http": AutoClosingPool,
    "https": AutoClosingTLSPool,
}
