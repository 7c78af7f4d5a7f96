"""The network: a `Request` goes out over HTTP, its `Response` comes back in pieces.  No other file opens a connection.

Of `requests` only the floor that speaks HTTP is used, its adapter.  The floor above, `Session`, would keep cookies,
take keys from ~/.netrc, turn a redirected POST into a GET, and read the environment anew on every call.
"""

import os
import socket
from collections.abc import Iterator, Mapping
from http.client import HTTPException
from typing import Any, Optional, Union

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection

from ..deadline import Deadline
from ..errors import (
    APIConnectionError,
    APITimeoutError,
    ConfigError,
    DeadlineExceededError,
    one_line,
)
from ..urls import DEFAULT_BASE_URL, network_settings, origin, proxies_for, redirect_target
from ..wire import Headers, Request, Response
from .connection import (
    LeanAdapter,
    closers,
    connection_used,
    iter_available,
    pool_class,
    start_exchange,
)

POOL_SIZE = 1000  #: idle connections kept for one host, as many as the SDK may open at all


MAX_REDIRECTS = 5  #: ... that are followed; the key goes along, so only within one origin


TIMEOUT_ERRORS = (TimeoutError, socket.timeout)  # one and the same from Python 3.10 on


Adapter: Any = type("Adapter", (LeanAdapter, HTTPAdapter), {})


POOL_CLASSES = {
    "http": pool_class(urllib3.HTTPConnectionPool, HTTPConnection),
    "https": pool_class(urllib3.HTTPSConnectionPool, HTTPSConnection),
}


def over_http(
    base_url: str = DEFAULT_BASE_URL,
    ca_bundle: Optional[str] = None,
    environ: Optional[Mapping[str, str]] = None,
) -> "Http":
    """A transport to `base_url`, with a pool of connections that threads share.

    `ca_bundle` is a file of certificates to trust; else REQUESTS_CA_BUNDLE or SSL_CERT_FILE.  Proxies come from
    HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY.  All are looked up here, once.  TLS is always verified.
    """
    settings = network_settings(os.environ if environ is None else environ)
    ca_bundle = ca_bundle or settings.get("requests_ca_bundle") or settings.get("ssl_cert_file")
    proxies = proxies_for(base_url, settings)
    secure = any(url.startswith("https:") for url in (base_url, *proxies.values()))
    if ca_bundle and secure and not os.path.exists(ca_bundle):
        raise ConfigError(f"no such CA bundle: {ca_bundle}")
    if base_url.startswith("https:") and not issubclass(HTTPSConnection, HTTPConnection):
        raise ConfigError("https:// needs the ssl module, and this Python has none")
    return Http(base_url, ca_bundle or True, settings)


