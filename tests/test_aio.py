"""The same verbs, awaited: what is cancelled ends at once, on the wire too."""
import asyncio
import socket
import threading
import time
from collections.abc import Awaitable
from typing import Any, Callable

import pytest

import rawchat
from rawchat.aio import AsyncClient

from .server import HELLO, PATIENCE, Server, answer, completion, serving, streamed


def play(use: Callable[[AsyncClient], Awaitable[Any]], server: Server, **settings: Any) -> Any:
    """What `use` gives with a client of `server`."""
    async def whole() -> Any:
        async with AsyncClient(base_url=server.url, environ={}, **settings) as client:
            return await use(client)

    return asyncio.run(whole())


class Hangup:
    """A step of a script that waits until the client hangs up; `came` is set then."""

    def __init__(self) -> None:
        self.came = threading.Event()

    def __call__(self, connection: socket.socket) -> None:
        connection.settimeout(PATIENCE)
        if not connection.recv(1):
            self.came.set()


def test_every_verb() -> None:
    async def use(client: AsyncClient) -> None:
        assert (await client.chat("Hi", seed=1)).text == "Hello"
        assert (await client.complete("Hi")).text == "Hello"
        for reply in (client.moderate("Hi"), client.image("a cat"), client.models(), client.model("m")):
            assert (await reply).text == "Hello"

    with serving(answer(completion())) as server:
        play(use, server)
    assert [seen.target[3:] for seen in server.requests] == [
        "/chat/completions", "/completions", "/moderations", "/images/generations", "/models", "/models/m"]
    assert server.requests[0].json["seed"] == 1


def test_streams_are_read_chunk_by_chunk_and_merged() -> None:
    async def use(client: AsyncClient) -> Any:
        async with await client.stream_chat("Hi") as stream:
            texts = [text async for text in stream.texts()]
        async with await client.stream_complete("Hi") as stream:
            chunks = [chunk["id"] async for chunk in stream]
        return texts, chunks, (await stream.reply()).text

    with serving(streamed()) as server:
        assert play(use, server) == (["Hel", "lo"], ["chatcmpl-1"] * 4, "Hello")
    assert server.connections == 1


def test_errors_are_those_of_the_client() -> None:
    with serving(answer({"error": {"message": "no"}}, 404)) as server, pytest.raises(rawchat.NotFoundError):
        play(lambda client: client.chat("Hi"), server)
    broken = streamed(HELLO[:2], end=False)

    async def use(client: AsyncClient) -> None:
        async for _ in await client.stream_chat("Hi"):
            pass

    with serving([*broken, "close"]) as server, pytest.raises(rawchat.StreamInterruptedError) as caught:
        play(use, server)
    assert caught.value.partial.text == "Hel"


def test_chunks_are_read_only_when_they_are_asked_for() -> None:
    came, asked = threading.Event(), threading.Event()

    async def use(client: AsyncClient) -> None:
        async with await client.stream_chat("Hi") as stream:
            chunks = stream.__aiter__()
            for _ in range(2):
                await chunks.__anext__()
            came.set()                      # else the server does not go on: nothing can have been read ahead
            assert asked.wait(PATIENCE)
            assert [chunk.text async for chunk in chunks] == ["lo", ""]

    steps = streamed([*HELLO[:2], came, lambda connection: asked.set(), *HELLO[2:]])
    with serving(steps) as server:
        play(use, server)


@pytest.mark.parametrize("verb", ["chat", "stream_chat"])
def test_to_cancel_closes_the_socket_at_once_and_tries_nothing_more(verb: str) -> None:
    begun, hangup = threading.Event(), Hangup()

    async def use(client: AsyncClient) -> None:
        call = asyncio.ensure_future(getattr(client, verb)("Hi"))
        await asyncio.to_thread(begun.wait, PATIENCE)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert await asyncio.to_thread(hangup.came.wait, PATIENCE)
        assert (await client.chat("Hi")).text == "Hello"        # the client is as good as before

    with serving([lambda connection: begun.set(), hangup, "close"], answer(completion())) as server:
        play(use, server, max_concurrency=1)        # the next call waits for the thread of the cancelled one
    assert len(server.requests) == 2


def test_a_call_on_a_kept_connection_is_not_sent_again_when_it_is_cancelled() -> None:
    begun, hangup = threading.Event(), Hangup()

    async def use(client: AsyncClient) -> None:
        await client.chat("Hi")
        call = asyncio.ensure_future(client.chat("Hi"))
        await asyncio.to_thread(begun.wait, PATIENCE)
        call.cancel()
        assert await asyncio.to_thread(hangup.came.wait, PATIENCE)
        await client.chat("Hi")

    steps = [lambda connection: begun.set(), hangup, "close"]
    with serving(answer(completion()), steps, answer(completion())) as server:
        play(use, server, max_concurrency=1)
    assert len(server.requests) == 3


def test_a_stream_whose_read_is_cancelled_hangs_up() -> None:
    hangup = Hangup()

    async def use(client: AsyncClient) -> None:
        async with await client.stream_chat("Hi") as stream:
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(stream.reply(), 0.05)
        assert await asyncio.to_thread(hangup.came.wait, PATIENCE)

    with serving(streamed([*HELLO[:2], hangup, "close"])) as server:
        play(use, server)


def test_a_wait_between_attempts_is_cancelled_too() -> None:
    with serving(answer({}, 503, {"Retry-After": "100"})) as server:
        async def use(client: AsyncClient) -> None:
            call = asyncio.ensure_future(client.chat("Hi"))
            while not server.requests:
                await asyncio.sleep(0.005)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            assert await client.run(lambda: "free") == "free"

        start = time.monotonic()
        play(use, server, max_concurrency=1)
        assert time.monotonic() - start < PATIENCE
    assert len(server.requests) == 1


def test_at_most_so_many_at_the_same_time() -> None:
    now, most, lock = 0, 0, threading.Lock()
    full = threading.Barrier(4)

    def busy() -> None:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        full.wait(PATIENCE)                 # four get here, or the test fails
        with lock:
            now -= 1

    async def use(client: AsyncClient) -> None:
        await asyncio.gather(*(client.run(busy) for _ in range(12)))

    with serving(answer({})) as server:
        play(use, server, max_concurrency=4)
    assert most == 4


def test_after_close_a_call_is_an_error() -> None:
    async def use(client: AsyncClient) -> None:
        await client.close()
        await client.chat("Hi")

    with serving(answer({})) as server, pytest.raises(RuntimeError):
        play(use, server)
    assert server.requests == []
