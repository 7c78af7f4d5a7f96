"""What a connection does here beside its work: it keeps to a request's time, tells a broken answer from an empty one,
takes chunks off fast, and ends when it is told to.  Classes to be mixed into urllib3's, whichever version that is.
"""

import contextlib
import queue
import threading
import time
import weakref
from collections.abc import Iterator
from functools import partial
from http.client import HTTPException, HTTPResponse, IncompleteRead
from types import SimpleNamespace
from typing import Any, Callable, Optional

from ..deadline import Deadline, shutdown_socket
from ..urls import origin
from ..wire import HEADER_NAME
from .fast import IdleQueue, decode_chunked

READ_SIZE = (
    16384  #: bytes asked for at once: before urllib3 2.6 one piece can inflate a thousandfold
)


AFTER_DONE = 0.1  #: seconds to read on after [DONE], so that the connection can be used again


MAX_JUNK_LINES = 100  #: lines among the headers that may be none; http.client takes as many headers


_here = (
    threading.local()
)  # what this thread is sending: over which .connection, with which .alarm and .timeout


def start_exchange(alarm: Deadline, timeout: float) -> None:
    """Say what this thread's next request is bound to: an alarm, and the seconds for each read."""
    _here.connection, _here.alarm, _here.timeout = None, alarm, timeout


def connection_used() -> Any:
    """The connection that this thread's request went over; None if it never came to that."""
    return _here.connection


class DeadlineConnection:
    """A connection that tells the thread's request of itself, and obeys its alarm."""

    sock: Any
    timeout: Any
    asked = 0  #: requests since it was opened
    _held: Optional[list[bytes]] = None  # the parts of a request that is being made

    def connect(self) -> None:
        """As urllib3's, which opens the same object again after the server has closed the connection."""
        self.asked = 0
        super().connect()  # type: ignore[misc]

    def request(self, *args: Any, **options: Any) -> None:
        """As urllib3's, but that a long upload has the time of a read: there it has what is meant for connecting."""
        if self.sock is None:
            self.connect()
        self.timeout = _here.timeout  # which urllib3 gives to the socket now, but not so 1.26
        self.sock.settimeout(self.timeout)
        self.asked += 1
        _here.connection = self
        _here.alarm.watch(self.sock)
        parts = self._held = []
        try:
            super().request(*args, **options)  # type: ignore[misc]
        finally:
            self._held = None
        self.send(b"".join(parts))

    def send(self, data: bytes) -> None:
        """As http.client's, but that head and body go out together: two packets cost both sides twice as much."""
        if self._held is None:
            super().send(data)  # type: ignore[misc]
        else:
            self._held.append(data)


class AutoClosingPool:
    """A pool that closes its idle connections when nobody holds it any more, as urllib3's own do since 2.0."""

    QueueCls = IdleQueue

    def __init__(self, *args: Any, **options: Any):
        super().__init__(*args, **options)
        weakref.finalize(self, close_all, self.pool)  # type: ignore[attr-defined]


def close_all(idle: "queue.Queue[Any]") -> None:
    """Close the connections in `idle`."""
    with contextlib.suppress(queue.Empty):
        while True:
            idle.get_nowait().close()


def pool_class(pool: type, connection: type) -> type:
    """urllib3's class of pools, Tidy and with connections that are Watched and give an Answer."""
    kind = type(
        connection.__name__,
        (DeadlineConnection, connection),
        {"response_class": StrictHTTPResponse},
    )
    return type(pool.__name__, (AutoClosingPool, pool), {"ConnectionCls": kind})


class LastLineReader:
    """A socket's file while the head of a response is read from it: keeps the last line, and drops what is no header.

    http.client's parser takes the first line that is no header for the end of all headers: Content-Length may be
    lost, and the response then seems to have no end.
    """

    last: Optional[bytes] = None

    def __init__(self, file: Any):
        self.file = file
        self._in_headers = False  # else the next line is a status line

    def readline(self, *size: int) -> bytes:
        """Return the next line that is of use; raises HTTPException after too many that are not."""
        dropped = False
        for _ in range(MAX_JUNK_LINES + 1):
            self.last = line = bytes(self.file.readline(*size))
            if not self._in_headers or not line.strip(b"\r\n"):
                self._in_headers = not self._in_headers and bool(line)
                return line
            if dropped and line[:1] in b" \t":
                continue  # it goes on with a line that was dropped
            header = header_line(line)
            if header:
                return header
            dropped = True
        raise HTTPException(f"over {MAX_JUNK_LINES} lines among the headers that are none")

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)


def header_line(line: bytes) -> bytes:
    """Return a header line as http.client's parser reads it; b"" for one that is none.

    A lone CR becomes a blank (RFC 9112, 2.2), and blanks before the colon go (RFC 9112, 5.1).

    >>> header_line(b"Content-Length : 5\\r\\n"), header_line(b"no header\\r\\n")
    (b'Content-Length: 5\\r\\n', b'')
    """
    text = line.rstrip(b"\r\n")
    end = line[len(text) :]
    text = text.replace(b"\r", b" ")
    if text[:1] in (b" ", b"\t"):
        return text + end  # goes on with the line before it (RFC 9112, 5.2)
    name, colon, value = text.partition(b":")
    name = name.rstrip(b" \t")
    if not colon or not HEADER_NAME.fullmatch(name.decode("latin-1")):
        return b""
    return name + colon + value + end


