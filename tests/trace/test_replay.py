"""An archive written by --har answers again, without a network and without a key."""

import json
import pathlib
from typing import Any

import pytest

import rawchat
from rawchat import trace
from rawchat.errors import ConfigError
from rawchat.trace import har, replay
from rawchat.transport import over_http
from rawchat.wire import Response

from ..conftest import Waits
from ..server import CLOSE, answer, completion, delta, event, serving, streamed

KEY = "sk-very-secret-key"
BUSY = answer({"error": {"message": f"busy, {KEY}"}}, 503)


def record(server: Any, call: Any, path: str = "calls.har", **settings: Any) -> Any:
    """Make calls with an archive; return what `call` returns."""
    exchanges: list[trace.Exchange] = []
    transport = trace.observe(over_http(server.url, environ={}), har.collector(exchanges))
    client = rawchat.Client(
        KEY, transport=transport, environ={}, sleep=lambda seconds: None, **settings
    )
    try:
        return call(client)
    finally:
        text = json.dumps(har.archive(exchanges))
        pathlib.Path(path).write_text(text, encoding="utf-8")


def replayed(path: str = "calls.har", **settings: Any) -> rawchat.Client:
    return rawchat.Client(
        "", transport=har.replay(path), environ={}, sleep=lambda seconds: None, **settings
    )


def test_the_calls_of_an_archive_are_answered_in_order_without_a_key() -> None:
    def calls(client: rawchat.Client) -> list[Any]:
        texts = list(client.stream_chat("Hi", seed=1).texts())
        return [texts, client.chat("Ho"), client.models(extra_query={"a": "b c"})]

    script = [CLOSE], BUSY, streamed(), answer(completion("ü")), answer({"data": [], "object": "x"})
    with serving(*script) as server:
        url = server.url
        recorded = record(server, calls)
    client = replayed()
    assert client.config.base_url == url
    assert calls(client) == recorded
    assert recorded[0] == ["Hel", "lo"]


def test_a_stream_keeps_its_pieces() -> None:
    pieces = [event(delta("a")) + b"da", b"ta: ", event(delta("ü", "stop"))[6:], event("[DONE]")]
    with serving(streamed(pieces)) as server:
        record(server, lambda client: client.stream_chat("Hi").reply)
    archive = json.loads(pathlib.Path("calls.har").read_text(encoding="utf-8"))
    sizes = [piece["size"] for piece in archive["log"]["entries"][0]["_pieces"]]
    seen: list[bytes] = []
    transport = har.replay("calls.har")

    def watched(request: Any) -> Response:
        return transport(request).tap(seen.append)

    base_url = transport.base_url  # type: ignore[attr-defined]
    client = rawchat.Client("", base_url, transport=watched, environ={})
    assert client.stream_chat("Hi").reply.text == "aü"
    assert [len(piece) for piece in seen] == sizes
    assert b"".join(seen) == b"".join(pieces)


@pytest.mark.parametrize(
    ("body", "sizes", "pieces"),
    [
        (b"abcdef", [2, 2, 2], [b"ab", b"cd", b"ef"]),
        (b"abcdef", [], [b"abcdef"]),
        (b"abc***", [3, 20], [b"abc", b"***"]),
        (b"a", [3, 3], [b"a"]),
        (b"", [], []),
    ],
)
def test_the_pieces_of_a_body(body: bytes, sizes: list[int], pieces: list[bytes]) -> None:
    assert list(replay.replay_pieces(body, sizes, None)) == pieces


def test_an_exchange_that_broke_breaks_again() -> None:
    def call(client: rawchat.Client) -> Any:
        with pytest.raises(rawchat.APIConnectionError) as caught:
            client.chat("Hi")
        refused = caught.value
        with pytest.raises(rawchat.StreamInterruptedError) as broken:
            list(client.stream_chat("Ho"))
        return type(refused), broken.value.partial.text

    half = streamed([event(delta("Hel")), CLOSE], end=False)
    with serving([CLOSE], half) as server:
        recorded = record(server, call, max_retries=0)
    assert recorded == (rawchat.APIConnectionError, "Hel")
    assert call(replayed(max_retries=0)) == recorded


def test_a_timeout_is_a_timeout_again() -> None:
    def transport(request: Any) -> Response:
        raise rawchat.APITimeoutError("no data for 600 s")

    exchanges: list[trace.Exchange] = []
    observed = trace.observe(transport, har.collector(exchanges))
    settings: Any = {"environ": {}, "max_retries": 0}
    with pytest.raises(rawchat.APITimeoutError):
        rawchat.Client("", "http://h/v1", transport=observed, **settings).chat("Hi")
    pathlib.Path("calls.har").write_text(json.dumps(har.archive(exchanges)), encoding="utf-8")
    with pytest.raises(rawchat.APITimeoutError, match="no data for 600 s"):
        replayed(max_retries=0).chat("Hi")


