"""`stream`: events of any endpoint, and bytes, read while they arrive."""

import json
import pathlib
import threading
from typing import Any, Optional

import pytest

import rawchat
from rawchat.resources import ByteStream, EventStream, ServerEvent

from ..conftest import Waits
from ..server import CLOSE, HELLO, PATIENCE, RESET, Server, Step, answer, head, serving, streamed

row = pytest.mark.row

KEY = "sk-1234567890"


def client(server: Server, **settings: Any) -> rawchat.Client:
    return rawchat.Client(KEY, server.url, environ={}, **settings)


def named(name: str, **fields: Any) -> bytes:
    """One event of /responses, with its name twice, as OpenAI sends it."""
    data = json.dumps({"type": name, **fields}, ensure_ascii=False)
    return f"event: {name}\ndata: {data}\n\n".encode()


CREATED = named("response.created", response={"id": "resp_1", "status": "in_progress"})
HEL = named("response.output_text.delta", delta="Hel")
LO = named("response.output_text.delta", delta="lo")
OUTPUT = [{"type": "message", "content": [{"type": "output_text", "text": "Hello"}]}]
COMPLETED = named(
    "response.completed",
    response={
        "id": "resp_1",
        "status": "completed",
        "output": OUTPUT,
        "usage": {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5},
    },
)
WHOLE = (CREATED, HEL, LO, COMPLETED)


def open_stream(server: Server, **settings: Any) -> EventStream:
    stream = client(server, **settings).stream("/responses", {"model": "m", "input": "Hi"})
    assert isinstance(stream, EventStream)
    return stream


# ---- events


@row("14.9")
def test_the_events_of_responses_keep_their_names_and_need_no_done() -> None:
    replies: list[rawchat.Reply] = []
    with serving(streamed(WHOLE, end=False)) as server:
        stream = open_stream(server, on_reply=replies.append)
        seen = list(stream)
    assert [event.event for event in seen] == [
        "response.created",
        "response.output_text.delta",
        "response.output_text.delta",
        "response.completed",
    ]
    assert "".join(event.text for event in seen) == "Hello"
    assert seen[0].data["response"]["id"] == "resp_1"
    assert stream.reply.text == "Hello"
    assert (stream.reply["id"], stream.reply["status"]) == ("resp_1", "completed")
    assert stream.reply.usage == {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}
    assert replies == [stream.reply]
    assert server.requests[0].json == {"model": "m", "input": "Hi", "stream": True}


@row("14.9")
def test_an_event_arrives_before_the_next_one_is_sent() -> None:
    came = threading.Event()
    with (
        serving(streamed([CREATED, HEL, came, LO, COMPLETED])) as server,
        client(server).stream("/responses", {"input": "Hi"}) as stream,
    ):
        texts = stream.texts()
        assert next(texts) == "Hel"
        came.set()
        assert list(texts) == ["lo"]


@row("14.9")
@pytest.mark.parametrize(
    ("last", "message"),
    [
        (named("error", code="server_error", message="it broke"), "error in the stream: it broke"),
        (named("error", error={"message": "it broke"}), "error in the stream: it broke"),
        (b"event: error\ndata: it broke\n\n", "error in the stream: it broke"),
        (
            named("response.failed", response={"id": "r", "error": {"message": "no luck"}}),
            "error in the stream: no luck",
        ),
        (named("response.failed", response={"id": "r"}), "failed, for no reason given"),
        (b'data: {"error": {"message": "out of memory"}}\n\n', "out of memory"),
    ],
)
def test_an_error_event_raises_with_what_had_arrived(last: bytes, message: str) -> None:
    with serving(streamed([CREATED, HEL, last])) as server:
        stream = open_stream(server)
        with pytest.raises(rawchat.APIError, match=message) as caught:
            list(stream)
    assert caught.value.partial is not None
    assert caught.value.partial.text == "Hel"
    assert caught.value.partial["id"] == "resp_1"
    assert caught.value.status_code == 200


@row("14.9")
@pytest.mark.parametrize("end", [CLOSE, RESET, None])
def test_a_stream_that_breaks_off_is_an_error(end: Optional[str]) -> None:
    steps: list[Step] = streamed([CREATED, HEL], end=end is None)
    with (
        serving([*steps, end] if end else steps) as server,
        pytest.raises(rawchat.StreamInterruptedError) as caught,
    ):
        list(open_stream(server))
    assert caught.value.partial is not None
    assert caught.value.partial.text == "Hel"


def test_a_connection_that_breaks_after_the_last_event_takes_nothing() -> None:
    with serving([*streamed(WHOLE, end=False), RESET]) as server:
        assert open_stream(server).reply.text == "Hello"


def test_a_connection_serves_the_next_call_after_the_last_event() -> None:
    with serving(streamed(WHOLE)) as server:
        caller = client(server)
        for _ in range(2):
            assert caller.stream("/responses", {"input": "Hi"}).reply.text == "Hello"
    assert server.connections == 1


def test_an_answer_that_is_incomplete_is_no_error() -> None:
    last = named("response.incomplete", response={"id": "r", "status": "incomplete"})
    with serving(streamed([CREATED, HEL, last])) as server:
        assert open_stream(server).reply["status"] == "incomplete"


def test_a_chat_is_merged() -> None:
    with serving(streamed(HELLO)) as server:
        stream = client(server).stream("/chat/completions", {"messages": []})
        assert list(stream.texts()) == ["Hel", "lo"]
    assert stream.reply.text == "Hello"
    assert stream.reply.finish_reason == "stop"


