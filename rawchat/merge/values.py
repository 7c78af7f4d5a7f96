"""Add a delta to the deltas before it: field by field, each value by its type.

The fields that every server sends are named; all others are merged by the type of their values.
"""

from typing import Any

from ..compat.normalise import as_index, as_text
from ..wire.json_text import mend
from .parts import Arguments, ContentParts, IndexedItems, TextParts, ToolCalls
from .tool_calls import as_arguments, as_id, find_or_start_call

#: Fields that name something: a repeat in a later delta replaces nothing, and is not appended.
IDENTIFIERS = {"id", "name", "role", "type"}

#: Fields of an object with an index that are concatenated.  Others are replaced: half a signature would be invalid.
CONCATENATED = {"text", "data", "summary", "arguments"}


# ---- deltas


def has_value(value: Any) -> bool:
    """Return whether a value under way will be more than null or empty, in a time that does not grow with it."""
    if isinstance(value, TextParts):
        return any(value)
    return bool(value)


def message_of(choice: dict[str, Any]) -> dict[str, Any]:
    """Return the message of a choice under way; one that has none yet gets an empty one."""
    message = choice.get("message")
    if not isinstance(message, dict):
        message = {"role": "assistant", "content": None}
        choice["message"] = message
        if isinstance(choice.get("text"), TextParts):
            # A completion's text that came before any delta.
            message["content"] = choice.pop("text")
    return message


def merge_delta(target: dict[str, Any], delta: dict[str, Any]) -> None:
    """Merge `delta`, a part of a message or of an object within one, into `target`."""
    for name, value in delta.items():
        if value is None:
            target.setdefault(name, None)
        elif name in IDENTIFIERS:
            target[name] = merge_identifier(target.get(name), value)
        elif name == "content":
            target[name] = merge_content(target.get(name), value)
        elif name == "tool_calls":
            target[name] = merge_tool_calls(target.get(name), value)
        else:
            target[name] = merge_value(target.get(name), value)


def merge_value(before: Any, value: Any) -> Any:
    """Return `before` with `value` added: texts and lists are concatenated, objects merged, the rest replaced."""
    if isinstance(value, str):
        if not isinstance(before, TextParts):
            return TextParts([value])
        if value:
            before.append(value)
        return before
    if isinstance(value, dict):
        if not isinstance(before, dict):
            before = {}
        merge_delta(before, value)
        return before
    if isinstance(value, list):
        items = before if isinstance(before, IndexedItems) else IndexedItems()
        if isinstance(before, TextParts) and any(before):
            items.append(before)
        for item in value:
            merge_item(items, item)
        return items
    return value


def merge_content(before: Any, value: Any) -> Any:
    """Return a content with `value` added.  Texts and lists of parts append in order of arrival."""
    if isinstance(value, str):
        if isinstance(before, TextParts):
            if value:
                before.append(value)
            return before
        if not isinstance(before, ContentParts):
            return TextParts([value])
        if value:
            append_text(before, value)
        return before
    if isinstance(value, dict):
        value = [value]
    if not isinstance(value, list):
        # A number: the token "5", decoded once too often.
        return merge_content(before, as_text(value))
    parts = before
    if not isinstance(parts, ContentParts):
        parts = ContentParts()
        if isinstance(before, TextParts) and any(before):
            parts.append({"type": "text", "text": before})
    for part in value:
        if isinstance(part, str):
            append_text(parts, part)
        elif isinstance(part, dict) and part.keys() == {"type", "text"} and part["type"] == "text":
            append_text(parts, part["text"])
        elif isinstance(part, dict):
            parts.append(part)
    return parts


def append_text(parts: ContentParts, text: Any) -> None:
    """Append a text to the parts of a content; to the last one, if that is a text."""
    if not isinstance(text, str):
        return
    last = parts[-1].get("text") if parts else None
    if isinstance(last, TextParts):
        if text:
            last.append(text)
    else:
        parts.append({"type": "text", "text": TextParts([text])})


