"""Against the real embedded model: embeddings, and the events of /v1/responses."""

import math

import pytest

import rawchat

row = pytest.mark.row

ASK = {"model": "m", "input": "Say hi", "temperature": 0, "max_output_tokens": 8}


@pytest.fixture
def client(local_url: str) -> rawchat.Client:
    return rawchat.Client(base_url=local_url, environ={})


def test_embeddings_are_the_same_in_base64_in_floats_and_in_batches(client: rawchat.Client) -> None:
    texts = ["A cat sleeps.", "Interest rates rose.", "A dog barks."]
    coded = client.embed(texts)
    floats = client.embed(texts, encoding_format="float")
    batches = client.embed(texts, batch_size=2)
    assert len(coded.embeddings) == 3
    assert len({tuple(vector) for vector in coded.embeddings}) == 3
    for one, two, three in zip(coded.embeddings, floats.embeddings, batches.embeddings):
        assert len(one) == 576
        assert math.isclose(math.hypot(*one), 1, rel_tol=1e-3)
        for other in (two, three):
            assert sum(a * b for a, b in zip(one, other)) > 0.999
    assert coded.usage is not None
    assert coded.usage["prompt_tokens"] > 6


@row("14.9")
def test_a_streamed_response_is_the_plain_one(client: rawchat.Client) -> None:
    plain = client.post("/responses", ASK)
    with client.stream("/responses", ASK) as stream:
        events = list(stream)
    names = [event.event for event in events]
    assert names[0] == "response.created"
    assert names[-1] == "response.completed"
    assert "".join(event.text for event in events) == stream.reply.text == plain.text != ""
    assert stream.reply["status"] == plain["status"] == "completed"
    assert stream.reply.usage["output_tokens"] == plain.usage["output_tokens"]


def test_an_endpoint_that_is_not_there_is_named(client: rawchat.Client) -> None:
    with pytest.raises(rawchat.NotFoundError, match=r"POST http://.*/v1/nowhere"):
        client.post("/nowhere", {})
    assert "SmolLM2" in client.get("/models")["data"][0]["id"]
