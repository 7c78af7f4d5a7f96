"""Decide where a request, and the key in it, may go: the origin of its URL, redirects, and the network's settings."""

import functools
import ipaddress
import re
from collections.abc import Mapping
from typing import Optional
from urllib.parse import urljoin, urlsplit

DEFAULT_PORTS = {"http": 80, "https": 443}

# Redirects that keep the body; a GET, which has none, follows the others too (RFC 9110, 15.4).
POST_REDIRECTS = {307, 308}
GET_REDIRECTS = {301, 302, 303, 307, 308}

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

# ---- origins


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
