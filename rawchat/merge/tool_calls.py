"""Find the tool call that a delta belongs to.

`values.merge_tool_call` then merges it: of the ids the first one counts, an equal name counts once, and arguments are
concatenated.

OpenAI numbers the calls by `index`.  Some servers number every call 0, or none; some repeat the name or the whole call;
so an index that was seen before may start another call.
"""

import json
from typing import Any, Optional

from ..compat.normalise import as_index
from .parts import Arguments, TextParts, ToolCalls


def find_or_start_call(calls: ToolCalls, delta: dict[str, Any]) -> dict[str, Any]:
    """Return the call that `delta` belongs to; append a new one to `calls` if it starts one.

    It is the call that `find_call` finds, unless the delta brings a name and `starts_new_call` says so.
    """
    index = as_index(delta.get("index"))
    id = as_id(delta.get("id"))
    call = find_call(calls, index, id)
    if call is None:
        return start_call(calls, index)
    function = delta.get("function")
    if not isinstance(function, dict):
        return call
    if calls.named_again is call and has_arguments(function):
        # The name that came before these arguments was the start of another call.
        calls.named_again = None
        if not call["function"]["arguments"].equals(as_arguments(function["arguments"])):
            again = start_call(calls, index)
            again["function"] = {"name": TextParts(call["function"]["name"])}
            return again
    name = function.get("name")
    if not isinstance(name, str) or not name:
        return call
    if starts_new_call(call, id, function):
        return start_call(calls, index)
    if is_whole(call) and not has_arguments(function):
        # A repeat of the name (NIM), or the start of another call: its arguments will show.
        calls.named_again = call
    return call


def find_call(calls: ToolCalls, index: Optional[int], id: str) -> Optional[dict[str, Any]]:
    """Return the last call with this index; without an index the last one with this id, else the last one; or None.

    Of several calls with the same index, the id decides.
    """
    by_id = calls.by_id.get(id) if id else None
    if index is not None:
        if by_id is not None and by_id["index"] == index:
            return by_id
        return calls.by_index.get(index)
    if by_id is not None:
        return by_id
    return calls[-1] if calls else None


def starts_new_call(call: dict[str, Any], id: str, function: dict[str, Any]) -> bool:
    """Return whether a delta that brings a name starts another call than `call`.

    It does with another id, and when `call` is whole; a verbatim repeat of the call does not.
    """
    known_id = as_id(call.get("id"))
    if id and known_id and id != known_id:
        return True
    if not is_whole(call):
        return False
    known = call["function"]
    if not known["name"].equals(function["name"]):
        return True
    if not has_arguments(function):
        return False
    return not known["arguments"].equals(as_arguments(function["arguments"]))


def is_whole(call: dict[str, Any]) -> bool:
    """Return whether a call has a name and complete arguments; without a name, it came after the arguments."""
    function = call.get("function")
    if not isinstance(function, dict):
        return False
    arguments = function.get("arguments")
    if not isinstance(arguments, Arguments) or not arguments.is_complete():
        return False
    name = function.get("name")
    return isinstance(name, TextParts) and any(name)


def has_arguments(function: dict[str, Any]) -> bool:
    """Return whether a delta brings arguments."""
    arguments = function.get("arguments")
    if isinstance(arguments, str):
        return bool(arguments.strip())
    return arguments is not None


def as_arguments(value: Any) -> str:
    """Return arguments as JSON text."""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)


def as_id(value: Any) -> str:
    """Return an id as a text; some servers send numbers."""
    if value is None or isinstance(value, (dict, list)):
        return ""
    return str(value)


def start_call(calls: ToolCalls, index: Optional[int]) -> dict[str, Any]:
    """Append a new call to `calls`, and return it; without an index it gets the next one."""
    if index is None:
        index = len(calls)
    call: dict[str, Any] = {"index": index}
    calls.append(call)
    calls.by_index[index] = call
    return call
