"""Four times the work costs four times as much, by what is counted: calls, comparisons, copies.  Nothing is timed.

Calls of functions are counted by `sys.setprofile`.  It does not see what happens inside of one, where a list or a text
may be copied: there, the lists and texts themselves count what is copied of them.
"""

import json
import sys
import threading
from collections.abc import Iterator
from typing import Any, Callable, Optional

import pytest

import rawchat
from rawchat import History, bulk
from rawchat.cache import cached
from rawchat.cli import wrap
from rawchat.history import window
from rawchat.limits import ratelimiter
from rawchat.merge import MessageAccumulator
from rawchat.sse import events, long_events, parse_short_events
from rawchat.stream import Stream
from rawchat.wire import Request, Response, Transport

from .server import completion

WORK = 60
#: What is counted at four times the work, at most, in proportion: some of it is the same for any work.
LINEAR = 4.4

DONE = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}


# what is counted


class Count:
    """The number of calls in a block, in threads that are started in it too; and of what else is added to it."""

    def __init__(self) -> None:
        self.calls = 0

    def _profile(self, frame: Any, event: str, argument: Any) -> None:
        if event in ("call", "c_call"):
            self.calls += 1

    def __enter__(self) -> "Count":
        threading.setprofile(self._profile)
        sys.setprofile(self._profile)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)
        threading.setprofile(None)  # type: ignore[arg-type, unused-ignore]


class Copies:
    """The characters and items that were copied out of the values below."""

    def __init__(self) -> None:
        self.count = 0

    def watch(self, value: Any) -> Any:
        """Return a value of JSON whose texts and lists count what is copied of them."""
        if isinstance(value, str):
            return WatchedText(value, self)
        if isinstance(value, list):
            return WatchedList([self.watch(item) for item in value], self)
        if isinstance(value, dict):
            return {name: self.watch(item) for name, item in value.items()}
        return value


class WatchedText(str):
    """A text that counts the characters that `+` copies."""

    copies: Copies

    def __new__(cls, text: str, copies: Copies) -> "WatchedText":
        self = super().__new__(cls, text)
        self.copies = copies
        return self

    def __add__(self, other: str) -> "WatchedText":
        self.copies.count += len(self) + len(other)
        return WatchedText(str(self) + str(other), self.copies)

    def __radd__(self, other: str) -> "WatchedText":
        self.copies.count += len(self) + len(other)
        return WatchedText(str(other) + str(self), self.copies)


class WatchedList(list[Any]):
    """A list that counts the items that `+` and a loop over it copy."""

    def __init__(self, items: list[Any], copies: Copies):
        super().__init__(items)
        self.copies = copies

    def __iter__(self) -> Iterator[Any]:
        for item in super().__iter__():
            self.copies.count += 1
            yield item

    def __add__(self, other: Any) -> "WatchedList":
        self.copies.count += len(self) + len(other)
        return WatchedList(list.__add__(self, other), self.copies)

    def __radd__(self, other: Any) -> "WatchedList":
        self.copies.count += len(self) + len(other)
        return WatchedList(list.__add__(list(other), list(self)), self.copies)


class WatchedHistory(History):
    """A conversation that counts the messages that are copied out of it, or looked at one after the other."""

    seen = 0

    def __iter__(self) -> Iterator[Any]:
        for message in super().__iter__():
            self.seen += 1
            yield message

    def __getitem__(self, key: Any) -> Any:
        found = super().__getitem__(key)
        self.seen += len(found) if isinstance(key, slice) else 1
        return found


def assert_constant(count: Callable[[int], int]) -> None:
    """Assert that `count`, of what a call takes beside this much, does not grow with it.

    A few calls come and go with the collector and the threads; one for each unit more would be 180.
    """
    count(WORK)  # what is made at the first use
    assert count(4 * WORK) <= count(WORK) + WORK // 2


def assert_linear(count: Callable[[int], int]) -> None:
    """Assert that `count`, of what a piece of work of this size takes, grows no faster than the size."""
    count(1)  # what is made at the first use
    once, fourfold = count(WORK), count(4 * WORK)
    assert once > 0
    assert fourfold < LINEAR * once


# streams


def of_delta(**delta: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]}


def of_call(number: int, index: Optional[int], id: Optional[str], arguments: str) -> dict[str, Any]:
    call: dict[str, Any] = {"function": {"name": f"f{number}", "arguments": arguments}}
    if index is not None:
        call["index"] = index
    if id is not None:
        call["id"] = id
    return of_delta(tool_calls=[call])


def with_logprobs(number: int) -> dict[str, Any]:
    chunk = of_delta(content="word ")
    token = {"token": "word", "logprob": -0.5, "bytes": [119], "top_logprobs": []}
    chunk["choices"][0]["logprobs"] = {"content": [token], "refusal": None}
    return chunk


def with_annotation(number: int) -> dict[str, Any]:
    citation = {"type": "url_citation", "url_citation": {"url": f"http://localhost/{number}"}}
    return of_delta(content="word ", annotations=[citation])


