"""JSON nested hundreds of levels deep, wherever it comes from, is one of our errors, never a RecursionError."""

import copy
import json
from typing import Any

import pytest

import rawchat
from rawchat.wire import Request, Response, Transport
from rawchat.wire.json_text import MAX_DEPTH

from .server import HELLO, completion, delta, event

DEPTHS = [300, 1000, 5000]


def nested(depth: int, kind: str) -> str:
    """JSON of lists or objects in each other."""
    if kind == "lists":
        return "[" * depth + "]" * depth
    return '{"a":' * depth + "1" + "}" * depth


def answering(status: int, body: bytes) -> Transport:
    """A transport that always answers so."""

    def transport(request: Request) -> Response:
        return Response(status, {"content-type": "application/json"}, [body])

    return transport


def client(status: int, body: bytes) -> rawchat.Client:
    return rawchat.Client(
        api_key="sk-deep-1",
        base_url="http://localhost/v1",
        environ={},
        max_retries=0,
        transport=answering(status, body),
    )


@pytest.mark.parametrize("kind", ["lists", "objects"])
@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize(
    "template",
    ["%s", '{"error": %s}', '{"error": {"message": "no", "param": %s}}', '{"detail": %s}'],
)
def test_an_error_body(template: str, depth: int, kind: str) -> None:
    body = (template % nested(depth, kind)).encode()
    with pytest.raises(rawchat.BadRequestError) as caught:
        client(400, body).chat("Hi")
    assert isinstance(caught.value.body, str)
    assert len(str(caught.value)) < 1000
    with pytest.raises(rawchat.APIError):
        client(200, body).chat("Hi")


@pytest.mark.parametrize("kind", ["lists", "objects"])
@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize(
    "template",
    [
        '{"choices": [{"index": 0, "delta": {"content": "x", "extra": %s}}]}',
        '{"choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0, "function": %s}]}}]}',
        '{"choices": [{"index": 0, "delta": {}, "logprobs": %s}]}',
        '{"choices": %s}',
        '{"usage": %s}',
        "%s",
        '{"error": %s}',
    ],
)
def test_a_delta_of_a_stream(template: str, depth: int, kind: str) -> None:
    deep = event(template % nested(depth, kind))
    stream = client(200, event(delta("kept")) + deep + b"".join(HELLO)).stream_chat("Hi")
    with pytest.raises(rawchat.APIError) as caught:
        list(stream)
    assert caught.value.partial.text == "kept"
    last = client(200, event(delta("kept", "stop")) + deep.rstrip()).stream_chat(
        "Hi"
    )  # its blank line is missing
    assert last.reply.text == "kept"


@pytest.mark.parametrize("kind", ["lists", "objects"])
def test_what_is_just_deep_enough_can_be_merged_copied_compared_and_shown(kind: str) -> None:
    deep: Any = json.loads(nested(MAX_DEPTH - 3, kind))
    plain = client(200, json.dumps(completion(extra=deep)).encode()).chat("Hi")
    assert plain["extra"] == deep == copy.deepcopy(plain)["extra"]
    allowed: Any = json.loads(nested(MAX_DEPTH - 4, kind))
    chunk = event(
        json.dumps(
            {
                "choices": [
                    {
                        "index": 0,
                        "delta": {"content": "x", "more": allowed},
                        "finish_reason": "stop",
                    }
                ]
            }
        )
    )
    reply = client(200, chunk + event("[DONE]")).stream_chat("Hi").reply
    assert reply.message["more"] == allowed
    assert json.loads(json.dumps(reply)) == reply
    assert repr(reply)
