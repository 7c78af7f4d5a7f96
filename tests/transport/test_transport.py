"""The network, against exact bytes from a raw socket on loopback."""

import contextlib
import gc
import gzip
import http.client
import http.server
import logging
import os
import pathlib
import pickle
import socket
import threading
import time
import traceback
import zlib
from collections.abc import Iterator
from typing import Any, Callable, Optional

import pytest
from requests.adapters import HTTPAdapter

import rawchat
from rawchat import deadline
from rawchat.errors import APIConnectionError, APITimeoutError, ConfigError, DeadlineExceededError
from rawchat.transport import over_http
from rawchat.transport.proxies import proxies_for
from rawchat.wire import Headers, Request, Response

from ..server import (
    CLOSE,
    HELLO,
    PATIENCE,
    RESET,
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


def post(url: str, timeout: tuple[float, float] = (PATIENCE, PATIENCE), **fields: Any) -> Request:
    return Request(
        "POST",
        url + "/chat/completions",
        Headers({"Authorization": f"Bearer {KEY}"}),
        b"{}",
        timeout,
        **fields,
    )


def send(url: str, **fields: Any) -> Response:
    return over_http(url, environ={})(post(url, **fields))


def test_a_request_goes_out_as_it_stands() -> None:
    with serving(answer({"ok": True}, headers={"X-Request-Id": "req_1"})) as server:
        response = send(server.url)
        assert (response.status, response.headers["x-request-id"], response.read()) == (
            200,
            "req_1",
            b'{"ok": true}',
        )
    (seen,) = server.requests
    assert (seen.method, seen.target, seen.body) == ("POST", "/v1/chat/completions", b"{}")
    assert seen.headers == {
        "host": f"127.0.0.1:{server.port}",
        "authorization": f"Bearer {KEY}",
        "content-length": "2",
        **({"accept-encoding": "identity"} if "accept-encoding" in seen.headers else {}),
        **({"user-agent": seen.headers["user-agent"]} if "user-agent" in seen.headers else {}),
    }


def test_a_header_that_comes_in_several_lines_is_one_list() -> None:
    lines = b"Via: 1.1 a\r\nSet-Cookie: a=1\r\nvia: 1.1 b\r\nContent-Length: 0\r\n\r\n"
    with serving(b"HTTP/1.1 200 OK\r\n" + lines) as server:
        response = send(server.url)
        response.close()
    assert response.headers == {"Via": "1.1 a, 1.1 b", "Set-Cookie": "a=1", "Content-Length": "0"}


def test_head_and_body_go_out_in_one_packet(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[bytes] = []
    plain = http.client.HTTPConnection.send

    def watched(self: http.client.HTTPConnection, data: bytes) -> None:
        sent.append(data)
        plain(self, data)

    monkeypatch.setattr(http.client.HTTPConnection, "send", watched)
    with serving(answer({})) as server:
        send(server.url).read()
    (packet,) = sent
    assert packet.startswith(b"POST /v1/chat/completions ")
    assert packet.endswith(b"\r\n\r\n{}")


def test_the_pool_of_an_origin_is_looked_up_once_and_serves_that_origin_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looked_up: list[Any] = []
    plain = getattr(
        HTTPAdapter, "get_connection_with_tls_context", None
    )  # requests has it since 2.32

    def watched(self: HTTPAdapter, request: Any, *args: Any) -> Any:
        looked_up.append(request.url)
        return plain and plain(self, request, *args)

    if plain:
        monkeypatch.setattr(HTTPAdapter, "get_connection_with_tls_context", watched)
    with serving(*[answer({"at": 1})] * 3) as one, serving(answer({"at": 2})) as two:
        transport = over_http(one.url, environ={})
        found = [transport(post(url)).read() for url in (one.url, one.url, two.url, one.url)]
    assert found == [b'{"at": 1}', b'{"at": 1}', b'{"at": 2}', b'{"at": 1}']
    assert len(looked_up) == (3 if plain else 0)


# ---- prompt delivery


def unzipped(pieces: Iterator[bytes], packer: Any) -> list[bytes]:
    """Each piece packed by itself and flushed, as a server does that streams with compression."""
    packed = [packer.compress(piece) + packer.flush(zlib.Z_SYNC_FLUSH) for piece in pieces]
    return [*packed, packer.flush()]


@row("5.1", "8.1")
@pytest.mark.parametrize("framing", ["chunked", "length", "close"])
@pytest.mark.parametrize("encoding", ["", "gzip", "deflate"])
def test_a_chunk_is_there_the_moment_it_arrives(framing: str, encoding: str) -> None:
    """The server sends each event only when the client has had the one before: a late one would hang."""
    texts = ["one", "two", "three"]
    events = [event(delta(text)) for text in texts] + [event("[DONE]")]
    if encoding:
        packer = zlib.compressobj(wbits=31 if encoding == "gzip" else 15)
        events = unzipped(iter(events), packer)
    gates = [threading.Event() for _ in texts]
    steps = [step for each, gate in zip(events, gates) for step in (each, gate)] + events[
        len(texts) :
    ]
    headers = {"Content-Encoding": encoding} if encoding else {}
    with serving(streamed(steps, framing, headers)) as server:
        stream = rawchat.Client(base_url=server.url, environ={}).stream_chat("Hi")
        for text, gate in zip(texts, gates):
            assert next(stream).text == text
            gate.set()
        assert stream.reply.text == "onetwothree"


@row("5.1")
def test_one_big_chunk_that_is_filled_slowly_is_prompt_too() -> None:
    gate = threading.Event()
    parts = [event(delta("one")), event(delta("two")) + event("[DONE]")]
    size = b"%x\r\n" % sum(map(len, parts))
    steps = [
        head(200, {"Transfer-Encoding": "chunked"}),
        size + parts[0],
        gate,
        parts[1] + b"\r\n0\r\n\r\n",
    ]
    with serving(steps) as server:
        stream = rawchat.Client(base_url=server.url, environ={}).stream_chat("Hi")
        assert next(stream).text == "one"
        gate.set()
        assert stream.reply.text == "onetwo"


@row("2.7")
@pytest.mark.parametrize(
    ("encoding", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress)]
)
def test_packed_replies_are_unpacked(encoding: str, pack: Callable[[bytes], bytes]) -> None:
    with serving(answer(pack(b'{"ok": true}'), headers={"Content-Encoding": encoding})) as server:
        assert send(server.url).read() == b'{"ok": true}'


# ---- what breaks


@row("5.6", "8.1", "8.4")
@pytest.mark.parametrize(
    "steps",
    [
        [*streamed(HELLO[:3], "chunked", end=False), CLOSE],
        [*streamed(HELLO[:3], "length", end=False), CLOSE],
        streamed(HELLO[:3], "close"),
        streamed(HELLO[:3]),
        [*streamed(HELLO[:3], end=False), b"zz\r\n", CLOSE],
        [*streamed(HELLO[:3], end=False), b"-5\r\nabc", CLOSE],
        [*streamed(HELLO[:3], end=False), b"ff\r\nhalf", CLOSE],
        streamed([*HELLO[:3], b"data: {"], "close"),
        streamed(
            unzipped(iter(HELLO[:3]), zlib.compressobj(wbits=31))[:-1],
            "chunked",
            {"Content-Encoding": "gzip"},
        ),
        streamed(
            [*unzipped(iter(HELLO[:3]), zlib.compressobj(wbits=31))[:-1], b"junk" * 9],
            "close",
            {"Content-Encoding": "gzip"},
        ),
    ],
)
def test_a_broken_stream_gives_what_came_whole_and_then_says_so(steps: Any) -> None:
    texts = []
    with serving(steps) as server:
        stream = rawchat.Client(base_url=server.url, environ={}).stream_chat("Hi")
        with pytest.raises(rawchat.StreamInterruptedError) as caught:  # noqa: PT012
            for text in stream.texts():
                texts.append(text)
        assert texts == ["Hel", "lo"]
        assert caught.value.partial.text == "Hello"
        assert len(server.requests) == 1  # what has been shown is never asked for again


@row("5.6")
def test_a_reset_in_mid_stream() -> None:
    gate = threading.Event()
    with serving([*streamed(HELLO[:3], end=False), gate, RESET]) as server:
        stream = rawchat.Client(base_url=server.url, environ={}).stream_chat("Hi")
        assert [next(stream).text for _ in range(3)] == ["", "Hel", "lo"]
        gate.set()
        with pytest.raises(rawchat.StreamInterruptedError, match="reset"):
            next(stream)


@row("5.6", "2.1")
def test_silence_in_mid_stream_is_a_timeout_and_an_interruption() -> None:
    never = threading.Event()
    with serving([*streamed(HELLO[:3], end=False), never]) as server:
        stream = rawchat.Client(base_url=server.url, environ={}).stream_chat("Hi", timeout=0.05)
        with pytest.raises(rawchat.StreamTimeoutError) as caught:
            list(stream)
        never.set()
    assert caught.value.partial.text == "Hello"
    assert isinstance(caught.value, (rawchat.APITimeoutError, rawchat.StreamInterruptedError))


@row("8.4", "8.5", "4.5")
@pytest.mark.parametrize(
    ("steps", "say"),
    [
        (
            [b"HTTP/1.1 200 OK\r\nX: y\r\n", CLOSE],
            "closed before the response was complete (in the headers)",
        ),
        ([CLOSE], "closed connection without response"),
        ([RESET], "reset"),
        ([b"junk\r\n\r\n", CLOSE], "junk"),
        ([b"HTTP/1.1 999999999999 x\r\n\r\n", CLOSE], ""),
        ([b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200, CLOSE], "headers"),
        ([b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000, CLOSE], "header line"),
    ],
)
def test_what_is_no_answer_is_a_connection_error_that_names_host_port_and_cause(
    steps: Any, say: str
) -> None:
    with serving(steps) as server, pytest.raises(APIConnectionError) as caught:
        send(server.url)
    error = caught.value
    assert f"127.0.0.1:{server.port}: " in str(error)
    assert say in str(error)
    assert error.__cause__ is not None
    assert error.__context__ is None
    assert error.__cause__.__traceback__ is None


@row("8.4")
def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(APIConnectionError, match=f"127.0.0.1:{port}: Connection refused"):
        send(f"http://127.0.0.1:{port}/v1")
    with pytest.raises(APIConnectionError, match=r"nowhere\.invalid:80: "):
        send("http://nowhere.invalid/v1")


@row("2.1")
def test_a_server_that_does_not_answer_in_time() -> None:
    never = threading.Event()
    with serving([never]) as server, pytest.raises(APITimeoutError, match="timed out") as caught:
        send(server.url, timeout=(1, 0.05))
    never.set()
    assert not isinstance(caught.value, DeadlineExceededError)


@row("2.1")
def test_the_time_to_connect_does_not_bound_an_upload() -> None:
    """The server begins to read only when the client has long been sending."""
    body = b"x" * (30 << 20)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def read_late() -> None:
            connection, _ = listener.accept()
            with connection, connection.makefile("rb") as reader:
                threading.Event().wait(0.4)
                while reader.readline() != b"\r\n":
                    pass
                connection.sendall(answer({"read": len(reader.read(len(body)))}))

        threading.Thread(target=read_late, daemon=True).start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        for_connecting = over_http(url, environ={})(post(url, (0.1, PATIENCE))._replace(body=body))
        assert for_connecting.read() == b'{"read": %d}' % len(body)


@row("2.1", "2.2")
@pytest.mark.parametrize(
    ("fields", "kind"),
    [({"timeout": (5, 0.1)}, APITimeoutError), ({"deadline": 0.1}, DeadlineExceededError)],
)
def test_an_upload_that_nobody_reads_ends_in_time(
    fields: dict[str, Any], kind: type[Exception]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        with pytest.raises(kind):
            over_http(url, environ={})(post(url, **fields)._replace(body=b"x" * (30 << 20)))


@row("5.10")
def test_a_stream_can_be_closed_by_another_thread() -> None:
    never, ended = threading.Event(), []
    with serving([*streamed(HELLO[:2], end=False), never]) as server:
        stream = rawchat.Client(base_url=server.url, environ={}).stream_chat("Hi")
        seen = threading.Event()

        def read() -> None:
            try:
                for chunk in stream:
                    if chunk.text:
                        seen.set()
            except rawchat.StreamInterruptedError as error:
                ended.append(error.partial.text)

        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        assert seen.wait(PATIENCE)
        closer = threading.Thread(target=stream.close, daemon=True)
        closer.start()
        closer.join(PATIENCE / 2)  # the server would let go only after all its patience
        reader.join(PATIENCE / 2)
        assert not closer.is_alive()
        assert ended == ["Hel"]
        never.set()


@row("1.4")
def test_a_header_that_is_removed_is_not_replaced_by_the_librarys() -> None:
    with serving(answer(completion())) as server:
        client = rawchat.Client(base_url=server.url, environ={})
        client.chat(
            "Hi", extra_headers={"User-Agent": None, "Accept-Encoding": None, "accept": None}
        )
        assert not {"user-agent", "accept-encoding", "accept"} & set(server.requests[0].headers)


# ---- deadlines


def drip(what: bytes) -> Callable[[socket.socket], None]:
    """Send `what` again and again, every hundredth of a second, until the client has gone."""

    def step(connection: socket.socket) -> None:
        pause = threading.Event()
        for _ in range(int(PATIENCE * 100)):
            connection.sendall(what)
            pause.wait(0.01)

    return step


@row("2.2", "2.10")
@pytest.mark.parametrize(
    "steps",
    [
        [drip(b"H")],
        [b"HTTP/1.1 200 OK\r\nX-Y: ", drip(b"y")],
        [b"HTTP/1.1 200 OK\r\n", drip(b"X: y\r\n")],
        [b"HTTP/1.1 200 OK\r\n\r\n", drip(b" ")],
        [head(200, Content_Length=10**9), drip(b" ")],
        [head(200, Transfer_Encoding="chunked"), drip(b"1\r\n \r\n")],
        [head(200, Transfer_Encoding="chunked"), drip(b"1")],
        [head(503, Content_Length=10**6), drip(b" ")],
    ],
)
def test_a_deadline_ends_whatever_drips(steps: Any) -> None:
    with serving(steps) as server:
        client = rawchat.Client(base_url=server.url, environ={}, deadline=0.15)
        with pytest.raises(DeadlineExceededError):
            client.chat("Hi")
    assert len(server.requests) == 1


@row("5.4")
def test_silence_after_the_last_finish_reason_does_not_hold_up_the_reply(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """musistudio/claude-code-router#1271: no [DONE], and no end of the body."""
    monkeypatch.setattr("rawchat.sse.pieces.AFTER_FINISH", 0.05)
    held = threading.Event()
    with serving(streamed([*HELLO[:-1], held], end=False)) as server:
        client = rawchat.Client(base_url=server.url, environ={}, max_retries=0)
        assert client.stream_chat("Hi").reply.text == "Hello"
        held.set()


@row("2.2", "10.4")
def test_a_deadline_ends_a_stream_of_comments_and_keeps_what_came() -> None:
    with serving([*streamed(HELLO[:3], "close", end=False), drip(b": still there\n\n")]) as server:
        stream = rawchat.Client(base_url=server.url, environ={}, deadline=0.2).stream_chat("Hi")
        with pytest.raises(DeadlineExceededError) as caught:
            list(stream)
    assert caught.value.partial.text == "Hello"


@row("2.2")
def test_no_timer_is_left_behind() -> None:
    with serving(answer(completion()), streamed()) as server:
        client = rawchat.Client(base_url=server.url, environ={}, deadline=60)
        client.chat("Hi")
        assert client.stream_chat("Hi").reply.text == "Hello"
        client.stream_chat("Hi").close()
        for timer in [
            thread for thread in threading.enumerate() if isinstance(thread, threading.Timer)
        ]:
            timer.join(
                PATIENCE
            )  # cancelled, they are on their way out; else they would stay for a minute
            assert not timer.is_alive()


# ---- connections


@row("2.4")
@pytest.mark.parametrize("framing", ["chunked", "length"])
def test_three_finished_streams_use_one_connection(framing: str) -> None:
    with serving(streamed(framing=framing)) as server:
        client = rawchat.Client(base_url=server.url, environ={})
        for _ in range(3):
            assert client.stream_chat("Hi").reply.text == "Hello"
        assert (len(server.requests), server.connections) == (3, 1)


@row("2.4")
def test_a_server_that_leaves_the_body_open_after_done_does_not_hold_the_caller() -> None:
    never = threading.Event()
    with serving([*streamed(end=False), never]) as server:
        assert (
            rawchat.Client(base_url=server.url, environ={}).stream_chat("Hi").reply.text == "Hello"
        )
        never.set()  # reached within the test's patience: the client did not wait for the end


@row("5.10", "8.8")
def test_a_loop_that_is_left_frees_the_connection() -> None:
    gone = threading.Event()

    def wait_for_end(connection: socket.socket) -> None:
        connection.settimeout(PATIENCE)
        with contextlib.suppress(ConnectionError):  # it may close with bytes unread: a reset
            connection.recv(1)
        gone.set()

    with serving([*streamed(HELLO[:1], end=False), wait_for_end]) as server:
        stream = rawchat.Client(base_url=server.url, environ={}).stream_chat("Hi")
        for _ in stream:
            break
        gc.collect()  # PyPy ends a loop's generator only then
        assert gone.wait(PATIENCE)


@row("2.3", "8.8", "12.9")
def test_128_threads_share_one_client_without_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    together = threading.Barrier(128, timeout=PATIENCE)
    texts = []

    def hold(connection: socket.socket) -> None:
        together.wait()  # all 128 are being answered at the same time

    with serving([hold, answer(completion())]) as server, caplog.at_level(logging.DEBUG, "urllib3"):
        client = rawchat.Client(base_url=server.url, environ={})
        threads = [
            threading.Thread(target=lambda: texts.append(client.chat("Hi").text))
            for _ in range(128)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
        assert texts == ["Hello"] * 128
        assert server.connections <= 128
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_a_pool_is_not_filled_with_what_is_not_opened_yet() -> None:
    with serving(answer(completion())) as server:
        transport = over_http(server.url, environ={})
        assert transport(Request("GET", server.url)).read()
        (pool,) = transport._adapter.poolmanager.pools._container.values()
        assert pool.pool.qsize() == 1  # urllib3's own would hold a thousand
        assert transport(Request("GET", server.url)).read()
        assert server.connections == 1
        transport.close()


def test_close_closes_idle_connections_and_a_call_opens_another() -> None:
    ended = threading.Event()

    def wait(connection: socket.socket) -> None:
        if not connection.recv(1):
            ended.set()

    with serving([answer(completion()), wait], answer(completion())) as server:
        transport = over_http(server.url, environ={})
        assert transport(Request("GET", server.url)).read()
        assert not ended.is_set()
        transport.close()
        for _ in range(3):
            gc.collect()  # urllib3 closes a pool when it is collected, which PyPy does later
        assert ended.wait(PATIENCE)
        assert transport(Request("GET", server.url)).read()
        transport.close()


@row("2.3")
def test_an_idle_connection_that_the_server_closed_is_replaced_without_a_retry() -> None:
    closed = threading.Event()

    def close(connection: socket.socket) -> None:
        connection.shutdown(socket.SHUT_WR)
        closed.set()

    with serving([answer(completion()), close]) as server:
        client = rawchat.Client(base_url=server.url, environ={}, max_retries=0)
        for _ in range(3):
            assert client.chat("Hi").retries == 0
            assert closed.wait(PATIENCE)
            closed.clear()


@row("2.3", "3.1")
@pytest.mark.parametrize("end", [RESET, CLOSE])
def test_a_request_that_a_kept_connection_swallowed_is_not_sent_again_in_secret(end: str) -> None:
    """The server may have worked on it: another attempt is one of max_retries, logged and counted."""
    with serving(answer(completion()), [end], answer(completion())) as server:
        client = rawchat.Client(base_url=server.url, environ={}, max_retries=0)
        client.chat("Hi")
        with pytest.raises(APIConnectionError):
            client.chat("Hi")
        assert len(server.requests) == 2


@row("2.9")
def test_bytes_that_come_unasked_are_never_an_answer() -> None:
    evil, sent = answer(completion("evil")), threading.Event()
    with serving(
        answer(completion("good")) + evil,
        [answer(completion("good")), evil, lambda _: sent.set()],
        answer(completion("good")),
    ) as server:
        client = rawchat.Client(base_url=server.url, environ={})
        assert [client.chat("Hi").text for _ in range(2)] == ["good", "good"]
        assert sent.wait(PATIENCE)
        assert client.chat("Hi").text == "good"


@row("2.9", "8.8")
def test_no_cookies_are_kept() -> None:
    with serving(answer(completion(), headers={"Set-Cookie": "a=b; Path=/"})) as server:
        client = rawchat.Client(base_url=server.url, environ={})
        client.chat("Hi")
        client.chat("Hi")
        assert "cookie" not in server.requests[1].headers


@row("1.9", "8.7")
def test_netrc_never_replaces_the_key(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login evil password evil\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    with serving(answer(completion())) as server:
        rawchat.Client(api_key=KEY, base_url=server.url).chat("Hi")
        rawchat.Client(base_url=server.url).chat("Hi")
        assert [seen.headers.get("authorization") for seen in server.requests] == [
            f"Bearer {KEY}",
            None,
        ]


@row("2.5", "8.8")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_opens_its_own_connections() -> None:
    with serving(answer(completion())) as server:
        client = rawchat.Client(base_url=server.url, environ={})
        client.chat("Hi")
        child = os.fork()
        if child == 0:
            os._exit(0 if client.chat("Hi").text == "Hello" else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert client.chat("Hi").text == "Hello"
        assert [seen.connection for seen in server.requests] == [0, 1, 0]


@row("2.5", "9.5")
def test_a_transport_pickles_as_its_settings() -> None:
    with serving(answer(completion())) as server:
        transport = over_http(server.url, environ={"NO_PROXY": "*"})
        transport(post(server.url)).read()
        assert KEY.encode() not in pickle.dumps(transport)
        again = pickle.loads(pickle.dumps(transport))
        assert (again.base_url, again._settings) == (server.url, {"no_proxy": "*"})
        assert again(post(server.url)).read()


# ---- redirections


@row("2.6")
@pytest.mark.parametrize("status", [307, 308])
@pytest.mark.parametrize(
    "location", ["/v2/chat?x=1", "{origin}/v2/chat?x=1", "//127.0.0.1:{port}/v2/chat?x=1#part"]
)
def test_the_same_request_goes_to_another_place_within_the_origin(
    status: int, location: str
) -> None:
    with serving(answer(completion())) as server:
        place = location.format(origin=server.origin, port=server.port)
        server.script.insert(0, answer(b"", status, {"Location": place}))
        assert send(server.url).status == 200
        assert [
            (seen.method, seen.target, seen.body, seen.connection) for seen in server.requests
        ] == [("POST", "/v1/chat/completions", b"{}", 0), ("POST", "/v2/chat?x=1", b"{}", 0)]
        assert server.requests[1].headers["authorization"] == f"Bearer {KEY}"


@row("2.6")
@pytest.mark.parametrize(
    ("status", "location"),
    [
        (301, "/v2"),
        (302, "/v2"),
        (303, "/v2"),
        (307, "http://localhost:{port}/v1"),
        (308, "https://127.0.0.1:{port}/v1"),
        (307, "http://127.0.0.1:1/v1"),
        (307, "http://[bad"),
        (307, "http://h:port/"),
        (300, "/v2"),
        (304, ""),
    ],
)
def test_every_other_redirection_is_an_error_and_sends_nothing_more(
    status: int, location: str
) -> None:
    with serving() as server:
        server.script.append(answer(b"", status, {"Location": location.format(port=server.port)}))
        with pytest.raises(rawchat.APIStatusError, match=f"{status}: redirected to ") as caught:
            rawchat.Client(base_url=server.url, environ={}).chat("Hi")
        assert location.format(port=server.port) in str(caught.value)
        assert len(server.requests) == 1


@row("2.6")
def test_a_loop_ends_after_five() -> None:
    with serving(answer(b"", 307, {"Location": "/v1/again"})) as server:
        with pytest.raises(rawchat.APIStatusError, match="redirected to /v1/again"):
            rawchat.Client(base_url=server.url, environ={}).chat("Hi")
        assert len(server.requests) == 6


@row("2.6")
def test_a_get_may_be_redirected_with_any_status() -> None:
    with serving(answer(b"", 302, {"Location": "/v2/models"}), answer({"data": []})) as server:
        assert rawchat.Client(base_url=server.url, environ={}).models() == {"data": []}


# ---- settings of the network


@row("1.9", "2.7", "1.5")
def test_a_proxy_of_the_environment_is_used_and_no_proxy_obeyed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with serving(answer(completion())) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.origin)
        client = rawchat.Client(base_url="http://model.test/v1")
        monkeypatch.delenv("HTTP_PROXY")  # read when the client is made, not later
        assert client.chat("Hi").text == "Hello"
        assert proxy.requests[0].target == "http://model.test/v1/chat/completions"
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        assert rawchat.Client(base_url=proxy.url).chat("Hi").text == "Hello"


@row("1.9")
@pytest.mark.parametrize(
    ("settings", "proxy"),
    [
        ({}, None),
        ({"https_proxy": "p:1"}, "http://p:1"),
        ({"all_proxy": "http://p:1"}, "http://p:1"),
        ({"http_proxy": "http://p:1"}, None),
        ({"https_proxy": "http://p:1", "no_proxy": "x,h.test"}, None),
        ({"https_proxy": "http://p:1", "no_proxy": ".test"}, None),
        ({"https_proxy": "http://p:1", "no_proxy": "*"}, None),
        ({"https_proxy": "http://p:1", "no_proxy": "other.test"}, "http://p:1"),
    ],
)
def test_which_proxy(settings: dict[str, str], proxy: Optional[str]) -> None:
    assert proxies_for("https://h.test/v1", settings) == ({"https": proxy} if proxy else {})


@row("1.9", "9.4")
def test_tls_is_verified_and_the_bundle_can_be_chosen(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ConfigError, match="no such CA bundle: /nowhere"):
        over_http("https://h/v1", environ={"SSL_CERT_FILE": "/nowhere"})
    mine, theirs = tmp_path / "mine.pem", tmp_path / "theirs.pem"
    mine.touch()
    theirs.touch()
    environ = {"REQUESTS_CA_BUNDLE": str(theirs), "SSL_CERT_FILE": "/nowhere"}
    assert over_http("https://h/v1", environ=environ)._verify == str(theirs)
    assert over_http("https://h/v1", str(mine), environ)._verify == str(mine)
    assert over_http("https://h/v1", environ={})._verify is True


def test_the_server_of_pythons_own_library_is_understood() -> None:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"choices": [{"message": {"content": "Hi"}}]}')

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        assert rawchat.Client(base_url=url, environ={}).chat("Hi").text == "Hi"
        server.shutdown()


# ---- heads and ends that are not as they should be


@pytest.mark.parametrize(
    "line",
    [
        b"no header at all",
        b"X Y: 1",
        "Überschrift: 1".encode(),
        b": 1",
        b"X-A: 1\rno header",
        b"From me",
        b"no header\r\n  that goes on",
        b"no header\r\n" * 99 + b"nor this",
    ],
)
def test_a_line_that_is_no_header_takes_no_other_with_it(line: bytes) -> None:
    body = b'{"data": []}'
    start = (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
        + line
        + b"\r\nX-Request-Id : req_1\r\n"
    )
    never = threading.Event()
    with serving([start + b"Content-Length: %d\r\n\r\n" % len(body) + body, never]) as server:
        client = rawchat.Client(
            base_url=server.url, environ={}, timeout=PATIENCE / 2, max_retries=0
        )
        reply = client.models()
        never.set()
    assert reply == {"data": []}
    assert reply.request_id == "req_1"
    assert reply.headers["content-type"] == "application/json"


def test_a_header_that_goes_on_in_the_next_line_and_an_interim_response() -> None:
    interim = b"HTTP/1.1 100 Continue\r\nno header\r\n\r\n"
    final = b"HTTP/1.1 200 OK\r\nX-Request-Id: req\r\n\t_1\r\nContent-Length: 2\r\n\r\n{}"
    with serving(interim + final) as server:
        reply = rawchat.Client(base_url=server.url, environ={}).models()
    assert "".join(reply.headers["x-request-id"].split()) == "req_1"


def test_endless_lines_that_are_no_headers_are_an_error() -> None:
    with serving([b"HTTP/1.1 200 OK\r\n" + b"no header\r\n" * 1000 + b"\r\n{}", CLOSE]) as server:
        client = rawchat.Client(base_url=server.url, environ={}, max_retries=0)
        with pytest.raises(APIConnectionError, match="over 100 lines in the header block"):
            client.models()


EMPTY_BLOCK = b"\x00\x00\x00\xff\xff"  # of deflate (RFC 1951, 3.2.4): inflates to nothing


def packed_hello() -> bytes:
    packer = zlib.compressobj(wbits=31)
    return packer.compress(b"".join(HELLO)) + packer.flush(zlib.Z_SYNC_FLUSH)


@row("2.4")
@pytest.mark.parametrize(
    ("steps", "first", "drop"),
    [
        (streamed(end=False), b"ffff\r\n", b"x"),
        (streamed(end=False), b"5;", b"x"),
        (streamed(end=False), b"0\r\n", b"x"),
        (streamed(end=False), b"", b"1\r\nx\r\n"),
        ([head(200, Content_Length="9999999"), *HELLO], b"", b"x"),
        ([head(200, Connection="close"), *HELLO], b"", b"x"),
        (
            [head(200, Content_Length="9999999", Content_Encoding="gzip"), packed_hello()],
            b"",
            EMPTY_BLOCK,
        ),
        (
            [head(200, Connection="close", Content_Encoding="gzip"), packed_hello()],
            b"",
            EMPTY_BLOCK,
        ),
        (
            [
                head(200, Transfer_Encoding="chunked", Content_Encoding="gzip"),
                b"%x\r\n%s\r\n" % (len(packed_hello()), packed_hello()),
            ],
            b"",
            b"5\r\n%s\r\n" % EMPTY_BLOCK,
        ),
    ],
    ids=[
        "chunk",
        "size",
        "trailer",
        "chunks",
        "length",
        "close",
        "gzip-length",
        "gzip-close",
        "gzip-chunks",
    ],
)
def test_what_drips_after_done_does_not_hold_the_caller(
    steps: Any, first: bytes, drop: bytes
) -> None:
    to_its_end, left = threading.Event(), threading.Event()

    def drip(connection: socket.socket) -> None:
        end = time.monotonic() + PATIENCE / 2  # fifty times what the caller may be held
        try:
            while time.monotonic() < end:
                connection.sendall(drop)
                time.sleep(0.01)
            to_its_end.set()
        finally:
            left.set()

    with serving([*steps, first, drip]) as server:
        assert (
            rawchat.Client(base_url=server.url, environ={}).stream_chat("Hi").reply.text == "Hello"
        )
        assert left.wait(PATIENCE)
    assert not to_its_end.is_set()


@row("3.1")
def test_a_500_with_an_endless_body_is_the_servers_error() -> None:
    def endless(connection: socket.socket) -> None:
        while True:
            connection.sendall(b"x" * 10_000)

    with serving([head(500, Connection="close"), endless]) as server:
        client = rawchat.Client(
            base_url=server.url, environ={}, max_bytes=100_000, max_retries=1, sleep=lambda _: None
        )
        with pytest.raises(
            rawchat.InternalServerError, match="500: its body is over 100000 bytes; raise max_bytes"
        ):
            client.chat("Hi")
        assert len(server.requests) == 2  # it is retried as any 500


# ---- guards that random mutations of the code found without a test


def test_whether_a_connection_had_served_before() -> None:
    with serving(answer({}), answer({}), [answer({}), CLOSE], answer({})) as server:
        transport = over_http(server.url, environ={})
        reused = []
        for number in range(4):
            if number == 3:
                # else the client may find out only when it has sent the request
                server.wait_until_closed(0)
            response = transport(post(server.url))
            reused.append(response.connection_reused)
            response.read()
        assert (reused, server.connections) == ([False, True, True, False], 2)


class Timer:
    """Stands in for threading.Timer and never fires."""

    made: list["Timer"]

    def __init__(self, seconds: float, function: Any, args: Any):
        self.seconds, self.function, self.args = seconds, function, args
        self.daemon = self.started = self.cancelled = False
        self.made.append(self)

    def start(self) -> None:
        self.started = True

    def cancel(self) -> None:
        self.cancelled = True


def test_the_timer_of_a_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    Timer.made = []
    monkeypatch.setattr("rawchat.deadline.threading.Timer", Timer)
    monkeypatch.setattr("rawchat.deadline.time.monotonic", lambda: clock[0])
    one, other = socket.socketpair()
    with one, other:
        without = deadline.Deadline(None, "GET http://h/")
        without.arm(one)
        without.disarm()
        assert Timer.made == []
        bound = deadline.Deadline(7.0, "GET http://h/")
        clock[0] = 103.0
        bound.arm(one)
        timer = Timer.made[-1]
        assert (timer.seconds, timer.args, timer.daemon, timer.started) == (4.0, [one], True, True)
        assert bound.clamp((5.0, 600.0)) == (4.0, 4.0)
        assert not bound.has_expired()
        bound.disarm()
        assert timer.cancelled
        clock[0] = 107.0
        assert bound.has_expired()  # at the very moment
        clock[0] = 200.0
        bound.arm(one)
        assert Timer.made[-1].seconds == 0  # threading waits for ever for less
        timer.function(*timer.args)  # it ends what reads from the socket, on both sides
        assert (one.recv(1), other.recv(1)) == (b"", b"")


# ---- proxy settings that cannot be used


@row("1.9", "8.5", "12.4")
@pytest.mark.parametrize(
    "proxy",
    [
        "ftp://user:hunter2@h:21",
        "foo://hunter2",
        "http://",
        "http://user:hunter2@",
        "http://user:hunter2@h:port",
        "http://user:hunter2@h:99999",
        "http://user:hun/ter2@h:1",
        "http://user:hunter2@[::1",
        "http://user:hunter2@h h:1",
        "http://user:hunter2@" + "a" * 64 + ":1",
        "http://user:hunter2@a..b:1",
        "http://hun#ter2@h:1",
        "://hunter2",
        "http://user:hunter2@h:1\n",
        "http://user:hunter2@\\h:1",
        "http://user:hunter2@h\x00:1",
        "user:hunter2@h:port",
        "http://user:hunter2@h%zz:1",
    ],
)
@pytest.mark.parametrize("target", ["http", "https"])
def test_a_proxy_that_cannot_be_used_is_one_error_of_ours_and_shows_nothing_of_it(
    proxy: str, target: str
) -> None:
    client = rawchat.Client(
        api_key=KEY,
        base_url=f"{target}://model.test/v1",
        allow_http=True,
        max_retries=0,
        environ={"ALL_PROXY": proxy},
    )
    with pytest.raises(rawchat.ConfigError) as caught:
        client.chat("Hi")
    said = "".join(traceback.format_exception(type(caught.value), caught.value, None))
    assert "proxy" in said
    assert not any(part in said for part in ("hunter2", "ter2", "hun/", KEY))
    assert caught.value.__context__ is None


@row("1.9")
def test_a_proxy_that_is_not_used_is_not_looked_at() -> None:
    with serving(answer(completion())) as server:
        for environ in (
            {"HTTPS_PROXY": "socks5://h"},
            {"ALL_PROXY": "socks5://h", "NO_PROXY": "127.0.0.1"},
        ):
            assert rawchat.Client(base_url=server.url, environ=environ).chat("Hi").text == "Hello"


@row("1.9")
@pytest.mark.parametrize(
    "proxy",
    [
        "http://u:p%40ss@{}",
        "http://u:%E2%82%AC@{}",
        "http://u:\u20ac@{}",
        "{}",
        "http://{}/",
        "HTTP://{}",
    ],
)
def test_a_proxy_in_any_good_form_is_used(proxy: str) -> None:
    with serving(answer(completion())) as server:
        environ = {"HTTP_PROXY": proxy.format(f"127.0.0.1:{server.port}")}
        assert (
            rawchat.Client(base_url="http://model.test/v1", environ=environ).chat("Hi").text
            == "Hello"
        )
