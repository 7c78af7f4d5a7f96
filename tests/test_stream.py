"""Bytes to chunks to a reply: fed whole, fed one byte at a time, stopped in the middle."""

import gc
import json
import types
from collections.abc import Iterable, Iterator
from typing import Any, Optional

import pytest

from rawchat.errors import (
    APIConnectionError,
    APIError,
    APIResponseValidationError,
    APITimeoutError,
    DeadlineExceededError,
    StreamInterruptedError,
    StreamTimeoutError,
)
from rawchat.sse.pieces import AFTER_FINISH
from rawchat.stream import Stream
from rawchat.wire import Headers, Request, Response

from .server import HELLO, completion, delta, event
from .test_sse import cut

row = pytest.mark.row


def stream_of(pieces: Iterable[bytes], fails: Optional[Exception] = None, **fields: Any) -> Stream:
    def body() -> Iterator[bytes]:
        yield from pieces
        if fails:
            raise fails

    response = Response(200, {"Content-Type": "text/event-stream", "x-request-id": "req_1"}, body())
    response.request = Request(
        "POST",
        "https://host/v1/chat/completions",
        Headers({"Authorization": "Bearer sk-very-secret"}),
    )
    return Stream(response, **fields)


def broken(
    pieces: Iterable[bytes], fails: Optional[Exception] = None, **fields: Any
) -> tuple[list[str], APIError]:
    """The texts of a stream, and the error that ends it."""
    stream, texts = stream_of(pieces, fails, **fields), list[str]()
    with pytest.raises(APIError) as caught:  # noqa: PT012  # one by one: those before the error count
        for text in stream.texts():
            texts.append(text)
    assert caught.value.request_id == "req_1"
    assert caught.value.partial["choices"] == stream._merge.build()["choices"]
    return texts, caught.value


# ---- streams


@row("5.2", "10.6")
def test_a_stream_gives_its_texts_and_its_reply() -> None:
    for pieces in cut(b"".join(HELLO)):
        stream = stream_of(pieces)
        assert list(stream.texts()) == ["Hel", "lo"]
        assert stream.reply.text == "Hello"
        assert (stream.reply.finish_reason, stream.reply.request_id, stream.request_id) == (
            "stop",
            "req_1",
            "req_1",
        )


@row("5.2", "10.3")
@pytest.mark.parametrize(
    "done",
    [
        b"data: [DONE]\n\n",
        b"data:[DONE]\n\n",
        b"data:   [DONE]  \n\n",
        b"data: [DONE] x\n\n",
        b"data: [DONE]",
    ],
)
def test_done_ends_and_what_follows_is_ignored(done: bytes) -> None:
    stream = stream_of([*HELLO[:3], done, event(delta(" more")), b"\xff junk"])
    assert "".join(stream.texts()) == "Hello"


@row("5.2", "5.7")
@pytest.mark.parametrize(
    "noise",
    [
        b": ping",
        b"event: ping\ndata: {}",
        b'event: ping\ndata: {"error": 1}',
        b"data:",
        b"data: ",
        b"id: 7",
        b"retry: 10",
        b"foo: bar",
        b"data: null",
        b"data: [1]",
        b"data: 7",
        b'data: "text"',
        b'data: {"choices": null}',
        b'data: {"choices": [null]}',
        b'data: {"choices": [{"index": 0, "delta": "text"}]}',
        b'data: {"choices": 5, "error": null}',
    ],
)
def test_noise_is_passed_over(noise: bytes) -> None:
    assert (
        "".join(stream_of([noise + b"\n\n", HELLO[1], noise + b"\n\n", *HELLO[2:]]).texts())
        == "Hello"
    )


@row("5.4", "8.3")
def test_an_end_without_done_and_without_a_reason_is_an_interruption() -> None:
    texts, error = broken(HELLO[:3])
    assert texts == ["Hel", "lo"]
    assert type(error) is StreamInterruptedError
    assert error.partial.text == "Hello"
    assert error.partial.finish_reason is None
    assert error.status_code == 200


@row("5.4")
def test_done_or_a_reason_for_every_choice_is_the_end() -> None:
    assert stream_of(HELLO[:4]).reply.text == "Hello"
    assert stream_of([*HELLO[:3], HELLO[4]]).reply.finish_reason is None
    assert type(broken(HELLO[:4], choices=2)[1]) is StreamInterruptedError
    assert (
        type(broken([event(delta("a", "stop")), event(delta("b", index=1))])[1])
        is StreamInterruptedError
    )


@row("5.6", "5.4")
def test_cut_at_every_byte_it_is_whole_or_interrupted_and_never_silent() -> None:
    whole = b"".join(HELLO)
    finished = len(b"".join(HELLO[:4])) - 2  # from here on its finish_reason is known
    for at in range(len(whole)):
        for fails in (None, APIConnectionError("reset")):
            stream = stream_of([whole[:at]], fails)
            if at >= finished + (2 if fails else 0):
                assert stream.reply.text == "Hello"
                continue
            with pytest.raises(StreamInterruptedError) as caught:
                list(stream)
            assert "Hello".startswith(caught.value.partial.text)


