"""Is it worth another try, and after how many seconds?  Arithmetic only: nobody waits here.

The numbers are the official SDK's (openai-python 3.52, `_base_client.py`), measured on the wire.
"""

import email.utils
import math
import re
from collections.abc import Mapping
from typing import Callable, Optional

from .errors import APIConnectionError, APIError, APITimeoutError, DeadlineExceededError


def should_fall_back(failure: APIError) -> bool:
    """Might another model answer where this one did not: after 408, 429, 5xx or a timeout?"""
    if isinstance(failure, APIConnectionError):
        return isinstance(failure, APITimeoutError) and not isinstance(
            failure, DeadlineExceededError
        )
    status = failure.status_code or 0
    return status in (408, 429) or status >= 500


UNIT_SECONDS = {"ms": 0.001, "s": 1.0, "": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def server_pause(status: int, headers: Mapping[str, str], now: Callable[[], float]) -> float:
    """The seconds for which a server wants nothing more, if any: its Retry-After, or until a budget that is used up.

    >>> server_pause(200, {"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "1m2.5s"}, float)
    62.5
    """
    wishes = [
        parse_duration(headers.get(f"x-ratelimit-reset-{what}", ""))
        for what in ("requests", "tokens")
        if headers.get(f"x-ratelimit-remaining-{what}") == "0"
    ]
    if status == 429:
        wishes.append(retry_after(headers, now))
    return max((wish for wish in wishes if 0 < wish < math.inf), default=0.0)


def parse_duration(text: str) -> float:
    """A duration as OpenAI writes it: 6m0s, 20ms; a bare number is seconds."""
    return sum(
        float(number) * UNIT_SECONDS[unit]
        for number, unit in re.findall(r"(\d+(?:\.\d+)?)(ms|[smhd]|)", text)
    )


INITIAL_DELAY = 0.5  #: seconds before the first retry; each further one doubles it


MAX_DELAY = 8.0  #: ... up to this


MAX_RETRY_AFTER = 120.0  #: a server that asks for a longer wait than this is not asked again


RETRY_STATUSES = {
    408,
    409,
    429,
}  #: request timeout, lock conflict, rate limit; and everything from 500


def retry_delay(
    status: Optional[int],
    headers: Mapping[str, str],
    code: Optional[str],
    retries: int,
    random: Callable[[], float],
    now: Callable[[], float],
) -> Optional[float]:
    """Seconds to wait before the next attempt, or None: give up.

    `status` is None where no answer came (refused, reset, timed out).  `retries` counts those made so far,
    `random` gives 0 to 1, `now` gives seconds since 1970 (for a Retry-After that is a date).

    >>> retry_delay(503, {"retry-after": "7"}, None, 0, random=lambda: 0, now=lambda: 0)
    7.0
    >>> retry_delay(None, {}, None, 2, random=lambda: 1.0, now=lambda: 0)
    1.5
    """
    wish = retry_after(headers, now)
    if not should_retry(status, headers, code) or MAX_RETRY_AFTER < wish < math.inf:
        return None
    return wish if 0 < wish <= MAX_RETRY_AFTER else exponential_delay(retries, random)


def should_retry(status: Optional[int], headers: Mapping[str, str], code: Optional[str]) -> bool:
    """Might the same request succeed later?  `x-should-retry: true` or `false`, spelled so, overrules all else."""
    said = headers.get("x-should-retry")
    if said in ("true", "false"):
        return said == "true"
    if code == "insufficient_quota":  # a 429 that no wait can mend
        return False
    return status is None or status in RETRY_STATUSES or status >= 500


def exponential_delay(retries: int, random: Callable[[], float]) -> float:
    """Our own wait: 0.5, 1, 2, 4, 8, 8 … seconds, less up to a quarter, so that clients do not come back together."""
    return min(INITIAL_DELAY * 2.0 ** min(retries, 10), MAX_DELAY) * (1 - 0.25 * random())


def retry_after(headers: Mapping[str, str], now: Callable[[], float]) -> float:
    """The wait that the server asks for, in seconds; NaN if it does not say, or says nothing that can be used.

    `retry-after-ms` comes first (OpenAI, Azure), then `Retry-After`: seconds or an HTTP date (RFC 9110, 10.2.3).
    """
    for name, unit in (("retry-after-ms", 1000), ("retry-after", 1)):
        text = headers.get(name, "").strip()
        try:
            value = float(text) / unit
        except ValueError:
            continue
        overflowed = value == math.inf and text.lower().lstrip("+") not in ("inf", "infinity")
        return MAX_RETRY_AFTER + 1 if overflowed else value
    try:
        date = email.utils.parsedate_tz(headers.get("retry-after", ""))
        return email.utils.mktime_tz(date) - now() if date else math.nan
    except (ValueError, OverflowError, TypeError, OSError):
        return math.nan
