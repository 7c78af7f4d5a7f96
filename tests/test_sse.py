"""Bytes to events, fed whole, in halves, byte by byte: the WHATWG's examples (HTML, 9.2.6), and its odd corners."""

import sys
import time
from collections.abc import Iterator

import pytest

from rawchat.errors import APIError
from rawchat.sse import NO_EVENT
from rawchat.sse.joined_events import split_joined
from rawchat.stream import events
from rawchat.wire import NOTHING_YET

row = pytest.mark.row


def data(*pieces: bytes) -> list[str]:
    return [event.data for event in events(pieces)]


def cut(whole: bytes) -> Iterator[list[bytes]]:
    """`whole` in every way that cuts it once, and in single bytes."""
    yield [whole]
    yield [bytes([byte]) for byte in whole]
    for at in range(len(whole) + 1):
        yield [whole[:at], whole[at:]]


@row("5.3", "8.2")
@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("data: YHOO\ndata: +2\ndata: 10\n\n", [("message", "YHOO\n+2\n10")]),
        (
            ": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n",
            [("message", "first event"), ("message", "second event"), ("message", " third event")],
        ),
        ("data\n\ndata\ndata\n\ndata:", [("message", ""), ("message", "\n")]),
        ("data:test\n\ndata: test\n\n", [("message", "test"), ("message", "test")]),
        ("event: add\ndata: 1\n\nevent: remove\ndata: 2\n\n", [("add", "1"), ("remove", "2")]),
        ("event: x\n\ndata: 1\n\n", [("message", "1")]),
        ("event: x\nevent:\ndata: 1\n\n", [("message", "1")]),
        ("data: a: b\n\n", [("message", "a: b")]),
        ("retry: 5\ndata: a\nunknown: x\n:c\n\n", [("message", "a")]),
        (
            "data: a\r\rdata: b\r\n\r\ndata: c\n\r\ndata: d\r\n\n",
            [("message", "a"), ("message", "b"), ("message", "c"), ("message", "d")],
        ),
        ("\n\n\r\ndata: a\n\n\n\n\ndata: b\n\n", [("message", "a"), ("message", "b")]),
        (
            "data: a\u2028b\u0085c\x0bd\x0ce\x1cf\x00g\n\n",
            [("message", "a\u2028b\u0085c\x0bd\x0ce\x1cf\x00g")],
        ),
        ("\ufeffdata: a\n\n", [("message", "a")]),
        ("\ufeff\ufeffdata: a\n\n", []),
        ("data: \ufeffa\n\n", [("message", "\ufeffa")]),
        (" data: a\n\ndata : b\n\n", []),
        ("Data: a\n\n", []),
        ("", []),
        ("\n", []),
        ("data: half", []),
        ("data: half\n", []),
    ],
)
def test_events_cut_anywhere(text: str, found: list[tuple[str, str]]) -> None:
    for pieces in cut(text.encode()):
        assert [(event.event, event.data) for event in events(pieces)] == found, pieces


@row("5.3")
def test_invalid_utf8_becomes_the_replacement_character() -> None:
    for pieces in cut(b"data: a\xffb\xe2\x82\n\ndata: \xe2\x82\xac\n\n"):
        assert data(*pieces) == ["a\ufffdb\ufffd", "€"]


@row("5.5")
@pytest.mark.parametrize(
    ("tail", "found"),
    [
        (b"data: [DONE]", ["[DONE]"]),
        (b"data:[DONE]\n", ["[DONE]"]),
        (b'data: {"a": 1}', ['{"a": 1}']),
        (b'data: {"a": 1}\nda', ['{"a": 1}']),
        (b'data: {"a": 1', []),
        (b"data: 1", []),
        (b"data: [1]", []),
        (b"data: text", []),
    ],
)
def test_a_last_event_without_its_blank_line_counts_if_it_is_whole(
    tail: bytes, found: list[str]
) -> None:
    assert data(b"data: a\n\n" + tail) == ["a", *found]


@row("2.8")
def test_an_event_is_bounded_in_one_piece_or_many() -> None:
    for pieces in (
        [b"data: " + b"x" * 200 + b"\n\n"],
        [b"data: "] + [b"x"] * 200,
        [b": x\n"] * 100,
    ):
        with pytest.raises(APIError, match="over 100 bytes; raise max_bytes"):
            list(events(pieces, 100))
    assert len(list(events([b"data: " + b"x" * 90 + b"\n\n"] * 50, 100))) == 50
    assert len(list(events([b"data: x\n\n" * 50], 100))) == 50


