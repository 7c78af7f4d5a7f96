"""The record of a conversation: a list of messages that knows where its system messages stand.

A window of 20 messages holds every system message and the newest turns.  To search the whole record for the system
messages would make each call of a long conversation slower than the one before.

>>> record = Record([{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}])
>>> record.system_indexes()
[0]
>>> record.insert(0, {"role": "user", "content": "Hello"})
>>> record.system_indexes()
[1]
"""

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

Message = dict[str, Any]

AnyRecord = TypeVar("AnyRecord", bound="Record")
MessageList = TypeVar("MessageList", bound=list[Any])


def is_system(message: Message) -> bool:
    """Return whether `message` instructs the model, rather than being a part of the conversation."""
    return message.get("role") in ("system", "developer")


class Record(list[Message]):
    """A list of messages with an index of the system messages, which every change of the list keeps right.

    A message that has been sent keeps its role: replace it (`record[3] = …`) to make a system message of it.
    """

    def __init__(self, messages: Iterable[Message] = ()):
        super().__init__(messages)
        self._reset()

    def _reset(self) -> None:
        #: The number of messages that have been searched for system messages, and the ones that were found, in order.
        self._searched = 0
        self._found: list[int] = []

    def system_indexes(self) -> list[int]:
        """Return the indexes of the system messages; look only at messages that are new since the last time."""
        for index in range(self._searched, len(self)):
            if is_system(self[index]):
                self._found.append(index)
        self._searched = len(self)
        return self._found

    def _changed_from(self, index: int) -> None:
        """Forget what was found from `index` on."""
        if index < 0:
            index = max(0, len(self) + index)
        self._searched = min(self._searched, index)
        while self._found and self._found[-1] >= index:
            self._found.pop()

    def _changed_at(self, key: Any) -> None:
        """Forget what was found from an index, or from the first index of a slice, on."""
        if isinstance(key, slice):
            touched = range(*key.indices(len(self)))
            first = touched.start if touched.step > 0 else 0
        else:
            first = key.__index__()
        self._changed_from(first)

    # ---- what changes a list elsewhere than at its end

    def __setitem__(self, key: Any, value: Any) -> None:
        self._changed_at(key)
        super().__setitem__(key, value)

    def __delitem__(self, key: Any) -> None:
        self._changed_at(key)
        super().__delitem__(key)

    def __imul__(self: AnyRecord, count: Any) -> AnyRecord:  # type: ignore[misc]
        self._changed_from(0)
        super().__imul__(count)
        return self

    def insert(self, index: Any, message: Message) -> None:
        """Insert a message before `index`."""
        self._changed_from(index)
        super().insert(index, message)

    def pop(self, index: Any = -1) -> Message:
        """Remove the message at `index`, and return it."""
        self._changed_from(index)
        return super().pop(index)

    def remove(self, message: Message) -> None:
        """Remove the first message that is equal to `message`."""
        self._changed_from(0)
        super().remove(message)

    def clear(self) -> None:
        """Remove all messages."""
        self._changed_from(0)
        super().clear()

    def reverse(self) -> None:
        """Reverse the order of the messages."""
        self._changed_from(0)
        super().reverse()

    def sort(self, **options: Any) -> None:
        """Sort the messages; `options` are those of list.sort."""
        self._changed_from(0)
        super().sort(**options)

    # ---- copies, which have an index of their own

    def __getstate__(self) -> dict[str, Any]:
        state = dict(self.__dict__)
        state.update(_searched=0, _found=[])
        return state


# ---- changes that an exception takes back


@contextlib.contextmanager
def transaction(messages: MessageList) -> Iterator[MessageList]:
    """Keep what the block changes in `messages` if it succeeds; restore them if it raises, even KeyboardInterrupt."""
    before = list(messages)
    try:
        yield messages
    except BaseException:
        messages[:] = before
        raise


@contextlib.contextmanager
def appending(messages: MessageList) -> Iterator[MessageList]:
    """Like `transaction`, for a block that only appends: it takes the same time however many messages there are."""
    length = len(messages)
    try:
        yield messages
    except BaseException:
        del messages[length:]
        raise
