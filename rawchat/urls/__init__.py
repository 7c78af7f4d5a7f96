"""URLs: validate the base URL, and join paths and queries to it.

origin      where a key may go: the origin, redirects, this machine; and the environment's proxies
"""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from ..errors import ConfigError
from .origins import is_loopback as is_loopback
from .origins import is_secure as is_secure
from .origins import network_settings as network_settings
from .origins import origin as origin
from .origins import redirect_target as redirect_target
from .origins import strip_userinfo as strip_userinfo

DEFAULT_BASE_URL = "https://api.openai.com/v1"

# A base URL that may be shown in a message.  Anything else may be a key in the wrong place.
SHOWABLE_URL = re.compile(r"(?!sk-)[\w./:-]{,60}")


def validate_base_url(url: str) -> str:
    """Return `url` without trailing slashes in its path; a query stays.

    Raises ConfigError for anything but an http:// or https:// URL, and for user:password@ or a #fragment in it.
    """
    try:
        parts = urlsplit(url)
        host = None if "\\" in parts.netloc else parts.hostname  # see `origins.origin`
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