class StrictHTTPResponse(HTTPResponse):
    """Headers have to end, and chunks are taken off fast.

    http.client takes some headers that break off for those of an empty 200.
    """

    _body: Iterator[bytes] = iter(())
    _end: Optional[float] = None  # when reading has to stop, on the monotonic clock; and the socket
    _sock: Any = None

    def begin(self) -> None:
        self.fp = lines = LastLineReader(self.fp)  # type: ignore[assignment]
        super().begin()
        if lines.last == b"":
            raise HTTPException("the answer breaks off in its headers")
        if self.fp:  # the body needs no watching
            self.fp = lines.file
            self._body = decode_chunked(iter(self._coded, b""))

    def read1(self, n: int = -1) -> bytes:
        """What has come, at once: with chunks, all that a read of the socket gives, which is PIECE bytes at most."""
        if self.chunked:
            return next(self._body, b"")
        self._keep_time()
        return super().read1(n)

    def _coded(self) -> bytes:
        """Return what has come of a chunked body, as it came."""
        self._keep_time()
        return self.fp.read1(READ_SIZE)

    def stop_after(self, seconds: float, sock: Any) -> None:
        """Let all further reads from `sock` together take so many seconds at most; then raise TimeoutError."""
        self._end, self._sock = time.monotonic() + seconds, sock
        self._keep_time()

    def _keep_time(self) -> None:
        """Give the next read what is left of the time, if that is bounded: a read returns with the first byte."""
        if self._end is None:
            return
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError("the time for the rest of the body is over")
        self._sock.settimeout(left)


class LeanAdapter:
    """An adapter of requests without two things that it does for each request anew: together an eighth of a call."""

    _last: tuple[Any, Any] = None, None  # the origin that was asked last, and its pool

    def get_connection_with_tls_context(
        self, request: Any, verify: Any, proxies: Any = None, cert: Any = None
    ) -> Any:
        """As requests' own, but that the TLS settings for an origin are not worked out again while it is asked."""
        place, pool = self._last
        if (
            proxies or place != origin(request.url) or pool.pool is None
        ):  # that is one which has been closed
            pool = super().get_connection_with_tls_context(request, verify, proxies, cert)  # type: ignore[misc]
            self._last = (None if proxies else origin(request.url)), pool
        return pool

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """As requests' own, but a TLS connection is always verified.

        requests looks at the target alone: for one of http:// it takes any certificate of an https:// proxy.
        """
        target = "https://" if getattr(conn, "scheme", None) == "https" else url
        super().cert_verify(conn, target, verify, cert)  # type: ignore[misc]

    def close(self) -> None:
        """Close all pools: from urllib3 2.0 on they close when nobody holds them any more, as this does the last."""
        super().close()  # type: ignore[misc]
        pool, self._last = self._last[1], (None, None)
        if pool:
            pool.close()

    def build_response(self, req: Any, resp: Any) -> Any:
        """What is read of an answer, without a jar for cookies; who plays the network may look at all of it."""
        if isinstance(getattr(resp, "_original_response", None), StrictHTTPResponse):
            merged = dict(resp.headers.itermerged())  # what came twice is one list (RFC 9110, 5.3)
            return SimpleNamespace(status_code=resp.status, headers=merged, raw=resp)
        return super().build_response(req, resp)  # type: ignore[misc]


def iter_available(raw: Any) -> Iterator[bytes]:
    """The body of urllib3's response `raw`, unpacked: what has arrived, at once, in every framing.

    `read1` does so; `read` and `stream` wait for full blocks.
    """
    if hasattr(raw, "read1"):
        return iter(partial(raw.read1, READ_SIZE, decode_content=True), b"")
    return iter_available_urllib3_v1(raw)


def iter_available_urllib3_v1(raw: Any) -> Iterator[bytes]:
    """The same with urllib3 before 2.2, which has no `read1`: http.client's, and what urllib3 does around its own."""
    left, data = raw.length_remaining, b"?"  # None: the end is not known beforehand
    raw._init_decoder()
    with (
        raw._error_catcher()
    ):  # gives the connection back at the end, and closes it after anything else
        while data and left != 0:
            data = raw._fp.read1(READ_SIZE)
            if left is not None:  # http.client counts only from Python 3.13 on
                if not data:
                    raise IncompleteRead(b"", left)
                left -= len(data)
            piece = raw._decode(data, decode_content=True, flush_decoder=not data or left == 0)
            if piece:  # else the packed data had only begun
                yield piece
        raw._fp.close()


def closers(
    raw: Any, body: Iterator[bytes], alarm: Deadline
) -> tuple[Callable[[], None], Callable[[], None]]:
    """The two ways to end a Response: `close` at once, or `finish`: read on for a moment, to keep the connection."""
    sock: Any = getattr(connection_used(), "sock", None)

    def close() -> None:
        alarm.stop()
        if sock and not raw.closed:
            shutdown_socket(sock)  # another thread may be reading: it would hold this one up
        raw.close()

    def finish() -> None:
        with contextlib.suppress(Exception):  # whatever it is: the answer is whole
            raw._original_response.stop_after(AFTER_DONE, sock)
            while next(body, None):
                pass
        close()

    return close, finish