CHUNKS: dict[str, Callable[[int], dict[str, Any]]] = {
    "texts": lambda number: of_delta(content="word "),
    "parts": lambda number: of_delta(content=[{"type": "text", "text": "word "}]),
    "pictures": lambda number: of_delta(content=[{"type": "image_url", "image_url": {"url": "x"}}]),
    "logprobs": with_logprobs,
    "annotations": with_annotation,
    "reasoning": lambda number: of_delta(reasoning_details=[{"index": 0, "text": "hm "}]),
    "arguments of one call": lambda number: of_delta(
        tool_calls=[{"index": 0, "function": {"arguments": "word "}}]
    ),
    "calls": lambda number: of_call(number, number, f"call_{number}", "{}"),
    "calls that are all numbered 0": lambda number: of_call(number, 0, f"call_{number}", "{}"),
    "calls without number and id": lambda number: of_call(number, None, None, "{}"),
    "the name in every delta": lambda number: of_call(0, 0, "call_0", '{"a": '),
    "choices": lambda number: {"choices": [{"index": number, "delta": {"content": "word "}}]},
}


@pytest.mark.parametrize("kind", CHUNKS)
def test_to_merge_a_stream_is_linear(kind: str) -> None:
    def count(size: int) -> int:
        copies = Copies()
        merge = MessageAccumulator()
        chunks = [copies.watch(CHUNKS[kind](number)) for number in range(size)]
        with Count() as counted:
            for chunk in chunks:
                merge.add(chunk)
            merge.build()
        return counted.calls + copies.count

    assert_linear(count)


@pytest.mark.parametrize("at_once", [True, False], ids=["in one piece", "a piece each"])
@pytest.mark.parametrize("kind", CHUNKS)
def test_to_read_a_stream_is_linear(kind: str, at_once: bool) -> None:
    def count(size: int) -> int:
        pieces = [as_event(CHUNKS[kind](number)) for number in range(size)]
        pieces += [as_event(DONE), b"data: [DONE]\n\n"]
        if at_once:
            pieces = [b"".join(pieces)]
        with Count() as counted:
            read_stream(pieces)
        return counted.calls

    assert_linear(count)