@row("5.6")
@pytest.mark.parametrize(
    ("fails", "kind"),
    [
        (APIConnectionError("host: reset"), StreamInterruptedError),
        (APITimeoutError("host: slow"), StreamTimeoutError),
        (DeadlineExceededError("late"), DeadlineExceededError),
        (APIResponseValidationError("odd"), APIResponseValidationError),
    ],
)
def test_whatever_breaks_it_carries_what_came(fails: APIError, kind: type[APIError]) -> None:
    fails.__cause__ = cause = OSError("the cause")
    texts, error = broken(HELLO[:2], fails)
    assert texts == ["Hel"]
    assert type(error) is kind
    assert error.partial.text == "Hel"
    assert error.__cause__ is cause
    assert error.__context__ is None
    assert fails.message in str(error)


@row("5.7")
@pytest.mark.parametrize(
    ("wrong", "say"),
    [
        (b'data: {"error": {"message": "it is full", "code": "busy"}}\n\n', "it is full"),
        (b'data: {"error": "it is full"}\n\n', "it is full"),
        (b'data: {"object": "error", "message": "it is full"}\n\n', "it is full"),
        (b"event: error\ndata: 429 is full\n\n", "429 is full"),
        (b"event: error\ndata: it is full\n\n", "it is full"),
        (b'event: error\ndata: {"message": "it is full"}\n\n', "it is full"),
        (b'event: error\ndata: "it is full"\n\n', "it is full"),
        (b'event: error\ndata: {"detail": "it is full"}\n\n', "it is full"),
        (b"event: error\ndata:\n\n", "error in the stream"),
        (b"event: error\ndata: null\n\n", "error in the stream"),
        (b'data: {"error": {}, "object": "error"}\n\n', "error in the stream"),
    ],
)
def test_an_error_told_in_the_stream_is_raised(wrong: bytes, say: str) -> None:
    texts, error = broken([HELLO[1], wrong, *HELLO[2:]])
    assert texts == ["Hel"]
    assert type(error) is APIError
    assert say in str(error)
    if b"busy" in wrong:
        assert (error.code, error.body) == ("busy", {"message": "it is full", "code": "busy"})


@row("5.8")
def test_a_whole_completion_instead_of_events_is_one_chunk() -> None:
    body = json.dumps(completion("Hello", usage={"total_tokens": 3})).encode()
    for pieces in cut(body):
        stream = stream_of(pieces)
        assert list(stream.texts()) == ["Hello"]
        assert stream.reply == json.loads(body)
    stream = stream_of([b'{"choices": [{"index": 0, "text": "Hello", "finish_reason": "stop"}]}'])
    assert (list(stream.texts()), stream.reply.text) == (["Hello"], "Hello")


@row("5.8")
@pytest.mark.parametrize(
    ("body", "say"),
    [
        (b'{"error": {"message": "no such model"}}', "no such model"),
        (b"<html>Welcome", "web page: check base_url"),
        (b"[1]", "not a JSON object"),
        (b'{"choices": [', "cut off"),
        (b"{}", "200, but without a choice"),
        (b"", "after 0 chunks"),
        (b"OK", "after 0 chunks"),
        (b"\n\n\n", "after 0 chunks"),
    ],
)
def test_anything_else_instead_of_events_raises(body: bytes, say: str) -> None:
    texts, error = broken([body])
    assert texts == []
    assert say in str(error)


@row("10.3", "5.8")
def test_a_stream_of_nothing_but_done_raises() -> None:
    assert "nothing but [DONE]" in str(broken([b": hi\n\n", HELLO[4]])[1])


@row("5.9", "8.6")
@pytest.mark.parametrize(
    "bad", [b"oops, not JSON", b"{} {}", b'{"choices": [', b"{'a': 1}", b"[" * 200_000, b"9" * 5000]
)
def test_bad_json_in_an_event_is_an_error_with_an_excerpt(bad: bytes) -> None:
    texts, error = broken([HELLO[1], event(bad), *HELLO[2:]])
    assert texts == ["Hel"]
    assert type(error) is APIResponseValidationError
    assert bad[:20].decode() in str(error)
    assert len(str(error)) < 400


@row("4.5")
def test_a_key_that_the_stream_echoes_is_not_told() -> None:
    _, error = broken([event({"error": {"message": "bad key sk-very-secret"}})])
    assert "sk-very-secret" not in f"{error!r} {error} {error.__dict__}"


