"""`embed`: vectors in the order of the inputs, however the server sends them."""

import base64
import struct
from typing import Any

import pytest

import rawchat
from rawchat.resources.embeddings import DEFAULT_MODEL

from ..server import Server, answer, serving

row = pytest.mark.row

KEY = "sk-1234567890"
USAGE = {"prompt_tokens": 3, "total_tokens": 3}
REFUSAL = answer({"error": {"message": "Unknown field: encoding_format"}}, 400)


def client(server: Server, **settings: Any) -> rawchat.Client:
    return rawchat.Client(KEY, server.url, environ={}, **settings)


def coded(*numbers: float) -> str:
    return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()


def vectors(*embeddings: Any, **fields: Any) -> bytes:
    data = []
    for index, embedding in enumerate(embeddings):
        data.append({"object": "embedding", "index": index, "embedding": embedding})
    return answer({"object": "list", "model": "m", "data": data, "usage": USAGE, **fields})


@row("14.7")
def test_vectors_are_requested_as_base64_and_returned_as_floats() -> None:
    with serving(vectors(coded(1, -0.5), coded(0.25, 2))) as server:
        reply = client(server, model="gpt-4o", temperature=0).embed(["a", "b"], dimensions=2)
    assert reply.embeddings == [[1.0, -0.5], [0.25, 2.0]]
    assert reply.usage == USAGE
    assert repr(reply) == "<Embeddings 2 x 2>"
    assert server.requests[0].target == "/v1/embeddings"
    assert server.requests[0].json == {
        "model": DEFAULT_MODEL,
        "input": ["a", "b"],
        "dimensions": 2,
        "encoding_format": "base64",
    }


@row("14.7")
def test_a_server_that_ignores_the_encoding_sends_floats() -> None:
    with serving(vectors([1, 2.5]), vectors([[1, 2.5]])) as server:
        for _ in range(2):
            assert client(server).embed("a").embeddings == [[1.0, 2.5]]


@row("14.7")
def test_a_server_that_refuses_the_encoding_is_asked_without_it_and_that_is_remembered() -> None:
    with serving(REFUSAL, vectors([1.0])) as server:
        caller = client(server)
        for _ in range(2):
            assert caller.embed("a").embeddings == [[1.0]]
    sent = [request.json.get("encoding_format") for request in server.requests]
    assert sent == ["base64", None, None]


def test_an_encoding_that_the_caller_chose_is_not_left_out() -> None:
    with serving(REFUSAL) as server, pytest.raises(rawchat.BadRequestError):
        client(server).embed("a", encoding_format="base64")
    assert len(server.requests) == 1


@row("14.7")
def test_vectors_are_in_the_order_of_the_inputs() -> None:
    data = [{"index": 1, "embedding": [2.0]}, {"index": 0, "embedding": [1.0]}]
    with serving(answer({"data": data})) as server:
        assert client(server).embed(["a", "b"]).embeddings == [[1.0], [2.0]]


@row("14.7")
def test_batches_are_joined_in_order_and_their_usage_is_added() -> None:
    replies: list[Any] = []
    script = [vectors(coded(1), coded(2)), vectors(coded(3), coded(4)), vectors(coded(5))]
    with serving(*script) as server:
        caller = client(server, on_reply=replies.append)
        reply = caller.embed(list("abcde"), batch_size=2)
    assert reply.embeddings == [[1.0], [2.0], [3.0], [4.0], [5.0]]
    assert [item["index"] for item in reply["data"]] == [0, 1, 2, 3, 4]
    assert reply.usage == {"prompt_tokens": 9, "total_tokens": 9}
    assert [request.json["input"] for request in server.requests] == [["a", "b"], ["c", "d"], ["e"]]
    assert len(replies) == 3


@pytest.mark.parametrize("input", ["a", [1, 2, 3], ("a", "b"), [[1, 2], [3]]])
def test_what_an_input_may_be(input: Any) -> None:
    several = not isinstance(input, str) and not isinstance(input[0], int)
    with serving(vectors(*[coded(1)] * (2 if several else 1))) as server:
        reply = client(server).embed(input, batch_size=100)
    assert len(reply.embeddings) == (2 if several else 1)


@row("14.7")
@pytest.mark.parametrize(
    ("answered", "message"),
    [
        (vectors(coded(1)), "1 for 2 inputs"),
        (answer({"object": "list"}), "no list of them in 'data'"),
        (vectors(coded(1), "no base64!"), "neither base64 nor a list of numbers"),
        (vectors(coded(1), "AAA="), "neither base64 nor a list of numbers"),
        (vectors(coded(1), []), "neither base64 nor a list of numbers"),
        (vectors(coded(1), ["1"]), "neither base64 nor a list of numbers"),
        (answer([1]), "no list of them in 'data'"),
    ],
)
def test_anything_but_the_vectors_is_an_error(answered: bytes, message: str) -> None:
    with (
        serving(answered) as server,
        pytest.raises(rawchat.APIResponseValidationError, match=message),
    ):
        client(server, max_retries=0).embed(["a", "b"])


@pytest.mark.parametrize("batch_size", [0, -1, 1.5, "2"])
def test_a_batch_size_is_a_positive_integer(batch_size: Any) -> None:
    with pytest.raises(ValueError, match="batch_size must be a positive integer"):
        rawchat.Client(KEY, "http://127.0.0.1:9/v1", environ={}).embed(["a"], batch_size=batch_size)
