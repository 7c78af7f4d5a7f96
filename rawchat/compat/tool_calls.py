"""Find the tool call that a delta belongs to.

OpenAI numbers the calls by `index`.  Some servers number every call 0, or none; some repeat the name or the whole call;
so an index that was seen before may start another call.
"""

import json
import re
from typing import Any, Optional


class TextParts(list[str]):
    """A text under way, as the list of its parts; at most the first one is empty, whatever a server repeats."""

    def equals(self, text: str) -> bool:
        """Return whether the parts make up `text`, in time linear in `text`, however many parts there are."""
        position = 0
        for part in self:
            if not text.startswith(part, position):
                return False
            position += len(part)
        return position == len(text)


class Arguments(TextParts):
    """The arguments of a tool call under way: a JSON object as text, in parts."""

    def __init__(self) -> None:
        super().__init__()
        self._scanned = 0
        self._depth = 0
        self._in_string = False
        self._escaped = False
        self._complete = False

    def is_complete(self) -> bool:
        """Return whether the parts make up a whole JSON object, by its brackets.

        Each part is scanned once: some servers repeat the name in every delta, and with it this question.
        """
        while self._scanned < len(self):
            self._scan(self[self._scanned])
            self._scanned += 1
        return self._complete

    def _scan(self, part: str) -> None:
        skipped = -1
        if self._escaped and part:
            skipped = 0
            self._escaped = False
        for found in re.finditer(r'["\\{}\[\]]', part):
            character = found[0]
            if found.start() == skipped:
                continue
            if character == "\\":
                if self._in_string:
                    skipped = found.end()
                    self._escaped = skipped == len(part)
            elif character == '"':
                self._in_string = not self._in_string
            elif not self._in_string:
                self._depth += 1 if character in "{[" else -1
                self._complete = self._depth == 0 and character == "}"


class ToolCalls(list[dict[str, Any]]):
    """Tool calls under way, in order of arrival: a server may send a hundred thousand of them."""

    def __init__(self) -> None:
        super().__init__()
        #: The last call of each index, and of each id.
        self.by_index: dict[int, dict[str, Any]] = {}
        self.by_id: dict[str, dict[str, Any]] = {}
        #: A call whose name came again, without arguments, when its own were complete.
        self.named_again: Optional[dict[str, Any]] = None


# ---- matching


def find_tool_call(calls: ToolCalls, delta: dict[str, Any]) -> dict[str, Any]:
    """Return the call that `delta` belongs to, or a new one.

    It is the last call with the index of the delta; without an index the last one with its id, else the last one.  A
    new call starts at an index that was not seen before, and where `starts_new_call` says so: some servers number every
    call 0, or none.
    """
    index = delta.get("index")
    id = as_id(delta.get("id"))
    by_id = calls.by_id.get(id) if id else None
    call: Optional[dict[str, Any]] = None
    if isinstance(index, int):
        call = calls.by_index.get(index)
        if by_id is not None and by_id["index"] == index:
            call = by_id
    elif by_id is not None:
        call = by_id
    elif calls:
        call = calls[-1]
    if call is None:
        return start_tool_call(calls, index)
    function = delta.get("function")
    if not isinstance(function, dict):
        return call
    if calls.named_again is call and has_arguments(function):
        # The name that came before these arguments was the start of another call.
        calls.named_again = None
        if not call["function"]["arguments"].equals(as_arguments(function["arguments"])):
            again = start_tool_call(calls, index)
            again["function"] = {"name": TextParts(call["function"]["name"])}
            return again
    name = function.get("name")
    if isinstance(name, str) and name and starts_new_call(calls, call, id, function):
        return start_tool_call(calls, index)
    return call


def starts_new_call(
    calls: ToolCalls, call: dict[str, Any], id: str, function: dict[str, Any]
) -> bool:
    """Return whether a delta that brings a name starts another call than `call`.

    It does with another id, and when the arguments of `call` are complete; a verbatim repeat of the call does not.
    """
    known_id = as_id(call.get("id"))
    if id and known_id and id != known_id:
        return True
    known = call.get("function")
    if not isinstance(known, dict):
        return False
    arguments = known.get("arguments")
    if not isinstance(arguments, Arguments) or not arguments.is_complete():
        return False
    known_name = known.get("name")
    if not isinstance(known_name, TextParts) or not any(known_name):
        # The name came after the arguments.
        return False
    if not known_name.equals(function["name"]):
        return True
    if not has_arguments(function):
        # A repeat of the name (NIM), or the start of another call: its arguments will show.
        calls.named_again = call
        return False
    return not arguments.equals(as_arguments(function["arguments"]))


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


def start_tool_call(calls: ToolCalls, index: Any) -> dict[str, Any]:
    """Append a new call to `calls`, and return it; without an index it gets the next one."""
    if not isinstance(index, int):
        index = len(calls)
    call: dict[str, Any] = {"index": index}
    calls.append(call)
    calls.by_index[index] = call
    return call
