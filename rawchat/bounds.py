"""Settings and parameters, checked: each error names the one, what it is, and what was given."""

import math
import re
from collections.abc import Collection, Mapping
from typing import Any, Optional, Union

from .errors import ConfigError
from .wire import TIMEOUT

# Body parameters whose names come near to a setting of the client; they are never refused.
PARAMETERS = {"mode", "model_id", "models", "project_id", "transforms", "user", "tokens"}
# What other libraries call the client's settings.
ALIASES = {
    "key": "api_key",
    "token": "api_key",
    "apitoken": "api_key",
    "secretkey": "api_key",
    "openaikey": "api_key",
    "openaiapikey": "api_key",
    "authtoken": "api_key",
    "url": "base_url",
    "host": "base_url",
    "endpoint": "base_url",
    "apibase": "base_url",
    "openaiapibase": "base_url",
    "apiurl": "base_url",
    "header": "default_headers",
    "query": "default_query",
    "org": "organization",
    "retry": "max_retries",
    "requesttimeout": "timeout",
    "httpclient": "transport",
}
KEY_OR_URL = re.compile(r"\s*(?:(?P<key>sk-\S|bearer\s+\S)|https?://)", re.IGNORECASE)


class MisnamedError(TypeError):
    """A parameter is probably a setting."""


Timeout = Union[float, tuple[float, float], None]


def timeouts(given: Timeout) -> tuple[float, float]:
    """Seconds to connect and seconds for each read, from one number, a pair, or None: 5 and 600."""
    pair = (
        TIMEOUT if given is None else given if isinstance(given, (tuple, list)) else (given, given)
    )
    if len(pair) != 2:
        raise ConfigError("timeout is seconds, or a pair (connect, read)")
    connect, read = (positive("timeout", seconds) for seconds in pair)
    return connect or TIMEOUT[0], read or TIMEOUT[1]


def positive(name: str, value: Any) -> Optional[float]:
    """`value` as seconds, more than 0; None stays None."""
    numeric = isinstance(value, (int, float)) and not isinstance(value, bool)
    if value is not None and not (numeric and 0 < value < math.inf):
        raise ConfigError(f"{name} is seconds, more than 0: {value!r}")
    return None if value is None else float(value)


def count(name: str, value: Any) -> int:
    """`value` as a whole number, 0 or more."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ConfigError(f"{name} is a whole number, 0 or more: {value!r}")
    return value


def mapping(name: str, value: Any) -> Mapping[str, Any]:
    """`value`, {} for None; raises TypeError, as of an argument of a call."""
    if not isinstance(value, (Mapping, type(None))):
        raise TypeError(f"{name} is a dict, not {type(value).__name__}")
    return value or {}


def parameters(given: Mapping[str, Any], settings: Collection[str]) -> None:
    """Check that none of the body parameters `given` to a client is a misspelt setting, a key, or a URL.

    A misspelt setting would go to the server in every body, api_key with its key, and would have no effect here.
    Raises TypeError that names the setting that was probably meant, and never the value.
    """
    for name, value in given.items():
        meant = meant_by(name, settings)
        if meant:
            raise MisnamedError(
                f"{name}= is no setting of the client; did you mean {meant}=? "
                f"(if the server wants it, use extra_body={{{name!r}: ...}} in each call)"
            )
        looks = (
            KEY_OR_URL.match(value) if isinstance(value, str) and name not in PARAMETERS else None
        )
        if looks:
            kind, setting = ("an API key", "api_key") if looks["key"] else ("a URL", "base_url")
            raise MisnamedError(
                f"{name}= is no setting of the client, and its value looks like {kind}; did you mean "
                f"{setting}=? (if the server wants it, use extra_body={{{name!r}: ...}} in each call)"
            )


def meant_by(name: str, settings: Collection[str]) -> Optional[str]:
    """Return the setting that `name` was probably meant to be, or None for a body parameter.

    Case, underscores and a plural do not count; beyond that, four of five letters have to agree.

    >>> meant_by("apiKeys", ["api_key", "base_url"]), meant_by("base_ulr", ["api_key", "base_url"])
    ('api_key', 'base_url')
    >>> meant_by("temperature", ["timeout", "transport"])
    """
    if name in PARAMETERS:
        return None
    import difflib  # here, not above: few clients have parameters

    bare = {setting.replace("_", "").rstrip("s"): setting for setting in settings}
    letters = name.replace("_", "").replace("-", "").lower().rstrip("s")
    near = difflib.get_close_matches(letters, bare, 1, 0.8)
    return bare[near[0]] if near else ALIASES.get(letters)


def no_credentials(given: Mapping[str, Any]) -> None:
    """Check that no body parameter of a call is named like the client's api_key or base_url; raises TypeError."""
    for name in given:
        if name.replace("_", "").replace("-", "").lower() in ("apikey", "openaiapikey", "baseurl"):
            raise MisnamedError(
                f"{name}= is a setting of the client, not of a call: nothing was sent "
                f"(if the server wants it, use extra_body={{{name!r}: ...}})"
            )
