"""`cached`: the same question is asked once, and nothing but whole answers is kept."""

import contextlib
import json
import math
import pathlib
import pickle
import shelve
from collections.abc import Iterator
from typing import Any

import pytest

import rawchat
from rawchat.cache import as_entry, cached
from rawchat.errors import APIConnectionError, APIError, InternalServerError, StreamInterruptedError
from rawchat.transport import over_http
from rawchat.wire import Request, Response

from .server import CLOSE, HELLO, RESET, answer, completion, delta, event, head, serving, streamed

KEY = "sk-very-secret-key"
OK = answer(completion(), headers={"x-request-id": "req_1", "Set-Cookie": "session=secret-cookie"})


def client_of(server: Any, store: Any, **settings: Any) -> rawchat.Client:
    return rawchat.Client(
        KEY, transport=cached(over_http(server.url), store, **settings), environ={}, max_retries=0
    )


@pytest.mark.parametrize("shelved", [False, True])
def test_the_same_question_is_asked_once(shelved: bool, tmp_path: pathlib.Path) -> None:
    opened: Any = shelve.open(str(tmp_path / "answers")) if shelved else contextlib.nullcontext({})  # noqa: SIM115
    with opened as store, serving(OK, streamed()) as server:
        client = client_of(server, store)
        first, second = client.chat("Hi"), client.chat("Hi")
        assert first == second == completion()
        assert (second.request_id, first.headers.get("age"), second.headers.get("age")) == (
            "req_1",
            None,
            "0",
        )
        asked = client.stream_chat("Hi")
        chunks = list(asked)
        kept = client.stream_chat("Hi")
        assert (list(kept), kept.reply, len(chunks)) == (chunks, asked.reply, 4)
        assert len(server.requests) == 2


def test_what_was_kept_outlives_the_client() -> None:
    store: dict[str, Any] = {}
    with serving(OK, streamed()) as server:
        client = client_of(server, store)
        client.chat("Hi")
        assert client.stream_chat("Hi").reply.text == "Hello"
        kept = pickle.loads(pickle.dumps(store))
        other = client_of(server, kept)
        assert other.chat("Hi").text == other.stream_chat("Hi").reply.text == "Hello"
        assert len(server.requests) == 2
    assert KEY.encode() not in pickle.dumps(store)
    assert b"secret-cookie" not in pickle.dumps(store)


def test_headers_do_not_make_another_question_but_all_else_does() -> None:
    with serving(OK) as server:
        client = client_of(server, {})
        for _ in range(2):
            client.chat("Hi")
            client.chat("Hi", extra_headers={"Authorization": "Bearer another", "X-Trace": "1"})
            client.chat("Hi", seed=1)
            client.chat("Hi", extra_query={"v": 1})
            client.complete("Hi")
            client.models()
        assert len(server.requests) == 5


@pytest.mark.parametrize(
    ("broken", "ends"),
    [
        ([head(200, Content_Length=99), b'{"cho', CLOSE], False),
        ([head(200), b'{"choices": [', CLOSE], False),
        ([head(200, Transfer_Encoding="chunked"), b"5\r\n{", RESET], False),
        ([answer({}, 500)], False),
        ([answer({"error": {"message": "no"}})], False),
        ([answer({"object": "error", "message": "no", "code": 40303})], False),
        ([answer(b"<html>")], False),
        ([answer(b"[]")], False),
        (streamed(HELLO[:3]), True),
        (streamed([*HELLO[:3], RESET], end=False), True),
        (streamed([*HELLO[:2], event({"error": {"message": "no"}}), event("[DONE]")]), True),
    ],
)
def test_what_broke_off_or_failed_is_not_kept(broken: Any, ends: bool) -> None:
    store: dict[str, Any] = {}
    with serving(broken, streamed() if ends else OK) as server:
        client = client_of(server, store)
        for attempt in range(2):
            try:
                reply = client.stream_chat("Hi").reply if ends else client.chat("Hi")
            except APIError:
                assert (attempt, store) == (0, {})
        assert (reply.text, len(server.requests), len(store)) == ("Hello", 2, 1)


