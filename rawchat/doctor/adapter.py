"""All that the doctor uses of the rest of rawchat, in one place."""

import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Callable, Optional

from .. import config, endpoints, urls
from ..compat.error_responses import error_from_status
from ..config.dotenv import read_dotenv as read_settings
from ..config.misnamed import describe_unknown_option as describe_unknown_option
from ..errors import (
    APIConnectionError,
    APITimeoutError,
    ConfigError,
    ContextLengthExceededError,
    MissingKeyError,
    RawchatError,
)
from ..keys import redaction
from ..sse import events
from ..wire import Headers, Request, __version__
from .exchanges import Exchange, Outcome

if TYPE_CHECKING:
    from ..transport import Http

__all__ = ["ConfigError", "MissingKeyError", "__version__"]

DEFAULT_URL = urls.DEFAULT_BASE_URL
DEFAULT_MODEL = config.DEFAULT_CHAT_MODEL
CONNECT_SECONDS = 10.0  #: bound on connecting, within the bound of one call


def read_dotenv() -> dict[str, str]:
    """Return our settings in the `.env` of the working directory.  Raises ConfigError."""
    return read_settings(".", config.DOTENV_NAMES)


def check_settings(given: Mapping[str, Any], environ: Mapping[str, str]) -> config.Config:
    """Return the Config that a client made of these arguments would have.  Raises ConfigError as a client does."""
    return config.load_config(given, environ)


def keys_of(loaded: config.Config) -> list[str]:
    """Return the API keys of a Config."""
    found = loaded.keys()
    return [str(key) for key in found]


def secrets_of(loaded: config.Config) -> list[str]:
    """Return all that must not be shown: keys, and what is secret in headers and in the URL."""
    found = [*keys_of(loaded), *redaction.url_secrets(loaded.base_url)]
    for layer in loaded.headers:
        found += redaction.header_secrets(layer)
    return [*found, *redaction.secret_forms(found)]


def redact(secrets: Collection[str], text: str) -> str:
    """Return `text` with each of `secrets` replaced by ***, also where the text was cut off within one."""
    return str(redaction.redact(sorted(secrets, key=len, reverse=True), text))


def show_url(url: str) -> str:
    """Return `url` without the keys that its query may hold."""
    return redaction.redact_url(url)


def proxy_for(url: str, environ: Mapping[str, str], explicit: Optional[str] = None) -> str:
    """Return the proxy that rawchat uses for `url`, '' for none: the explicit one, else that of the environment.

    Raises ConfigError for a proxy that is not a URL.
    """
    from ..transport.proxies import proxies_for

    proxies = proxies_for(url, urls.network_settings(environ), explicit)
    return next(iter(proxies.values()), "")


def refuse_plain_proxy(loaded: config.Config, proxy: str, source: str) -> None:
    """Raise ConfigError, as the transport does, if a key would go unencrypted to a proxy on another machine."""
    from ..transport.proxies import refuse_plain_proxy

    url, headers = request_of(loaded, "GET", "/models")
    refuse_plain_proxy(url, headers, proxy, source)


def comes_from_proxy(status: int, headers: Mapping[str, str], body: bytes) -> bool:
    """Return whether a response to a request that a proxy was to forward is the proxy's own."""
    from ..transport.proxy_pages import comes_from_proxy

    return comes_from_proxy(status, headers, body)


def proxy_secrets(proxy: str) -> list[str]:
    """Return what must not be shown of a proxy's URL, in each form in which a page may repeat it."""
    from ..transport.proxy_pages import proxy_secrets

    return proxy_secrets(proxy)


def default_ca_bundle() -> str:
    """Return the file of certificates that `requests` trusts if nothing else is said."""
    from requests.utils import DEFAULT_CA_BUNDLE_PATH

    return str(DEFAULT_CA_BUNDLE_PATH)


def system_ca_bundle() -> str:
    """Return the file or folder of certificates that the operating system trusts.  Raises ConfigError for none."""
    from ..transport import system_certificates

    return system_certificates()