@row("5.11", "8.2")
@pytest.mark.parametrize(
    "line",
    [b"x" * 999 + b"\n", b"x" * 1000, b"data: " + b"x" * 993 + b"\n", b"data:\n", b": comment\n"],
)
def test_time_is_linear_in_the_size_of_an_event(line: bytes) -> None:
    """Eight times the size takes about eight times the time; a quadratic reader takes 64 times."""

    def seconds(size: int) -> float:
        best = 1e9
        for _ in range(3):
            start = time.process_time()
            list(events([b"data: ", *[line] * (size // len(line)), b"\n\n"]))
            best = min(best, time.process_time() - start)
        return best

    if sys.implementation.name == "pypy":
        pytest.skip("the first rounds of its compiler are slower than the later ones")
    small = 50_000 if len(line) < 20 else 1_000_000
    assert seconds(8 * small) < 24 * seconds(small) + 0.05


def test_while_nothing_has_arrived_the_events_say_so() -> None:
    """Before the first byte, within a byte order mark and a line end, and between events."""
    pieces = [
        NOTHING_YET,
        b"\xef",
        NOTHING_YET,
        b"\xbb\xbfdata: a\r",
        NOTHING_YET,
        b"\n\r\n",
        NOTHING_YET,
    ]
    found = list(events(pieces))
    assert [event.data for event in found if event is not NO_EVENT] == ["a"]
    assert found.count(NO_EVENT) == 4


@row("8.2")
def test_a_long_event_keeps_its_name_and_every_line() -> None:
    lines = [f"data: {number}" for number in range(1000)]
    text = "\n".join(
        [
            *lines[:150],
            "event: first",
            *lines[150:650],
            "event: last",
            *lines[650:],
            *[": c"] * 300,
            "id: 7",
        ]
    )
    (found,) = events([(text + "\n\n").encode()])
    assert (found.event, found.data) == ("last", "\n".join(str(number) for number in range(1000)))
    assert data(b": c\n" * 500 + b"\n") == []
    assert data(b": c\n" * 500 + b"data\n\n") == [""]


LONG = "x" * 70_000


@row("8.2")
@pytest.mark.parametrize(
    ("lines", "found"),
    [
        ([f"data: {LONG}"], ("message", LONG)),
        ([f"data:{LONG}"], ("message", LONG)),
        ([f"data:  {LONG} "], ("message", f" {LONG} ")),
        (["event: first", f"data: {LONG}", "event: last"], ("last", LONG)),
        ([f"data: {LONG}", "data: 1", f"data: {LONG}"], ("message", f"{LONG}\n1\n{LONG}")),
        (["data", f"data: {LONG}", "data"], ("message", f"\n{LONG}\n")),
        ([f"id: {LONG}", "data: 1"], ("message", "1")),
        ([f"data: {LONG}", f": {LONG}", f"retry: {LONG}"], ("message", LONG)),
        ([f"data: {LONG}中😀"], ("message", f"{LONG}中😀")),
    ],
)
def test_a_long_line_is_parsed_as_a_short_one(lines: list[str], found: tuple[str, str]) -> None:
    for end in ("\n", "\r\n"):
        text = end.join([*lines, "", ""])
        assert [(event.event, event.data) for event in events([text.encode()])] == [found]


def test_a_long_line_that_is_not_utf8_has_replacement_characters() -> None:
    assert data(b"data: " + LONG.encode() + b"\xff\xc3\n\n") == [LONG + "\ufffd\ufffd"]


@row("11.14")
@pytest.mark.parametrize(
    ("lines", "found"),
    [
        (['{"x": 1}', '{"x": 2}'], ['{"x": 1}', '{"x": 2}']),
        (['{"x": 1}', "[DONE]"], ['{"x": 1}', "[DONE]"]),
        (['{"x":', "1}"], ['{"x":\n1}']),  # one object over two lines
        (['{"x": [', "{}", "]}"], ['{"x": [\n{}\n]}']),  # a line of it is an object by itself
        (['{"x": 1}', "and a word"], ['{"x": 1}\nand a word']),
        (["1", "2"], ["1\n2"]),
        (['{"x": 1}', ""], ['{"x": 1}\n']),
    ],
)
@pytest.mark.parametrize("end", ["\n\n", "\n", ""])
def test_events_with_one_line_end_between_them_are_split(
    lines: list[str], found: list[str], end: str
) -> None:
    text = "event: odd\n" + "\n".join(f"data: {line}" for line in lines) + end
    for pieces in cut(text.encode()):
        split = [(event.event, event.data) for event in split_joined(events(pieces))]
        # At the end of a stream only whole objects, and [DONE], need no blank line.
        is_whole = found[0].startswith("{") and found[-1].rstrip().endswith(("}", "]"))
        counts = is_whole or end == "\n\n"
        assert split == ([("odd", data) for data in found] if counts else [])
