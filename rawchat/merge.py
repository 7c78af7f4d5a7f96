"""The chunks of a stream, merged into the JSON that a plain call would have returned.

>>> merge = MessageAccumulator()
>>> for text in ("Hel", "lo"):
...     merge.add({"id": "1", "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]})
>>> merge.whole()["choices"][0]["message"]
{'role': 'assistant', 'content': 'Hello'}
"""

from typing import Any

from .normalise import join_halves

IDENTIFIERS = {
    "id",
    "name",
    "role",
    "type",
}  #: names, not texts: some servers repeat them in every delta


PADDING_FIELD = "obfuscation"  #: OpenAI hides the length of tokens with it; no plain reply has it


class TextParts(list[str]):
    """A text under way, as its parts: joined once at the end, as growing one long string is quadratic."""

    def equals(self, text: str) -> bool:
        """Return whether `text` is all that came so far, in time linear in `text`, however many parts there are."""
        at = 0
        for part in self:
            if not text.startswith(part, at):
                return False
            at += len(part)
        return at == len(text)


class Calls(list[dict[str, Any]]):
    """Tool calls under way, found by their index: a server may send a hundred thousand of them."""

    def __init__(self) -> None:
        super().__init__()
        self.by_index: dict[int, dict[str, Any]] = {}  # the last call of each index


class MessageAccumulator:
    """Takes chunks with `add`; `whole()` is their merged answer at any time."""

    def __init__(self) -> None:
        self.top: dict[str, Any] = {}  # all beside the choices: the last that says something
        self.choices: dict[int, dict[str, Any]] = {}  # by index

    def add(self, chunk: dict[str, Any]) -> None:
        """Merge one decoded chunk; parts of it that are not of the expected shape are passed over."""
        top = self.top
        for name, value in chunk.items():
            if value or name not in top:  # usage stays when later chunks carry null
                top[name] = value
        choices = chunk.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            if isinstance(choice, dict):
                self._add_choice(choice)

    def _add_choice(self, choice: dict[str, Any]) -> None:
        index = choice.get("index")
        if not isinstance(index, int):
            index = 0
        own = self.choices.get(index)
        if own is None:
            own = self.choices[index] = {"index": index, "finish_reason": None}
        for name, value in choice.items():
            if name == "delta":
                if isinstance(value, dict):
                    merge_delta(choice_message(own, {"role": "assistant", "content": None}), value)
            elif (
                value is None
            ):  # most of what is not the delta: asked early, as this runs for every token
                own.setdefault(name, None)
            elif name == "message":  # said whole; beside a delta it says the same again
                if "delta" not in choice and isinstance(value, dict):
                    merge_delta(choice_message(own, {}), value)
            elif name in ("text", "logprobs"):
                merge_delta(own, {name: value})
            else:
                own[name] = value

    def finished(self, choices: int = 1) -> bool:
        """Have (at least so many) choices begun, and has each of them a finish_reason?"""
        return len(self.choices) >= choices and all(
            own["finish_reason"] for own in self.choices.values()
        )

    def whole(self) -> dict[str, Any]:
        """The merged answer: choices sorted by index, tool calls without theirs, as in a plain reply."""
        whole: dict[str, Any] = {
            name: value for name, value in self.top.items() if name != PADDING_FIELD
        }
        whole["choices"] = [finalize(self.choices[index]) for index in sorted(self.choices)]
        if whole.get("object") in (None, "chat.completion.chunk"):
            texts = any("text" in choice for choice in whole["choices"])
            whole["object"] = "text_completion" if texts else "chat.completion"
        return whole


def merge_delta(own: dict[str, Any], delta: dict[str, Any]) -> None:
    """Add `delta` to what came before: texts are joined, lists extended, objects merged, the rest replaced."""
    for name, value in delta.items():
        before = own.get(name)
        if value is None:
            own.setdefault(name, None)
        elif isinstance(value, str):
            if not isinstance(before, TextParts):
                own[name] = TextParts([value])
            elif name not in IDENTIFIERS or (
                value and not before.equals(value)
            ):  # an equal repeat of a name counts once
                before.append(value)
        elif name == "tool_calls" and isinstance(value, list):
            calls = before if isinstance(before, Calls) else Calls()
            own[name] = calls
            for call in value:
                if isinstance(call, dict):
                    merge_delta(
                        find_tool_call(calls, call),
                        {name: item for name, item in call.items() if name != "index"},
                    )
        elif name in IDENTIFIERS:  # a number, or what no server should send: it does not grow
            own[name] = value
        elif isinstance(value, dict):
            if not isinstance(before, dict):
                own[name] = before = {}
            merge_delta(before, value)
        elif isinstance(value, list):
            if type(before) is list:
                before.extend(value)  # it is ours: the first list was copied
            elif isinstance(before, list):
                own[name] = [*before, *value]  # after a text
            else:
                own[name] = list(value)
        else:
            own[name] = value


def choice_message(own: dict[str, Any], first: dict[str, Any]) -> dict[str, Any]:
    """The message of the choice `own`; where it has none yet, or null, it begins as `first`."""
    message = own.get("message")
    if not isinstance(message, dict):
        own["message"] = message = first
    return message


def find_tool_call(calls: Calls, delta: dict[str, Any]) -> dict[str, Any]:
    """The tool call that `delta` belongs to: by its index; the last one where it has none.

    Another id starts a new call whatever the index: some servers number every call 0, or none.
    """
    index, id = delta.get("index"), delta.get("id")
    call = calls[-1] if calls else None
    if isinstance(index, int):
        call = calls.by_index.get(index)
    if call is not None:
        known = call.get("id")
        same = (
            known.equals(id)
            if isinstance(known, TextParts) and isinstance(id, str)
            else known == id
        )
        if not id or not known or same:
            return call
    new: dict[str, Any] = {"index": index if isinstance(index, int) else len(calls)}
    calls.append(new)
    calls.by_index[new["index"]] = new
    return new


def finalize(value: Any) -> Any:
    """A copy of `value` with its texts joined, and tool calls in the order of their index, which is dropped."""
    if isinstance(
        value, TextParts
    ):  # servers that count in UTF-16 may cut a character in two: join its halves
        return join_halves("".join(value))
    if isinstance(value, Calls):
        calls = sorted(value, key=lambda call: call["index"])
        return [
            {name: finalize(item) for name, item in call.items() if name != "index"}
            for call in calls
        ]
    if isinstance(value, list):
        return [finalize(item) for item in value]
    if isinstance(value, dict):
        return {name: finalize(item) for name, item in value.items()}
    return value
