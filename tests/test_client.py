"""The life of a request: attempts, waits, keys, deadlines."""

import email.utils
import inspect
import json
import logging
import os
import pickle
import re
import signal
import threading
import traceback
from collections.abc import Iterator, Sequence
from typing import Any, Callable, Union

import pytest
import responses

import rawchat
from rawchat import errors
from rawchat.errors import (
    APIConnectionError,
    APIError,
    APITimeoutError,
    DeadlineExceededError,
    RateLimitError,
)
from rawchat.wire import Request, Response

from .conftest import Waits
from .server import (
    CLOSE,
    HELLO,
    RESET,
    Server,
    answer,
    completion,
    delta,
    event,
    head,
    serving,
    streamed,
)

row = pytest.mark.row
KEY = "sk-very-secret-key"
OURS = os.path.dirname(rawchat.__file__)
NOW = 1_700_000_000.0
OK = answer(completion())
BUSY = answer({"error": {"message": "busy"}}, 503)


def client_of(server: Server, waits: Any = abs, **settings: Any) -> rawchat.Client:
    settings = {"api_key": KEY, "random": lambda: 0.0, "now": lambda: NOW, **settings}
    return rawchat.Client(base_url=server.url, sleep=waits, environ={}, **settings)


def playing(*script: Union[Response, Exception, Callable[[Request], Response]]) -> Any:
    """A transport that plays a script, the last entry again and again; `.requests` are those that it was sent."""

    def transport(request: Request) -> Response:
        transport.requests.append(request)  # type: ignore[attr-defined]
        entry = script[min(len(transport.requests), len(script)) - 1]  # type: ignore[attr-defined]
        if isinstance(entry, Exception):
            raise entry
        return entry if isinstance(entry, Response) else entry(request)

    transport.requests = []  # type: ignore[attr-defined]
    return transport


def json_of(body: bytes, status: int = 200, **headers: str) -> Callable[[Request], Response]:
    return lambda request: Response(
        status, {name.replace("_", "-"): text for name, text in headers.items()}, [body]
    )


# ---- retries, on the wire


@row("3.1", "3.2", "3.6")
@pytest.mark.parametrize(
    ("broken", "random", "delays"),
    [
        ([BUSY, BUSY], 0.0, [0.5, 1.0]),
        ([BUSY, BUSY], 1.0, [0.375, 0.75]),
        ([answer({}, 408)], 0.0, [0.5]),
        ([answer({}, 409)], 0.0, [0.5]),
        ([answer({}, 429)], 0.0, [0.5]),
        ([answer({}, 500)], 0.0, [0.5]),
        ([answer({}, 529)], 0.0, [0.5]),
        ([[CLOSE]], 0.0, [0.5]),
        ([[RESET]], 0.0, [0.5]),
        ([[head(200, Content_Length=99), b'{"cho', CLOSE]], 0.0, [0.5]),
        ([[head(200, Transfer_Encoding="chunked"), b"5\r\n{", RESET]], 0.0, [0.5]),
        ([[head(200), b'{"choices": [', CLOSE]], 0.0, [0.5]),
        ([answer(b'{"choices": [')], 0.0, [0.5]),
        (
            [answer({}, 429, {"Retry-After": "7"}), answer({}, 503, {"retry-after-ms": "20"})],
            1.0,
            [7.0, 0.02],
        ),
        (
            [answer({}, 503, {"Retry-After": email.utils.formatdate(NOW + 9, usegmt=True)})],
            1.0,
            [9.0],
        ),
        (
            [answer({}, 503, {"Retry-After": "0"}), answer({}, 503, {"Retry-After": "junk"})],
            0.0,
            [0.5, 1.0],
        ),
        ([answer({}, 400, {"x-should-retry": "true"})], 0.0, [0.5]),
    ],
)
def test_what_failed_is_asked_again_after_exactly_so_long(
    waits: Waits, broken: Sequence[Any], random: float, delays: list[float]
) -> None:
    with serving(*broken, OK) as server:
        reply = client_of(server, waits, random=lambda: random).chat("Hi", seed=1)
        assert (reply.text, reply.retries, waits) == ("Hello", len(broken), delays)
        assert len({seen.body for seen in server.requests}) == 1


