"""The message of a reply in the shape that every reader of it relies on, whatever shape the server gave it.

>>> normalise({"content": "Hi", "tool_calls": [{"id": 7, "function": {"name": "f", "arguments": {"x": 1}}}]})
{'content': 'Hi', 'tool_calls': [{'id': '7', 'function': {'name': 'f', 'arguments': '{"x": 1}'}}], 'role': 'assistant'}
"""

import json
import math
from collections.abc import Mapping
from typing import Any, Optional

#: Levels of nesting that JSON may have: deeper values cannot be copied or shown on a usual stack.
MAX_DEPTH = 100

#: A decoder of its own: json.loads examines its seven options at every call, a quarter of its time for an event.
DECODER = json.JSONDecoder()

#: What may stand around JSON (RFC 8259, 2).
JSON_WHITESPACE = " \t\n\r"

#: Types of the parts of a content that are the answer's text; None is a part without a type.
TEXT_PARTS = ("text", "output_text", None)

# ---- JSON


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


# ---- messages


def normalise(message: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of `message`, the message of a reply, that can be read, stored, and sent back.

    `role` is a text ("assistant" where it is missing), `content` is a text, a list of objects, or None, `refusal` is
    a text or None, and `tool_calls` is a list of objects.  What should be a text and is another JSON value becomes
    the JSON text of that value: some servers send arguments as an object, or ids as numbers.  Empty stubs of calls are
    dropped.  What JSON cannot carry is mended (see `mend`).  A message that is in order is equal to its copy.
    """
    result: dict[str, Any] = mend(message)
    if not isinstance(result.get("role"), str) or not result["role"]:
        result["role"] = "assistant"
    if "content" in result:
        result["content"] = normalise_content(result["content"])
    if result.get("refusal") in (False, [], {}):
        # Some servers say in this way that the model has not refused.
        result["refusal"] = None
    if "refusal" in result:
        result["refusal"] = as_text(result["refusal"])
    if "tool_calls" in result:
        result["tool_calls"] = normalise_calls(result["tool_calls"])
    function = result.get("function_call")
    if isinstance(function, dict) and is_stub(function):
        del result["function_call"]
    return result


def normalise_content(content: Any) -> Any:
    """Return a content as a text, a list of parts, or None."""
    if isinstance(content, dict) and "type" in content:
        # One part that is not in a list.
        content = [content]
    if not isinstance(content, list):
        return as_text(content)
    parts = []
    for part in content:
        if isinstance(part, dict):
            parts.append(part)
        elif isinstance(part, str):
            parts.append({"type": "text", "text": part})
    return parts


def content_text(content: Any) -> str:
    """Return the text of a content: a text itself, or the text parts of a list, joined.

    Other parts (thinking, references) are not part of the answer's text.

    >>> content_text([{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "Hi"}])
    'Hi'
    """
    if isinstance(content, str):
        return content
    if isinstance(content, dict):
        content = [content]
    if not isinstance(content, list):
        return ""
    texts = []
    for part in content:
        if isinstance(part, dict) and part.get("type") in TEXT_PARTS:
            text = part.get("text")
            if isinstance(text, str):
                texts.append(text)
    return "".join(texts)


def normalise_calls(calls: Any) -> Optional[list[dict[str, Any]]]:
    """Return the tool calls that are objects, each with texts for its id, name, and arguments; None stays None."""
    if calls is None:
        return None
    if isinstance(calls, dict) and isinstance(calls.get("function"), dict):
        # TGI: one call that is not in a list.
        calls = [calls]
    if not isinstance(calls, list):
        return []
    result = []
    for call in calls:
        if not isinstance(call, dict):
            continue
        function = call.get("function")
        if not function:
            # A custom tool has none.
            result.append(normalise_call(call))
        elif isinstance(function, dict) and not is_stub(function):
            result.append(normalise_call(call))
    return result


def is_stub(function: dict[str, Any]) -> bool:
    """Return whether a function call has neither a name nor arguments: some servers end with such a stub."""
    return not function.get("name") and not function.get("arguments")


def normalise_call(call: dict[str, Any]) -> dict[str, Any]:
    """Return a copy of a tool call with texts for its id, name, and arguments."""
    result = dict(call)
    if "id" in result:
        result["id"] = as_text(result["id"])
    if result.get("function"):
        function = dict(result["function"])
        for name in ("name", "arguments"):
            if name in function:
                function[name] = as_text(function[name])
        result["function"] = function
    return result


def as_text(value: Any) -> Optional[str]:
    """Return a text or None as it is, and any other value as its JSON text."""
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)
