"""What a server says of the budget that is left, in the headers of every answer: when there will be more."""

import math
import re
from collections.abc import Mapping
from typing import Callable

from .backoff import wished

SECONDS = {"ms": 0.001, "s": 1.0, "": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def hold(status: int, headers: Mapping[str, str], now: Callable[[], float]) -> float:
    """The seconds for which a server wants nothing more, if any: its Retry-After, or until a budget that is used up.

    >>> hold(200, {"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "1m2.5s"}, float)
    62.5
    """
    wishes = [
        duration(headers.get(f"x-ratelimit-reset-{what}", ""))
        for what in ("requests", "tokens")
        if headers.get(f"x-ratelimit-remaining-{what}") == "0"
    ]
    if status == 429:
        wishes.append(wished(headers, now))
    return max((wish for wish in wishes if 0 < wish < math.inf), default=0.0)


def duration(text: str) -> float:
    """A duration as OpenAI writes it: 6m0s, 20ms; a bare number is seconds."""
    return sum(
        float(number) * SECONDS[unit]
        for number, unit in re.findall(r"(\d+(?:\.\d+)?)(ms|[smhd]|)", text)
    )
