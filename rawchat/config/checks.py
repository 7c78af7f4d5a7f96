"""Check single values: seconds, counts, mappings, and the types of a client's settings."""

import os
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Optional, Union

from ..errors import ConfigError
from ..wire import TIMEOUT

Timeout = Union[float, tuple[float, float], None]

#: what a wait can take here: 292 years on Linux, 49 days on Windows
MAX_SECONDS = threading.TIMEOUT_MAX

#: integers from here on are not shown: Python refuses to print one of over 4,300 digits
MAX_SHOWN = 10**18

# All settings of a client: their types, and the names of these in a message.
SETTING_TYPES: dict[str, tuple[tuple[Any, ...], str]] = {
    "api_key": ((Iterable, Callable), "a str, a list of str, or a function"),
    "base_url": ((str,), "a str"),
    "model": ((str, list, tuple), "a str or a list"),
    "organization": ((str,), "a str"),
    "project": ((str,), "a str"),
    "allow_http": ((bool,), "True or False"),
    "default_headers": ((Mapping,), "a dict"),
    "default_query": ((Mapping,), "a dict"),
    "proxy": ((str,), "a str"),
    "ca_bundle": ((str, os.PathLike), "a str"),
    "transport": ((Callable,), "a function"),
    "on_reply": ((Callable,), "a function"),
    "sleep": ((Callable,), "a function"),
    "random": ((Callable,), "a function"),
    "now": ((Callable,), "a function"),
    "clock": ((Callable,), "a function"),
    "environ": ((Mapping,), "a dict"),
    # checked one by one below
    "timeout": ((object,), "seconds"),
    "deadline": ((object,), "seconds"),
    "rotate_after": ((object,), "seconds"),
    "max_retries": ((object,), "a number"),
    "max_bytes": ((object,), "a number"),
}


def check_types(settings: Mapping[str, Any]) -> None:
    """Raise ConfigError for a setting of a client that is of the wrong type; the message never shows the value.

    What a text or a number has to be is checked where it is read: seconds and counts below, a URL in `urls`, a key in
    `keys`, the value of a header when it is sent.
    """
    for name, (types, wanted) in SETTING_TYPES.items():
        value = settings.get(name)
        if value is not None and not isinstance(value, types):
            raise ConfigError(f"{name} must be {wanted}, got {type(value).__name__}")
        for text in texts_in(name, value):
            if not isinstance(text, str):
                raise ConfigError(
                    f"{name} must be {wanted} of str, got {type(text).__name__} in it"
                )


def texts_in(name: str, value: Any) -> Iterable[Any]:
    """Return what has to be a str in the value of a setting: names of headers, of models, of variables and their values."""
    if value is None or isinstance(value, str):
        return ()
    if name == "environ":
        return [*value, *value.values()]
    if name in ("model", "default_headers", "default_query"):
        names: Iterable[Any] = value
        return names
    return ()


def check_timeout(given: Timeout) -> tuple[float, float]:
    """Return (connect, read) in seconds, from one number, a pair, or None for the default.

    Raises ConfigError for anything that is not a positive number; a None in a pair stands for its default.
    """
    if given is None:
        return TIMEOUT
    pair = given if isinstance(given, (tuple, list)) else (given, given)
    if len(pair) != 2:
        raise ConfigError("timeout must be a number of seconds, or a pair (connect, read)")
    connect = check_seconds("timeout", pair[0])
    read = check_seconds("timeout", pair[1])
    return connect or TIMEOUT[0], read or TIMEOUT[1]


def check_seconds(name: str, value: Any) -> Optional[float]:
    """Return `value` as a positive number of seconds; None stays None.  Raises ConfigError."""
    if value is None:
        return None
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    # compared, not converted: an int may be too large for a float
    if not is_number or not 0 < value <= MAX_SECONDS:
        raise ConfigError(
            f"{name} must be a positive number of seconds, got {format_wrong_value(value)}"
        )
    return float(value)


def check_count(name: str, value: Any) -> int:
    """Return `value` if it is a non-negative integer.  Raises ConfigError."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ConfigError(f"{name} must be a non-negative integer, got {format_wrong_value(value)}")
    return value


def format_wrong_value(value: Any) -> str:
    """Return a wrong value as a message shows it: a number in full, of anything else, which may be a key, the type."""
    if isinstance(value, float) or (isinstance(value, int) and abs(value) < MAX_SHOWN):
        return repr(value)
    if isinstance(value, int):
        return "an integer of many digits"
    return type(value).__name__


def check_mapping(name: str, value: Any) -> Mapping[str, Any]:
    """Return `value` if it is a mapping whose names are str; {} for None.  Raises TypeError, as for any argument."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise TypeError(f"{name} must be a dict, got {type(value).__name__}")
    for key in value:
        if not isinstance(key, str):
            raise TypeError(f"{name}: every name must be a str, got {type(key).__name__}")
    return value