@row("3.1", "3.4", "10.10")
@pytest.mark.parametrize(
    "broken",
    [
        answer({}, 400),
        answer({}, 401),
        answer({}, 403),
        answer({}, 404),
        answer({}, 422),
        answer({}, 302),
        answer({}, 503, {"x-should-retry": "false"}),
        answer({}, 429, {"Retry-After": "121"}),
        answer({"error": {"code": "insufficient_quota"}}, 429),
        answer({"error": {"type": "insufficient_quota"}}, 429),
        answer(b"<html>"),
        answer(b""),
        answer(b"null"),
        answer({"error": "no"}),
    ],
)
def test_what_another_try_cannot_mend_is_not(waits: Waits, broken: bytes) -> None:
    with serving(broken, OK) as server:
        with pytest.raises(APIError) as caught:
            client_of(server, waits).chat("Hi")
        assert (len(server.requests), waits, caught.value.retries) == (1, [], 0)


@row("3.1", "3.6")
@pytest.mark.parametrize("most", [0, 1, 2, 5])
def test_max_retries_are_the_attempts_after_the_first(waits: Waits, most: int) -> None:
    with serving(BUSY) as server:
        with pytest.raises(errors.InternalServerError, match="503: busy") as caught:
            client_of(server, waits, max_retries=most).chat("Hi")
        assert len(server.requests) == most + 1
        assert waits == [0.5, 1.0, 2.0, 4.0, 8.0][:most]
        assert caught.value.retries == most


@row("3.3")
def test_a_stream_is_retried_until_its_headers_are_there_and_never_after(waits: Waits) -> None:
    with serving([CLOSE], BUSY, streamed()) as server:
        assert client_of(server, waits).stream_chat("Hi").reply.retries == 2
    with serving(streamed(HELLO[:2]), streamed()) as server:
        with pytest.raises(rawchat.StreamInterruptedError):
            list(client_of(server, waits).stream_chat("Hi"))
        assert len(server.requests) == 1
    assert waits == [0.5, 1.0]


@row("10.6")
def test_a_stream_is_sent_at_once_and_refused_by_the_call() -> None:
    with (
        serving(answer({"error": {"message": "who?"}}, 401)) as server,
        pytest.raises(errors.AuthenticationError),
    ):
        client_of(server).stream_chat("Hi")


@row("3.1")
def test_what_on_reply_raises_is_no_failure_of_the_call() -> None:
    def meter(_: Any) -> None:
        raise APIConnectionError("the meter's own")

    with serving(OK) as server:
        with pytest.raises(APIConnectionError, match="the meter's own"):
            client_of(server, on_reply=meter).chat("Hi")
        assert len(server.requests) == 1


@row("1.12", "4.5")
def test_a_key_goes_to_its_own_server_only() -> None:
    with serving(OK) as elsewhere, serving(OK) as server:
        client = client_of(server)
        client.send(Request("GET", elsewhere.url + "/x")).read()
        client.send(Request("GET", server.url + "/x", {"X": "1"})).read()  # type: ignore[arg-type]  # a dict will do
        assert "authorization" not in elsewhere.requests[0].headers
        assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"


@row("1.6")
def test_a_generator_of_messages_is_sent_again_whole() -> None:
    def messages() -> Iterator[dict[str, str]]:
        yield {"role": "user", "content": "Hi"}

    with serving(BUSY, OK) as server:
        client_of(server).chat(messages())
        assert [seen.json["messages"] for seen in server.requests] == [
            [{"role": "user", "content": "Hi"}]
        ] * 2


@row("3.5")
@pytest.mark.parametrize("kind", [KeyboardInterrupt, ZeroDivisionError, SystemExit])
def test_what_does_not_come_from_the_network_passes_at_once(
    waits: Waits, kind: type[BaseException]
) -> None:
    transport = playing(json_of(b'{"choices": [{}]}'))

    def interrupted(request: Request) -> Response:
        transport(request)
        raise kind

    client = rawchat.Client(
        base_url="http://localhost/v1", transport=interrupted, sleep=waits, environ={}
    )
    with pytest.raises(kind):
        client.chat("Hi")
    assert (len(transport.requests), waits) == (1, [])


