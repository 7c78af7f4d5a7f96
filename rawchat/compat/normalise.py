"""The message of a reply in the shape that every reader of it relies on, whatever shape the server gave it.

>>> call = {"id": 7, "type": "function", "function": {"name": "f", "arguments": {"x": 1}}}
>>> normalise({"content": "Hi", "tool_calls": [call]})["tool_calls"]
[{'id': '7', 'type': 'function', 'function': {'name': 'f', 'arguments': '{"x": 1}'}}]
"""

import json
import re
import zlib
from collections.abc import Mapping
from typing import Any, Optional

from ..wire.json_text import DECODER, mend

#: Types of the parts of a content that are the answer's text; None is a part without a type.
TEXT_PARTS = ("text", "output_text", None)

#: Empty objects before another one.
EMPTY_OBJECTS = re.compile(r"^(?:\{\}\s*)+(?=\{)")

# ---- messages


def normalise(message: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of `message`, the message of a reply, that can be read, stored, and sent back.

    `role` is a text ("assistant" where it is missing), `content` is a text, a list of objects, or None, `refusal` is
    a text or None, and `tool_calls` is a list of objects, each with an id and a type.  What should be a text and is
    another JSON value becomes the JSON text of that value: some servers send arguments as an object, or ids as numbers.
    Empty stubs of calls are dropped.  What JSON cannot carry is mended (see `mend`).  A message that is in order is equal to its copy.
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
        # A number: the token "5", decoded once too often.
        return as_text(content) or ""
    texts = []
    for part in content:
        if isinstance(part, str):
            texts.append(part)
        elif isinstance(part, dict) and part.get("type") in TEXT_PARTS:
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
    result: list[dict[str, Any]] = []
    for call in calls:
        if not isinstance(call, dict):
            continue
        function = call.get("function")
        if not function:
            # A custom tool has none.
            result.append(normalise_call(call, len(result)))
        elif isinstance(function, dict) and not is_stub(function):
            result.append(normalise_call(call, len(result)))
    return result


def is_stub(function: dict[str, Any]) -> bool:
    """Return whether a function call has neither a name nor arguments: some servers end with such a stub."""
    return not function.get("name") and not function.get("arguments")


def normalise_call(call: dict[str, Any], position: int) -> dict[str, Any]:
    """Return a copy of a tool call with texts for its id, name, and arguments, and with an id and a type.

    Servers that leave out the id, or send "", refuse the call when it comes back to them without one (StepFun,
    iOfficeAI/aionrs#99; NVIDIA NIM, anomalyco/opencode#25925; openai/openai-node#1528).
    """
    result = dict(call)
    if "id" in result:
        result["id"] = as_text(result["id"])
    if result.get("function"):
        function = dict(result["function"])
        for name in ("name", "arguments"):
            if name in function:
                function[name] = as_text(function[name])
        if function.get("arguments"):
            function["arguments"] = mend_arguments(function["arguments"])
        result["function"] = function
        if not result.get("type"):
            result["type"] = "function"
    if not result.get("id"):
        result["id"] = make_id(result, position)
    return result


def mend_arguments(text: str) -> str:
    """Return the arguments of a call, a JSON object, without what some servers put before and behind it.

    {} before an object does not count (BerriAI/litellm#4537), nor does an object that is sent twice
    (decolua/9router#2869), nor what follows one and holds no other: a mark of the model's format (nearai/ironclaw#5951),
    or quotes (UKGovernmentBEIS/inspect_ai#4822).  Strict servers refuse such a call when it comes back to them.

    >>> mend_arguments('{}{"x": 1}</tool_call>')
    '{"x": 1}'
    """
    start = EMPTY_OBJECTS.sub("", text.lstrip())
    if not start.startswith("{"):
        return text
    try:
        _, end = DECODER.raw_decode(start)
    except (ValueError, RecursionError):
        return text
    if start[:end] == text.strip():
        return text
    rest = start[end:].strip()
    if rest and rest != start[:end] and "{" in rest:
        return text
    return start[:end]


def make_id(call: dict[str, Any], position: int) -> str:
    """Return an id for a tool call without one: the same for the same call, so that a cached answer stays valid."""
    said = json.dumps([position, call.get("function")], sort_keys=True)
    return f"call_{position}_{zlib.crc32(said.encode()):08x}"


def as_index(value: Any) -> Optional[int]:
    """Return the index of a choice, a tool call or a part as a number, "0" too; None for another value."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10:
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    return None


def choice_index(choice: Mapping[str, Any]) -> int:
    """Return the index of a choice of a stream: 0 if the server gives none, or one that counts nothing."""
    index = choice.get("index")
    if index == 0:
        return 0  # nearly every chunk: the same without two calls
    return max(as_index(index) or 0, 0)


def as_text(value: Any) -> Optional[str]:
    """Return a text or None as it is, and any other value as its JSON text."""
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)


# ---- a list of models


def as_model_list(payload: Any) -> Any:
    """Return a list of models in the form of OpenAI's: some servers send a bare list (Together), or `models`."""
    models = payload
    rest: dict[str, Any] = {}
    if isinstance(payload, dict):
        if "data" in payload or not isinstance(payload.get("models"), list):
            return payload
        models = payload["models"]
        rest = payload
    if not isinstance(models, list):
        return payload
    data = []
    for model in models:
        if isinstance(model, str):
            model = {"id": model}
        if isinstance(model, dict):
            id = model.get("id") or model.get("name") or model.get("model")
            data.append({**model, "id": id})
    return {"object": "list", **rest, "data": data}


# ---- usage


def find_usage(reply: Mapping[str, Any]) -> Optional[dict[str, Any]]:
    """Return the usage that a reply reports, or None.

    It stands at the top, in a choice (Moonshot), or in `x_groq` (Groq).  Usage that grows from chunk to chunk is not
    added up: the merged reply has the last one.
    """
    choices = reply.get("choices")
    places = [reply, *(choices if isinstance(choices, list) else []), reply.get("x_groq")]
    for place in places:
        usage = place.get("usage") if isinstance(place, Mapping) else None
        if usage and isinstance(usage, dict):
            return usage
    return None
