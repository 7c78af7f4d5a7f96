"""Send a `Request` over HTTP and return its `Response`.  No other file opens a connection.

Of requests only `HTTPAdapter` is used, the part that speaks HTTP.  `Session` above it would keep cookies, take keys
from ~/.netrc, turn a redirected POST into a GET, and read the environment anew on every call.
"""

import os
import socket
from collections.abc import Iterator, Mapping
from http.client import HTTPException
from types import TracebackType
from typing import Any, Optional, Union

import requests
import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection

from ..deadline import Deadline, cancel_token
from ..errors import (
    APIConnectionError,
    APITimeoutError,
    ConfigError,
    DeadlineExceededError,
    one_line,
)
from ..urls import DEFAULT_BASE_URL, network_settings, origin, proxies_for, redirect_target
from ..wire import Headers, Request, Response
from .connection import Exchange, ResponseEnd, iter_available

# `connection` has both names too, slower: see `fast`.
from .fast import POOL_CLASSES, Adapter

#: Idle connections kept for one host, as many as the SDK may open at all.
POOL_SIZE = 1000

#: Redirections that are followed; the key goes along, so only within one origin.
MAX_REDIRECTS = 5

#: socket.timeout is TimeoutError itself from Python 3.10 on.
TIMEOUT_ERRORS = (
    TimeoutError,
    socket.timeout,
    requests.Timeout,
    urllib3.exceptions.TimeoutError,
)

#: What requests (whose exceptions are OSErrors), urllib3, http.client and the socket raise.  http.client raises
#: ValueError for some bad chunk sizes.
NETWORK_ERRORS = (
    DeadlineExceededError,
    urllib3.exceptions.HTTPError,
    HTTPException,
    OSError,
    ValueError,
)

#: Headers that urllib3 would add when the request has none.
SKIPPED_HEADERS = {
    "User-Agent": urllib3.util.SKIP_HEADER,
    "Accept-Encoding": urllib3.util.SKIP_HEADER,
}


def over_http(
    base_url: str = DEFAULT_BASE_URL,
    ca_bundle: Optional[str] = None,
    environ: Optional[Mapping[str, str]] = None,
) -> "Http":
    """Return a transport to `base_url`, with a pool of connections that threads share.

    `ca_bundle` is a file of certificates to trust; default REQUESTS_CA_BUNDLE or SSL_CERT_FILE of `environ`, which is
    os.environ by default.  Proxies come from HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY.  All are read here,
    once.  TLS is always verified.  Raises ConfigError for a setting that cannot be used.
    """
    settings = network_settings(os.environ if environ is None else environ)
    ca_bundle = ca_bundle or settings.get("requests_ca_bundle") or settings.get("ssl_cert_file")
    proxies = proxies_for(base_url, settings)
    uses_tls = any(url.startswith("https:") for url in (base_url, *proxies.values()))
    if ca_bundle and uses_tls and not os.path.exists(ca_bundle):
        raise ConfigError(f"no such CA bundle: {ca_bundle}")
    if base_url.startswith("https:") and not issubclass(HTTPSConnection, HTTPConnection):
        raise ConfigError("https:// needs the ssl module, and this Python has none")
    return Http(base_url, ca_bundle or True, settings)


