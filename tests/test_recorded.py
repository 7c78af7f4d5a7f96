"""Recorded exchanges: played whole, cut at every byte, and one byte at a time."""

import http.client
import io
import pathlib
import types
from collections.abc import Iterator
from typing import Any

import pytest
import urllib3

import rawchat
from rawchat import errors, reply, transport
from rawchat.deadline import Deadline
from rawchat.stream import Stream
from rawchat.wire import Request, Response

from .server import CLOSE, serving

row = pytest.mark.row
WIRE = pathlib.Path(__file__).parent / "wire"
PAIRS = sorted(
    path.name[:-12] for path in WIRE.glob("*.stream.http") if not path.name.startswith("error")
)
ERRORS = {
    "error-openai": (errors.AuthenticationError, "invalid_api_key", "Incorrect API key provided"),
    "error-vllm": (errors.NotFoundError, "404", "The model `x` does not exist."),
    "error-ollama": (errors.NotFoundError, None, "try pulling it first"),
    "error-fastapi": (errors.UnprocessableEntityError, None, "Field required"),
    "error-llama-cpp": (
        errors.ContextLengthExceededError,
        "400",
        "exceeds the available context size",
    ),
}
REQUEST = Request("POST", "http://host/v1/chat/completions")


def recorded(name: str) -> bytes:
    return (WIRE / f"{name}.http").read_bytes()


class Wire(io.RawIOBase):
    """A socket's file that gives `size` bytes at a time and then the end."""

    def __init__(self, data: bytes, size: int):
        self._data, self._size = io.BytesIO(data), size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._data.read(min(len(buffer), self._size))
        buffer[: len(data)] = data
        return len(data)


def played(data: bytes, size: int = 2**16) -> Response:
    """The Response that our transport makes of the bytes of an answer, without a network in between."""
    fake = types.SimpleNamespace(makefile=lambda mode: io.BufferedReader(Wire(data, size)))
    below = http.client.HTTPResponse(fake)  # type: ignore[arg-type]  # all of a socket that it uses
    below.begin()
    raw = urllib3.HTTPResponse(
        below, dict(below.headers), below.status, preload_content=False, original_response=below
    )
    pieces = transport.iter_body(types.SimpleNamespace(raw=raw), REQUEST, Deadline(None, "here"))  # type: ignore[arg-type]
    response = Response(below.status, dict(below.headers), pieces, raw.close)
    response.request = REQUEST
    return response


def heads(data: bytes) -> int:
    return data.index(b"\r\n\r\n") + 4


def choices_of(name: str) -> Any:
    return reply.read_reply(played(recorded(f"{name}.plain")))["choices"]


@row("6.1")
@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("size", [1, 7, 2**16])
def test_a_streamed_reply_equals_the_plain_one(name: str, size: int) -> None:
    plain = reply.read_reply(played(recorded(f"{name}.plain"), size))
    stream = Stream(played(recorded(f"{name}.stream"), size), choices=len(plain["choices"]))
    texts = "".join(stream.texts())
    assert texts == plain.text
    assert stream.reply["choices"] == plain["choices"]
    assert stream.reply["object"] == plain["object"]
    for field in ("service_tier", "prompt_filter_results", "model"):
        assert stream.reply.get(field) == plain.get(field)
    if stream.reply.usage:
        assert plain.usage
        assert stream.reply.usage["total_tokens"] == plain.usage["total_tokens"]


@row("5.4", "5.6", "8.3")
@pytest.mark.parametrize("name", PAIRS)
def test_a_stream_cut_at_any_byte_is_whole_or_says_so(name: str) -> None:
    data, whole = recorded(f"{name}.stream"), choices_of(name)
    text = whole[0].get("text") or (whole[0].get("message") or {}).get("content") or ""
    outcomes = set()
    for at in range(heads(data), len(data) + 1):
        stream = Stream(played(data[:at]), choices=len(whole))
        broken = None
        try:
            shown = "".join(stream.texts())
        except errors.StreamInterruptedError as error:
            broken = error
        outcomes.add("cut" if broken else "whole")
        if broken:
            assert text.startswith(broken.partial.text), at
        else:
            assert (shown, stream.reply["choices"]) == (text, whole), at
    assert outcomes == {"whole", "cut"}


@row("3.1", "10.10")
@pytest.mark.parametrize("name", PAIRS)
def test_a_plain_reply_cut_at_any_byte_is_an_error_worth_another_try(name: str) -> None:
    data = recorded(f"{name}.plain")
    for at in range(heads(data), len(data)):
        with pytest.raises(errors.APIConnectionError):
            reply.read_reply(played(data[:at]))


@row("4.1", "4.2")
@pytest.mark.parametrize("name", ERRORS)
def test_an_error_is_its_class_with_its_code_and_its_words(name: str) -> None:
    kind, code, words = ERRORS[name]
    with serving([recorded(f"{name}.plain")]) as server, pytest.raises(kind, match=words) as caught:
        rawchat.Client(base_url=server.url, environ={}, max_retries=0).chat("Hi")
    assert type(caught.value) is kind
    assert caught.value.code == code


@row("5.7")
def test_an_error_in_a_stream() -> None:
    stream = Stream(played(recorded("error-in-stream.stream")))
    with pytest.raises(errors.APIError, match="The server had an error while") as caught:
        list(stream)
    error = caught.value
    assert (error.type, error.partial.text, error.request_id) == ("server_error", "Hel", "req_9f2c")


def one_by_one(data: bytes) -> Iterator[bytes]:
    return (bytes([byte]) for byte in data)


@row("5.1", "6.1")
@pytest.mark.parametrize("name", PAIRS)
def test_over_a_real_socket_in_single_bytes(name: str) -> None:
    choices = choices_of(name)
    ask = {"n": len(choices)}
    streamed, plain = recorded(f"{name}.stream"), recorded(f"{name}.plain")
    with serving([*one_by_one(streamed), CLOSE], [*one_by_one(plain), CLOSE]) as server:
        client = rawchat.Client(base_url=server.url, environ={})
        assert client.stream_chat("Hi", **ask).reply["choices"] == choices
        assert client.chat("Hi", **ask)["choices"] == choices
