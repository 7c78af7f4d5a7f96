"""A body as JSON.  What JSON cannot carry is refused, with its place, before anything is sent.

>>> encode({"messages": [{"role": "user", "content": "ü"}], "seed": None}).decode()
'{"messages":[{"role":"user","content":"ü"}],"seed":null}'
>>> encode({"messages": [{"content": b"bytes"}]})
Traceback (most recent call last):
TypeError: messages[0].content: bytes has no form in JSON; send text, numbers, lists or dicts
"""
import json
import math
from collections.abc import Iterator, Mapping
from typing import Any


COMPACT = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)    # made once, not in each call


def encode(body: Mapping[str, Any]) -> bytes:
    """Compact UTF-8 JSON.  What JSON cannot carry is refused with its place, never sent as something else."""
    try:
        return COMPACT.encode(body).encode()
    except (TypeError, ValueError, RecursionError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        try:
            place, reason = next(faults(body), ("the body", str(error)))
        except RecursionError:
            place, reason = "the body", "it holds itself, or is nested too deeply"
        raise kind(f"{place}: {reason}") from None


def faults(value: Any, place: str = "") -> Iterator[tuple[str, str]]:
    """The places in `value` that JSON cannot carry, each with the reason."""
    if isinstance(value, (dict, list, tuple)):
        for name, item in value.items() if isinstance(value, dict) else enumerate(value):
            step = f"[{name}]" if isinstance(name, int) else f".{name}" if place else f"{name}"
            yield from faults(name, f"{place}{step!a}, the name itself")
            yield from faults(item, place + step)
    elif isinstance(value, str):
        for at, character in enumerate(value):
            if "\ud800" <= character <= "\udfff":
                yield place, f"U+{ord(character):04X} at position {at + 1} is half of a character, not text"
                return
    elif isinstance(value, float) and not math.isfinite(value):
        yield place, f"JSON has no {value}"
    elif not isinstance(value, (int, float, type(None))):
        yield place, f"{type(value).__name__} has no form in JSON; send text, numbers, lists or dicts"
