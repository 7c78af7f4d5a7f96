"""`transcribe` and `speak`: what is sent, and what comes back."""

import json
import pathlib
from typing import Any

import pytest

import rawchat
from rawchat.resources import ByteStream, EventStream, Resource

from ..conftest import Waits
from ..server import Server, answer, head, serving, streamed

row = pytest.mark.row

KEY = "sk-1234567890"


def client(server: Server, **settings: Any) -> rawchat.Client:
    return rawchat.Client(KEY, server.url, environ={}, **settings)


def typed(body: bytes, content_type: str) -> bytes:
    return head(200, Content_Type=content_type, Content_Length=len(body)) + body


@pytest.fixture
def recording(tmp_path: pathlib.Path) -> pathlib.Path:
    path = tmp_path / "talk.wav"
    path.write_bytes(b"RIFF....WAVE")
    return path


@row("14.8")
def test_a_recording_is_uploaded_and_its_text_returned(recording: pathlib.Path) -> None:
    replies: list[Any] = []
    with serving(answer({"text": "Hello", "usage": {"type": "duration"}})) as server:
        caller = client(server, on_reply=replies.append)
        reply = caller.transcribe(str(recording), language="en", timestamp_granularities=["word"])
    assert isinstance(reply, Resource)
    assert reply.text == "Hello"
    assert replies == [reply]
    seen = server.requests[0]
    assert seen.target == "/v1/audio/transcriptions"
    assert seen.headers["content-type"].startswith("multipart/form-data; boundary=")
    for part in (
        b'name="model"\r\n\r\nwhisper-1\r\n',
        b'name="language"\r\n\r\nen\r\n',
        b'name="timestamp_granularities[]"\r\n\r\nword\r\n',
        b'name="file"; filename="talk.wav"\r\n',
        b"\r\n\r\nRIFF....WAVE\r\n",
    ):
        assert part in seen.body


@row("14.8")
@pytest.mark.parametrize("content_type", ["text/plain; charset=utf-8", "text/vtt", ""])
def test_a_text_in_place_of_json_is_the_text(recording: pathlib.Path, content_type: str) -> None:
    with serving(typed("Grüße\n".encode(), content_type)) as server:
        reply = client(server).transcribe(recording, response_format="text")
    assert reply.text == "Grüße\n"


@row("14.8")
def test_a_transcription_is_streamed_where_the_server_does(recording: pathlib.Path) -> None:
    events = []
    for fields in (
        {"type": "transcript.text.delta", "delta": "Hel"},
        {"type": "transcript.text.delta", "delta": "lo"},
        {"type": "transcript.text.done", "text": "Hello"},
    ):
        events.append(f"data: {json.dumps(fields)}\n\n".encode())
    with serving(streamed(events), answer({"text": "Hello"})) as server:
        for _ in range(2):
            stream = client(server).transcribe(recording, stream=True)
            assert isinstance(stream, EventStream)
            assert "".join(stream.texts()) == "Hello"
            assert stream.reply.text == "Hello"
    assert b'name="stream"\r\n\r\ntrue\r\n' in server.requests[0].body


@pytest.mark.parametrize(
    "answered", [typed(b"<html>", "text/html"), answer([1]), answer({"error": {"message": "no"}})]
)
def test_anything_but_a_transcription_is_an_error(recording: pathlib.Path, answered: bytes) -> None:
    with serving(answered) as server, pytest.raises(rawchat.APIResponseValidationError):
        client(server, max_retries=0).transcribe(recording)


def test_a_recording_that_is_not_there_is_an_error_before_anything_is_sent() -> None:
    with serving(answer({})) as server, pytest.raises(FileNotFoundError, match=r"gone\.wav"):
        client(server).transcribe("gone.wav")
    assert server.requests == []


@row("14.8")
def test_sound_is_saved_while_it_arrives(tmp_path: pathlib.Path) -> None:
    with serving(typed(b"sound", "audio/mpeg")) as server:
        stream = client(server).speak("Hello", voice="ash", response_format="mp3", speed=1.5)
        assert isinstance(stream, ByteStream)
        path = stream.save(tmp_path / "hello.mp3")
        assert b"".join(client(server).speak("Hello")) == b"sound"
    assert pathlib.Path(path).read_bytes() == b"sound"
    assert server.requests[0].target == "/v1/audio/speech"
    assert server.requests[0].headers["accept"] == "application/octet-stream"
    assert server.requests[0].json == {
        "model": "gpt-4o-mini-tts",
        "input": "Hello",
        "voice": "ash",
        "response_format": "mp3",
        "speed": 1.5,
    }


@row("14.8")
@pytest.mark.parametrize(
    ("answered", "message"),
    [
        (typed(b"<html>hi", "text/html"), r"200, but no audio \(text/html\): <html>hi"),
        (answer({"error": {"message": "no voice"}}), "200, but an error: no voice"),
        (answer({"a": 1}), r"200, but no audio \(application/json\)"),
        (typed(b"", "text/plain"), "empty body"),
    ],
)
def test_a_text_in_place_of_sound_is_an_error(answered: bytes, message: str) -> None:
    with (
        serving(answered) as server,
        pytest.raises(rawchat.APIResponseValidationError, match=message),
    ):
        client(server, max_retries=0).speak("Hello")


def test_an_error_before_the_sound_is_tried_again(waits: Waits) -> None:
    with serving(answer({}, 500), typed(b"sound", "audio/wav")) as server:
        assert bytes(client(server, sleep=waits).speak("Hello")) == b"sound"
