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

COMPACT = json.JSONEncoder(
    ensure_ascii=False, separators=(",", ":"), allow_nan=False
)  # made once, not in each call

MAX_DEPTH = (
    100  #: bound on the nesting of JSON: deeper values cannot be copied or shown on a usual stack
)

# json.loads weighs its seven options for every event, and looks for blanks by two patterns: a quarter of its time.
DECODER = json.JSONDecoder()
BLANKS = " \t\n\r"  #: what may stand around JSON (RFC 8259, 2)


def decode_json(text: str) -> Any:
    """Return the value of a JSON text that came from the network.

    Raises ValueError if it is not JSON, holds a number of more digits than Python takes, or is nested more than
    MAX_DEPTH levels deep.  A deeper value may still be decoded by a large stack, but whoever merges, copies or prints
    it would meet a RecursionError.
    """
    text = text.strip(BLANKS)
    try:
        value, end = DECODER.raw_decode(text)
    except RecursionError:
        raise ValueError("JSON is nested too deeply") from None
    if end != len(text):
        raise ValueError("text follows the JSON")
    if text.count("[") + text.count("{") > MAX_DEPTH and is_deeper(value, MAX_DEPTH):
        raise ValueError("JSON is nested too deeply")
    return value


def is_deeper(value: Any, limit: int) -> bool:
    """Return whether lists and dicts are nested more than `limit` levels deep in `value`; without recursion."""
    level = [value] if isinstance(value, (dict, list)) else []
    for _ in range(limit):
        level = [
            item
            for each in level
            for item in (each.values() if isinstance(each, dict) else each)
            if isinstance(item, (dict, list))
        ]
        if not level:
            return False
    return bool(level)


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


def mend(value: Any) -> Any:
    """Return `value`, which came from the network, as something that can be printed, stored, and sent.

    Halves of a surrogate pair that stand side by side are joined, and a lone one becomes U+FFFD, as in the WHATWG's
    encodings.  Infinity and NaN, which Python's JSON decoder lets through, become None, as in JSON.stringify.
    What a caller sends is never mended but refused (see `encode`).

    >>> mend({"content": "half of \\ud83d", "score": float("inf")})
    {'content': 'half of \ufffd', 'score': None}
    """
    if isinstance(value, str):
        return value if value.isascii() else join_halves(value)
    if isinstance(value, dict):
        return {mend(name): mend(item) for name, item in value.items()}
    if isinstance(value, list):
        return [mend(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def encode_mended(body: Mapping[str, Any]) -> bytes:
    """Return the JSON of a record that may hold what came from the network: it is mended where that is needed."""
    try:
        return encode(body)
    except ValueError:
        return encode(mend(body))


def join_halves(text: str) -> str:
    """Return `text` with the halves of surrogate pairs joined, and U+FFFD in place of a lone one."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def hold_half(text: str) -> tuple[str, str]:
    """Return what of `text`, a piece of a stream, is whole, and the first half of a character at its end, or ''.

    Servers that count in UTF-16 may cut a character in two; its second half comes with the next piece.

    >>> hold_half("so \\ud83d") == ("so ", "\\ud83d")
    True
    """
    end = len(text)
    if "\ud800" <= text[-1:] <= "\udbff":
        end -= 1
    return join_halves(text[:end]), text[end:]


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
                yield (
                    place,
                    f"U+{ord(character):04X} at position {at + 1} is half of a character, not text",
                )
                return
    elif isinstance(value, float) and not math.isfinite(value):
        yield place, f"JSON has no {value}"
    elif not isinstance(value, (int, float, type(None))):
        yield (
            place,
            f"{type(value).__name__} has no form in JSON; send text, numbers, lists or dicts",
        )