MESSAGES = [{"role": "system", "content": "short"}, {"role": "user", "content": "Hi"}]


@pytest.mark.parametrize(
    ("call", "difference"),
    [
        (
            lambda client: client.chat([MESSAGES[0], {"role": "user", "content": "Ho"}], seed=1),
            'messages[1].content is "Ho"; recorded: "Hi"',
        ),
        (lambda client: client.chat(MESSAGES[1:], seed=1), "messages has 1 entries; recorded: 2"),
        (lambda client: client.chat(MESSAGES), "seed is missing; recorded: 1"),
        (lambda client: client.chat(MESSAGES, seed=1, top_p=0.5), "top_p is new: 0.5"),
        (lambda client: client.chat(MESSAGES, seed=True), "seed is true; recorded: 1"),
        (lambda client: client.chat(MESSAGES, seed="x" * 99), f'seed is "{"x" * 59}…; recorded: 1'),
        (lambda client: client.models(), 'method is "GET"; recorded: "POST"'),
        (lambda client: client.complete("Hi"), 'URL is "'),
    ],
)
def test_a_request_that_differs_is_named(call: Any, difference: str, waits: Waits) -> None:
    with serving(answer(completion())) as server:
        record(server, lambda client: client.chat(MESSAGES, seed=1))
    client = rawchat.Client("", transport=har.replay("calls.har"), environ={}, sleep=waits)
    with pytest.raises(har.ReplayError) as caught:
        call(client)
    assert str(caught.value).startswith("request 1 differs from the one in calls.har: ")
    assert difference in str(caught.value)
    assert waits == []


def test_a_request_after_the_last_entry_is_named() -> None:
    with serving(answer(completion())) as server:
        record(server, lambda client: client.chat("Hi"))
    client = replayed()
    client.chat("Hi")
    with pytest.raises(har.ReplayError, match=r"calls.har has 1 entries, but this is request 2: "):
        client.chat("Hi")


def test_an_archive_of_a_browser_is_answered_too() -> None:
    request = {"method": "GET", "url": "https://h/x/v1/models", "headers": []}
    content = {"text": "eyJkYXRhIjogW119", "encoding": "base64"}
    entries = [
        {"request": request, "response": {"status": 200, "headers": [], "content": content}},
        {"request": request, "response": {"status": 0}},
    ]
    pathlib.Path("b.har").write_text(json.dumps({"log": {"entries": entries}}), encoding="utf-8")
    client = replayed("b.har", max_retries=0)
    assert client.config.base_url == "https://h/x/v1"
    assert client.models() == {"data": []}
    with pytest.raises(rawchat.APIConnectionError, match="no response was recorded"):
        client.models()


REQUEST = {"method": "POST", "url": "https://h/v1/models", "postData": {"text": "{}"}}
RESPONSE = {"status": 200, "headers": [], "content": {"text": "{}"}}


@pytest.mark.parametrize(
    ("broken", "problem"),
    [
        ({"request": {**REQUEST, "url": None}}, "request.url is null"),
        ({"request": {**REQUEST, "method": 1}}, "request.method is 1"),
        ({"request": {**REQUEST, "postData": 1}}, "request.postData is 1"),
        ({"request": {**REQUEST, "postData": {"text": 1}}}, "request.postData.text is 1"),
        ({"response": {**RESPONSE, "status": "x"}}, 'response.status is "x"'),
        ({"response": {**RESPONSE, "headers": 1}}, "response.headers is 1"),
        ({"response": {**RESPONSE, "headers": [1]}}, "the name of a header is null"),
        ({"response": {**RESPONSE, "content": 1}}, "response.content is 1"),
        ({"response": {**RESPONSE, "content": {"text": 1}}}, "response.content.text is 1"),
        (
            {"response": {**RESPONSE, "content": {"text": "x", "encoding": "base64"}}},
            "response.content.text is not base64",
        ),
        ({"_pieces": 1}, "_pieces is 1"),
        ({"_pieces": [{"size": "x"}]}, 'the size of a piece is "x"'),
    ],
    ids=str,
)
def test_a_field_of_the_wrong_type_is_named(broken: Any, problem: str) -> None:
    good = {"request": REQUEST, "response": RESPONSE}
    archive = {"log": {"entries": [good, {**good, **broken}]}}
    pathlib.Path("x.har").write_text(json.dumps(archive), encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        har.replay("x.har")
    assert str(caught.value) == f"x.har: not an HTTP archive: entry 2: {problem}"


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"log": {"entries": [{}]}}', '{"log": {"entries": 3}}', "\x1f"]
)
def test_a_file_that_is_no_archive(text: str) -> None:
    pathlib.Path("x.har").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"^x\.har: not an HTTP archive: "):
        har.replay("x.har")
    with pytest.raises(ConfigError, match=r"^missing\.har: No such file or directory$"):
        har.replay("missing.har")