@row("5.10")
def test_leaving_frees_the_connection_and_a_second_look_yields_nothing() -> None:
    for leave in ("break", "close", "with", "end"):
        stream, closed = stream_of(HELLO), list[int]()
        stream.response.close = lambda closed=closed: closed.append(1)  # type: ignore[misc]
        if leave == "break":
            for _ in stream:
                break
            gc.collect()  # PyPy ends a loop's generator only then
        elif leave == "close":
            stream.close()
        elif leave == "with":
            with stream:
                next(stream)
        else:
            list(stream)
        assert closed
        assert list(stream) == []
        assert stream.reply.text == ("Hello" if leave == "end" else "")


def test_reply_reads_what_is_still_to_come() -> None:
    stream = stream_of(HELLO)
    assert next(stream).text == ""
    assert stream.reply.text == "Hello"
    assert stream.reply is stream.reply


def test_on_reply_is_called_once_with_the_finished_reply() -> None:
    seen: list[Any] = []
    stream = stream_of(HELLO, on_reply=seen.append)
    assert list(stream.texts()) == ["Hel", "lo"]
    assert stream.reply is seen[0]
    assert len(seen) == 1
    broken(HELLO[:2], on_reply=seen.append)
    stream_of(HELLO, on_reply=seen.append).close()
    assert len(seen) == 1


def test_a_chunk_is_the_dict_that_was_sent_and_remembers_its_text() -> None:
    payload = delta("Hi", new_field=[1])
    chunk = next(stream_of([event(payload), HELLO[4]]))
    assert chunk == payload
    assert json.loads(chunk.data) == payload
    assert next(stream_of([event(delta("Hi", index=1))], choices=2)).text == ""


@pytest.mark.parametrize("first", [1, 2, 7])
def test_a_stream_that_counts_its_only_choice_from_another_number_has_its_text(first: int) -> None:
    def chunk(text: str, finish: Optional[str] = None) -> bytes:
        choice = {"index": first, "delta": {"content": text}, "finish_reason": finish}
        return b"data: " + json.dumps({"choices": [choice]}).encode() + b"\n\n"

    pieces = [chunk("Hel"), chunk("lo"), chunk("", "stop"), b"data: [DONE]\n\n"]
    stream = Stream(Response(200, {}, pieces))
    assert list(stream.texts()) == ["Hel", "lo"]
    assert stream.reply.text == "Hello"


# ---- a stream that is held open after its end


class Clock:
    """A clock that each piece moves on by a second."""

    def __init__(self) -> None:
        self.now = 0.0
        self.timeouts: list[float] = []

    def pieces(self, events: Iterable[bytes]) -> Iterator[bytes]:
        for piece in events:
            yield piece
            self.now += 1

    def stream(self, events: Iterable[bytes]) -> Stream:
        """Return a stream of these events, a second for each."""
        stream = stream_of(self.pieces(events))
        stream.response.set_read_timeout = self.timeouts.append
        return stream


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    stub = types.SimpleNamespace(monotonic=lambda: clock.now)
    monkeypatch.setattr("rawchat.sse.pieces.time", stub)
    return clock


PING = b": ping\n\n"


@row("5.4")
def test_heartbeats_after_the_last_finish_reason_do_not_hold_up_the_reply(clock: Clock) -> None:
    """maximhq/bifrost#6784: no [DONE], no end of the body, and a comment now and then, for ever."""
    stream = clock.stream([*HELLO[:-1], *[PING] * 1000])
    assert list(stream.texts()) == ["Hel", "lo"]
    assert clock.timeouts == [AFTER_FINISH]
    assert len(HELLO) < clock.now <= len(HELLO) + AFTER_FINISH + 1


@row("5.4")
def test_what_follows_the_finish_reason_in_time_is_read(clock: Clock) -> None:
    usage = event({"choices": [], "usage": {"prompt_tokens": 7}})
    stream = clock.stream([*HELLO[:-1], *[PING] * 9, usage, *[PING] * 9, HELLO[-1]])
    assert stream.reply.usage == {"prompt_tokens": 7}


@row("5.4")
def test_a_server_that_sends_a_finish_reason_with_every_chunk_is_waited_for(
    clock: Clock,
) -> None:
    """BerriAI/litellm#376."""
    chunks = [event(delta(text, "stop")) for text in "abc"]
    slow = [piece for chunk in chunks for piece in (chunk, *[PING] * 9)]
    assert list(clock.stream([*slow, HELLO[-1]]).texts()) == ["a", "b", "c"]


@row("5.4")
def test_a_choice_that_goes_on_after_its_finish_reason_is_waited_for(clock: Clock) -> None:
    slow = [piece for chunk in HELLO[:3] for piece in (chunk, *[PING] * 9)]
    stream = clock.stream([event(delta("So: ", "stop")), *slow, *HELLO[3:]])
    assert "".join(stream.texts()) == "So: Hello"


@row("5.4")
def test_heartbeats_before_the_finish_reason_are_waited_for(clock: Clock) -> None:
    stream = clock.stream([HELLO[0], *[PING] * 100, *HELLO[1:]])
    assert list(stream.texts()) == ["Hel", "lo"]
    assert clock.timeouts == [AFTER_FINISH]
