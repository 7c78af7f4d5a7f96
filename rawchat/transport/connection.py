"""Connections that keep to a request's time, tell a broken response from an empty one, and end when told to.

urllib3 chooses the connection for a request deep inside requests' adapter, so nothing can be handed to it as an
argument.  An `Exchange` therefore stands in a context variable while the adapter sends: `Http` enters it and leaves it,
and the connection that urllib3 chose reads its deadline and read timeout there.

The classes here are complete.  Those of the same purpose in `fast` do the same work in less time.
"""

import base64
import contextlib
import queue
import socket
import threading
import weakref
from collections.abc import Iterator
from contextvars import ContextVar, Token
from functools import partial
from http.client import HTTPException, HTTPResponse, IncompleteRead
from typing import Any, Optional
from urllib.parse import unquote_to_bytes, urlsplit

import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection

from ..deadline import Deadline, shutdown_socket
from ..errors import one_line
from ..wire.headers import HEADER_NAME

#: Bytes asked for at once: before urllib3 2.6 one compressed piece can inflate a thousandfold.
READ_SIZE = 16384

#: Seconds to read on after `[DONE]`, so that the connection can be used again.
AFTER_DONE = 0.1

#: Lines of a header block that may be no headers; http.client allows as many headers.
MAX_JUNK_LINES = 100

#: Characters of a wrong size that a message shows.
MAX_SHOWN = 40


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


# ---- the head of a response


class LastLineReader:
    """A socket's file while the head of a response is read from it: drops what is no header, remembers the last line.

    http.client's parser takes the first line that is no header for the end of all headers: Content-Length may be
    lost, and the response then seems to have no end.
    """

    def __init__(self, file: Any):
        self.file = file
        self.last: Optional[bytes] = None
        self._in_headers = False  # else the next line is a status line

    def readline(self, *size: int) -> bytes:
        """Return the next line that is of use; raise HTTPException after too many that are not."""
        dropped = False
        for _ in range(MAX_JUNK_LINES + 1):
            line = bytes(self.file.readline(*size))
            self.last = line
            if not self._in_headers or not line.strip(b"\r\n"):
                self._in_headers = not self._in_headers and bool(line)
                return line
            if dropped and line[:1] in b" \t":
                continue  # this line continues one that was dropped
            header = clean_header_line(line)
            if header:
                return header
            dropped = True
        raise HTTPException(f"over {MAX_JUNK_LINES} lines in the header block are not headers")

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)


def clean_header_line(line: bytes) -> bytes:
    """Return a header line in the form that http.client's parser reads; b"" for a line that is no header.

    A lone CR becomes a blank (RFC 9112, 2.2), and blanks before the colon are removed (RFC 9112, 5.1).

    >>> clean_header_line(b"Content-Length : 5\\r\\n"), clean_header_line(b"no header\\r\\n")
    (b'Content-Length: 5\\r\\n', b'')
    """
    text = line.rstrip(b"\r\n")
    line_end = line[len(text) :]
    text = text.replace(b"\r", b" ")
    if text[:1] in (b" ", b"\t"):
        return text + line_end  # continues the line before it (RFC 9112, 5.2)
    name, colon, value = text.partition(b":")
    name = name.rstrip(b" \t")
    if not colon or not HEADER_NAME.fullmatch(name.decode("latin-1")):
        return b""
    return name + colon + value + line_end


class StrictHTTPResponse(HTTPResponse):
    """http.client's response, but headers have to end, and no size may be nonsense.

    http.client takes some header blocks that break off for those of an empty 200, and reads a body whose
    Content-Length is no number up to the end of the connection, which a server may keep open.
    """

    def begin(self) -> None:
        """Read the status line and the headers."""
        lines = LastLineReader(self.fp)
        self.fp = lines  # type: ignore[assignment]
        super().begin()
        if lines.last == b"":
            raise HTTPException(
                "connection closed before the response was complete (in the headers)"
            )
        if self.fp:  # http.client sets it to None when there is no body
            self.fp = lines.file
            if not self.chunked:
                self._check_length()

    def _check_length(self) -> None:
        """Set the length of a body whose Content-Length is given twice; raise HTTPException for one that is no number.

        The same value twice counts once (RFC 9110, 8.6).
        """
        values = {value.strip() for value in (self.getheader("Content-Length") or "").split(",")}
        values.discard("")
        if not values or self.length == 0:
            return
        shown = one_line(", ".join(sorted(values)), MAX_SHOWN)
        if len(values) > 1 or not shown.isdecimal() or not shown.isascii():
            raise HTTPException(f"invalid Content-Length: {shown}")
        self.length = int(shown)

    def _read_next_chunk_size(self) -> int:
        """Return the size of the next chunk.  http.client's own takes "-5", and reads on and on."""
        try:
            size = int(super()._read_next_chunk_size())  # type: ignore[misc]
        except AttributeError:
            # http.client closes a file that another thread's `close` has already taken away.
            raise HTTPException("the response was closed while it was read") from None
        if size < 0:
            raise HTTPException(f"invalid chunk size: {size}")
        return size

    def read_to_end(self, body: Iterator[bytes], sock: Any, seconds: float) -> None:
        """Read what is left of `body` from `sock`, in `seconds` at most; then the connection can be used again."""
        timer = threading.Timer(seconds, shutdown_socket, [sock])
        timer.daemon = True
        timer.start()
        try:
            for _ in body:
                pass
        finally:
            timer.cancel()


