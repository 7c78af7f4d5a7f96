"""Settings and parameters, checked: each error names the one, what it is, and what was given."""
import math
from collections.abc import Mapping
from typing import Any, Optional, Union

from .errors import ConfigError
from .wire import TIMEOUT

Timeout = Union[float, tuple[float, float], None]


def timeouts(given: Timeout) -> tuple[float, float]:
    """Seconds to connect and seconds for each read, from one number, a pair, or None: 5 and 600."""
    pair = TIMEOUT if given is None else given if isinstance(given, (tuple, list)) else (given, given)
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
