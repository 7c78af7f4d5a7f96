"""The network: a `Request` goes out over HTTP, its `Response` comes back in pieces.  No other file touches it.

Of `requests` only the floor that speaks HTTP is used, its adapter.  The floor above, `Session`, would keep cookies,
take keys from ~/.netrc, turn a redirected POST into a GET, and read the environment anew on every call.
"""
import contextlib
import os
import threading
import time
from collections.abc import Iterator, Mapping
from functools import partial
from http.client import HTTPException, HTTPResponse, RemoteDisconnected
from typing import Any, Callable, Optional, Union
from urllib.parse import urljoin

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection

from .alarm import Alarm
from .chunked import unchunked
from .errors import APIConnectionError, APITimeoutError, ConfigError, DeadlineExceededError
from .headers import Headers
from .urls import BASE_URL, network, proxies_for
from .wire import Request, Response

POOL = 1000                 #: idle connections kept for one host, as many as the SDK may open at all
REDIRECTS = 5               #: ... that are followed; the key goes along, so only within one origin
PIECE = 16384               #: bytes asked for at once: before urllib3 2.6 one piece can inflate a thousandfold
AFTER_DONE = 0.1            #: seconds to read on after [DONE], so that the connection can be used again
STALE = (RemoteDisconnected, ConnectionResetError, BrokenPipeError, ConnectionAbortedError)
_here = threading.local()   # .connection: the one that this thread's request goes over; .alarm: what bounds it


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
        _here.connection, _here.alarm = None, alarm
        try:
            answer = self._adapter.send(prepared(request), stream=True, timeout=alarm.within(request.timeout),
                                        verify=self._verify, proxies=proxies_for(request.url, self._settings))
        except (requests.RequestException, urllib3.exceptions.HTTPError, DeadlineExceededError) as error:
            failure, connection = translated(error, request, alarm), _here.connection
        else:
            close, finish = endings(answer.raw, _here.connection, alarm)
            if not alarm.over():            # else it may have cut the headers, which then pass for an empty 200
                response = Response(answer.status_code, answer.headers, pieces(answer, request, alarm), close, finish)
                response.reused = getattr(_here.connection, "answered", 1) > 1
                return response
            close()
            failure, connection = translated(OSError("too late"), request, alarm), None
        alarm.stop()
        if connection and connection.answered and isinstance(failure.__cause__, STALE):
            return self._send(request, alarm)           # it had been closed while idle (RFC 9112, 9.5): take a new one
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

    answered = 0                            #: exchanges so far: one that has had some may have been closed since
    response_class: type[HTTPResponse] = Answer

    def request(self, *args: Any, **options: Any) -> None:
        _here.connection = self
        super().request(*args, **options)   # type: ignore[misc]

    def getresponse(self, *args: Any, **options: Any) -> Any:
        _here.alarm.watch(self.sock)        # type: ignore[attr-defined]
        response = super().getresponse(*args, **options)    # type: ignore[misc]
        self.answered += 1
        return response


def watched(pool: type, connection: type) -> type:
    """urllib3's class of pools, with connections that are Watched."""
    kind = type(connection.__name__, (Watched, connection), {})
    return type(pool.__name__, (pool,), {"ConnectionCls": kind})


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
    ready.headers = Headers(request.headers, length)        # type: ignore[assignment]  # finds names as theirs does
    return ready


def pieces(answer: requests.Response, request: Request, alarm: Alarm) -> Iterator[bytes]:
    """The body as it arrives, unpacked; raises APIConnectionError where it breaks, never what lies below."""
    try:
        for piece in _as_they_come(answer):
            yield piece
            alarm.check()
        alarm.check()                       # an end that the alarm has made is none
        return
    except (DeadlineExceededError, requests.RequestException, urllib3.exceptions.HTTPError, HTTPException, OSError,
            ValueError) as error:           # http.client raises ValueError for some bad chunk sizes
        failure = translated(error, request, alarm)
    raise failure


def _as_they_come(answer: requests.Response) -> Iterator[bytes]:
    """`read1` gives what has arrived, at once, in every framing; `iter_content` waits for full blocks."""
    try:
        piece = answer.raw.read1(PIECE, decode_content=True)
    except (AttributeError, NotImplementedError):           # urllib3 before 2.2; Pyodide
        yield from answer.iter_content(1)
        return
    while piece:
        yield piece
        piece = answer.raw.read1(PIECE, decode_content=True)


def endings(raw: Any, connection: Any, alarm: Alarm) -> tuple[Callable[[], None], Callable[[], None]]:
    """The two ways to end a Response: `close` at once, or `finish`: read on for a moment, to keep the connection."""
    sock: Any = getattr(connection, "sock", None)

    def close() -> None:
        alarm.stop()
        raw.close()

    def finish() -> None:
        end = time.monotonic() + AFTER_DONE
        with contextlib.suppress(Exception):            # whatever it is: the answer is whole
            sock.settimeout(AFTER_DONE)
            while time.monotonic() < end and raw.read1(PIECE, decode_content=True):
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
    try:
        alarm.check()
    except DeadlineExceededError as late:
        return late.with_traceback(None)
    cause: BaseException = error
    while cause.__context__ is not None:
        cause = cause.__context__
    slow = isinstance(error, (requests.Timeout, urllib3.exceptions.TimeoutError, TimeoutError))
    reason = getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
    _, host, port = request.origin
    failure = (APITimeoutError if slow else APIConnectionError)(f"{host}:{port}: {reason} ({request.where})")
    failure.__cause__ = cause.with_traceback(None)          # its frames hold the headers, and so the key
    return failure
