"""Find the wait that a server asks for in the body of an error, and in no header.

Gemini sends a field of Google's (`retryDelay`), OpenRouter and others a field of their own, and most say it in words.
"""

import math
import re
from typing import Any

#: "try again in 20s", "retry after 7.66 seconds", "retry in 1m2s", "reset after 9s": OpenAI, Groq, Gemini, Azure.
WAIT_WORDING = re.compile(
    r"(?:try again|retry|wait|resets?|available(?: again)?)(?: in| after| for)? (\d{1,6}(?:\.\d{1,9})?)\s?"
    r"(ms|milliseconds?|s\b|secs?\b|seconds?|m\b|mins?\b|minutes?|m\d{1,2}(?:\.\d{1,9})?s)",
    re.IGNORECASE,
)


#: Fields of an error, or of its metadata, that hold a wait, and how many of its units are a second.
WAIT_FIELDS = {"retry_after_ms": 1000, "retry_after_seconds": 1, "retry_after": 1, "retryAfter": 1}


def requested_wait(body: Any, message: str) -> float:
    """Return the seconds that an error body asks to wait; NaN if it asks for none.

    Gemini's `retryDelay` (google.rpc.RetryInfo) comes first, then a field of the body or of its `metadata`, then the
    words of the message.

    >>> requested_wait(None, "Rate limit reached. Please try again in 7.5s.")
    7.5
    >>> requested_wait({"message": "Slow down", "metadata": {"retry_after_seconds": 7}}, "Slow down")
    7.0
    """
    if isinstance(body, dict):
        details = body.get("details")
        if isinstance(details, list):
            for detail in details:
                delay = detail.get("retryDelay") if isinstance(detail, dict) else None
                if isinstance(delay, str):
                    return parse_seconds(delay)
        for place in (body, body.get("metadata")):
            if isinstance(place, dict):
                seconds = wait_in_fields(place)
                if not math.isnan(seconds):
                    return seconds
    found = WAIT_WORDING.search(message)
    if found is None:
        return math.nan
    number = float(found[1])
    unit = found[2].lower()
    if unit.startswith("ms") or unit.startswith("milli"):
        return number / 1000
    if unit.startswith("s"):
        return number
    rest = unit[1:-1]  # of 1m2.5s
    seconds = float(rest) if rest.replace(".", "").isdigit() else 0.0
    return number * 60 + seconds


def wait_in_fields(fields: dict[str, Any]) -> float:
    """Return the seconds in a field that is called as the header is; NaN if there is none."""
    for name, units_per_second in WAIT_FIELDS.items():
        value = fields.get(name)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return value / units_per_second
        if isinstance(value, str):
            return parse_seconds(value) / units_per_second
    return math.nan


def parse_seconds(delay: str) -> float:
    """Return the seconds of a protobuf Duration such as 39.5s; NaN for another text."""
    try:
        return float(delay.strip().rstrip("s"))
    except ValueError:
        return math.nan
