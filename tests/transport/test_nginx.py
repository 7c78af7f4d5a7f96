"""rawchat with a real nginx in front of the server; each test skips where nginx is missing."""

import select
import socket
import threading
from typing import Any

import pytest

import rawchat

from ..server import HELLO, PATIENCE, answer, completion, serving, streamed
from .programs import free_port, nginx

KEY = "sk-very-secret-key"


def client_of(port: int, **settings: Any) -> rawchat.Client:
    settings = {"environ": {}, "max_retries": 0, "sleep": lambda seconds: None, **settings}
    return rawchat.Client(KEY, f"http://127.0.0.1:{port}/v1", **settings)


def test_without_buffering_a_stream_comes_piece_by_piece() -> None:
    first_arrived = threading.Event()
    steps = [*HELLO[:2], first_arrived, *HELLO[2:]]
    with (
        serving(streamed(steps)) as server,
        nginx(server.port, "proxy_buffering off;") as front,
        client_of(front.port).stream_chat("Hi") as stream,
    ):
        texts = stream.texts()
        assert next(texts) == "Hel"
        first_arrived.set()
        assert list(texts) == ["lo"]


@pytest.mark.parametrize("compressed", [False, True])
def test_with_buffering_a_stream_is_whole(compressed: bool) -> None:
    settings = "gzip on; gzip_min_length 1; gzip_types text/event-stream;" if compressed else ""
    with (
        serving(streamed()) as server,
        nginx(server.port, "proxy_buffering on;", settings) as front,
        client_of(front.port).stream_chat("Hi") as stream,
    ):
        assert stream.reply.text == "Hello"
        encoding = stream.reply.headers.get("content-encoding")
    assert encoding == ("gzip" if compressed else None)


@pytest.mark.parametrize("streaming", [False, True])
def test_a_502_page_is_the_servers_error_and_is_retried(streaming: bool) -> None:
    with nginx(free_port()) as front:
        client = client_of(front.port, max_retries=1)
        with pytest.raises(rawchat.InternalServerError, match="502") as caught:
            client.stream_chat("Hi") if streaming else client.chat("Hi")
    assert caught.value.retries == 1
    assert "\n" not in str(caught.value)
    assert "Bad Gateway" in str(caught.value)


def test_a_504_page_of_a_gateway_that_gave_up_waiting() -> None:
    held = threading.Event()
    with serving([held]) as server, nginx(server.port, "proxy_read_timeout 100ms;") as front:
        with pytest.raises(rawchat.InternalServerError, match="504") as caught:
            client_of(front.port).chat("Hi")
        held.set()
    assert "Time-out" in str(caught.value)


def test_a_request_that_is_too_large_for_the_gateway() -> None:
    with (
        nginx(free_port(), "client_max_body_size 1k;") as front,
        pytest.raises(rawchat.APIStatusError, match="413"),
    ):
        client_of(front.port).chat("x" * 2000)


def test_a_stream_that_the_gateway_cuts_is_interrupted() -> None:
    held = threading.Event()
    steps = streamed([*HELLO[:2], held], end=False)
    location = "proxy_buffering off; proxy_read_timeout 100ms;"
    with serving(steps) as server, nginx(server.port, location) as front:
        with (
            client_of(front.port).stream_chat("Hi") as stream,
            pytest.raises(rawchat.StreamInterruptedError) as caught,
        ):
            list(stream.texts())
        held.set()
    assert caught.value.partial is not None
    assert caught.value.partial.text == "Hel"


def test_a_call_after_the_idle_connection_was_closed_succeeds_without_a_retry(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    opened: list[socket.socket] = []
    connect = socket.socket.connect

    def watch(self: socket.socket, address: Any) -> None:
        opened.append(self)
        connect(self, address)

    with (
        serving(*[answer(completion())] * 2) as server,
        nginx(server.port, settings="keepalive_timeout 50ms;") as front,
    ):
        client = client_of(front.port)
        monkeypatch.setattr(socket.socket, "connect", watch)
        assert client.chat("Hi").text == "Hello"
        # nginx closes the connection: its end can be read.
        closed, _, _ = select.select(opened, [], [], PATIENCE)
        assert closed
        assert client.chat("Hi").text == "Hello"
        assert len(opened) == 2


def test_connections_are_used_again() -> None:
    with serving(*[answer(completion())] * 3) as server, nginx(server.port) as front:
        client = client_of(front.port)
        for _ in range(3):
            client.chat("Hi")
        response = client.transport(rawchat.wire.Request("GET", f"{front.url}/v1/models"))
        assert response.connection_reused
        response.close()
