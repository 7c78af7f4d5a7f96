"""The message of a reply in the shape that every reader of it relies on, whatever shape the server gave it.

>>> normalise({"content": "Hi", "tool_calls": [{"id": 7, "function": {"name": "f", "arguments": {"x": 1}}}]})
{'content': 'Hi', 'tool_calls': [{'id': '7', 'function': {'name': 'f', 'arguments': '{"x": 1}'}}], 'role': 'assistant'}
"""

import json
import math
from collections.abc import Mapping
from typing import Any, Optional

MAX_DEPTH = (
    100  #: bound on the nesting of JSON: deeper values cannot be copied or shown on a usual stack
)


# json.loads weighs its seven options for every event, and looks for blanks by two patterns: a quarter of its time.
DECODER = json.JSONDecoder()


JSON_WHITESPACE = " \t\n\r"  #: what may stand around JSON (RFC 8259, 2)


def decode_json(text: str) -> Any:
    """Return the value of a JSON text that came from the network.

    Raises ValueError if it is not JSON, holds a number of more digits than Python takes, or is nested more than
    MAX_DEPTH levels deep.  A deeper value may still be decoded by a large stack, but whoever merges, copies or prints
    it would meet a RecursionError.
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


def normalise(message: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of `message`, the message of a reply, that can be read, stored, and sent back.

    `role` is a text ("assistant" where it is missing), `content` is a text, a list of objects, or None, `refusal` is
    a text or None, and `tool_calls` is a list of objects.  What should be a text and is another JSON value becomes
    the JSON text of that value: some servers send arguments as an object, or ids as numbers.  What JSON cannot carry
    is mended (see `encode.mend`).  A message that is in order is equal to its copy.
    """
    whole: dict[str, Any] = mend(message)
    if not isinstance(whole.get("role"), str) or not whole["role"]:
        whole = {**whole, "role": "assistant"}
    if isinstance(whole.get("content"), list):
        whole["content"] = content_parts(whole["content"])
    if whole.get("refusal") in (False, [], {}):
        # Some servers say in this way that the model has not refused.
        whole["refusal"] = None
    for name in ("content", "refusal"):
        if name in whole and not (name == "content" and isinstance(whole[name], list)):
            whole[name] = as_text(whole[name])
    if "tool_calls" in whole:
        whole["tool_calls"] = normalise_calls(whole["tool_calls"])
    return whole


def content_parts(content: list[Any]) -> list[dict[str, Any]]:
    """Return the parts of a content: objects as they are, texts as text parts; anything else is left out."""
    parts = []
    for part in content:
        if isinstance(part, dict):
            parts.append(part)
        elif isinstance(part, str):
            parts.append({"type": "text", "text": part})
    return parts


def normalise_calls(calls: Any) -> Any:
    """Return the tool calls that are objects, each with texts for its id, name, and arguments."""
    if calls is None:
        return None
    found = []
    for call in calls if isinstance(calls, list) else []:
        if isinstance(call, dict) and isinstance(
            call.get("function") or {}, dict
        ):  # a custom one has none
            found.append(normalise_call(call))
    return found


def normalise_call(call: dict[str, Any]) -> dict[str, Any]:
    whole = dict(call)
    if "id" in whole:
        whole["id"] = as_text(whole["id"])
    if whole.get("function"):
        function = dict(whole["function"])
        for name in ("name", "arguments"):
            if name in function:
                function[name] = as_text(function[name])
        whole["function"] = function
    return whole


def as_text(value: Any) -> Optional[str]:
    """Return a text or None as it is, and any other value as its JSON text."""
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)
