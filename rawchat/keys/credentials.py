"""Refuse to send a credential unencrypted to another machine, or to a base_url from another person's .env.

A credential is a key, or any header or query parameter that looks like one.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from ..errors import ConfigError
from ..wire.headers import is_credential
from .redaction import redact_url

EMPTY: Mapping[str, Any] = {}


def refuse_credentials(headers: Mapping[str, Any], query: Mapping[str, Any], source: str) -> None:
    """Raise ConfigError if a header or query parameter holds a credential, for a base_url that comes from .env.

    The author of a folder's .env must not receive the user's own credentials.  `source` says where they were
    given.
    """
    place = find_credential(headers, query)
    if place:
        raise dotenv_error(f"the key from {source} ({place})")


def refuse_unencrypted(
    base_url: str, headers: Mapping[str, Any], query: Mapping[str, Any] = EMPTY
) -> None:
    """Raise ConfigError if a header or query parameter holds a credential, for an http:// URL of another machine.

    The query of `base_url` counts too.
    """
    place = find_credential(headers, query, base_url)
    if place:
        raise unencrypted_error(base_url, place)


def unencrypted_error(base_url: str, place: str = "") -> ConfigError:
    """Return the error about a credential that would be sent to `base_url` unencrypted.

    place      where the credential stands, if it is not the key itself
    """
    credential = f"a key ({place})" if place else "the key"
    # Without the query: a credential may stand in it under any name.
    shown = redact_url(base_url.partition("?")[0])
    return ConfigError(
        f"{shown} would carry {credential} unencrypted: use https://, or allow it with "
        "allow_http=True (--allow-http)"
    )


def dotenv_error(credential: str) -> ConfigError:
    """Return the error about a credential that would be sent to a base_url from .env."""
    return ConfigError(
        f"base_url comes from .env, {credential}: a .env file must not send your key elsewhere; "
        "put both into .env, or set both yourself"
    )


def find_credential(headers: Mapping[str, Any], query: Mapping[str, Any], url: str = "") -> str:
    """Return which header or query parameter holds a credential, in words for a message; "" if none does.

    The query of `url` counts too.
    """
    for name, value in headers.items():
        if is_credential(name, value):
            return f"header {name!r}"
    for name, value in [*query.items(), *parse_qsl(urlsplit(url).query)]:
        if is_credential(name, value):
            return f"query parameter {name!r}"
    return ""
