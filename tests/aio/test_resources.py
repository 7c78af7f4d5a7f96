"""Any endpoint, awaited."""

import asyncio
import pathlib
import threading
from typing import Any

import pytest

import rawchat
from rawchat.aio import AsyncClient
from rawchat.aio.resources import AsyncByteStream, AsyncEventStream
from rawchat.resources import Content

from ..server import PATIENCE, answer, head, serving, streamed
from .test_aio import play

row = pytest.mark.row


def typed(body: bytes, content_type: str) -> bytes:
    return head(200, Content_Type=content_type, Content_Length=len(body)) + body


DONE = b'event: transcript.text.done\ndata: {"text": "Hello"}\n\n'
DELTA = b'event: transcript.text.delta\ndata: {"delta": "Hello"}\n\n'


@row("14.1")
def test_every_verb(tmp_path: pathlib.Path) -> None:
    recording = tmp_path / "a.wav"
    recording.write_bytes(b"RIFF")

    async def use(client: AsyncClient) -> Any:
        found = [
            await client.post("/a", {"x": 1}),
            await client.get("/b"),
            await client.delete("/c"),
        ]
        found.append((await client.embed("a")).embeddings)
        found.append((await client.transcribe(recording)).text)
        async with client.transcribe(recording, stream=True) as stream:
            assert isinstance(stream, AsyncEventStream)
            found.append([text async for text in stream.texts()])
        found.append((await stream.reply()).text)
        async with client.speak("Hi") as sound:
            found.append(await sound.save(tmp_path / "out"))
        return found

    vector = answer({"data": [{"embedding": [1]}]})
    sound = typed(b"sound", "audio/wav")
    script = [answer({"ok": 1})] * 3 + [vector, answer({"text": "said"})]
    with serving(*script, streamed([DELTA, DONE]), sound) as server:
        found = play(use, server)
    assert found == [
        *[{"ok": 1}] * 3,
        [[1.0]],
        "said",
        ["Hello"],
        "Hello",
        str(tmp_path / "out"),
    ]
    assert (tmp_path / "out").read_bytes() == b"sound"


@row("14.6")
def test_bytes_and_events_are_read_while_they_arrive() -> None:
    came = threading.Event()

    async def use(client: AsyncClient) -> Any:
        async with client.stream("/f") as stream:
            assert isinstance(stream, AsyncByteStream)
            pieces = stream.__aiter__()
            first = await pieces.__anext__()
            came.set()
            rest = await stream.read()
            assert isinstance(rest, Content)
        async with await client.stream("/x", {"a": 1}) as events:
            names = [event.event async for event in events]
        return first, rest, names

    steps = [head(200, Content_Type="audio/wav", Content_Length=6), b"one", came, b"two"]
    with serving(steps, streamed([DELTA, DONE])) as server:
        assert play(use, server) == (
            b"one",
            b"two",
            ["transcript.text.delta", "transcript.text.done"],
        )


def test_a_stream_whose_call_is_cancelled_hangs_up() -> None:
    begun, gone = threading.Event(), threading.Event()

    def wait_for_end(connection: Any) -> None:
        connection.settimeout(PATIENCE)
        if not connection.recv(1):
            gone.set()

    async def use(client: AsyncClient) -> None:
        call = asyncio.create_task(client.stream("/f"))
        await asyncio.to_thread(begun.wait, PATIENCE)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert await asyncio.to_thread(gone.wait, PATIENCE)

    with serving([lambda connection: begun.set(), wait_for_end, "close"]) as server:
        play(use, server)
    assert len(server.requests) == 1


def test_errors_are_those_of_the_client() -> None:
    async def use(client: AsyncClient) -> None:
        await client.post("/x", {"a": 1})

    with (
        serving(answer({"error": {"message": "no"}}, 404)) as server,
        pytest.raises(rawchat.NotFoundError),
    ):
        play(use, server)
