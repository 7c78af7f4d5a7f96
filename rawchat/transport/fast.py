"""Speed, and nothing else: each class here does what its base in `connection` does, in less time.

`Adapter` and `POOL_CLASSES` have the same names in both files.  To do without this file and `fast_responses`, delete
them and import the two from `.connection` in `transport/__init__`; then run the tests, of which only theirs fail.

What each buys in CPU time of the client, as `python bench/fast_parts.py` measures it side by side (CPython 3.11, loopback):

    decode_chunked    half of the time for each chunk of a stream: 26 µs in place of 54 µs, parsing and merging included
    read_headers      a tenth of a plain call: no parser of e-mail
    FastAdapter       a fifth of a plain call: no second look at the TLS settings and at the proxies, no cookie jar
    IdleQueue         4.2 ms of a command that sends one request
    read_to_end       0.17 ms for each stream that ends in [DONE]: no thread for a timer
    FastConnection    nothing here: one packet in place of two, for the network and the server
"""

import contextlib
import queue
from types import SimpleNamespace
from typing import Any, Optional

import urllib3

from ..urls import origin
from .connection import (
    AutoClosingPool,
    AutoClosingTLSPool,
    DeadlineConnection,
    DeadlineTLSConnection,
    StrictAdapter,
)
from .fast_responses import FastHTTPResponse
from .responses import StrictHTTPResponse

#: Bytes of a request that are collected before they are sent: a file is not held in memory.
MAX_COLLECTED = 2**18


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

    def request_url(self, request: Any, proxies: Any) -> str:
        """Return the path to ask for; requests looks for the proxy of each URL, even where there is none."""
        if proxies:
            return super().request_url(request, proxies)
        path: str = request.path_url
        return path

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