NESTED = {"choices": [{"message": {"content": "Hello"}, "x": json.loads("[" * 150 + "]" * 150)}]}
DONE = event("[DONE]")
FAILED = completion()
FAILED["choices"][0]["finish_reason"] = "error"


@pytest.mark.parametrize(
    "body",
    [
        json.dumps(NESTED),
        json.dumps(completion()).encode("utf-16"),
        "{}",
        "[]",
        '{"choices": null}',
        '{"detail": "no"}',
        '{"message": "slow down", "code": 429}',
        json.dumps(FAILED),
    ],
    ids=range(8),
)
def test_what_the_client_refuses_is_not_kept(body: Any) -> None:
    store: dict[str, Any] = {}
    body = body if isinstance(body, bytes) else body.encode()
    chat = Request("POST", "http://localhost/v1/chat/completions")
    for pieces in ([body], [b"data: " + body + b"\n\n", DONE]):
        cached(lambda request, pieces=pieces: Response(200, {}, pieces), store)(chat).read()
        left = cached(lambda request, pieces=pieces: Response(200, {}, pieces), store)(chat)
        assert b"".join(left.pieces)
        left.release()
    assert store == {}


@pytest.mark.parametrize(
    "events",
    [
        [event(delta("Hel")), DONE],
        [event(delta("Hello", "error")), DONE],
        [event(delta("Hello", "stop")), event({"error": {"message": "no"}}), DONE],
        [DONE],
    ],
)
def test_a_stream_that_failed_before_its_done_is_not_kept(events: list[bytes]) -> None:
    store: dict[str, Any] = {}
    chat = Request("POST", "http://localhost/v1/chat/completions")
    response = cached(lambda request: Response(200, {}, events), store)(chat)
    assert b"".join(response.pieces)
    response.release()
    assert store == {}


@pytest.mark.parametrize(
    "damaged",
    [
        1,
        "x",
        "four",
        (None, 200, {}, b""),
        (1.0, None, {}, b""),
        (1.0, 200, None, b""),
        (1.0, 200, {"a": 1}, b""),
        (1.0, 200, {}, "text"),
        (float("inf"), 200, {}, b""),
    ],
    ids=str,
)
def test_a_damaged_entry_counts_as_none(damaged: Any) -> None:
    store: dict[str, Any] = {}
    for settings in ({}, {"ttl": 60}, {"ttl": 60, "stale_if_error": True}):
        with serving(OK) as server:
            client = client_of(server, store, **settings)
            client.chat("Hi")
            store.update(dict.fromkeys(store, damaged))
            assert (client.chat("Hi").text, client.chat("Hi").text) == ("Hello", "Hello")
            assert len(server.requests) == 2
        store.clear()


def test_a_stream_that_was_left_is_not_kept() -> None:
    store: dict[str, Any] = {}
    with serving(streamed()) as server:
        client = client_of(server, store)
        with client.stream_chat("Hi") as stream:
            next(stream)
        for _ in client.stream_chat("Hi"):
            break
        assert store == {}
        client.stream_chat("Hi").close()
        assert (store, len(server.requests)) == ({}, 3)


def test_a_stream_whose_end_proves_nothing_is_not_kept() -> None:
    """Its choice has finished, so it is an answer; but what was to follow, as its usage, may have been cut."""
    store: dict[str, Any] = {}
    with serving(streamed(HELLO[:4])) as server:
        assert client_of(server, store).stream_chat("Hi").reply.text == "Hello"
    assert store == {}


def test_a_kept_answer_has_its_time_and_says_its_age() -> None:
    now = [1000.0]
    with serving(answer(completion("old")), answer(completion("new"))) as server:
        client = client_of(server, {}, ttl=60, now=lambda: now[0])
        ages = []
        for time in (1000, 1059.9, 1060, 1119):
            now[0] = time
            reply = client.chat("Hi")
            ages.append((reply.text, reply.headers.get("age")))
        assert ages == [("old", None), ("old", "59"), ("new", None), ("new", "59")]