def as_event(chunk: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


def read_stream(pieces: Any) -> rawchat.Reply:
    """Read a stream of these pieces, its texts too."""
    response = Response(200, {"content-type": "text/event-stream"}, pieces)
    stream = Stream(response)
    for _ in stream.texts():
        pass
    return stream.reply


class WatchedChoices(dict[int, Any]):
    """The choices of a stream, which count how many of them are looked at one after the other."""

    seen = 0

    def __iter__(self) -> Iterator[int]:
        for index in super().__iter__():
            self.seen += 1
            yield index


def test_to_find_the_first_choice_of_a_stream_is_linear() -> None:
    def count(size: int) -> int:
        # no choice has the index 0, so that the first one has to be found
        pieces = [
            as_event({"choices": [{"index": number + 1, "delta": {}, "finish_reason": "stop"}]})
            for number in range(size)
        ]
        stream = Stream(Response(200, {}, [*pieces, b"data: [DONE]\n\n"]))
        stream._merge.choices = choices = WatchedChoices()
        assert len(stream.reply.choices) == size
        return choices.seen + size

    assert_linear(count)


def test_to_parse_a_long_event_with_a_long_name_is_linear(monkeypatch: pytest.MonkeyPatch) -> None:
    def count(size: int) -> int:
        parsed = []

        def parse(batch: bytes) -> Any:
            parsed.append(len(batch))
            return parse_short_events(batch)

        monkeypatch.setattr(long_events, "parse_short_events", parse)
        name = b"event: " + b"a" * (1000 * size)
        lines = [name, *[b"data: line"] * (100 * size), b"data: " + b"b" * 2**16]
        event = b"\n".join([*lines, b"", b""])
        (found,) = events([event])
        assert len(found.event) == 1000 * size
        assert found.data.count("line") == 100 * size
        return sum(parsed)

    assert_linear(count)


# conversations


def conversation(turns: int, **settings: Any) -> WatchedHistory:
    history = WatchedHistory(client(), system="s", **settings)
    for number in range(turns):
        history.append({"role": "user", "content": f"question {number:03}"})
        history.append({"role": "assistant", "content": f"answer {number:03}"})
    history.window()  # finds the system messages
    return history


def client(transport: Optional[Transport] = None, **settings: Any) -> rawchat.Client:
    settings = {"api_key": "sk-growth-1", "environ": {}, **settings}
    return rawchat.Client(
        base_url="http://localhost/v1", model="m", transport=transport or answer, **settings
    )


def answer(request: Request) -> Response:
    body = json.dumps(completion("Hello", usage={"prompt_tokens": 20, "completion_tokens": 5}))
    return Response(200, {"content-type": "application/json"}, [body.encode()])


@pytest.mark.parametrize("limits", [{"max_messages": 20}, {"max_tokens": 200}], ids=str)
@pytest.mark.parametrize("ask", [History.window, lambda history: history.ask("Hi")])
def test_a_window_of_the_same_size_costs_the_same_in_any_conversation(
    limits: dict[str, int], ask: Callable[[History], Any]
) -> None:
    def count(turns: int) -> int:
        history = conversation(turns, **limits)
        history.seen = 0
        with Count() as counted:
            ask(history)
        return counted.calls + history.seen

    assert_constant(count)


def test_a_window_without_bounds_hashes_no_message(monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[Any] = []
    monkeypatch.setattr(window, "message_key", hashed.append)
    history = conversation(WORK)
    assert history.window() == history
    history.max_messages = 20
    assert len(history.window()) == 19
    assert hashed == []


# terminals


@pytest.mark.parametrize("piece", ["字", "x", "`", "\t", "x\u0301"])
def test_to_wrap_a_line_without_spaces_is_linear(
    piece: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counted are the characters that are measured, and those that are kept after each piece, and copied by the next."""
    measure = wrap.width

    def count(size: int) -> int:
        characters = [0]

        def counted_width(text: str) -> int:
            characters[0] += len(text)
            return measure(text)

        monkeypatch.setattr(wrap, "width", counted_width)
        wrapper = wrap.WordWrapper(lambda: 20)
        with Count() as counted:
            for _ in range(size):
                wrapper.wrap(piece)
                kept = [value for value in vars(wrapper).values() if isinstance(value, str)]
                characters[0] += sum(map(len, kept))
        return counted.calls + characters[0]

    assert_linear(count)


# calls


@pytest.mark.parametrize("rotate_after", [None, 5.0])
def test_a_call_costs_the_same_with_any_number_of_keys(rotate_after: Optional[float]) -> None:
    def count(keys: int) -> int:
        many = [f"sk-growth-{number}" for number in range(keys)]
        asking = client(api_key=many, rotate_after=rotate_after)
        asking.chat("Hi")
        with Count() as counted:
            for _ in range(10):
                asking.chat("Hi")
        return counted.calls

    assert_constant(count)


def test_a_call_costs_the_same_with_any_number_of_cached_replies() -> None:
    def count(entries: int) -> int:
        asking = client(cached(answer, {}))
        for number in range(entries):
            asking.chat(f"question {number}")
        with Count() as counted:
            assert "age" in asking.chat("question 0").headers
            assert "age" not in asking.chat("another").headers
        return counted.calls

    assert_constant(count)


def test_rows_are_linear() -> None:
    def count(rows: int) -> int:
        asking = client()
        asking.chat("Hi")
        with Count() as counted:
            results = list(bulk.run_rows((f"q{number}" for number in range(rows)), 1, asking))
        assert len(results) == rows
        return counted.calls

    assert_linear(count)


def test_waiters_that_give_up_are_not_searched_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """All wait at the same time: each one's wait is the time in which the next one comes."""

    def count(waiters: int) -> int:
        semaphore = ratelimiter.FairSemaphore(0)
        left = [waiters]
        compared = [0]

        class Ticket:
            def wait(self, timeout: Optional[float]) -> bool:
                left[0] -= 1
                if left[0]:
                    semaphore.acquire(0)
                return False

            def __eq__(self, other: object) -> bool:
                compared[0] += 1
                return self is other

            __hash__ = object.__hash__

        with monkeypatch.context() as patch, Count() as counted:
            patch.setattr(ratelimiter.threading, "Event", Ticket)
            assert not semaphore.acquire(0)
        return counted.calls + compared[0]

    assert_linear(count)


# memory


def peak_of(pieces: Callable[[], Iterator[bytes]]) -> tuple[int, int]:
    """Return the peak of the memory that a stream takes, in bytes, and the length of its text."""
    tracemalloc = pytest.importorskip("tracemalloc", reason="PyPy has none")
    tracemalloc.start()
    try:
        reply = read_stream(pieces())
        return tracemalloc.get_traced_memory()[1], len(reply.text)
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("text", "before"),
    [("x", b""), ("x", b"event: message\nid: 1\n"), ("x\n", b""), ("é", b""), ("中", b"")],
)
def test_a_large_event_takes_at_most_five_times_its_size(text: str, before: bytes) -> None:
    size = 4_000_000
    whole = of_delta(content=text * (size // len(text.encode())))
    event = before + b"data: " + json.dumps(whole, ensure_ascii=False).encode() + b"\n\n"

    def pieces() -> Iterator[bytes]:
        for start in range(0, len(event), 16384):
            yield event[start : start + 16384]
        yield as_event(DONE) + b"data: [DONE]\n\n"

    peak, _ = peak_of(pieces)
    assert peak < 5 * len(event)


def test_a_stream_takes_the_memory_of_its_merged_reply() -> None:
    """Beyond a fixed amount: at most four times the text, where each short text by itself takes ten times."""

    def pieces(count: int) -> Iterator[bytes]:
        for number in range(count):
            yield as_event(of_delta(content=f" {number}"))
        yield as_event(DONE) + b"data: [DONE]\n\n"

    small_peak, small_text = peak_of(lambda: pieces(5_000))
    large_peak, large_text = peak_of(lambda: pieces(20_000))
    assert large_peak - small_peak < 4 * (large_text - small_text)
