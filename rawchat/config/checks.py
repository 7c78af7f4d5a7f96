"""Check single values: seconds, counts, mappings."""

import math
from collections.abc import Mapping
from typing import Any, Optional, Union

from ..errors import ConfigError
from ..wire import TIMEOUT

Timeout = Union[float, tuple[float, float], None]


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
    if not is_number or not 0 < value < math.inf:
        raise ConfigError(f"{name} must be a positive number of seconds, got {value!r}")
    return float(value)


def check_count(name: str, value: Any) -> int:
    """Return `value` if it is a non-negative integer.  Raises ConfigError."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ConfigError(f"{name} must be a non-negative integer, got {value!r}")
    return value


def check_mapping(name: str, value: Any) -> Mapping[str, Any]:
    """Return `value` if it is a mapping; {} for None.  Raises TypeError, as it is an argument of a call."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise TypeError(f"{name} must be a dict, got {type(value).__name__}")
    return value