@row("3.5")
@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers here")
def test_an_exception_of_a_signal_handler_passes_through_a_read() -> None:
    class RangError(Exception):
        pass

    def ring(*_: Any) -> None:
        raise RangError

    never = threading.Event()
    before = signal.signal(signal.SIGALRM, ring)
    try:
        with serving([never]) as server, pytest.raises(RangError):  # noqa: PT012
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            client_of(server).chat("Hi")
    finally:
        signal.signal(signal.SIGALRM, before)
        never.set()
    assert len(server.requests) == 1


@row("3.6")
def test_each_retry_is_a_line_in_the_log_with_its_delay(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "rawchat"), serving(BUSY, BUSY, OK) as server:
        client_of(server).chat("Hi")
    assert [record.getMessage().partition(": ")[0] for record in caplog.records] == [
        "retry 1 of 2 in 0.5 s",
        "retry 2 of 2 in 1 s",
    ]


# ---- keys


@row("3.7", "10.8")
@pytest.mark.parametrize("status", [401, 429])
def test_a_refused_key_gives_way_to_the_next_without_a_wait(waits: Waits, status: int) -> None:
    with serving(answer({}, status), answer({}, status), OK) as server:
        client_of(server, waits, api_key=["sk-1", "sk-2", "sk-3"]).chat("Hi")
        assert [seen.headers["authorization"] for seen in server.requests] == [
            "Bearer sk-1",
            "Bearer sk-2",
            "Bearer sk-3",
        ]
    assert waits == [0, 0]


@row("3.7", "10.8")
def test_with_no_key_left_the_usual_rules_apply(waits: Waits) -> None:
    with serving(answer({}, 429), answer({}, 429, {"Retry-After": "3"}), OK) as server:
        client_of(server, waits, api_key=["sk-1", "sk-2"]).chat("Hi")
        assert [seen.headers["authorization"][-1] for seen in server.requests] == ["1", "2", "1"]
    with (
        serving(answer({}, 401), answer({}, 401)) as server,
        pytest.raises(errors.AuthenticationError),
    ):
        client_of(server, waits, api_key=["sk-1", "sk-2"]).chat("Hi")
    assert (len(server.requests), waits) == (2, [0, 3.0, 0])


@row("10.8")
def test_a_5xx_keeps_its_key(waits: Waits) -> None:
    with serving(BUSY, OK) as server:
        client_of(server, waits, api_key=["sk-1", "sk-2"]).chat("Hi")
        assert [seen.headers["authorization"] for seen in server.requests] == ["Bearer sk-1"] * 2


@row("1.11")
def test_a_function_gives_a_key_for_every_attempt() -> None:
    keys = iter(["sk-1", "sk-2", "sk-3"])
    with serving(answer({}, 429), OK) as server:
        client_of(server, api_key=lambda: next(keys)).chat("Hi")
        assert [seen.headers["authorization"] for seen in server.requests] == [
            "Bearer sk-1",
            "Bearer sk-2",
        ]


@row("1.4", "1.11")
def test_an_authorization_of_the_callers_goes_out_in_place_of_the_key() -> None:
    with serving(OK) as server:
        client = client_of(server)
        client.chat("Hi", extra_headers={"authorization": "Basic mine"})
        client.chat("Hi", extra_headers={"Authorization": None})
        client.chat("Hi")
        assert [seen.headers.get("authorization") for seen in server.requests] == [
            "Basic mine",
            None,
            f"Bearer {KEY}",
        ]


# ---- deadlines, without waiting


@row("2.2")
def test_no_attempt_is_begun_that_the_deadline_leaves_no_time_for(waits: Waits) -> None:
    now = [0.0]

    def sleep(seconds: float) -> None:
        waits(seconds)
        now[0] += seconds

    transport = playing(json_of(b'{"error": "busy"}', 503, retry_after="4"))
    client = rawchat.Client(
        base_url="http://localhost/v1",
        transport=transport,
        deadline=10,
        max_retries=9,
        sleep=sleep,
        clock=lambda: now[0],
        environ={},
    )
    with pytest.raises(DeadlineExceededError, match="503: busy") as caught:
        client.chat("Hi")
    assert waits == [4, 4]
    assert [request.deadline for request in transport.requests] == [10, 6, 2]
    assert caught.value.retries == 2
    assert isinstance(caught.value.__cause__, errors.InternalServerError)


