"""Merge the chunks of a stream into the JSON that a plain call would have returned.

A stream is a list of chunks.  A chunk holds one delta for each choice that goes on; a delta holds the next part of each
field of a message.  `merge.values` says how a value is added: texts are concatenated, and identifiers, which some
servers repeat in every delta, count once.  `merge.tool_calls` finds the tool call that a delta belongs to.

>>> merge = MessageAccumulator()
>>> for text in ("Hel", "lo"):
...     merge.add({"id": "1", "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]})
>>> merge.build()["choices"][0]["message"]
{'role': 'assistant', 'content': 'Hello'}
"""

from typing import Any

from ..compat.normalise import choice_index
from .values import finalize, has_value, merge_delta, merge_value, message_of

#: OpenAI hides the length of tokens with it; a plain reply has no such field.
PADDING_FIELD = "obfuscation"


class MessageAccumulator:
    """Merge chunks with `add`; `build` returns the merged reply at any time."""

    def __init__(self) -> None:
        #: The fields beside the choices.
        self.top: dict[str, Any] = {}
        #: The choices under way, by their index.
        self.choices: dict[int, dict[str, Any]] = {}
        #: The smallest of these indices.
        self.first_index = 0
        #: The indices of choices that came as whole messages, not as deltas.
        self.undivided: set[int] = set()
        #: Messages that repeated what deltas had said: their text is not new.
        self.repeats = 0

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

    def is_complete(self, expected: int = 1) -> bool:
        """Return whether at least `expected` choices have begun, and each of them has a finish_reason."""
        if len(self.choices) < expected:
            return False
        return all(choice["finish_reason"] for choice in self.choices.values())

    def build(self) -> dict[str, Any]:
        """Return the merged reply: choices sorted by index, tool calls without theirs, as in a plain reply."""
        reply = dict(self.top)
        reply.pop(PADDING_FIELD, None)
        reply["choices"] = [finalize(self.choices[index]) for index in sorted(self.choices)]
        if reply.get("object") in (None, "", "chat.completion.chunk"):
            # Together sends `text` beside the deltas of a chat.
            is_chat = any("message" in choice for choice in reply["choices"])
            is_completion = any("text" in choice for choice in reply["choices"]) and not is_chat
            reply["object"] = "text_completion" if is_completion else "chat.completion"
        return reply

    def _add_choice(self, choice: dict[str, Any]) -> None:
        index = choice_index(choice)
        target = self.choices.get(index)
        if target is None:
            if not self.choices or index < self.first_index:
                self.first_index = index
            target = {"index": index, "finish_reason": None}
            self.choices[index] = target
        delta = choice.get("delta")
        has_delta = False
        if isinstance(delta, dict):
            merge_delta(message_of(target), delta)
            has_delta = bool(delta)
        for name, value in choice.items():
            if name == "delta":
                continue
            if value is None:
                target.setdefault(name, None)
            elif name == "message":
                # Beside a delta (Perplexity) it repeats what the deltas said.
                if not has_delta and isinstance(value, dict):
                    self._add_message(index, target, value)
            elif name == "finish_reason":
                # NIM and Dynamo send "stop" after "tool_calls"; an empty reason is none, and DashScope's "null" neither.
                if value and value != "null" and (value != "stop" or not target["finish_reason"]):
                    target["finish_reason"] = value
            elif name == "text" and "message" in target and not has_delta:
                # A completion's text in a chat is part of the message; beside a delta (Together) it repeats it.
                if isinstance(value, str):
                    merge_delta(message_of(target), {"content": value})
            elif name in ("text", "logprobs"):
                target[name] = merge_value(target.get(name), value)
            else:
                target[name] = value

    def _add_message(self, index: int, target: dict[str, Any], message: dict[str, Any]) -> None:
        """Merge a whole message, which came instead of deltas, or after them (MiniMax) and repeats them."""
        known = target.get("message")
        if not isinstance(known, dict):
            known = target["message"] = {}
            self.undivided.add(index)
        if index in self.undivided:
            # The first one, or one of a server that calls its deltas `message`.
            merge_delta(known, message)
            return
        if has_value(known.get("content")):
            self.repeats += 1
        for name, value in message.items():
            # Only what no delta said is new.
            if value and not has_value(known.get(name)):
                known.pop(name, None)
                merge_delta(known, {name: value})