def request_of(
    loaded: config.Config, method: str, path: str, body: Optional[dict[str, Any]] = None
) -> tuple[str, dict[str, str]]:
    """Return the URL and the headers that rawchat would send for `path`, the key among them."""
    # The headers depend on whether there is a body, not on what it holds.
    content: Optional[dict[str, Any]] = None
    if body is not None:
        content = {}
    request = endpoints.build_request(loaded, method, path, content, {})
    headers = dict(request.headers)
    usable = loaded.keys()
    if usable and request.send_key:
        headers["Authorization"] = f"Bearer {usable[0]}"
    return request.url, headers


def redirect_target(method: str, url: str, status: int, location: Optional[str]) -> Optional[str]:
    """Return the URL to which rawchat follows a redirection; None if it follows none."""
    return urls.redirect_target(method, url, status, location)


def error_text(status: int, headers: Mapping[str, str], body: bytes) -> str:
    """Return what an error response says, on one line, without its status."""
    message = error_from_status(status, headers, body, "").message
    text = message.partition(": ")[2]
    return text[: -len(" ()")] if text.endswith(" ()") else text


def is_overflow(status: int, headers: Mapping[str, str], body: bytes) -> bool:
    """Return whether rawchat would recognise this response as an overflow of the context."""
    return isinstance(error_from_status(status, headers, body, ""), ContextLengthExceededError)


def timed_events(pieces: Iterable[tuple[float, bytes]]) -> Iterator[tuple[float, str]]:
    """Yield the data of each server-sent event, with the seconds after which its last byte arrived."""
    arrived = 0.0

    def read_pieces() -> Iterator[bytes]:
        """Yield each piece after its time is noted."""
        nonlocal arrived
        for seconds, piece in pieces:
            arrived = seconds
            yield piece

    for event in events(read_pieces()):
        yield arrived, event.data


def make_sender(
    loaded: config.Config,
    environ: Mapping[str, str],
    ca_bundle: Optional[str],
    proxy: Optional[str],
    clock: Callable[[], float],
) -> "Sender":
    """Return the function that sends the requests of stage 2 over rawchat's own transport.

    `ca_bundle` and `proxy` are the arguments of the command; None is as the environment says.
    """
    from ..transport import over_http

    transport = over_http(loaded.base_url, ca_bundle=ca_bundle, environ=environ, proxy=proxy)
    return Sender(loaded, transport, clock)


class Sender:
    """Send one request at a time, and record what comes back and when.

    Nothing is retried but a request that met a connection which had been closed after another one.
    """

    def __init__(
        self,
        loaded: config.Config,
        transport: "Http",
        clock: Callable[[], float] = time.monotonic,
    ):
        self._loaded = loaded
        self._transport = transport
        self._clock = clock
        # True once a connection may be used again.
        self._has_idle = False

    def __call__(self, exchange: Exchange, timeout: float) -> Outcome:
        """Return the outcome of an exchange; a failure of the network is one, too."""
        request = self._build(exchange, timeout)
        start = self._clock()
        try:
            response = self._transport(request)
        except APIConnectionError as error:
            if self._has_idle and not isinstance(error, APITimeoutError):
                # A server or a proxy may close an idle connection at the moment when it is used again.
                self._transport.close()
                self._has_idle = False
                return self(exchange, timeout)
            return Outcome(0, {}, [], self._clock() - start, None, error.message)
        self._has_idle = True
        pieces: list[tuple[float, bytes]] = []
        failure = ""
        try:
            for piece in response.pieces:
                pieces.append((self._clock() - start, piece))
            response.release()
        except RawchatError as error:
            response.close()
            failure = str(error)
        headers = {name.lower(): value for name, value in response.headers.items()}
        spent = self._clock() - start
        reused = response.connection_reused
        return Outcome(response.status, headers, pieces, spent, reused, failure)

    def _build(self, exchange: Exchange, timeout: float) -> Request:
        """Return the Request of an exchange, with the key and a bound on its time."""
        url, headers = request_of(self._loaded, exchange.method, exchange.path, exchange.body)
        return Request(
            exchange.method,
            url,
            Headers(headers),
            exchange.encode(),
            timeout=(min(timeout, CONNECT_SECONDS), timeout),
            deadline=timeout,
        )

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()