def test_an_old_answer_is_given_while_the_server_is_down() -> None:
    now = [1000.0]
    script = [
        OK,
        answer({}, 503),
        [CLOSE],
        answer({"error": {"message": "who?"}}, 401),
        answer(completion("new")),
    ]
    with serving(*script) as server:
        client = client_of(server, {}, ttl=60, stale_if_error=True, now=lambda: now[0])
        assert client.chat("Hi").text == "Hello"
        now[0] += 100
        for _ in range(2):
            assert client.chat("Hi").text == "Hello"
        with pytest.raises(rawchat.AuthenticationError):
            client.chat("Hi")
        assert client.chat("Hi").text == "new"


@pytest.mark.parametrize(
    ("trouble", "kind"), [(answer({}, 503), InternalServerError), ([CLOSE], APIConnectionError)]
)
def test_without_stale_if_error_or_an_old_answer_the_error_is_raised(
    trouble: Any, kind: type[Exception]
) -> None:
    now = [1000.0]
    for settings, question in (({}, "Hi"), ({"stale_if_error": True}, "Ho")):
        with serving(OK, trouble) as server:
            client = client_of(server, {}, ttl=60, now=lambda: now[0], **settings)
            client.chat("Hi")
            now[0] += 100
            with pytest.raises(kind):
                client.chat(question)


def test_a_stream_is_passed_on_as_it_comes() -> None:
    passed = []

    def pieces() -> Iterator[bytes]:
        for piece in (event(delta("one")), event(delta("two", "stop")), event("[DONE]")):
            passed.append(piece)
            yield piece

    transport = cached(lambda request: Response(200, {}, pieces()), {})
    client = rawchat.Client(base_url="http://localhost/v1", transport=transport, environ={})
    texts = client.stream_chat("Hi").texts()
    assert (next(texts), len(passed)) == ("one", 1)


def test_a_broken_answer_to_a_raw_request_is_not_kept() -> None:
    store: dict[str, Any] = {}

    def broken() -> Iterator[bytes]:
        yield b'{"a": 1}'
        raise StreamInterruptedError("cut")

    with pytest.raises(StreamInterruptedError):
        cached(lambda request: Response(200, {}, broken()), store)(
            Request("GET", "http://localhost")
        ).read()
    assert store == {}


def test_connections_are_given_back() -> None:
    with serving(streamed()) as server:
        client = client_of(server, {})
        for seed in range(3):
            assert client.stream_chat("Hi", seed=seed).reply.text == "Hello"
        assert (len(server.requests), server.connections) == (3, 1)
    closed: list[int] = []
    script = [Response(200, {}, [b"{}"]), Response(503, {}, [], close=lambda: closed.append(503))]
    transport = cached(lambda request: script.pop(0), {}, ttl=0, stale_if_error=True)
    assert [transport(Request("GET", "http://localhost")).read() for _ in range(2)] == [
        b"{}",
        b"{}",
    ]
    assert closed == [503]


def test_with_the_clock_set_back_an_entry_counts_as_stale() -> None:
    with serving(OK) as server:
        for second, requests in ((1000.0, 1), (1001.0, 1), (500.0, 2), (501.0, 2)):
            if second == 1000.0:
                store: dict[str, Any] = {}
            transport = cached(
                over_http(server.url), store, ttl=60, now=lambda second=second: second
            )
            rawchat.Client(base_url=server.url, transport=transport, environ={}).chat("Hi")
            assert len(server.requests) == requests


@pytest.mark.parametrize("stored_at", [10**400, -(10**400), math.nan, math.inf, -math.inf])
def test_an_entry_of_no_time_counts_as_none(stored_at: float) -> None:
    assert as_entry((0, 200, {}, b"x")) is not None
    assert as_entry((stored_at, 200, {}, b"x")) is None