@row("2.2")
def test_a_deadline_that_passed_is_not_retried(waits: Waits) -> None:
    transport = playing(DeadlineExceededError("late"))
    with pytest.raises(DeadlineExceededError):
        rawchat.Client(
            base_url="http://localhost/v1", transport=transport, sleep=waits, environ={}
        ).chat("Hi")
    assert len(transport.requests) == 1


@row("2.1")
def test_timeouts_of_the_client_and_of_a_call() -> None:
    transport = playing(json_of(b'{"choices": [{}]}'))
    client = rawchat.Client(
        base_url="http://localhost/v1", transport=transport, timeout=3, environ={}
    )
    client.chat("Hi")
    client.chat("Hi", timeout=(1, 2))
    rawchat.Client(base_url="http://localhost/v1", transport=transport, environ={}).chat("Hi")
    assert [request.timeout for request in transport.requests] == [(3, 3), (1, 2), (5, 600)]


# ---- replies


@row("4.1", "4.2")
def test_an_error_says_what_where_and_what_to_try() -> None:
    said = {
        "error": {
            "message": "Incorrect API key",
            "code": "invalid_api_key",
            "type": "invalid_request_error",
        }
    }
    with serving(answer(said, 401, {"x-request-id": "req_1"})) as server:
        with pytest.raises(errors.AuthenticationError) as caught:
            client_of(server).chat("Hi")
        assert str(caught.value).startswith(
            "401 invalid_api_key: Incorrect API key "
            f"(POST {server.url}/chat/completions, request id req_1); check the key"
        )


@row("4.1")
def test_an_error_whose_body_breaks_off_is_still_that_error() -> None:
    with (
        serving([head(404, Content_Length=99), b'{"err', CLOSE]) as server,
        pytest.raises(errors.NotFoundError),
    ):
        client_of(server).chat("Hi")


@row("2.8")
def test_max_bytes_bounds_replies_errors_and_events() -> None:
    big = completion("x" * 2000)
    with serving(answer(big)) as server, pytest.raises(APIError, match="over 1000 bytes"):
        client_of(server, max_bytes=1000).chat("Hi")
    with serving(answer(big, 400)) as server, pytest.raises(APIError, match="over 1000 bytes"):
        client_of(server, max_bytes=1000).chat("Hi")
    with (
        serving(streamed([event(delta("x" * 2000))])) as server,
        pytest.raises(APIError, match="over 1000 bytes"),
    ):
        list(client_of(server, max_bytes=1000).stream_chat("Hi"))
    with serving(answer(big)) as server:
        assert len(client_of(server, max_bytes=10_000).chat("Hi").text) == 2000


def test_elapsed_is_the_time_until_the_last_byte() -> None:
    now = iter([10.0, 10.5, 17.0, 99.0])
    client = rawchat.Client(
        base_url="http://localhost/v1",
        transport=playing(json_of(b'{"choices": [{}]}')),
        clock=lambda: next(now),
        environ={},
    )
    assert client.chat("Hi").elapsed == 0.5


def test_on_reply_sees_every_finished_reply() -> None:
    seen: list[Any] = []
    with serving(OK, streamed(), streamed(HELLO[:2]), OK) as server:
        client = client_of(server, on_reply=seen.append)
        expected = [client.chat("Hi"), client.stream_chat("Hi").reply]
        with pytest.raises(rawchat.StreamInterruptedError):
            list(client.stream_chat("Hi"))
        expected += [
            client.models(),
            client.moderate("?"),
            client.image("a cat"),
            client.complete("Once"),
        ]
    assert seen == expected
    assert type(seen[-2]) is rawchat.Pictures


def test_every_verb_reaches_its_endpoint() -> None:
    with serving(answer(completion("Hello"))) as server:
        client = client_of(server)
        client.complete("Once")
        client.moderate("x", model="mod")
        client.image("a cat", n=2)
        client.models()
        client.model("a/b")
        client.stream_complete(["one", "two"], n=2).close()
        assert [(seen.method, seen.target) for seen in server.requests] == [
            ("POST", "/v1/completions"),
            ("POST", "/v1/moderations"),
            ("POST", "/v1/images/generations"),
            ("GET", "/v1/models"),
            ("GET", "/v1/models/a%2Fb"),
            ("POST", "/v1/completions"),
        ]
        assert [seen.json for seen in server.requests if seen.body] == [
            {"model": "gpt-3.5-turbo-instruct", "prompt": "Once"},
            {"input": "x", "model": "mod"},
            {"prompt": "a cat", "n": 2},
            {"model": "gpt-3.5-turbo-instruct", "prompt": ["one", "two"], "n": 2, "stream": True},
        ]


