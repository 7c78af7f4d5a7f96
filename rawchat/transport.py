"""The network: a `Request` goes out over HTTP, its `Response` comes back in pieces.  No other file touches it.

Of `requests` only the floor that speaks HTTP is used, its adapter.  The floor above, `Session`, would keep cookies,
take keys from ~/.netrc, turn a redirected POST into a GET, and read the environment anew on every call.
"""
import contextlib
import os
import queue
import socket
import threading
import time
import weakref
from collections.abc import Iterator, Mapping
from functools import partial
from http.client import HTTPException, HTTPResponse, IncompleteRead
from typing import Any, Callable, Optional, Union
from urllib.parse import urljoin

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection

from .alarm import Alarm, ring
from .chunked import unchunked
from .errors import APIConnectionError, APITimeoutError, ConfigError, DeadlineExceededError, one_line
from .headers import Headers
from .urls import BASE_URL, network, proxies_for
from .wire import Request, Response

POOL = 1000                 #: idle connections kept for one host, as many as the SDK may open at all
REDIRECTS = 5               #: ... that are followed; the key goes along, so only within one origin
PIECE = 16384               #: bytes asked for at once: before urllib3 2.6 one piece can inflate a thousandfold
TIMEOUTS = (TimeoutError, socket.timeout)   # one and the same from Python 3.10 on
AFTER_DONE = 0.1            #: seconds to read on after [DONE], so that the connection can be used again
_here = threading.local()   # what this thread is sending: over which .connection, with which .alarm and .timeout


def over_http(base_url: str = BASE_URL, ca_bundle: Optional[str] = None,
              environ: Optional[Mapping[str, str]] = None) -> "Http":
    """A transport to `base_url`, with a pool of connections that threads share.

    `ca_bundle` is a file of certificates to trust; else REQUESTS_CA_BUNDLE or SSL_CERT_FILE.  Proxies come from
    HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY.  All are looked up here, once.  TLS is always verified.
    """
    settings = network(os.environ if environ is None else environ)
    ca_bundle = ca_bundle or settings.get("requests_ca_bundle") or settings.get("ssl_cert_file")
    if ca_bundle and base_url.startswith("https:") and not os.path.exists(ca_bundle):
        raise ConfigError(f"no such CA bundle: {ca_bundle}")
    if base_url.startswith("https:") and not issubclass(HTTPSConnection, HTTPConnection):
        raise ConfigError("https:// needs the ssl module, and this Python has none")
    return Http(base_url, ca_bundle or True, settings)


class Http:
    """What `over_http` makes: call it with a Request."""

    def __init__(self, base_url: str, verify: Union[str, bool], settings: Mapping[str, str]):
        self.base_url, self._verify, self._settings = base_url, verify, settings
        self._adapter = Adapter(pool_maxsize=POOL)
        self._owner = os.getpid()           # the process that opened the connections

    def __call__(self, request: Request) -> Response:
        """Send `request` and return as soon as the headers are there.

        Raises APIConnectionError or APITimeoutError, which name host, port and cause.
        """
        if self._owner != os.getpid():      # after a fork: a child must not read the answers of its parent
            self.__init__(self.base_url, self._verify, self._settings)  # type: ignore[misc]
        alarm = Alarm(request.deadline, request.where)
        for _ in range(REDIRECTS):
            response = self._send(request, alarm)
            target = redirected(request, response)
            if target is None:
                return response
            response.finish()               # its body read, the connection serves the next request
            request = request._replace(url=target)
        return self._send(request, alarm)

    def _send(self, request: Request, alarm: Alarm) -> Response:
        """One exchange, up to the headers of its answer."""
        _here.connection, _here.alarm, _here.timeout = None, alarm, request.timeout[1]
        try:
            answer = self._adapter.send(prepared(request), stream=True, timeout=alarm.within(request.timeout),
                                        verify=self._verify, proxies=proxies_for(request.url, self._settings))
        except (requests.RequestException, urllib3.exceptions.HTTPError, DeadlineExceededError) as error:
            failure = translated(error, request, alarm)
        else:
            body = pieces(answer, request, alarm)
            close, finish = endings(answer.raw, body, _here.connection, alarm)
            if not alarm.over():            # else it may have cut the headers, which then pass for an empty 200
                response = Response(answer.status_code, answer.headers, body, close, finish)
                response.reused = getattr(_here.connection, "asked", 1) > 1
                return response
            close()
            failure = translated(OSError("too late"), request, alarm)
        alarm.stop()
        raise failure                       # out here, without a context: the frames in there hold the key

    def close(self) -> None:
        """Close all idle connections."""
        self._adapter.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return Http, (self.base_url, self._verify, self._settings)      # settings travel, connections do not


