"""Streams of an AsyncClient for which the event loop waits, and no thread."""

import asyncio
import contextlib
import gc
import gzip
import json
import pathlib
import select
import selectors
import socket
import ssl
import threading
from collections.abc import Iterator
from typing import Any, Callable

import pytest

import rawchat
from rawchat.aio import AsyncClient
from rawchat.aio.watch import BodyWatch
from rawchat.errors import APITimeoutError, DeadlineExceededError, StreamInterruptedError
from rawchat.transport import over_http

from ..server import (
    CLOSE,
    HELLO,
    PATIENCE,
    Server,
    Step,
    answer,
    completion,
    delta,
    event,
    head,
    serving,
    streamed,
)
from .test_aio import play

TLS = pathlib.Path(__file__).parent.parent / "tls"


async def read(client: AsyncClient, **params: Any) -> str:
    """Return the text of a stream, read chunk by chunk."""
    async with client.stream_chat("Hi", **params) as stream:
        return "".join([chunk.text async for chunk in stream])


@contextlib.contextmanager
def serving_silence(*script: Any) -> Iterator[Server]:
    """Serve a stream that is silent after its second chunk, and then `script`."""
    over = threading.Event()
    with serving(streamed([*HELLO[:2], over, *HELLO[2:]]), *script) as server:
        try:
            yield server
        finally:
            over.set()


def test_a_hundred_silent_streams_take_no_threads() -> None:
    """Only to open them takes some, one after the other here."""
    silence = threading.Event()
    before = threading.active_count()

    async def use(client: AsyncClient) -> tuple[int, set[str]]:
        streams = [await client.stream_chat("Think") for _ in range(100)]
        reads = [asyncio.ensure_future(stream.reply()) for stream in streams]
        for _ in range(3):
            await asyncio.sleep(0)
        n_threads = threading.active_count() - before - server.connections
        silence.set()
        return n_threads, {(await read).text for read in reads}

    with serving(streamed([*HELLO[:2], silence, *HELLO[2:]])) as server:
        n_threads, texts = play(use, server)
    assert texts == {"Hello"}
    assert n_threads <= 3  # of the client and of the server, which has one for each connection


@pytest.mark.parametrize("framing", ["chunked", "length", "close"])
def test_every_framing_gives_the_same(framing: str) -> None:
    with serving(streamed(framing=framing)) as server:
        assert play(read, server) == "Hello"


def test_a_compressed_stream_gives_the_same() -> None:
    body = gzip.compress(b"".join(e for e in HELLO if isinstance(e, bytes)))
    with serving(streamed([body], headers={"Content-Encoding": "gzip"})) as server:
        assert play(read, server) == "Hello"


def test_streams_one_after_the_other_use_one_connection() -> None:
    async def use(client: AsyncClient) -> list[str]:
        return [await read(client) for _ in range(3)] + [(await client.chat("Hi")).text]

    with serving(*[streamed()] * 3, answer(completion("plain"))) as server:
        assert play(use, server) == ["Hello", "Hello", "Hello", "plain"]
        assert server.connections == 1


def test_a_plain_call_waits_as_it_should_on_the_connection_of_a_stream() -> None:
    """The socket of a stream does not wait; that of the call after it does."""
    asked = threading.Event()

    async def use(client: AsyncClient) -> tuple[str, str]:
        first = await read(client)
        call = asyncio.ensure_future(client.chat("Hi"))
        while len(server.requests) < 2:
            await asyncio.sleep(0.001)
        asked.set()
        return first, (await call).text

    with serving(streamed(), [asked, answer(completion("late"))]) as server:
        assert play(use, server) == ("Hello", "late")
        assert server.connections == 1


@contextlib.contextmanager
def serving_tls(*script: Any) -> Iterator[Server]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(str(TLS / "loopback.pem"))

    class TLSServer(Server):
        def serve(self, connection: socket.socket, number: int) -> None:
            with contextlib.suppress(OSError):
                super().serve(context.wrap_socket(connection, server_side=True), number)

    with TLSServer(script) as server:
        server.origin = server.origin.replace("http:", "https:")
        yield server


