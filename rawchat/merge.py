"""Merge the chunks of a stream into the JSON that a plain call would have returned.

A stream is a list of chunks.  A chunk holds one delta for each choice that goes on; a delta holds the next part of each
field of a message.  Texts are concatenated, tool calls are matched by their index, and identifiers, which some servers
repeat in every delta, count once.  Under way a text is the list of its parts, as growing one long string takes quadratic
time; `build` joins them.

>>> merge = MessageAccumulator()
>>> for text in ("Hel", "lo"):
...     merge.add({"id": "1", "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]})
>>> merge.build()["choices"][0]["message"]
{'role': 'assistant', 'content': 'Hello'}
"""

from typing import Any, Optional

from .normalise import join_halves

#: Fields that name something: a repeat in a later delta replaces nothing, and is not appended.
IDENTIFIERS = {"id", "name", "role", "type"}

#: OpenAI hides the length of tokens with it; a plain reply has no such field.
PADDING_FIELD = "obfuscation"


class TextParts(list[str]):
    """A text under way, as the list of its parts."""

    def equals(self, text: str) -> bool:
        """Return whether the parts make up `text`, in time linear in `text`, however many parts there are."""
        position = 0
        for part in self:
            if not text.startswith(part, position):
                return False
            position += len(part)
        return position == len(text)


class ToolCalls(list[dict[str, Any]]):
    """Tool calls under way, in order of arrival, with an index: a server may send a hundred thousand of them."""

    def __init__(self) -> None:
        super().__init__()
        #: The last call of each index.
        self.by_index: dict[int, dict[str, Any]] = {}


class MessageAccumulator:
    """Merge chunks with `add`; `build` returns the merged reply at any time."""

    def __init__(self) -> None:
        #: The fields beside the choices.
        self.top: dict[str, Any] = {}
        #: The choices under way, by their index.
        self.choices: dict[int, dict[str, Any]] = {}

    def add(self, chunk: dict[str, Any]) -> None:
        """Merge one decoded chunk; parts of it that do not have the expected shape are skipped."""
        top = self.top
        for name, value in chunk.items():
            # The last value that says something: usage stays when later chunks carry null.
            if value or name not in top:
                top[name] = value
        choices = chunk.get("choices")
        if not isinstance(choices, list):
            return
        for choice in choices:
            if isinstance(choice, dict):
                self._add_choice(choice)

    def is_complete(self, choices: int = 1) -> bool:
        """Return whether at least so many choices have begun, and each of them has a finish_reason."""
        if len(self.choices) < choices:
            return False
        return all(choice["finish_reason"] for choice in self.choices.values())

    def build(self) -> dict[str, Any]:
        """Return the merged reply: choices sorted by index, tool calls without theirs, as in a plain reply."""
        reply = dict(self.top)
        reply.pop(PADDING_FIELD, None)
        reply["choices"] = [finalize(self.choices[index]) for index in sorted(self.choices)]
        if reply.get("object") in (None, "chat.completion.chunk"):
            is_completion = any("text" in choice for choice in reply["choices"])
            reply["object"] = "text_completion" if is_completion else "chat.completion"
        return reply

    def _add_choice(self, choice: dict[str, Any]) -> None:
        index = choice.get("index")
        if not isinstance(index, int):
            index = 0
        target = self.choices.get(index)
        if target is None:
            target = {"index": index, "finish_reason": None}
            self.choices[index] = target
        for name, value in choice.items():
            if name == "delta":
                if isinstance(value, dict):
                    merge_delta(message_of(target), value)
            elif value is None:
                target.setdefault(name, None)
            elif name == "message":
                # A whole message instead of a delta.  Beside one (Perplexity) it repeats what the deltas said.
                if "delta" not in choice and isinstance(value, dict):
                    message = target.get("message")
                    if not isinstance(message, dict):
                        message = target["message"] = {}
                    merge_delta(message, value)
            elif name in ("text", "logprobs"):
                target[name] = merge_value(target.get(name), value)
            else:
                target[name] = value


def message_of(choice: dict[str, Any]) -> dict[str, Any]:
    """Return the message of a choice under way; one that has none yet gets an empty one."""
    message = choice.get("message")
    if not isinstance(message, dict):
        message = {"role": "assistant", "content": None}
        choice["message"] = message
    return message


def merge_delta(target: dict[str, Any], delta: dict[str, Any]) -> None:
    """Merge `delta`, a part of a message or of an object within one, into `target`."""
    for name, value in delta.items():
        if value is None:
            target.setdefault(name, None)
        elif name in IDENTIFIERS:
            target[name] = merge_identifier(target.get(name), value)
        elif name == "tool_calls" and isinstance(value, list):
            target[name] = merge_tool_calls(target.get(name), value)
        else:
            target[name] = merge_value(target.get(name), value)


def merge_value(before: Any, value: Any) -> Any:
    """Return `before` with `value` added: texts and lists are concatenated, objects merged, the rest replaced."""
    if isinstance(value, str):
        if not isinstance(before, TextParts):
            return TextParts([value])
        before.append(value)
        return before
    if isinstance(value, dict):
        if not isinstance(before, dict):
            before = {}
        merge_delta(before, value)
        return before
    if isinstance(value, list):
        if type(before) is not list:
            # Also a list of another kind, a text or tool calls: their parts are kept as items.
            before = list(before) if isinstance(before, list) else []
        before.extend(value)
        return before
    return value


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


def merge_tool_calls(before: Any, deltas: list[Any]) -> ToolCalls:
    """Return the tool calls under way with `deltas` added; entries that are not objects are skipped."""
    calls = before if isinstance(before, ToolCalls) else ToolCalls()
    for delta in deltas:
        if isinstance(delta, dict):
            call = find_tool_call(calls, delta)
            fields = dict(delta)
            fields.pop("index", None)
            merge_delta(call, fields)
    return calls


def find_tool_call(calls: ToolCalls, delta: dict[str, Any]) -> dict[str, Any]:
    """Return the call that `delta` belongs to: by its index, else the last one.

    Another id starts a new call whatever the index: some servers number every call 0, or none.
    """
    index = delta.get("index")
    call: Optional[dict[str, Any]] = None
    if isinstance(index, int):
        call = calls.by_index.get(index)
    elif calls:
        call = calls[-1]
    if call is None or is_other_id(call.get("id"), delta.get("id")):
        return start_tool_call(calls, index)
    return call


def is_other_id(known: Any, id: Any) -> bool:
    """Return whether `id`, of a delta, differs from the known id of a call; a missing one does not."""
    if not known or not id:
        return False
    if isinstance(known, TextParts) and isinstance(id, str):
        return not known.equals(id)
    return bool(known != id)


def start_tool_call(calls: ToolCalls, index: Any) -> dict[str, Any]:
    """Append a new call to `calls`, and return it; without an index it gets the next one."""
    if not isinstance(index, int):
        index = len(calls)
    call: dict[str, Any] = {"index": index}
    calls.append(call)
    calls.by_index[index] = call
    return call


# ---- the merged reply


def finalize(value: Any) -> Any:
    """Return a copy of a value under way with its texts joined and its tool calls in order."""
    if isinstance(value, TextParts):
        # Servers that count in UTF-16 may cut a character in two: join its halves.
        return join_halves("".join(value))
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