@row("5.4")
def test_a_stream_knows_how_many_choices_were_asked_for() -> None:
    for settings, params in (({}, {"n": 2}), ({"n": 2}, {}), ({}, {"extra_body": {"n": 2}})):
        with serving(streamed(HELLO[:4])) as server, pytest.raises(rawchat.StreamInterruptedError):
            list(client_of(server, **settings).stream_chat("Hi", **params))  # type: ignore[arg-type]
    with serving(streamed()) as server:
        assert client_of(server).stream_chat("Hi", n="2").reply.text == "Hello"


@row("2.7")
def test_after_close_a_call_is_an_error() -> None:
    with serving(OK) as server:
        with client_of(server) as client:
            client.chat("Hi")
        with pytest.raises(rawchat.RawchatError, match="this client is closed"):
            client.chat("Hi")
        assert len(server.requests) == 1


def test_send_gives_the_response_with_its_body_still_to_be_read() -> None:
    with serving(OK) as server:
        client = client_of(server)
        response = client.send(Request("GET", server.url + "/anything"))
        assert (response.status, response.read()) == (200, OK.partition(b"\r\n\r\n")[2])
        assert server.requests[0].target == "/v1/anything"


def test_a_transport_brings_its_base_url() -> None:
    with serving(OK) as server:
        assert (
            rawchat.Client(transport=rawchat.transport.over_http(server.url), environ={})
            .chat("Hi")
            .text
            == "Hello"
        )


def test_the_chains_of_the_sdk_are_refused_with_the_verb_that_does_the_same() -> None:
    client: Any = rawchat.Client(api_key=KEY, environ={})
    with pytest.raises(AttributeError, match=r"client\.chat\(…\).*docs/from-the-sdk\.md"):
        client.chat.completions.create(model="m", messages=[])
    with pytest.raises(AttributeError, match=r"use client\.embed\(…\); see docs/from-the-sdk\.md"):
        client.embeddings.create(model="m", input="Hi")
    with pytest.raises(AttributeError, match=r"^'\w+' object has no attribute 'nonsense'$"):
        _ = client.nonsense
    assert not hasattr(client, "audio")


def test_every_verb_that_an_error_names_for_the_sdks_is_there() -> None:
    from rawchat.config.misnamed import SDK_RESOURCES

    for verbs in SDK_RESOURCES.values():
        for verb in re.findall(r"(\w+)\(", verbs):
            assert callable(getattr(rawchat.Client, verb))
    assert not any(hasattr(rawchat.Client, name) for name in SDK_RESOURCES)


def test_a_signature_shows_no_address_of_the_memory() -> None:
    assert " at 0x" not in str(inspect.signature(rawchat.Client))


@responses.activate
def test_the_usual_fake_works() -> None:
    responses.post("https://api.openai.com/v1/chat/completions", json=completion("Hello"))
    assert rawchat.Client(api_key="sk-1", environ={}).chat("Hi").text == "Hello"
    assert responses.calls[0].request.headers["Authorization"] == "Bearer sk-1"


# ---- the default client


def test_the_verbs_of_the_module_use_one_client_made_at_the_first_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with serving(OK, streamed(), OK) as server:
        monkeypatch.setattr("rawchat.client.default._client", None)
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        monkeypatch.setenv("MODEL_NAME", "mine")
        assert rawchat.chat("Hi").text == "Hello"
        monkeypatch.delenv("OPENAI_BASE_URL")
        with rawchat.stream_chat("Hi") as stream:
            assert "".join(stream.texts()) == "Hello"
        rawchat.complete("x")
        rawchat.stream_complete("x").close()
        rawchat.moderate("x")
        rawchat.image("x")
        rawchat.models()
        rawchat.model("x")
        assert [seen.target.rpartition("/v1/")[2] for seen in server.requests] == [
            "chat/completions",
            "chat/completions",
            "completions",
            "completions",
            "moderations",
            "images/generations",
            "models",
            "models/x",
        ]
        assert server.requests[0].json["model"] == "mine"
        assert server.connections <= 3


# ---- what travels, and what never shows


