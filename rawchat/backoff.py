"""Retries: the delay before the next attempt, or none; and whether another model may answer.

    next_delay        within the bounds of the call: max_retries, and its deadline
    retry_delay       as long as the server asks, else exponentially longer; none if no retry can help

This chapter only computes; `Client.send` waits.  Whether an error is worth a retry is `APIError.retryable`, in `errors`:
408, 409, 429 and 5xx, a connection that failed, and a body that is cut off; a header x-should-retry overrules the
status.  Other statuses, and a 429 without quota, are not.  A stream is not repeated once its headers have arrived.

The numbers are the official SDK's (openai-python 3.52, `_base_client.py`), measured on the wire.
"""

import email.utils
import logging
import math
import random
import time
from collections.abc import Mapping
from typing import Callable, NamedTuple, Optional

from .errors import APIConnectionError, APIError, APITimeoutError, DeadlineExceededError

#: seconds before the first retry; each further one doubles it ...
INITIAL_DELAY = 0.5

#: ... up to this
MAX_DELAY = 8.0

#: the part of a delay that chance may take off, so that clients do not come back all at once
JITTER = 0.25

#: seconds; a server that asks for a longer wait is not tried again
MAX_RETRY_AFTER = 120.0

#: statuses after which another model may answer, beside those from 500 on
FALLBACK_STATUSES = {408, 429}

log = logging.getLogger("rawchat")


class Runtime(NamedTuple):
    """Time and chance, so that tests can replace them."""

    sleep: Callable[[float], object] = time.sleep
    random: Callable[[], float] = random.random  #: 0 to 1
    now: Callable[[], float] = time.time  #: seconds since 1970
    clock: Callable[[], float] = time.monotonic  #: seconds since any moment


class CallBounds:
    """The bounds of one call that begins now: the number of its retries, and its deadline."""

    def __init__(self, runtime: Runtime, max_retries: int, deadline: Optional[float]):
        self.runtime = runtime
        self.max_retries = max_retries
        self._deadline = deadline
        self._start = runtime.clock()

    def seconds(self) -> float:
        """Return the seconds since the call began."""
        return self.runtime.clock() - self._start

    def remaining(self) -> float:
        """Return the seconds that remain of the deadline; infinity without one."""
        if self._deadline is None:
            return math.inf
        return self._deadline - self.seconds()


# ---- the retry decision


def next_delay(
    failure: APIError, key_available: Optional[float], bounds: CallBounds
) -> Optional[float]:
    """Return the seconds until the next attempt of a call, or None to give up: `retry_delay` within the call's bounds.

    Raises DeadlineExceededError if the delay would outlast the deadline.
    """
    if failure.retries >= bounds.max_retries:
        return None
    delay = retry_delay(failure, bounds.runtime, key_available)
    if delay is None:
        return None
    if delay >= bounds.remaining():
        raise DeadlineExceededError(
            f"no time for another attempt; the last one: {failure.message}", retries=failure.retries
        ) from failure
    number = failure.retries + 1
    log.info("retry %d of %d in %.3g s: %s", number, bounds.max_retries, delay, failure.message)
    return delay


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
        # Gemini, and others, say it only in the body.  Imported here, as most processes never see an error.
        from .compat.waits import requested_wait

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
