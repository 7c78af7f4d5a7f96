"""Where requests go: the base_url, checked; whether a key may go there; and the proxy on the way."""

import functools
import ipaddress
import re
from collections.abc import Mapping
from typing import Any, Callable, Optional
from urllib.parse import quote, unquote, urlencode, urljoin, urlsplit

from .errors import ConfigError

DEFAULT_BASE_URL = "https://api.openai.com/v1"


SEGMENT_SAFE = "!$&'()*+,;=:@"  # what a path segment may hold as it is, beside letters and digits (RFC 3986, 3.3)


HOST = re.compile(r"[\w-]+")  # a label of a host's name


NETWORK_VARIABLES = {
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    "requests_ca_bundle",
    "ssl_cert_file",
}


def validate_base_url(url: str) -> str:
    """`url` checked, without its trailing slashes; a query stays."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port  # .port raises ValueError if it is no number
    except (ValueError, AttributeError, TypeError):
        host = None
    shown = (
        url if isinstance(url, str) and re.fullmatch(r"(?!sk-)[\w./:-]{,60}", url) else "***"
    )  # it may be a key
    if not host or parts.scheme not in ("http", "https") or not url.isprintable() or " " in url:
        raise ConfigError(
            "base_url is not an http:// or https:// URL"
            + ("" if shown == "***" else f": {shown!r}")
        )
    if "@" in parts.netloc:
        raise ConfigError(
            "base_url must not hold user:password@; pass api_key= or default_headers="
        )
    if parts.fragment:
        raise ConfigError(f"base_url must not have a #fragment: #{parts.fragment}")
    return parts._replace(path=parts.path.rstrip("/")).geturl()


def join_url(base_url: str, path: str, query: Mapping[str, Any]) -> str:
    """base_url + path.  The query of base_url stays as it is, then comes `query`."""
    place, _, own = base_url.partition("?")
    added = urlencode(
        [(name, text) for name, value in query.items() for text in query_values(name, value)],
        quote_via=quote,
    )
    query_text = "&".join(filter(None, (own, added)))
    return f"{place}{path}?{query_text}" if query_text else place + path


def query_values(name: str, value: Any) -> list[str]:
    """A query value as texts: a list repeats its name, booleans are true and false, None is left out."""
    if isinstance(value, (list, tuple)):
        return [text for item in value for text in query_values(name, item)]
    if isinstance(value, (Mapping, bytes)):
        raise TypeError(
            f"query parameter {name!r}: no place for {type(value).__name__}; use str, numbers, lists"
        )
    return [] if value is None else [str(value).lower() if isinstance(value, bool) else str(value)]


@functools.lru_cache(maxsize=64)  # asked three times a call, of few URLs
def origin(url: str) -> tuple[str, str, Optional[int]]:
    """Scheme, host and port (RFC 6454): a key stays with them."""
    parts = urlsplit(url)
    return (
        parts.scheme,
        parts.hostname or "",
        parts.port or {"http": 80, "https": 443}.get(parts.scheme),
    )


def redirect_target(method: str, url: str, status: int, location: Optional[str]) -> Optional[str]:
    """Where to send the same request again, after an answer with this status and `location`; or None.

    Only a redirection that keeps method and body (307, 308: RFC 9110, 15.4), and only within the origin, as the key
    goes with it.  All others come out as an error that names the place.
    """
    if not location or status not in (
        {307, 308} if method == "POST" else {301, 302, 303, 307, 308}
    ):
        return None
    try:
        target = urljoin(url, location).partition("#")[0]
        return target if origin(target) == origin(url) else None
    except ValueError:  # a location that is no URL
        return None


QUERY_KEY = re.compile(r"(?i)([?&][^?=&#]*(?:key|token|secret|sig|signature|password)=)([^&#]*)")


def without_user(url: str) -> str:
    """Return `url` without the user:password@ before its host (RFC 3986, 3.2.1)."""
    return re.sub(r"//[^/?#]*@", "//", url)


def redact_url(url: str) -> str:
    """Return `url` to be shown: without user:password@, and with the keys that some services carry in the query hidden.

    >>> redact_url("https://me:secret@h/v1?api-key=secret&a=b")
    'https://h/v1?api-key=***&a=b'
    """
    return QUERY_KEY.sub(r"\1***", without_user(url))


def keys_in(url: str) -> list[str]:
    """Return the credentials that `without_keys` hides, as they stand in `url` and decoded."""
    users = re.findall(r"//([^/?#]*)@", url)
    found = [user.partition(":")[2] for user in users] + [
        value for _, value in QUERY_KEY.findall(url)
    ]
    return [form for value in found for form in {value, unquote(value)}]


def is_secure(base_url: str) -> bool:
    """Is what goes to `base_url` encrypted, or does it stay on this machine?"""
    parts = urlsplit(base_url)
    host = parts.hostname or ""
    if (
        parts.scheme == "https" or host == "localhost" or host.endswith(".localhost")
    ):  # RFC 6761, 6.3
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def network_settings(environ: Mapping[str, str]) -> dict[str, str]:
    """The settings for the network in an environment; a name in small letters wins, as in curl."""
    return {
        name.lower(): value
        for name, value in sorted(environ.items())
        if name.lower() in NETWORK_VARIABLES and value
    }


def proxies_for(url: str, settings: Mapping[str, str]) -> dict[str, str]:
    """The proxy for `url`, as requests takes it: {scheme: proxy}; {} for the direct way.  Raises ConfigError."""
    import urllib.request  # here, not above: it takes longer to import than all of us together

    parts = urlsplit(url)
    proxy = settings.get(f"{parts.scheme}_proxy") or settings.get("all_proxy")
    bypassed: Callable[..., bool] = urllib.request.proxy_bypass_environment  # type: ignore[attr-defined]
    if not proxy or bypassed(parts.netloc, {"no": settings.get("no_proxy", "")}):
        return {}
    return {parts.scheme: proxy_checked(proxy if "://" in proxy else f"http://{proxy}")}


def proxy_checked(proxy: str) -> str:
    """Return `proxy` if it can be used; else raise a ConfigError, which shows no part of it: it may hold a password."""
    try:
        parts = urlsplit(proxy)
        host, port = parts.hostname or "", parts.port  # .port raises ValueError if it is no number
        unquote(f"{parts.username}{parts.password}").encode(
            "latin-1"
        )  # the form of Basic credentials
        host.encode("idna" if not host.isascii() else "ascii")
    except ValueError:
        host, port, parts = "", None, urlsplit("")
    labels = host.rstrip(".").split(".")
    fits = ":" in host or all(0 < len(label) < 64 and HOST.fullmatch(label) for label in labels)
    if host and parts.scheme.startswith("socks"):
        raise ConfigError(
            "the proxy's URL (HTTP_PROXY, HTTPS_PROXY, ALL_PROXY) names a SOCKS proxy, which is not "
            "supported: use an http:// or https:// proxy, or set NO_PROXY"
        )
    # A raw / or # in a password ends the authority: what precedes it would be taken for the host.
    plain = (
        proxy.isprintable() and not any(sign in proxy for sign in " \\#?") and "@" not in parts.path
    )
    if not (host and fits and plain and port != 0 and parts.scheme in ("http", "https")):
        raise ConfigError(
            "the proxy's URL (HTTP_PROXY, HTTPS_PROXY, ALL_PROXY) cannot be used: it has the form "
            "http://host:port or http://user:password@host:port, with special characters as %XX"
        )
    return proxy