@row("2.5", "9.5")
def test_a_client_pickles_as_its_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(OK) as server:
        client = client_of(server, random=float, now=float, temperature=0)
        client.chat("Hi")
        again = pickle.loads(pickle.dumps(client))
        again.chat("Hi")
        assert server.requests[0].json == server.requests[1].json
        assert server.requests[1].headers["authorization"] == f"Bearer {KEY}"
        assert again.config.params == {"temperature": 0}


@row("9.5")
def test_a_key_of_the_environment_does_not_travel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    client = rawchat.Client(model="m")
    assert KEY.encode() not in pickle.dumps(client)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-another")
    assert pickle.loads(pickle.dumps(client)).config.keys() == ("sk-another",)
    assert KEY not in repr(client)


@row("4.5", "8.5")
@pytest.mark.parametrize(
    "script",
    [
        [
            answer(
                {"error": {"message": f"bad key {KEY}", "code": KEY, "echo": [KEY]}},
                401,
                {"X-Echo": f"Bearer {KEY}"},
            )
        ],
        [answer(f"You sent {KEY}".encode(), 500)],
        [answer(f"<html>{KEY}".encode())],
        [answer({"error": KEY})],
        [answer(b"", 302, {"Location": f"https://h/?{KEY}"})],
        [[CLOSE]],
        [[f"HTTP/1.1 {KEY}\r\n\r\n".encode(), CLOSE]],
        [streamed([event({"error": {"message": KEY}})])],
        [streamed([event(f"junk {KEY}")])],
        [streamed([HELLO[1]])],
    ],
)
def test_a_key_shows_nowhere(script: Any, caplog: pytest.LogCaptureFixture) -> None:
    with (
        caplog.at_level(logging.DEBUG),
        serving(*script) as server,
        pytest.raises(APIError) as caught,
    ):
        list(
            client_of(server).stream_chat("Hi")
            if script[0][:1] == streamed()[:1]
            else client_of(server).chat("Hi")
        )
    error = caught.value
    seen = [
        str(error),
        repr(error),
        repr(error.__dict__),
        repr(error.__cause__),
        repr(error.__context__),
        "".join(traceback.format_exception(None, error, error.__traceback__)),
        *(record.getMessage() for record in caplog.records if record.name == "rawchat"),
    ]
    assert not [text for text in seen if KEY in text]
    assert KEY.encode() not in pickle.dumps(error)


@row("4.5", "8.5")
@pytest.mark.parametrize(
    "script", [[BUSY], [[CLOSE]], [answer(b"")], [streamed(HELLO[:2])], [answer({}, 302)]]
)
def test_a_key_does_not_show_in_the_variables_of_our_frames(script: Any) -> None:
    """Reporters of errors print them."""
    with serving(*script) as server, pytest.raises(APIError) as caught:
        list(client_of(server).stream_chat("Hi"))
    shown = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    frames = [frame for frame in shown.stack if frame.filename.startswith(OURS)]
    assert frames
    assert KEY not in repr([frame.locals for frame in frames])
    assert shown.__context__ is None


@pytest.mark.parametrize(
    "failure", [APIConnectionError("no"), APITimeoutError("slow"), RateLimitError("busy")]
)
def test_a_transport_of_ones_own_may_raise_our_errors(waits: Waits, failure: APIError) -> None:
    failure.status_code = 429 if isinstance(failure, RateLimitError) else None
    transport = playing(failure, json_of(b'{"choices": [{}]}'))
    client = rawchat.Client(
        base_url="http://localhost/v1",
        transport=transport,
        sleep=waits,
        random=lambda: 0.0,
        environ={},
    )
    assert client.chat("Hi").retries == 1
    assert waits == [0.5]


def test_frames_between_a_verb_and_the_library() -> None:
    """At most three of our functions stand between `Client.chat` and `requests`."""
    names: list[str] = []

    def look(request: Any) -> tuple[int, dict[str, str], str]:
        names.extend(
            frame.name for frame in traceback.extract_stack() if frame.filename.startswith(OURS)
        )
        return 200, {}, json.dumps({"choices": [{"message": {"content": "Hi"}}]})

    with responses.RequestsMock() as fake:
        fake.add_callback("POST", "https://api.openai.com/v1/chat/completions", look)
        rawchat.Client(api_key="sk-1", environ={}).chat("Hi")
    assert names == ["chat", "send", "__call__", "_send"]
