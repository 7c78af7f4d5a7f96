"""Send a `Request` over HTTP and return its `Response`.  No other file opens a connection.

Of requests only `HTTPAdapter` is used, the part that speaks HTTP.  `Session` above it would keep cookies, take keys
from ~/.netrc, turn a redirected POST into a GET, and read the environment anew on every call.
"""

import importlib.util
import os
from collections.abc import Iterator, Mapping
from typing import Any, Optional, Union

import requests
import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection

from ..deadline import Deadline, cancel_token
from ..errors import ConfigError
from ..keys import Secret
from ..urls import DEFAULT_BASE_URL, network_settings, redirect_target
from ..wire import Headers, Request, Response
from .connection import Exchange, ResponseEnd
from .failures import TranslateErrors

# `connection` has both names too, slower: see `fast`.
from .fast import POOL_CLASSES, Adapter
from .proxies import find_proxy, hide_passwords, proxies_for, refuse_plain_proxy
from .responses import iter_available

#: Idle connections kept for one host, as many as the SDK may open at all.
POOL_SIZE = 1000

#: Redirections that are followed; the key goes along, so only within one origin.
MAX_REDIRECTS = 5

#: The variables that name a file of certificates, the first one wins.
CA_VARIABLES = ("requests_ca_bundle", "ssl_cert_file")

#: Where Debian and Alpine, RHEL, SUSE, and macOS keep the certificates they trust.
SYSTEM_CA_FILES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
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
    proxy: Optional[str] = None,
) -> "Http":
    """Return a transport to `base_url`, with a pool of connections that threads share.

    `ca_bundle` is a file or folder of certificates to trust, or "system" for those of the operating system; default
    REQUESTS_CA_BUNDLE, SSL_CERT_FILE, SSL_CERT_DIR or CURL_CA_BUNDLE of `environ`, which is os.environ by default.
    `proxy` is a URL for every request, "" for none; default HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY, which
    never concern requests to this machine.  All are read here, once.  TLS is always verified.  Raises ConfigError for
    a setting that cannot be used.
    """
    settings = hide_passwords(network_settings(os.environ if environ is None else environ))
    if proxy:
        proxy = Secret(proxy)
    environ = None  # it holds passwords, and the variables of a frame that raises may be shown
    proxies = proxies_for(base_url, settings, proxy)
    verify: Union[str, bool] = True
    if any(url.startswith("https:") for url in (base_url, *proxies.values())):
        verify = trusted_certificates(ca_bundle, settings)
    if base_url.startswith("https:") and not issubclass(HTTPSConnection, HTTPConnection):
        raise ConfigError("https:// needs the ssl module, and this Python has none")
    return Http(base_url, verify, settings, proxy)


def trusted_certificates(ca_bundle: Optional[str], settings: Mapping[str, str]) -> Union[str, bool]:
    """Return the file or folder of certificates to trust; True for requests' own.  Raises ConfigError."""
    if ca_bundle == "system":
        return system_certificates()
    candidates = [ca_bundle, *(settings.get(name) for name in CA_VARIABLES)]
    # SSL_CERT_DIR may be a list of folders.
    folders = settings.get("ssl_cert_dir", "").split(os.pathsep)
    candidates.append(next((folder for folder in folders if os.path.isdir(folder)), folders[0]))
    # Last, as it is another program's.
    candidates.append(settings.get("curl_ca_bundle"))
    for path in candidates:
        if path:
            if not os.path.exists(path):
                raise ConfigError(f"no such CA bundle: {path}")
            return path
    return True


def system_certificates() -> str:
    """Return the operating system's file or folder of trusted certificates.  Raises ConfigError if none is known."""
    import ssl

    paths = ssl.get_default_verify_paths()
    for path in (paths.cafile, *SYSTEM_CA_FILES, paths.capath):
        if path and os.path.exists(path):
            return path
    raise ConfigError("no trust store of this system was found: name a file with ca_bundle=")


class Http:
    """The transport that `over_http` returns: call it with a Request.

    Pickles as its settings, and opens connections of its own after a fork.
    """

    def __init__(
        self,
        base_url: str,
        verify: Union[str, bool],
        settings: Mapping[str, str],
        proxy: Optional[str] = None,
    ):
        self.base_url = base_url
        self._verify = verify
        self._settings = settings
        self._proxy = proxy
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
        proxies = proxies_for(request.url, self._settings, self._proxy)
        proxy = next(iter(proxies.values()), "")
        if proxy:
            self._check_proxy(proxy, request)
        exchange = Exchange(deadline, request.timeout[1])
        try:
            with TranslateErrors(request, deadline, proxy), exchange:
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
        response.set_read_timeout = end.set_read_timeout
        response.set_nonblocking = end.set_nonblocking
        response.has_arrived = end.has_arrived
        # A header block that the deadline has cut off passes for that of an empty 200.
        if deadline.has_expired():
            response.close()
            raise deadline.error()
        if proxy:
            from .proxy_pages import check_forwarded

            check_forwarded(response, getattr(received.raw, "reason", None), proxy, request)
        return response

    def _check_proxy(self, proxy: str, request: Request) -> None:
        """Create the pools for a proxy.

        Raises ConfigError if it cannot be used.  The libraries' own words may hold a part of its password.
        """
        name, _ = find_proxy(request.url, self._settings, self._proxy)
        refuse_plain_proxy(request.url, request.headers, proxy, name)
        pools = POOL_CLASSES
        if proxy.startswith("socks"):
            pools = load_socks_pools(name)
        refused = False
        try:
            self._adapter.proxy_manager_for(proxy).pool_classes_by_scheme = pools
        except (ValueError, AssertionError, urllib3.exceptions.HTTPError):
            refused = True
        if refused:
            raise ConfigError(f"the proxy's URL ({name}) cannot be used")

    def close(self) -> None:
        """Close all idle connections; a later call opens new ones."""
        self._adapter.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return Http, (self.base_url, self._verify, self._settings, self._proxy)


def load_socks_pools(name: str) -> dict[str, type[urllib3.HTTPConnectionPool]]:
    """Return the pools for SOCKS; raise ConfigError without PySocks.  The setting `name` named the proxy."""
    if importlib.util.find_spec("socks") is None:
        raise ConfigError(
            f'{name} names a SOCKS proxy, which needs PySocks: pip install "rawchat[socks]", '
            "or use an http:// proxy"
        )
    from .socks import SOCKS_POOL_CLASSES

    return SOCKS_POOL_CLASSES


def prepare(request: Request) -> requests.PreparedRequest:
    """Return `request` in the form that requests' adapter takes; nothing is added to it."""
    prepared = requests.PreparedRequest()
    prepared.method = request.method
    prepared.url = request.url
    length = {}
    body = request.body
    if isinstance(body, bytes):
        prepared.body = body
        length = {"Content-Length": str(len(body))}
    elif body is not None:
        prepared.body = body.open()  # type: ignore[assignment]  # it takes iterators, too
        length = {"Content-Length": str(body.length)}
    prepared.headers = Headers(SKIPPED_HEADERS, request.headers, length)  # type: ignore[assignment]
    return prepared


def iter_body(received: Any, request: Request, deadline: Deadline) -> Iterator[bytes]:
    """Yield the body as it arrives, decompressed.  Raises APIConnectionError where it breaks off."""
    with TranslateErrors(request, deadline):
        for piece in iter_available(received.raw):
            yield piece
            deadline.raise_if_expired()
        # The deadline's timer may have closed the connection, which passes for the end of some bodies.
        deadline.raise_if_expired()
