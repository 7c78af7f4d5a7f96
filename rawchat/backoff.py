"""Retries: the delay before the next attempt, or none; and whether another model may answer.

This chapter only computes; `Client.send` waits.  Whether an error is worth a retry is `APIError.retryable`, in `errors`.
The numbers are the official SDK's (openai-python 3.52, `_base_client.py`), measured on the wire.
"""

import email.utils
import math
import random
import time
from collections.abc import Mapping
from typing import Callable, NamedTuple, Optional

from .compat.wordings import requested_wait
from .errors import APIConnectionError, APIError, APITimeoutError, DeadlineExceededError

#: seconds before the first retry; each further one doubles it ...
INITIAL_DELAY = 0.5

#: ... up to this
MAX_DELAY = 8.0

#: the part of a delay that chance may take off, so that clients do not come back all at once
JITTER = 0.25

#: seconds; a server that asks for a longer wait gets no further attempt
MAX_RETRY_AFTER = 120.0

#: statuses after which another model may answer, beside those from 500 on
FALLBACK_STATUSES = {408, 429}


class Runtime(NamedTuple):
    """Time and chance, so that tests can replace them."""

    sleep: Callable[[float], object] = time.sleep
    random: Callable[[], float] = random.random  #: 0 to 1
    now: Callable[[], float] = time.time  #: seconds since 1970
    clock: Callable[[], float] = time.monotonic  #: seconds since any moment


# ---- the retry decision


def retry_delay(
    failure: APIError, runtime: Runtime, key_available: Optional[float] = None
) -> Optional[float]:
    """Return the seconds to wait before the next attempt, or None to give up.

    `failure.retries` is the number of retries so far.  `key_available` is the number of seconds until another API key
    can be used, 0 for now, None if no other key helps: see `KeySelector.report`.

    >>> from rawchat.errors import InternalServerError
    >>> runtime = Runtime(random=lambda: 1.0, now=lambda: 0.0)
    >>> retry_delay(InternalServerError("busy", status_code=503, headers={"retry-after": "7"}), runtime)
    7.0
    >>> retry_delay(APIConnectionError("reset", retries=2), runtime)
    1.5
    """
    if key_available == 0:
        return 0.0
    delays = []
    if failure.retryable:
        requested = requested_delay(failure, runtime.now)
        delays.append(requested or exponential_delay(failure.retries, runtime.random))
    if key_available is not None:
        delays.append(key_available)
    acceptable = [delay for delay in delays if delay <= MAX_RETRY_AFTER]
    return min(acceptable, default=None)


def exponential_delay(retries: int, random: Callable[[], float]) -> float:
    """Return the delay if the server asks for none: 0.5, 1, 2, 4, 8, 8 … seconds, less up to a quarter."""
    doublings = min(retries, 10)  # enough for MAX_DELAY, and no overflow
    delay = min(INITIAL_DELAY * 2.0**doublings, MAX_DELAY)
    return delay * (1 - JITTER * random())


def requested_delay(failure: APIError, now: Callable[[], float]) -> float:
    """Return the seconds to wait that an error response asks for, in a header, else in its body; 0 if it asks for none."""
    seconds = retry_after(failure.headers, now)
    if math.isnan(seconds):
        # Gemini, and others, say it only in the body.
        seconds = requested_wait(failure.body, failure.message)
    return seconds if 0 < seconds < math.inf else 0.0


def retry_after(headers: Mapping[str, str], now: Callable[[], float]) -> float:
    """Return the seconds to wait that a server asks for; NaN if it asks for none, or for nothing that can be used.

    `retry-after-ms` comes first (OpenAI, Azure), then `Retry-After`: seconds or an HTTP date (RFC 9110, 10.2.3).
    """
    for name, units_per_second in (("retry-after-ms", 1000), ("retry-after", 1)):
        text = headers.get(name, "").strip()
        try:
            seconds = float(text) / units_per_second
        except ValueError:
            continue
        if seconds == math.inf and text.lower().lstrip("+") not in ("inf", "infinity"):
            return MAX_RETRY_AFTER + 1  # a number too large for a float: a very long wait
        return seconds
    try:
        date = email.utils.parsedate_tz(headers.get("retry-after", ""))
        if date is None:
            return math.nan
        return email.utils.mktime_tz(date) - now()
    except (ValueError, OverflowError, TypeError, OSError):
        return math.nan


def should_fall_back(failure: APIError) -> bool:
    """Return True if another model may answer where this one failed: after 408, 429, 5xx or a timeout."""
    if isinstance(failure, DeadlineExceededError):
        return False
    if isinstance(failure, APIConnectionError):
        return isinstance(failure, APITimeoutError)
    status = failure.status_code or 0
    return status in FALLBACK_STATUSES or status >= 500