def test_a_chat_that_ends_without_a_finish_reason_is_an_error() -> None:
    with serving(streamed(HELLO[:3])) as server:
        stream = client(server).stream("/chat/completions", {"messages": []})
        with pytest.raises(rawchat.StreamInterruptedError, match="before its last one"):
            list(stream)


def test_events_of_an_unknown_kind_end_where_the_body_ends() -> None:
    events = [
        b"event: tick\ndata: 1\n\n",
        b": comment\n\nevent: ping\ndata: {}\n\n",
        b"data: [2]\n\n",
    ]
    with serving(streamed(events)) as server:
        assert list(client(server).stream("/ticks")) == [
            ServerEvent("tick", 1),
            ServerEvent("message", [2]),
        ]
    assert (server.requests[0].method, server.requests[0].body) == ("GET", b"")


def test_a_server_that_does_not_stream_sends_one_event() -> None:
    with serving(answer({"id": "resp_1", "output": OUTPUT})) as server:
        stream = open_stream(server)
        assert list(stream.texts()) == ["Hello"]
    assert stream.reply.text == "Hello"


@pytest.mark.parametrize(
    ("answered", "message"),
    [
        (streamed([]), "the stream is empty"),
        (streamed([b"data: {half\n\n"]), "an event of the stream is not JSON: {half"),
        (head(200, Content_Type="text/html", Content_Length=6) + b"<html>", "<html>"),
        (answer({"error": {"message": "busy"}}), "200, but an error: busy"),
    ],
)
def test_what_is_no_stream_is_an_error(answered: Any, message: str) -> None:
    with serving(answered) as server, pytest.raises(rawchat.APIError, match=message):
        list(open_stream(server, max_retries=0))


def test_an_error_before_the_first_event_is_tried_again(waits: Waits) -> None:
    with serving(answer({}, 503), streamed(WHOLE)) as server:
        assert open_stream(server, sleep=waits).reply.retries == 1
    assert len(waits) == 1


@pytest.mark.parametrize(
    ("body", "sent"),
    [
        ({"a": 1}, b'{"a":1,"stream":true}'),
        ({"a": 1, "stream": None}, b'{"a":1}'),
        ({"a": 1, "stream": False}, b'{"a":1,"stream":false}'),
        (b"raw", b"raw"),
    ],
)
def test_a_stream_is_asked_for_unless_the_caller_decides(body: Any, sent: bytes) -> None:
    with serving(streamed(WHOLE)) as server:
        client(server).stream("/responses", body).close()
    assert server.requests[0].body == sent


def test_no_key_is_in_an_error_of_a_stream() -> None:
    with (
        serving(streamed([CREATED, named("error", message=f"bad key {KEY}")])) as server,
        pytest.raises(rawchat.APIError) as caught,
    ):
        list(open_stream(server))
    assert KEY not in repr(caught.value) + str(caught.value)


# ---- bytes


def download(*pieces: Step, length: int) -> list[Step]:
    return [head(200, Content_Type="audio/mpeg", Content_Length=length), *pieces]


@row("14.6")
def test_bytes_arrive_before_the_next_ones_are_sent() -> None:
    came = threading.Event()
    with serving(download(b"one", came, b"two", length=6)) as server:
        stream = client(server).stream("/files/f/content")
        assert isinstance(stream, ByteStream)
        assert next(stream) == b"one"
        came.set()
        assert b"".join(stream) == b"two"
    assert (stream.content_type, stream.status) == ("audio/mpeg", 200)


@row("14.6")
def test_bytes_are_saved_without_a_bound_and_read_within_it(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "copy"
    with serving(download(bytes(5000), length=5000)) as server:
        caller = client(server, max_bytes=1000)
        assert caller.stream("/f").save(path) == str(path)
        with pytest.raises(rawchat.APIResponseValidationError, match="over 1000 bytes"):
            caller.stream("/f").read()
        assert client(server).stream("/f").read() == bytes(5000)
    assert path.read_bytes() == bytes(5000)


@row("14.6")
def test_a_body_that_breaks_off_leaves_no_file(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "copy"
    path.write_bytes(b"before")
    with (
        serving([*download(b"half", length=9), CLOSE]) as server,
        pytest.raises(rawchat.StreamInterruptedError),
    ):
        client(server).stream("/f").save(path)
    assert path.read_bytes() == b"before"
    assert [file.name for file in tmp_path.iterdir()] == ["copy"]


def test_leaving_a_byte_stream_frees_the_connection() -> None:
    gone = threading.Event()

    def wait_for_end(connection: Any) -> None:
        connection.settimeout(PATIENCE)
        if not connection.recv(1):
            gone.set()

    with serving(download(b"one", wait_for_end, length=6)) as server:
        with client(server).stream("/f") as stream:
            for piece in stream:
                assert piece == b"one"
                break
        assert gone.wait(PATIENCE)


def test_a_web_page_in_answer_to_a_post_is_an_error_and_a_download_of_one_is_not() -> None:
    page = head(200, Content_Type="text/html", Content_Length=6) + b"<html>"
    with serving(page) as server:
        assert client(server).stream("/f").read() == b"<html>"
        with pytest.raises(rawchat.APIResponseValidationError):
            client(server, max_retries=0).stream("/f", {"a": 1})