class Http:
    """The transport that `over_http` returns: call it with a Request.

    Pickles as its settings, and opens connections of its own after a fork.
    """

    def __init__(self, base_url: str, verify: Union[str, bool], settings: Mapping[str, str]):
        self.base_url = base_url
        self._verify = verify
        self._settings = settings
        self._open()

    def _open(self) -> None:
        """Make an adapter without connections."""
        self._adapter = Adapter(pool_maxsize=POOL_SIZE)
        self._adapter.poolmanager.pool_classes_by_scheme = POOL_CLASSES
        self._process = os.getpid()

    def __call__(self, request: Request) -> Response:
        """Send `request` and return as soon as the headers have arrived.

        Follows redirections that keep the request as it is, within its origin.  Raises APIConnectionError or
        APITimeoutError, which name host, port and cause; DeadlineExceededError; ConfigError.
        """
        if self._process != os.getpid():
            self._open()  # after a fork, the child must not read the responses of its parent
        deadline = Deadline(request.deadline, request.summary, cancel_token.get())
        for _ in range(MAX_REDIRECTS):
            response = self._send(request, deadline)
            location = response.headers.get("location")
            target = redirect_target(request.method, request.url, response.status, location)
            if target is None:
                return response
            response.release()
            request = request._replace(url=target)
        return self._send(request, deadline)

    def _send(self, request: Request, deadline: Deadline) -> Response:
        """Send `request` once and return the Response, its body still to be read."""
        proxies = proxies_for(request.url, self._settings)
        for proxy in proxies.values():
            self._prepare_proxy(proxy)
        exchange = Exchange(deadline, request.timeout[1])
        try:
            with TranslateErrors(request, deadline), exchange:
                received = self._adapter.send(
                    prepare(request),
                    stream=True,
                    timeout=deadline.clamp(request.timeout),
                    verify=self._verify,
                    proxies=proxies,
                )
        except BaseException:
            deadline.disarm()
            raise
        body = iter_body(received, request, deadline)
        end = ResponseEnd(received.raw, body, exchange)
        response = Response(received.status_code, received.headers, body, end.close, end.release)
        response.connection_reused = exchange.reused
        # A header block that the deadline has cut off passes for that of an empty 200.
        if deadline.expired():
            response.close()
            raise deadline.error()
        return response

    def _prepare_proxy(self, proxy: str) -> None:
        """Create the pools for a proxy.

        Raises ConfigError if the libraries refuse its URL; their own words may hold a part of its password.
        """
        refused = False
        try:
            self._adapter.proxy_manager_for(proxy).pool_classes_by_scheme = POOL_CLASSES
        except (ValueError, AssertionError, urllib3.exceptions.HTTPError):
            refused = True
        if refused:
            raise ConfigError("the proxy's URL (HTTP_PROXY, HTTPS_PROXY, ALL_PROXY) cannot be used")

    def close(self) -> None:
        """Close all idle connections; a later call opens new ones."""
        self._adapter.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return Http, (self.base_url, self._verify, self._settings)


def prepare(request: Request) -> requests.PreparedRequest:
    """Return `request` in the form that requests' adapter takes; nothing is added to it."""
    prepared = requests.PreparedRequest()
    prepared.method = request.method
    prepared.url = request.url
    prepared.body = request.body
    headers = Headers(SKIPPED_HEADERS, request.headers)
    if request.body is not None:
        headers = Headers(headers, {"Content-Length": str(len(request.body))})
    prepared.headers = headers  # type: ignore[assignment]
    return prepared


def iter_body(received: Any, request: Request, deadline: Deadline) -> Iterator[bytes]:
    """Yield the body as it arrives, decompressed.  Raises APIConnectionError where it breaks off."""
    with TranslateErrors(request, deadline):
        for piece in iter_available(received.raw):
            yield piece
            deadline.raise_if_expired()
        # The deadline's timer may have closed the connection, which passes for the end of some bodies.
        deadline.raise_if_expired()


# ---- the network's exceptions become ours


class TranslateErrors:
    """A context manager that raises our exception in place of one of requests, urllib3, http.client or the socket."""

    def __init__(self, request: Request, deadline: Deadline):
        self._request = request
        self._deadline = deadline

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        if not isinstance(error, NETWORK_ERRORS):
            return
        failure = translate_error(error, self._request, self._deadline)
        try:
            raise failure
        finally:
            # The frames of the exception in there hold the key: a reporter that prints variables would show it.
            failure.__context__ = None


def translate_error(
    error: BaseException, request: Request, deadline: Deadline
) -> APIConnectionError:
    """Return our exception for one of the network's; its cause is the first one in their chain."""
    if deadline.expired():
        return deadline.error()
    cause = first_cause(error)
    kind: type[APIConnectionError] = APIConnectionError
    if isinstance(error, TIMEOUT_ERRORS) or isinstance(cause, TIMEOUT_ERRORS):
        kind = APITimeoutError
    reason = one_line(getattr(cause, "strerror", None) or str(cause) or type(cause).__name__)
    _, host, port = origin(request.url)
    failure = kind(f"{host}:{port}: {reason} ({request.summary})")
    failure.__cause__ = cause.with_traceback(None)  # its frames hold the headers, and so the key
    return failure


def first_cause(error: BaseException) -> BaseException:
    """Return the exception that `error` goes back to."""
    while True:
        earlier = error.__cause__
        if earlier is None and not error.__suppress_context__:
            earlier = error.__context__
        if earlier is None:
            return error
        error = earlier
