"""Is it worth another try, and after how many seconds?  Arithmetic only: nobody waits here.

The numbers are the official SDK's (openai-python 3.52, `_base_client.py`), measured on the wire.
"""

import email.utils
import math
from collections.abc import Mapping
from typing import Callable, Optional

FIRST = 0.5  #: seconds before the first retry; each further one doubles it
LONGEST = 8.0  #: ... up to this
PATIENCE = 120.0  #: a server that asks for a longer wait than this is not asked again
RETRIED = {408, 409, 429}  #: request timeout, lock conflict, rate limit; and everything from 500


def delay(
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

    >>> delay(503, {"retry-after": "7"}, None, 0, random=lambda: 0, now=lambda: 0)
    7.0
    >>> delay(None, {}, None, 2, random=lambda: 1.0, now=lambda: 0)
    1.5
    """
    wish = wished(headers, now)
    if not worthwhile(status, headers, code) or PATIENCE < wish < math.inf:
        return None
    return wish if 0 < wish <= PATIENCE else own(retries, random)


def worthwhile(status: Optional[int], headers: Mapping[str, str], code: Optional[str]) -> bool:
    """Might the same request succeed later?  `x-should-retry: true` or `false`, spelled so, overrules all else."""
    said = headers.get("x-should-retry")
    if said in ("true", "false"):
        return said == "true"
    if code == "insufficient_quota":  # a 429 that no wait can mend
        return False
    return status is None or status in RETRIED or status >= 500


def own(retries: int, random: Callable[[], float]) -> float:
    """Our own wait: 0.5, 1, 2, 4, 8, 8 … seconds, less up to a quarter, so that clients do not come back together."""
    return min(FIRST * 2.0 ** min(retries, 10), LONGEST) * (1 - 0.25 * random())


def wished(headers: Mapping[str, str], now: Callable[[], float]) -> float:
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
        return PATIENCE + 1 if overflowed else value
    try:
        date = email.utils.parsedate_tz(headers.get("retry-after", ""))
        return email.utils.mktime_tz(date) - now() if date else math.nan
    except (ValueError, OverflowError, TypeError, OSError):
        return math.nan