class Lines:
    """A socket's file that keeps the last line that was read from it."""

    last: Optional[bytes] = None

    def __init__(self, file: Any):
        self.file = file

    def readline(self, *size: int) -> bytes:
        """As the file's own."""
        self.last = line = bytes(self.file.readline(*size))
        return line

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)


class Answer(HTTPResponse):
    """Headers have to end, and chunks are taken off fast.

    http.client takes some headers that break off for those of an empty 200.
    """

    _body: Iterator[bytes] = iter(())

    def begin(self) -> None:
        self.fp = lines = Lines(self.fp)    # type: ignore[assignment]
        super().begin()
        if lines.last == b"":
            raise HTTPException("the answer breaks off in its headers")
        if self.fp:                         # the body needs no watching
            self.fp = lines.file
            self._body = unchunked(iter(partial(self.fp.read1, PIECE), b""))

    def read1(self, n: int = -1) -> bytes:
        """What has come, at once: with chunks, all that a read of the socket gives, which is PIECE bytes at most."""
        return next(self._body, b"") if self.chunked else super().read1(n)


class Watched:
    """What a connection does here beside its work: it tells the thread's request of itself, and obeys its alarm."""

    sock: Any
    timeout: Any
    asked = 0                               #: requests so far
    response_class: type[HTTPResponse] = Answer

    def request(self, *args: Any, **options: Any) -> None:
        """As urllib3's, but that a long upload has the time of a read: there it has what is meant for connecting."""
        if self.sock is None:
            self.connect()                  # type: ignore[attr-defined]
        self.timeout = _here.timeout        # which urllib3 gives to the socket now, but not so 1.26
        self.sock.settimeout(self.timeout)
        self.asked += 1
        _here.connection = self
        _here.alarm.watch(self.sock)
        super().request(*args, **options)   # type: ignore[misc]


class Tidy:
    """A pool that closes its idle connections when nobody holds it any more, as urllib3's own do since 2.0."""

    def __init__(self, *args: Any, **options: Any):
        super().__init__(*args, **options)
        weakref.finalize(self, drain, self.pool)            # type: ignore[attr-defined]


def drain(idle: "queue.Queue[Any]") -> None:
    """Close the connections in `idle`, where None stands for one that has not been opened yet."""
    with contextlib.suppress(queue.Empty):
        while True:
            connection = idle.get_nowait()
            if connection:
                connection.close()


def watched(pool: type, connection: type) -> type:
    """urllib3's class of pools, Tidy and with connections that are Watched."""
    kind = type(connection.__name__, (Watched, connection), {})
    return type(pool.__name__, (Tidy, pool), {"ConnectionCls": kind})


POOLS = {"http": watched(urllib3.HTTPConnectionPool, HTTPConnection),
         "https": watched(urllib3.HTTPSConnectionPool, HTTPSConnection)}


class Adapter(HTTPAdapter):
    """requests' HTTP, with such pools, also behind a proxy."""

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = POOLS

    def proxy_manager_for(self, *args: Any, **options: Any) -> Any:
        manager = super().proxy_manager_for(*args, **options)
        manager.pool_classes_by_scheme = POOLS
        return manager


def prepared(request: Request) -> requests.PreparedRequest:
    """`request` as requests' adapter wants it; it is complete already, so that nothing is left to prepare."""
    ready = requests.PreparedRequest()
    ready.method, ready.url, ready.body = request.method, request.url, request.body
    length = {} if request.body is None else {"Content-Length": str(len(request.body))}
    skipped = dict.fromkeys(("User-Agent", "Accept-Encoding"), urllib3.util.SKIP_HEADER)     # else it adds its own
    ready.headers = Headers(skipped, request.headers, length)       # type: ignore[assignment]
    return ready


