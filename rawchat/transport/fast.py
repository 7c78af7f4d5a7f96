"""Speed, and nothing else: each class here does what its base in `connection` does, in less time.

`Adapter` and `POOL_CLASSES` have the same names in both files.  To do without this file, delete it and import the two
from `.connection` in `transport/__init__`; then run the tests, of which only those of this file fail.

What each buys in CPU time of the client, as `python bench/fast_parts.py` measures it side by side (CPython 3.11, loopback):

    decode_chunked    half of the time for each chunk of a stream: 36 µs in place of 74 µs, parsing and merging included
    FastAdapter       an eighth of a plain call: no second look at the TLS settings, no cookie jar
    IdleQueue         4.7 ms of a command that sends one request
    read_to_end       0.17 ms for each stream that ends in [DONE]: no thread for a timer
    FastConnection    nothing here: one packet in place of two, for the network and the server
"""

import contextlib
import queue
import re
import time
from collections.abc import Iterable, Iterator
from http.client import HTTPException
from types import SimpleNamespace
from typing import Any, Optional

import urllib3

from ..errors import one_line
from ..urls import origin
from .connection import (
    AutoClosingPool,
    AutoClosingTLSPool,
    DeadlineConnection,
    DeadlineTLSConnection,
    StrictAdapter,
)
from .responses import MAX_SHOWN, READ_SIZE, StrictHTTPResponse

#: Bytes of the longest size line that is accepted, with its extensions: http.client's limit.
MAX_SIZE_LINE = 65536

#: Bytes of the longest trailer that is read; it is thrown away, so a long one can only be meant to hold the caller.
MAX_TRAILER = 65536

#: Bytes of a request that are collected before they are sent: a file is not held in memory.
MAX_COLLECTED = 2**18

#: The size of a chunk; int() would also accept a sign and underscores.
SIZE_LINE = re.compile(rb"[ \t]*([0-9A-Fa-f]+)[ \t]*(?:;.*)?\r?\n")


# ---- chunked transfer coding (RFC 9112, 7.1)


