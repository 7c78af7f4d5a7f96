"""The values of a reply under way.  A text is the list of its parts, as growing one long string takes quadratic time."""

import re
from typing import Any, Optional

from ..wire.json_text import is_json_object

#: Parts of a text that are joined to one: a short string takes ten times the memory of its characters.
PARTS_PER_JOIN = 1000


class TextParts(list[str]):
    """A text under way, as the list of its parts; at most the first one is empty, whatever a server repeats.

    It takes little more memory than the text: every PARTS_PER_JOIN parts become one, each character once.
    """

    #: The number of parts at the beginning that are joined already.
    _joined = 0

    def append(self, text: str) -> None:
        """Append a part."""
        list.append(self, text)
        if len(self) - self._joined >= PARTS_PER_JOIN:
            self._join_last()

    def _join_last(self) -> None:
        self[self._joined :] = ["".join(self[self._joined :])]
        self._joined += 1

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

    def join(self) -> str:
        """Return the arguments.

        Some servers send all that there is so far with each part (decolua/9router#2869): then the last part alone is an
        object, and the parts together are none.
        """
        text = "".join(self)
        parts = [part for part in self if part]
        if len(parts) < 2 or not all(map(str.startswith, parts[1:], parts)):
            return text
        return text if is_json_object(text) or not is_json_object(parts[-1]) else parts[-1]

    def _join_last(self) -> None:
        self.is_complete()
        super()._join_last()
        self._scanned = len(self)

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


class ContentParts(list[Any]):
    """A content under way that has other parts than text: a list of objects."""


class IndexedItems(list[Any]):
    """A list under way of which some objects have an index; the last object of each index and type can be found."""

    def __init__(self) -> None:
        super().__init__()
        self.by_index: dict[tuple[int, Optional[str]], dict[str, Any]] = {}


class ToolCalls(list[dict[str, Any]]):
    """Tool calls under way, in order of arrival: a server may send a hundred thousand of them."""

    def __init__(self) -> None:
        super().__init__()
        #: The last call of each index, and of each id.
        self.by_index: dict[int, dict[str, Any]] = {}
        self.by_id: dict[str, dict[str, Any]] = {}
        #: A call whose name came again, without arguments, when its own were complete.
        self.named_again: Optional[dict[str, Any]] = None