def test_a_stream_over_tls_may_hold_more_than_the_socket_shows() -> None:
    """A record of TLS is decrypted as a whole: what was not taken of it is in no socket any more."""
    steps = streamed([HELLO[0], *[HELLO[1]] * 60, *HELLO[2:]])
    record = b"".join(step for step in steps if isinstance(step, bytes))
    assert 2**13 < len(record) < 2**14  # more than is read for the headers, and one record
    with serving_tls(record) as server:
        text = play(read, server, ca_bundle=str(TLS / "ca.pem"), timeout=(PATIENCE, PATIENCE))
    assert text == "Hel" * 60 + "lo"


def test_silence_is_bounded_by_the_timeout_of_a_read() -> None:
    async def use(client: AsyncClient) -> None:
        async with client.stream_chat("Hi", timeout=(5, 0.05)) as stream:
            async for _ in stream:
                pass

    with serving_silence() as server, pytest.raises(APITimeoutError) as caught:
        play(use, server)
    assert caught.value.partial.text == "Hel"


class StubTimer:
    """A timer at a moment of the clock below."""

    def __init__(self, when: float):
        self._when = when

    def when(self) -> float:
        return self._when

    def cancel(self) -> None:
        pass


class StubLoop:
    """What a watch needs of a loop, with a clock of its own."""

    def __init__(self) -> None:
        self.now = 0.0
        self.timers: list[Any] = []
        self.readers: list[Callable[[], None]] = []

    def is_closed(self) -> bool:
        return False

    def time(self) -> float:
        return self.now

    def create_future(self) -> "asyncio.Future[None]":
        return asyncio.get_running_loop().create_future()

    def call_at(self, when: float, callback: Callable[[], None]) -> StubTimer:
        self.timers.append((when, callback))
        return StubTimer(when)

    def add_reader(self, descriptor: int, callback: Callable[[], None]) -> None:
        self.readers.append(callback)

    def remove_reader(self, descriptor: int) -> None:
        self.readers.pop()


class StubBody:
    """A body that has something to read whenever it is asked, unless `is_unread`."""

    timeout = 10.0
    timed_out = False
    is_unread = False

    def fileno(self) -> int:
        return 3

    def receive(self) -> bool:
        return not self.is_unread

    def time_out(self) -> None:
        self.timed_out = True


def test_the_timeout_counts_from_the_last_chunk() -> None:
    async def use() -> None:
        loop, body = StubLoop(), StubBody()
        watch = BodyWatch(body, loop)  # type: ignore[arg-type]
        first = asyncio.ensure_future(watch.wait())
        await asyncio.sleep(0)
        loop.now = 9.0
        loop.readers[0]()
        await first
        second = asyncio.ensure_future(watch.wait())
        await asyncio.sleep(0)
        when, check = loop.timers.pop()
        assert when == 10.0
        loop.now = 10.0
        check()
        assert not body.timed_out
        when, check = loop.timers.pop()
        assert when == 19.0
        loop.now = 19.0
        check()
        await second
        assert body.timed_out

    asyncio.run(use())


def test_a_timeout_that_becomes_shorter_counts_at_once() -> None:
    async def use() -> None:
        loop, body = StubLoop(), StubBody()
        watch = BodyWatch(body, loop)  # type: ignore[arg-type]
        first = asyncio.ensure_future(watch.wait())
        await asyncio.sleep(0)
        loop.readers[0]()
        await first
        body.timeout = 2.0
        second = asyncio.ensure_future(watch.wait())
        await asyncio.sleep(0)
        assert [when for when, _ in loop.timers] == [10.0, 2.0]
        watch.close()
        await second

    asyncio.run(use())


def test_a_socket_is_not_watched_while_its_last_piece_is_unread() -> None:
    async def use() -> None:
        loop, body = StubLoop(), StubBody()
        watch = BodyWatch(body, loop)  # type: ignore[arg-type]
        for _ in range(2):
            waiting = asyncio.ensure_future(watch.wait())
            await asyncio.sleep(0)
            loop.readers[0]()
            await waiting
            body.is_unread = True
            loop.readers[0]()
            assert loop.readers == []
            body.is_unread = False
        watch.close()

    asyncio.run(use())


def test_a_deadline_ends_a_stream_that_is_silent() -> None:
    with serving_silence() as server, pytest.raises(DeadlineExceededError) as caught:
        play(read, server, deadline=0.2)
    assert caught.value.partial.text == "Hel"