# ---- connections


class DeadlineConnection(HTTPConnection):
    """urllib3's connection, but it reports to the current exchange, and obeys the deadline and the read timeout."""

    response_class = StrictHTTPResponse
    #: Requests since the connection was opened.
    requests_sent = 0

    def __init__(self, *args: Any, **options: Any):
        super().__init__(*args, **options)
        # A NAT forgets a connection on which nothing is sent while a long answer is computed.
        keep_alive = (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self.socket_options = [*(self.socket_options or []), keep_alive]

    def connect(self) -> None:
        """Open the connection; urllib3 reopens the same object after the server has closed it."""
        self.requests_sent = 0
        super().connect()

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
        """Write head and body to the socket."""
        super().request(*args, **options)


class DeadlineTLSConnection(DeadlineConnection, HTTPSConnection):
    """The same over TLS."""


class AutoClosingPool(urllib3.HTTPConnectionPool):
    """A pool that closes its idle connections when nobody holds it any more, as urllib3's own do since 2.0."""

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


# ---- the body


def iter_available(raw: Any) -> Iterator[bytes]:
    """Yield the body of urllib3's response `raw`, decompressed: what has arrived, at once, in every framing.

    `read1` does so; `read` and `stream` wait for full blocks.
    """
    if hasattr(raw, "read1"):
        return iter(partial(raw.read1, READ_SIZE, decode_content=True), b"")
    return iter_available_urllib3_v1(raw)


def iter_available_urllib3_v1(raw: Any) -> Iterator[bytes]:
    """Yield the same with urllib3 before 2.2, which has no `read1`: http.client's, and what urllib3 adds to its own.

    Only http.client of Python 3.13 and later notices a body that is shorter than its Content-Length.
    """
    remaining = raw.length_remaining  # None: the length is not known beforehand
    raw._init_decoder()
    # Gives the connection back at the end, and closes it after anything else.
    with raw._error_catcher():
        while remaining != 0:
            data = raw._fp.read1(READ_SIZE)
            if remaining is not None:
                if not data:
                    raise IncompleteRead(b"", remaining)
                remaining -= len(data)
            at_end = not data or remaining == 0
            piece = raw._decode(data, decode_content=True, flush_decoder=at_end)
            if piece:  # b"": the compressed data has only begun
                yield piece
            if not data:
                break
        raw._fp.close()


class ResponseEnd:
    """The two ways to end a response: `close` at once, or `release`, which keeps the connection."""

    def __init__(self, raw: Any, body: Iterator[bytes], exchange: Exchange):
        self._raw = raw
        self._body = body
        self._deadline = exchange.deadline
        self._sock = (
            exchange.sock
        )  # now: a connection that is closed after its response gives it away

    def close(self) -> None:
        """Close the response, even while another thread reads from it."""
        self._deadline.disarm()
        if self._sock and not self._raw.closed:
            shutdown_socket(self._sock)  # else a thread that is reading would hold this one up
        self._raw.close()

    def release(self) -> None:
        """Read on for a moment, so that the connection can be used again; then close."""
        # A body that ends with its connection leaves no connection to be used again, and no socket.
        if self._sock:
            # The response is complete already, so no failure matters.
            with contextlib.suppress(Exception):
                self._raw._original_response.read_to_end(self._body, self._sock, AFTER_DONE)
        self.close()


Adapter = StrictAdapter

POOL_CLASSES: dict[str, type[urllib3.HTTPConnectionPool]] = {
    "http": AutoClosingPool,
    "https": AutoClosingTLSPool,
}