def decode_chunked(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the body inside of `pieces`, with as many bytes at a time as each piece brings.

    http.client reads twice for each chunk and makes a dozen calls; a server that streams sends each event in a chunk
    of its own.  Here all chunks of a piece are decoded in one go.  A piece is taken only when the body of the one
    before it has been yielded, and none is taken after the end.

    Raises HTTPException where the body breaks off, or where a size is expected and something else stands.

    >>> list(decode_chunked([b"5\\r\\nHello\\r\\n7;x=y\\r\\n, wo", b"rld\\r\\n", b"0\\r\\n\\r\\n"]))
    [b'Hello, wo', b'rld']
    """
    pieces = iter(pieces)
    # The data of each chunk ends in CRLF, and the next size follows.  At first: the end of a chunk of no bytes.
    pending = b"\r\n"
    data_end = 0
    for piece in pieces:
        piece = pending + piece
        data = [piece[:data_end]]
        while data_end <= len(piece):  # the chunk is complete
            line_start = data_end + 2
            line_end = piece.find(b"\n", line_start) + 1
            if not line_end:
                break
            match = SIZE_LINE.fullmatch(piece, line_start, line_end)
            if not match:
                if body := b"".join(data):
                    yield body
                raise bad_chunk_size(piece[line_start:line_end])
            size = int(match[1], 16)
            if size == 0:
                if body := b"".join(data):
                    yield body
                skip_trailer(piece[line_end:], pieces)
                return
            data_end = line_end + size
            data.append(piece[line_end:data_end])
        if body := b"".join(data):  # an empty piece would pass for the end
            yield body
        pending = piece[data_end:]
        data_end = max(0, data_end - len(piece))
        if len(pending) > MAX_SIZE_LINE:
            raise bad_chunk_size(pending)
    raise HTTPException("connection closed before the response was complete")


def bad_chunk_size(line: bytes) -> HTTPException:
    """Return the error for a line that is not a chunk size."""
    return HTTPException(f"invalid chunk size: {one_line(repr(line), MAX_SHOWN)}")


def skip_trailer(start: bytes, pieces: Iterator[bytes]) -> None:
    """Read up to the empty line that ends the trailer; accept an end without it, as http.client does.

    Raises HTTPException after MAX_TRAILER bytes.
    """
    tail = b"\n" + start
    size = len(tail)
    while not re.search(b"\n\r?\n", tail):
        if size > MAX_TRAILER:
            raise HTTPException(f"the trailer after the last chunk is over {MAX_TRAILER} bytes")
        piece = next(pieces, b"")
        if not piece:
            return
        size += len(piece)
        tail = tail[-2:] + piece


class FastHTTPResponse(StrictHTTPResponse):
    """A response whose chunks are decoded by `decode_chunked`, and which needs no timer to read on after [DONE]."""

    _body: Iterator[bytes] = iter(())
    _read_until: Optional[float] = None  # on the monotonic clock
    _sock: Any = None

    def begin(self) -> None:
        """Read the status line and the headers."""
        super().begin()
        if self.fp:
            self._body = decode_chunked(iter(self._read_coded, b""))

    def read1(self, n: int = -1) -> bytes:
        """Return what has arrived: of a chunked body all that a read of the socket gives, READ_SIZE bytes at most."""
        if self.chunked:
            return next(self._body, b"")
        self._bound_next_read()
        return super().read1(n)

    def read_to_end(self, body: Iterator[bytes], sock: Any, seconds: float) -> None:
        """Read what is left of `body`; raise TimeoutError after `seconds`."""
        self._read_until = time.monotonic() + seconds
        self._sock = sock
        for _ in body:
            pass

    def _read_coded(self) -> bytes:
        """Return what has arrived of a chunked body, still coded."""
        self._bound_next_read()
        return self.fp.read1(READ_SIZE)

    def _bound_next_read(self) -> None:
        """Give the next read what is left of `read_to_end`'s time: a read returns with the first byte."""
        if self._read_until is None:
            return
        remaining = self._read_until - time.monotonic()
        if remaining <= 0:
            raise TimeoutError("no time left for the rest of the body")
        self._sock.settimeout(remaining)


# ---- one packet for head and body


class FastConnection(DeadlineConnection):
    """A connection that sends head and body together: one packet for the network and the server, not two."""

    response_class = FastHTTPResponse
    _parts: Optional[list[bytes]] = None  # of the request that is being written
    _size = 0  # of the parts

    def write_request(self, *args: Any, **options: Any) -> None:
        """Collect the parts of the request, then send them as one; a large body is sent in several."""
        self._parts = []
        self._size = 0
        try:
            super().write_request(*args, **options)
            with contextlib.suppress(ConnectionResetError):  # as in the base class
                self._flush()
        finally:
            self._parts = None

    def send(self, data: Any) -> None:
        """Send `data`, or collect it while a request is written."""
        if self._parts is None:
            super().send(data)
            return
        self._parts.append(data)
        self._size += len(data)
        if self._size >= MAX_COLLECTED:
            self._flush()

    def _flush(self) -> None:
        """Send what has been collected."""
        if not self._parts:
            return
        parts = self._parts
        self._parts = []
        self._size = 0
        super().send(b"".join(parts))


class FastTLSConnection(FastConnection, DeadlineTLSConnection):
    """The same over TLS."""


# ---- pools that begin empty


class IdleQueue(queue.LifoQueue[Any]):
    """The idle connections of a pool, without placeholders.

    urllib3 puts a None into it for each connection that it may open, a thousand, and takes them out again.  It opens
    one when the queue is empty, too.
    """

    def put(self, item: Any, block: bool = True, timeout: Optional[float] = None) -> None:
        """Put a connection into the queue; ignore None."""
        if item is not None:
            super().put(item, block, timeout)


class FastPool(AutoClosingPool):
    """A pool of fast connections."""

    ConnectionCls = FastConnection
    QueueCls = IdleQueue


class FastTLSPool(AutoClosingTLSPool):
    """The same for connections over TLS."""

    ConnectionCls = FastTLSConnection
    QueueCls = IdleQueue


# ---- an adapter that remembers


class FastAdapter(StrictAdapter):
    """An adapter without two things that requests' own does anew for every request."""

    #: The origin of the last request without a proxy, and its pool.  One tuple, replaced as a whole: threads share it.
    _last: tuple[Any, Any] = (None, None)

    def get_connection_with_tls_context(
        self, request: Any, verify: Any, proxies: Any = None, cert: Any = None
    ) -> Any:
        """Return the pool for `request`; for the origin of the last request, without working out its TLS settings."""
        if proxies:
            return super().get_connection_with_tls_context(request, verify, proxies, cert)
        requested = origin(request.url)
        last_origin, pool = self._last
        # A pool that was closed has no queue any more.
        if requested != last_origin or pool.pool is None:
            pool = super().get_connection_with_tls_context(request, verify, proxies, cert)
            self._last = (requested, pool)
        return pool

    def close(self) -> None:
        """Close all pools; this adapter holds the last one, which urllib3 2 closes only when it is no longer referenced."""
        super().close()
        _, pool = self._last
        self._last = (None, None)
        if pool:
            pool.close()

    def build_response(self, req: Any, resp: Any) -> Any:
        """Return what `Http` reads of a response, without a cookie jar.

        A fake network in a test may look at all of requests' response, so it gets one.
        """
        if not isinstance(getattr(resp, "_original_response", None), StrictHTTPResponse):
            return super().build_response(req, resp)
        # Header lines of the same name become one list (RFC 9110, 5.3).
        headers = dict(resp.headers.itermerged())
        return SimpleNamespace(status_code=resp.status, headers=headers, raw=resp)


Adapter = FastAdapter

POOL_CLASSES: dict[str, type[urllib3.HTTPConnectionPool]] = {"http": FastPool, "https": FastTLSPool}
