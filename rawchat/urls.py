"""URLs: validate the base URL, join paths and queries, follow redirects, hide keys, and read the network's settings."""

import functools
import ipaddress
import re
from collections.abc import Mapping
from typing import Any, Optional
from urllib.parse import quote, urlencode, urljoin, urlsplit

from .errors import ConfigError

DEFAULT_BASE_URL = "https://api.openai.com/v1"

# What a path segment may hold as it is, beside letters, digits and -._~ (RFC 3986, 3.3).
SEGMENT_SAFE = "!$&'()*+,;=:@"

DEFAULT_PORTS = {"http": 80, "https": 443}

# A base URL that may be shown in a message.  Anything else may be a key in the wrong place.
SHOWABLE_URL = re.compile(r"(?!sk-)[\w./:-]{,60}")

# The environment variables that choose the network's way, in lower case.
NETWORK_VARIABLES = {
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    "requests_ca_bundle",
    "curl_ca_bundle",
    "ssl_cert_file",
    "ssl_cert_dir",
}

# Redirects that keep the body; a GET, which has none, follows the others too (RFC 9110, 15.4).
POST_REDIRECTS = {307, 308}
GET_REDIRECTS = {301, 302, 303, 307, 308}


# ---- base URL and query


def validate_base_url(url: str) -> str:
    """Return `url` without trailing slashes in its path; a query stays.

    Raises ConfigError for anything but an http:// or https:// URL, and for user:password@ or a #fragment in it.
    """
    try:
        parts = urlsplit(url)
        host = None if "\\" in parts.netloc else parts.hostname  # see `origin`
        _ = parts.port  # raises ValueError for a port that is not a number
    except (ValueError, AttributeError, TypeError):
        host = None
    if not host or parts.scheme not in ("http", "https") or not url.isprintable() or " " in url:
        message = "base_url is not an http:// or https:// URL"
        if isinstance(url, str) and SHOWABLE_URL.fullmatch(url):
            message += f": {url!r}"
        raise ConfigError(message)
    if "@" in parts.netloc:
        raise ConfigError(
            "base_url must not hold user:password@; pass api_key= or default_headers="
        )
    if parts.fragment:
        raise ConfigError(f"base_url must not have a #fragment: #{parts.fragment}")
    return parts._replace(path=parts.path.rstrip("/")).geturl()


def join_url(base_url: str, path: str, query: Mapping[str, Any]) -> str:
    """Return base_url + path; the query of base_url stays as it is and is followed by that of the path and `query`.

    Raises TypeError for a value that a query cannot hold.
    """
    location, _, base_query = base_url.partition("?")
    path, _, path_query = path.partition("?")
    pairs = []
    for name, value in query.items():
        for text in query_values(name, value):
            pairs.append((name, text))
    queries = [part for part in (base_query, path_query, urlencode(pairs, quote_via=quote)) if part]
    if not queries:
        return location + path
    return f"{location}{path}?{'&'.join(queries)}"


def query_values(name: str, value: Any) -> list[str]:
    """Return the texts of a query value: a list repeats its name, booleans are true and false, None is left out."""
    if value is None:
        return []
    if isinstance(value, bool):
        return [str(value).lower()]
    if isinstance(value, (list, tuple)):
        return [text for item in value for text in query_values(name, item)]
    if isinstance(value, (Mapping, bytes)):
        kind = type(value).__name__
        raise TypeError(
            f"query parameter {name!r} cannot be a {kind}; use str, numbers, booleans or lists"
        )
    return [str(value)]


# ---- where a key may go


@functools.lru_cache(maxsize=64)  # called three times in each call, with few different URLs
def origin(url: str) -> tuple[str, str, Optional[int]]:
    """Return scheme, host and port (RFC 6454).  A key is never sent to another origin than base_url's.

    A URL with a backslash has an origin of its own: for urlsplit it is a character of the host or the user, for urllib3
    and browsers (WHATWG URL, 4.4) a slash that ends them, so that the request would go to another host.
    """
    parts = urlsplit(url)
    if "\\" in parts.netloc:
        return parts.scheme, parts.netloc, None
    port = parts.port or DEFAULT_PORTS.get(parts.scheme)
    return parts.scheme, parts.hostname or "", port


def is_secure(base_url: str) -> bool:
    """Return True if what is sent to `base_url` is encrypted or stays on this machine."""
    parts = urlsplit(base_url)
    return parts.scheme == "https" or is_loopback(parts.hostname or "")


@functools.lru_cache(maxsize=64)
def is_loopback(host: str) -> bool:
    """Return True for a name or an address of this machine: 127.0.0.0/8, ::1, localhost, *.localhost (RFC 6761, 6.3)."""
    name = host.lower().rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def redirect_target(method: str, url: str, status: int, location: Optional[str]) -> Optional[str]:
    """Return the URL to send the same request to, after a response with `status` and `location`; or None.

    Only redirects that keep method and body are followed, and only within the origin, as the key goes along.  Any
    other becomes an error that names its target.
    """
    followed = GET_REDIRECTS if method == "GET" else POST_REDIRECTS
    if not location or status not in followed:
        return None
    try:
        target = urljoin(url, location).partition("#")[0]
        same_origin = origin(target) == origin(url)
    except ValueError:  # the location is not a URL
        return None
    return target if same_origin else None


def strip_userinfo(url: str) -> str:
    """Return `url` without the user:password@ before its host (RFC 3986, 3.2.1)."""
    return re.sub(r"//[^/?#]*@", "//", url)


# ---- proxies


def network_settings(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the proxy and CA settings of an environment, named in lower case.

    With both spellings set, the lower-case one wins, as in curl.
    """
    settings = {}
    for name, value in sorted(environ.items()):  # capitals sort first and are overwritten
        if name.lower() in NETWORK_VARIABLES and value:
            settings[name.lower()] = value
    return settings