def test_a_stream_that_breaks_is_an_error_with_what_came() -> None:
    broken = streamed([*HELLO[:2], CLOSE])
    with serving(broken) as server, pytest.raises(StreamInterruptedError) as caught:
        play(read, server)
    assert caught.value.partial.text == "Hel"


def test_a_read_that_is_cancelled_leaves_the_loop_nothing_to_watch() -> None:
    async def use(client: AsyncClient) -> None:
        stream = await client.stream_chat("Hi")
        reading = asyncio.ensure_future(stream.reply())
        while not (stream._watch and stream._watch._is_watching):
            await asyncio.sleep(0)
        descriptor = stream._watch._descriptor
        timer = stream._watch._timer
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        assert not asyncio.get_running_loop().remove_reader(descriptor)
        assert timer
        assert timer.cancelled()
        assert (await client.chat("Hi")).text == "Hello"

    with serving_silence(answer(completion())) as server:
        play(use, server)


def test_to_close_a_stream_ends_the_read_of_another_task() -> None:
    async def use(client: AsyncClient) -> str:
        stream = await client.stream_chat("Hi")
        reading = asyncio.ensure_future(stream.reply())
        while not (stream._watch and stream._watch._is_watching):
            await asyncio.sleep(0)
        stream.close()
        return (await reading).text

    with serving_silence() as server:
        assert play(use, server) in ("", "Hel")


def test_a_loop_that_is_left_early_frees_the_connection() -> None:
    hung_up = threading.Event()

    def wait_for_the_end(connection: socket.socket) -> None:
        connection.settimeout(PATIENCE)
        if not connection.recv(1):
            hung_up.set()

    async def use(client: AsyncClient) -> None:
        stream = await client.stream_chat("Hi")
        async for chunk in stream:
            if chunk.text:
                break
        gc.collect()  # the loop over the chunks is collected at once, but not by PyPy
        assert await asyncio.to_thread(hung_up.wait, PATIENCE)

    with serving(streamed([*HELLO[:2], wait_for_the_end, CLOSE])) as server:
        play(use, server)


def test_a_reader_that_is_slow_holds_the_server_up() -> None:
    """What the client has not asked for stays in the sockets, whose buffers are full at last."""
    stuck = threading.Event()
    chunk = streamed([HELLO[1]])[1]
    assert isinstance(chunk, bytes)

    def send_much(connection: socket.socket) -> None:
        connection.settimeout(0.2)
        try:
            for _ in range(5000):
                connection.sendall(chunk * 100)
        except socket.timeout:
            stuck.set()

    async def use(client: AsyncClient) -> None:
        async with client.stream_chat("Hi") as stream:
            async for _ in stream:
                assert await asyncio.to_thread(stuck.wait, PATIENCE)
                break

    steps: list[Step] = [streamed([])[0], send_much, CLOSE]
    with serving(steps) as server:
        play(use, server)


def test_a_transport_of_ones_own_is_read_by_a_thread() -> None:
    with serving(streamed()) as server:
        http = over_http(server.url, environ={})

        def plain(request: Any) -> Any:
            response = http(request)
            return rawchat.Response(
                response.status, response.headers, response.pieces, response.close, response.release
            )

        assert play(read, server, transport=plain) == "Hello"


