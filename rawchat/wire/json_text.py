"""JSON: encode what is sent, decode and mend what the network sends.

What a caller sends is never mended but refused, with its place; what a server sends is never refused for half of a
character, but mended.
"""

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

#: Levels of nesting that JSON may have: deeper values cannot be copied or shown on a usual stack.
MAX_DEPTH = 100

#: A decoder of its own: json.loads examines its seven options at every call, a quarter of its time for an event.
DECODER = json.JSONDecoder()

#: What may stand around JSON (RFC 8259, 2).
JSON_WHITESPACE = " \t\n\r"

# Made once: json.dumps with options makes a new encoder in each call.
ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)


# ---- encode


class Added(dict[str, Any]):
    """A part of a body that rawchat, not the caller, put there: `compat` may leave it out if a server refuses it."""


class AddedText(str):
    """A text that rawchat put into a body, in the same sense."""


def encode_json(body: Any) -> bytes:
    """Return compact UTF-8 JSON.

    Raises TypeError or ValueError, with the place, for what JSON cannot represent; it is never sent as something
    else.
    """
    try:
        return ENCODER.encode(body).encode()
    except (TypeError, ValueError, RecursionError) as error:
        error_class = TypeError if isinstance(error, TypeError) else ValueError
        place, reason = "the body", str(error)
        try:
            place, reason = next(find_unencodable(body), (place, reason))
        except RecursionError:
            reason = "it contains itself, or is nested too deeply"
        raise error_class(f"{place}: {reason}") from None


def encode_mended(body: Mapping[str, Any]) -> bytes:
    """Return the JSON of a record that may hold data from the network, mended if it has to be."""
    try:
        return encode_json(body)
    except ValueError:
        return encode_json(mend(body))


def find_unencodable(value: Any, place: str = "") -> Iterator[tuple[str, str]]:
    """Yield the places in `value` that JSON cannot represent, each with the reason."""
    if isinstance(value, dict):
        for name, item in value.items():
            step = f".{name}" if place else f"{name}"
            yield from find_unencodable(name, f"{place}{step!a}, the name itself")
            yield from find_unencodable(item, place + step)
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from find_unencodable(item, f"{place}[{index}]")
    elif isinstance(value, str):
        for position, character in enumerate(value, 1):
            if "\ud800" <= character <= "\udfff":
                yield place, f"lone surrogate U+{ord(character):04X} at position {position}"
                return
    elif isinstance(value, float) and not math.isfinite(value):
        yield place, f"JSON has no {value}"
    elif value is not None and not isinstance(value, (int, float)):
        kind = type(value).__name__
        yield (
            place,
            f"{kind} cannot be represented in JSON; use str, numbers, booleans, lists, dicts",
        )


# ---- decode


def decode_json(text: str) -> Any:
    """Return the value of a JSON text that came from the network.

    Raises ValueError if it is not JSON, holds a number of more digits than Python takes, or is nested more than
    MAX_DEPTH levels deep.  A deeper value may still be decoded by a large stack, but merging, copying or printing
    it would raise a RecursionError.
    """
    text = text.strip(JSON_WHITESPACE)
    try:
        value, end = DECODER.raw_decode(text)
    except RecursionError:
        raise ValueError("JSON is nested too deeply") from None
    if end != len(text):
        raise ValueError("text follows the JSON")
    if text.count("[") + text.count("{") > MAX_DEPTH and is_deeper(value, MAX_DEPTH):
        raise ValueError("JSON is nested too deeply")
    return value


def is_json_object(text: str) -> bool:
    """Return whether a text that came from the network is a whole JSON object."""
    try:
        return isinstance(decode_json(text), dict)
    except ValueError:
        return False


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


def mend(value: Any) -> Any:
    """Return `value`, which came from the network, as something that can be printed, stored, and sent.

    Halves of a surrogate pair that stand side by side are joined, and a lone one becomes U+FFFD, as in the WHATWG's
    encodings.  Infinity and NaN, which Python's JSON decoder lets through, become None, as in JSON.stringify.
    What a caller sends is never mended but refused (see `endpoints`).

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


def join_halves(text: str) -> str:
    """Return `text` with the halves of surrogate pairs joined, and U+FFFD in place of a lone one."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    # Nearly every text: no copy of it is kept.
    return text


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