class Http:
    """What `over_http` makes: call it with a Request."""

    def __init__(self, base_url: str, verify: Union[str, bool], settings: Mapping[str, str]):
        self.base_url, self._verify, self._settings = base_url, verify, settings
        self._adapter = Adapter(pool_maxsize=POOL_SIZE)
        self._adapter.poolmanager.pool_classes_by_scheme = POOL_CLASSES
        self._owner = os.getpid()  # the process that opened the connections

    def __call__(self, request: Request) -> Response:
        """Send `request` and return as soon as the headers are there.

        Raises APIConnectionError or APITimeoutError, which name host, port and cause.
        """
        if (
            self._owner != os.getpid()
        ):  # after a fork: a child must not read the answers of its parent
            self.__init__(self.base_url, self._verify, self._settings)  # type: ignore[misc]
        alarm = Deadline(request.deadline, request.summary)
        for _ in range(MAX_REDIRECTS):
            response = self._send(request, alarm)
            target = redirect_target(
                request.method, request.url, response.status, response.headers.get("location")
            )
            if target is None:
                return response
            response.release()  # its body read, the connection serves the next request
            request = request._replace(url=target)
        return self._send(request, alarm)

    def _send(self, request: Request, alarm: Deadline) -> Response:
        """One exchange, up to the headers of its answer."""
        start_exchange(alarm, request.timeout[1])
        proxies = proxies_for(request.url, self._settings)
        for proxy in proxies.values():
            self._route(proxy)
        try:
            answer = self._adapter.send(
                prepare(request),
                stream=True,
                timeout=alarm.within(request.timeout),
                verify=self._verify,
                proxies=proxies,
            )
        except (
            requests.RequestException,
            urllib3.exceptions.HTTPError,
            DeadlineExceededError,
        ) as error:
            failure: APIConnectionError = translate_error(error, request, alarm)
        else:
            body = iter_body(answer, request, alarm)
            response = Response(
                answer.status_code, answer.headers, body, *closers(answer.raw, body, alarm)
            )
            response.connection_reused = getattr(connection_used(), "asked", 1) > 1
            if (
                not alarm.over()
            ):  # else it may have cut the headers, which then pass for an empty 200
                return response
            response.close()
            failure = alarm.late()
        alarm.stop()
        raise failure  # out here, without a context: the frames in there hold the key

    def _route(self, proxy: str) -> None:
        """Get the pools for a proxy ready; raise ConfigError if the libraries refuse it, without their words."""
        try:
            self._adapter.proxy_manager_for(proxy).pool_classes_by_scheme = POOL_CLASSES
            return
        except (ValueError, AssertionError, urllib3.exceptions.HTTPError):
            pass  # what they say may hold a part of the URL, and so of the password
        raise ConfigError("the proxy's URL (HTTP_PROXY, HTTPS_PROXY, ALL_PROXY) cannot be used")

    def close(self) -> None:
        """Close all idle connections."""
        self._adapter.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return Http, (
            self.base_url,
            self._verify,
            self._settings,
        )  # settings travel, connections do not


def prepare(request: Request) -> requests.PreparedRequest:
    """`request` as requests' adapter wants it; it is complete already, so that nothing is left to prepare."""
    ready = requests.PreparedRequest()
    ready.method, ready.url, ready.body = request.method, request.url, request.body
    length = {} if request.body is None else {"Content-Length": str(len(request.body))}
    skipped = dict.fromkeys(
        ("User-Agent", "Accept-Encoding"), urllib3.util.SKIP_HEADER
    )  # else it adds its own
    ready.headers = Headers(skipped, request.headers, length)  # type: ignore[assignment]
    return ready


def iter_body(answer: requests.Response, request: Request, alarm: Deadline) -> Iterator[bytes]:
    """The body as it arrives, unpacked; raises APIConnectionError where it breaks, never what lies below."""
    try:
        for piece in iter_available(answer.raw):
            yield piece
            alarm.check()
        alarm.check()  # an end that the alarm has made is none
        return
    except (
        DeadlineExceededError,
        requests.RequestException,
        urllib3.exceptions.HTTPError,
        HTTPException,
        OSError,
        ValueError,
    ) as error:  # http.client raises ValueError for some bad chunk sizes
        failure = translate_error(error, request, alarm)
    raise failure


def translate_error(error: Exception, request: Request, alarm: Deadline) -> APIConnectionError:
    """Our exception for one of requests, urllib3 or http.client; its cause is the first one in their chain."""
    if alarm.over():
        return alarm.late()
    cause: BaseException = error
    while below := cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__):
        cause = below
    slow = isinstance(error, (requests.Timeout, urllib3.exceptions.TimeoutError)) or isinstance(
        cause, TIMEOUT_ERRORS
    )
    reason = one_line(getattr(cause, "strerror", None) or str(cause) or type(cause).__name__)
    _, host, port = origin(request.url)
    failure = (APITimeoutError if slow else APIConnectionError)(
        f"{host}:{port}: {reason} ({request.summary})"
    )
    failure.__cause__ = cause.with_traceback(None)  # its frames hold the headers, and so the key
    return failure