def pieces(answer: requests.Response, request: Request, alarm: Alarm) -> Iterator[bytes]:
    """The body as it arrives, unpacked; raises APIConnectionError where it breaks, never what lies below."""
    try:
        for piece in (as_they_come if hasattr(answer.raw, "read1") else by_hand)(answer.raw):
            yield piece
            alarm.check()
        alarm.check()                       # an end that the alarm has made is none
        return
    except (DeadlineExceededError, requests.RequestException, urllib3.exceptions.HTTPError, HTTPException, OSError,
            ValueError) as error:           # http.client raises ValueError for some bad chunk sizes
        failure = translated(error, request, alarm)
    raise failure


def as_they_come(raw: Any) -> Iterator[bytes]:
    """`read1` gives what has arrived, at once, in every framing; `read` and `stream` wait for full blocks."""
    while piece := raw.read1(PIECE, decode_content=True):
        yield piece


def by_hand(raw: Any) -> Iterator[bytes]:
    """The same with urllib3 before 2.2, which has no `read1`: http.client's, and what urllib3 does around its own."""
    left, data = raw.length_remaining, b"?"             # None: the end is not known beforehand
    raw._init_decoder()
    with raw._error_catcher():              # gives the connection back at the end, and closes it after anything else
        while data and left != 0:
            data = raw._fp.read1(PIECE)
            if left is not None:            # http.client counts only from Python 3.13 on
                if not data:
                    raise IncompleteRead(b"", left)
                left -= len(data)
            piece = raw._decode(data, decode_content=True, flush_decoder=not data or left == 0)
            if piece:                       # else the packed data had only begun
                yield piece
        raw._fp.close()


def endings(raw: Any, body: Iterator[bytes], connection: Any, alarm: Alarm) -> tuple[Callable[[], None],
                                                                                     Callable[[], None]]:
    """The two ways to end a Response: `close` at once, or `finish`: read on for a moment, to keep the connection."""
    sock: Any = getattr(connection, "sock", None)

    def close() -> None:
        alarm.stop()
        if sock and not raw.closed:
            ring(sock)                      # another thread may be reading: it would hold this one up
        raw.close()

    def finish() -> None:
        end = time.monotonic() + AFTER_DONE
        with contextlib.suppress(Exception):            # whatever it is: the answer is whole
            sock.settimeout(AFTER_DONE)
            while time.monotonic() < end and next(body, None):
                pass
        close()

    return close, finish


def redirected(request: Request, response: Response) -> Optional[str]:
    """Where to send the same request again, or None.

    Only a redirection that keeps method and body (307, 308: RFC 9110, 15.4), and only within the origin, as the key
    goes with it.  All others come out as an error that names the place.
    """
    location = response.headers.get("location")
    keeping = {307, 308} if request.method == "POST" else {301, 302, 303, 307, 308}
    if not location or response.status not in keeping:
        return None
    try:
        target = request._replace(url=urljoin(request.url, location).partition("#")[0])
        return target.url if target.origin == request.origin else None
    except ValueError:                      # a location that is no URL
        return None


def translated(error: Exception, request: Request, alarm: Alarm) -> APIConnectionError:
    """Our exception for one of requests, urllib3 or http.client; its cause is the first one in their chain."""
    if alarm.over():
        return alarm.late()
    cause: BaseException = error
    while below := cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__):
        cause = below
    slow = isinstance(error, (requests.Timeout, urllib3.exceptions.TimeoutError)) or isinstance(cause, TIMEOUTS)
    reason = one_line(getattr(cause, "strerror", None) or str(cause) or type(cause).__name__)
    _, host, port = request.origin
    failure = (APITimeoutError if slow else APIConnectionError)(f"{host}:{port}: {reason} ({request.where})")
    failure.__cause__ = cause.with_traceback(None)          # its frames hold the headers, and so the key
    return failure