def merge_item(items: IndexedItems, item: Any) -> None:
    """Merge one item of a list: an object with an index continues the last one with this index and type."""
    index = as_index(item.get("index")) if isinstance(item, dict) else None
    if index is None:
        items.append(item)
        return
    type_ = item.get("type")
    if not isinstance(type_, str):
        type_ = None
    target = items.by_index.get((index, type_))
    if target is None:
        untyped = items.by_index.get((index, None))
        if untyped is not None and (type_ is None or untyped.get("type") is None):
            target = untyped
    if target is None:
        target = {}
        items.append(target)
    for name, value in item.items():
        if value is None or value == "":
            target.setdefault(name, value)
        elif name in CONCATENATED:
            target[name] = merge_value(target.get(name), value)
        else:
            target[name] = value
    items.by_index[index, type_] = target
    items.by_index[index, None] = target


def merge_identifier(before: Any, value: Any) -> Any:
    """Return an identifier with `value` added: an equal repeat counts once, different fragments are joined."""
    if not isinstance(value, str):
        # Some servers send numbers: the last one counts.
        return value
    if not isinstance(before, TextParts):
        return TextParts([value])
    if value and not before.equals(value):
        before.append(value)
    return before


# ---- tool calls


def merge_tool_calls(before: Any, deltas: Any) -> ToolCalls:
    """Return the tool calls under way with `deltas` added; entries that are not objects are skipped."""
    calls = before if isinstance(before, ToolCalls) else ToolCalls()
    if isinstance(deltas, dict):  # TGI: an object, not a list
        deltas = [deltas]
    if not isinstance(deltas, list):
        return calls
    for delta in deltas:
        if isinstance(delta, dict):
            merge_tool_call(calls, delta)
    return calls


def merge_tool_call(calls: ToolCalls, delta: dict[str, Any]) -> None:
    """Merge one delta into the call that it belongs to."""
    call = find_or_start_call(calls, delta)
    for name, value in delta.items():
        if name == "index":
            continue
        if value is None:
            call.setdefault(name, None)
        elif name == "function" and isinstance(value, dict):
            function = call.get("function")
            if not isinstance(function, dict):
                function = call["function"] = {}
            merge_function(function, value)
        elif name == "id":
            # The first one counts: another id without a name continues the call.
            if not call.get("id"):
                call["id"] = value
            calls.by_id[as_id(value)] = call
        else:
            merge_delta(call, {name: value})


def merge_function(function: dict[str, Any], delta: dict[str, Any]) -> None:
    """Merge the name and the arguments of a delta into those of its call."""
    for name, value in delta.items():
        if name != "arguments" or value is None:
            merge_delta(function, {name: value})
            continue
        if not isinstance(value, str):
            # TGI and others: the arguments are an object, not its text.
            value = as_arguments(value)
        arguments = function.get("arguments")
        if not isinstance(arguments, Arguments):
            arguments = function["arguments"] = Arguments()
        if arguments.equals("{}") and value.strip():
            # Some servers send {} until they know better.
            arguments = function["arguments"] = Arguments()
        if value.startswith("{") and arguments.equals(value) and arguments.is_complete():
            # The whole arguments, sent again.
            continue
        if value:
            arguments.append(value)


# ---- the merged value


def finalize(value: Any) -> Any:
    """Return a copy of a value under way with its texts joined and its tool calls in order."""
    if isinstance(value, Arguments):
        return mend(value.join())
    if isinstance(value, TextParts):
        # Servers that count in UTF-16 may cut a character in two: join its halves.
        return mend("".join(value))
    if isinstance(value, ToolCalls):
        return finalize_tool_calls(value)
    if isinstance(value, list):
        return [finalize(item) for item in value]
    if isinstance(value, dict):
        return {name: finalize(item) for name, item in value.items()}
    return value


def finalize_tool_calls(calls: ToolCalls) -> list[dict[str, Any]]:
    """Return the calls in the order of their index, which a plain reply does not have."""
    ordered = []
    for call in sorted(calls, key=index_of):
        fields = dict(call)
        del fields["index"]
        ordered.append(finalize(fields))
    return ordered


def index_of(call: dict[str, Any]) -> int:
    """Return the index of a call under way."""
    index: int = call["index"]
    return index
