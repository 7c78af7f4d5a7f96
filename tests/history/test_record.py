"""The record knows its system messages, whatever is done to the list."""

import copy
import pickle
import random
from typing import Any, Callable

import pytest

from rawchat import History
from rawchat.history.record import Record, appending, is_system


def message(number: int) -> dict[str, Any]:
    role = ["system", "user", "developer", "assistant", "tool"][number % 5]
    return {"role": role, "content": str(number)}


def by_search(record: Record) -> list[int]:
    return [index for index, each in enumerate(record) if is_system(each)]


def with_messages(count: int) -> Record:
    record = Record(message(number) for number in range(count))
    assert record.system_indexes() == by_search(record)
    return record


CHANGES: dict[str, Callable[[Record], Any]] = {
    "append": lambda record: record.append(message(0)),
    "extend": lambda record: record.extend([message(0), message(1)]),
    "+=": lambda record: record.__iadd__([message(2)]),
    "insert": lambda record: record.insert(3, message(0)),
    "insert from the end": lambda record: record.insert(-2, message(0)),
    "insert before the first": lambda record: record.insert(-100, message(1)),
    "pop": lambda record: (record.pop(), record.append(message(1))),
    "pop the first": lambda record: record.pop(0),
    "remove": lambda record: record.remove(message(2)),
    "an item": lambda record: record.__setitem__(0, message(1)),
    "an item from the end": lambda record: record.__setitem__(-1, message(0)),
    "a slice": lambda record: record.__setitem__(slice(2, 5), [message(0)] * 7),
    "a slice backwards": lambda record: record.__setitem__(
        slice(None, None, -1), list(map(message, range(12)))
    ),
    "del an item": lambda record: record.__delitem__(0),
    "del a slice": lambda record: record.__delitem__(slice(-3, None)),
    "del every second": lambda record: record.__delitem__(slice(None, None, 2)),
    "clear": lambda record: (record.clear(), record.append(message(1))),
    "reverse": lambda record: record.reverse(),
    "sort": lambda record: record.sort(key=lambda each: each["content"], reverse=True),
    "*=": lambda record: record.__imul__(2),
}


@pytest.mark.parametrize("change", CHANGES)
def test_each_change_keeps_the_index_right(change: str) -> None:
    record = with_messages(12)
    plain = list(record)
    CHANGES[change](record)
    CHANGES[change](plain)  # type: ignore[arg-type]
    assert record == plain
    assert record.system_indexes() == by_search(record)


def test_any_changes_one_after_the_other_keep_the_index_right() -> None:
    chance = random.Random(19)
    for _ in range(200):
        record = with_messages(12)
        for _ in range(6):
            name = chance.choice(list(CHANGES))
            if len(record) < 12 and name in ("remove", "a slice backwards", "pop the first"):
                continue
            if len(record) != 12 and name == "a slice backwards":
                continue
            if not record and name in ("pop", "an item", "an item from the end", "del an item"):
                continue
            if name == "remove" and message(2) not in record:
                continue
            CHANGES[name](record)
            if chance.random() < 0.7:
                assert record.system_indexes() == by_search(record), name
        assert record.system_indexes() == by_search(record)


def test_a_change_that_fails_changes_nothing() -> None:
    record = with_messages(12)
    for fail in (
        lambda: record.pop(99),
        lambda: record.remove(message(99)),
        lambda: record.__delitem__(99),
        lambda: record.__setitem__(99, message(0)),
    ):
        with pytest.raises((IndexError, ValueError)):
            fail()
        assert record.system_indexes() == by_search(record)


@pytest.mark.parametrize(
    "of", [copy.copy, copy.deepcopy, lambda it: pickle.loads(pickle.dumps(it))]
)
def test_a_copy_has_an_index_of_its_own(of: Callable[[History], History]) -> None:
    history = History(system="s")
    history.extend(message(number) for number in range(12))
    assert history.system_indexes() == by_search(history)
    twin = of(history)
    twin.insert(0, message(1))
    assert twin.system_indexes() == by_search(twin)
    assert history.system_indexes() == by_search(history)


def test_what_was_appended_is_taken_back() -> None:
    record = with_messages(12)

    def fail() -> None:
        with appending(record):
            record.append(message(0))
            assert record.system_indexes()[-1] == 12
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert record == [message(number) for number in range(12)]
    assert record.system_indexes() == by_search(record)
