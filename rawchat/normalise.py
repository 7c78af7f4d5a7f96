"""The message of a reply in the shape that every reader of it relies on, whatever shape the server gave it.

>>> normalise({"content": "Hi", "tool_calls": [{"id": 7, "function": {"name": "f", "arguments": {"x": 1}}}]})
{'content': 'Hi', 'tool_calls': [{'id': '7', 'function': {'name': 'f', 'arguments': '{"x": 1}'}}], 'role': 'assistant'}
"""

import json
from collections.abc import Mapping
from typing import Any, Optional

from .encode import mend


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
        whole["content"] = _parts(whole["content"])
    for name in ("content", "refusal"):
        if name in whole and not (name == "content" and isinstance(whole[name], list)):
            whole[name] = _text(whole[name])
    if "tool_calls" in whole:
        whole["tool_calls"] = _calls(whole["tool_calls"])
    return whole


def _parts(content: list[Any]) -> list[dict[str, Any]]:
    """Return the parts of a content: objects as they are, texts as text parts; anything else is left out."""
    parts = []
    for part in content:
        if isinstance(part, dict):
            parts.append(part)
        elif isinstance(part, str):
            parts.append({"type": "text", "text": part})
    return parts


def _calls(calls: Any) -> Any:
    """Return the tool calls that are objects, each with texts for its id, name, and arguments."""
    if calls is None:
        return None
    found = []
    for call in calls if isinstance(calls, list) else []:
        if isinstance(call, dict) and isinstance(
            call.get("function") or {}, dict
        ):  # a custom one has none
            found.append(_call(call))
    return found


def _call(call: dict[str, Any]) -> dict[str, Any]:
    whole = dict(call)
    if "id" in whole:
        whole["id"] = _text(whole["id"])
    if whole.get("function"):
        function = dict(whole["function"])
        for name in ("name", "arguments"):
            if name in function:
                function[name] = _text(function[name])
        whole["function"] = function
    return whole


def _text(value: Any) -> Optional[str]:
    """Return a text or None as it is, and any other value as its JSON text."""
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)