@pytest.mark.parametrize("kind", ["no readers", "few readers"])
def test_the_loops_of_windows_give_the_work_to_a_thread(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The default one has no readers, and the other one at most 512."""
    loop = asyncio.SelectorEventLoop()
    if kind == "no readers":
        monkeypatch.setattr(type(loop), "add_reader", asyncio.AbstractEventLoop.add_reader)
    else:
        loop.close()
        loop = asyncio.SelectorEventLoop(selectors.SelectSelector())

    async def use() -> str:
        client = AsyncClient(base_url=server.url, environ={})
        async with client, client.stream_chat("Hi") as stream:
            text = "".join([chunk.text async for chunk in stream])
            assert stream._watch is None
            return text

    with serving(streamed()) as server, contextlib.closing(loop):
        assert loop.run_until_complete(use()) == "Hello"


def test_a_stream_that_is_held_open_after_its_end_is_over_in_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """musistudio/claude-code-router#1271: no [DONE], and no end of the body; `sse.pieces` bounds the wait."""
    monkeypatch.setattr("rawchat.sse.pieces.AFTER_FINISH", 0.05)
    held = threading.Event()
    with serving(streamed([*HELLO[:-1], held], end=False)) as server:
        assert play(read, server) == "Hello"
        held.set()


UNENDED = [*HELLO[:3], event(delta(finish="stop")).rstrip(b"\n")]
PLAIN = json.dumps(completion()).encode()


@pytest.mark.parametrize(
    "steps",
    [
        pytest.param(streamed(UNENDED), id="an event without its blank line"),
        pytest.param(
            [
                head(200, {"Transfer-Encoding": "chunked"}),
                b"%x\r\n%s\r\n" % (len(PLAIN), PLAIN),
                b"0\r\n\r\n",
            ],
            id="plain JSON",
        ),
    ],
)
def test_the_last_chunk_may_follow_the_end_of_the_body(steps: list[Step]) -> None:
    """By then another request may use the connection, whose response must not be taken for the stream's."""
    go_on = threading.Event()

    async def use(client: AsyncClient) -> str:
        stream = await client.stream_chat("Hi")
        reading = stream.__aiter__()
        chunk = asyncio.ensure_future(reading.__anext__())
        while not (stream._watch and stream._watch._is_watching):
            await asyncio.sleep(0)
        descriptor = stream._watch._descriptor
        go_on.set()
        while not (await chunk)["choices"][0]["finish_reason"]:
            chunk = asyncio.ensure_future(reading.__anext__())
        assert not asyncio.get_running_loop().remove_reader(descriptor)
        text = (await client.chat("Hi")).text
        assert [chunk async for chunk in reading] == []
        return text

    with serving([steps[0], go_on, *steps[1:]], answer(completion("plain"))) as server:
        assert play(use, server, timeout=(5, 5), max_retries=0) == "plain"
        assert server.connections == 1


def test_a_body_of_which_a_part_was_read_before_is_read_by_a_thread() -> None:
    """Behind an HTTP proxy, the start of a body without a type of events is searched for the proxy's own page."""
    go_on = threading.Event()
    steps = streamed([*HELLO[:2], go_on, *HELLO[2:]], headers={"Content-Type": "text/plain"})

    async def use(client: AsyncClient) -> str:
        async with client.stream_chat("Hi") as stream:
            go_on.set()
            return "".join([chunk.text async for chunk in stream])

    with serving(steps) as server:
        server_behind = Server([])
        server_behind.origin = "http://model.test"
        assert play(use, server_behind, proxy=server.origin, allow_http=True) == "Hello"


def test_pieces_that_others_were_made_of_are_read_by_a_thread() -> None:
    """What makes them knows nothing of a piece that says that none has arrived."""
    go_on = threading.Event()

    def shout(pieces: Any) -> Iterator[bytes]:
        for piece in pieces:
            yield piece.replace(b"lo", b"LO")

    async def use(client: AsyncClient) -> str:
        async with client.stream_chat("Hi") as stream:
            asyncio.get_running_loop().call_later(0.01, go_on.set)
            return "".join([chunk.text async for chunk in stream])

    with serving(streamed([*HELLO[:2], go_on, *HELLO[2:]])) as server:
        http = over_http(server.url, environ={})

        def transport(request: Any) -> Any:
            response = http(request)
            response.pieces = shout(response.pieces)
            return response

        assert play(use, server, transport=transport) == "HelLO"


def test_two_tasks_may_share_a_stream() -> None:
    async def use(client: AsyncClient) -> str:
        stream = await client.stream_chat("Hi")
        reads = [asyncio.ensure_future(stream.reply()) for _ in range(2)]
        while not (stream._watch and stream._watch._is_watching):
            await asyncio.sleep(0)
        go_on.set()
        first, second = await asyncio.wait_for(asyncio.gather(*reads), PATIENCE)
        assert first == second
        return str(first.text)

    go_on = threading.Event()
    with serving(streamed([*HELLO[:2], go_on, *HELLO[2:]])) as server:
        assert play(use, server) == "Hello"


def test_a_loop_that_was_busy_for_long_does_not_take_its_own_time_for_silence() -> None:
    """What has arrived in the meantime is read, whether the loop looks at its sockets or at its timers first."""

    async def use(client: AsyncClient) -> str:
        stream = await client.stream_chat("Hi")
        reading = asyncio.ensure_future(stream.reply())
        while not (stream._watch and stream._watch._is_watching):
            await asyncio.sleep(0)
        watch = stream._watch
        go_on.set()
        assert select.select([watch._descriptor], [], [], PATIENCE)[0]
        watch._give_up_at = 0.0
        watch._check_time()
        return (await reading).text

    go_on = threading.Event()
    with serving(streamed([*HELLO[:2], go_on, *HELLO[2:]])) as server:
        assert play(use, server) == "Hello"


def test_a_stream_can_be_closed_after_its_loop() -> None:
    """Even if a task waits for it, which never ends then."""
    hung_up = threading.Event()

    def wait_for_the_end(connection: socket.socket) -> None:
        connection.settimeout(PATIENCE)
        if not connection.recv(1):
            hung_up.set()

    async def begin_to_read() -> Any:
        stream = await client.stream_chat("Hi")
        reading = asyncio.ensure_future(stream.reply())
        while not (stream._watch and stream._watch._is_watching):
            await asyncio.sleep(0)
        return stream, reading

    with serving([*streamed([wait_for_the_end], end=False), CLOSE]) as server:
        client = AsyncClient(base_url=server.url, environ={})
        with contextlib.closing(asyncio.new_event_loop()) as loop:
            stream, reading = loop.run_until_complete(begin_to_read())
        stream.close()
        assert hung_up.wait(PATIENCE)
        client.client.close()
        reading._log_destroy_pending = False


def test_the_end_of_the_body_is_waited_for_so_that_the_connection_serves_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Many servers send the last, empty chunk some time after [DONE]."""
    monkeypatch.setattr("rawchat.sse.pieces.AFTER_DONE", PATIENCE)
    go_on = threading.Event()

    async def use(client: AsyncClient) -> str:
        stream = await client.stream_chat("Hi")
        reading = asyncio.ensure_future(stream.reply())
        while stream._stream._count < 4:
            await asyncio.sleep(0)
        for _ in range(100):  # [DONE] may arrive a little later
            await asyncio.sleep(0)
        go_on.set()
        await reading
        return (await client.chat("Hi")).text

    steps = [*streamed(end=False), go_on, b"0\r\n\r\n"]
    with serving(steps, answer(completion("plain"))) as server:
        assert play(use, server) == "plain"
        assert server.connections == 1


def test_an_end_of_the_body_that_does_not_come_closes_the_connection() -> None:
    hung_up = threading.Event()

    def wait_for_the_end(connection: socket.socket) -> None:
        connection.settimeout(PATIENCE)
        if not connection.recv(1):
            hung_up.set()

    async def use(client: AsyncClient) -> str:
        text = await read(client)
        assert await asyncio.get_running_loop().run_in_executor(None, hung_up.wait, PATIENCE)
        return text

    with serving([*streamed(end=False), wait_for_the_end, CLOSE]) as server:
        assert play(use, server) == "Hello"


def test_a_stream_that_is_left_to_the_garbage_collector_waits_for_no_lock() -> None:
    """The collector may run in a thread that holds the lock of urllib3's pool, where a second `put` never returns."""

    async def use(client: AsyncClient) -> None:
        await read(client)
        (pool,) = client.client.transport._adapter.poolmanager.pools._container.values()
        stream = await client.stream_chat("Hi")
        chunk = asyncio.ensure_future(stream.__aiter__().__anext__())
        await chunk
        body = stream._stream.response.pieces
        puts: list[Any] = []
        pool.pool.put = lambda *args, **options: puts.append(args)
        body.close()  # what the collector does
        assert puts == []
        stream.close()

    with serving_silence_after_hello() as server:
        play(use, server)


@contextlib.contextmanager
def serving_silence_after_hello() -> Iterator[Server]:
    over = threading.Event()
    with serving(streamed(), streamed([*HELLO[:2], over, *HELLO[2:]])) as server:
        try:
            yield server
        finally:
            over.set()
