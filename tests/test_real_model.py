"""Against the real embedded model: what is streamed and merged equals what is said at once."""

from typing import Any

import pytest

import rawchat

row = pytest.mark.row
ASK = {"temperature": 0, "seed": 1, "max_tokens": 24}


@pytest.fixture
def client(local_url: str) -> rawchat.Client:
    return rawchat.Client(base_url=local_url, environ={})


def usage(reply: rawchat.Reply) -> Any:
    """The tokens; how many of them the server had in its cache differs from call to call."""
    assert reply.usage
    return {
        name: reply.usage[name] for name in ("prompt_tokens", "completion_tokens", "total_tokens")
    }


@row("6.1")
@pytest.mark.parametrize(
    "more", [{}, {"stop": ["the"]}, {"max_tokens": 3}, {"logprobs": True, "top_logprobs": 2}]
)
def test_a_streamed_chat_equals_a_plain_one(client: rawchat.Client, more: dict[str, Any]) -> None:
    plain = client.chat("What is the capital of France?", **{**ASK, **more})
    stream = client.stream_chat(
        "What is the capital of France?", **{**ASK, **more}, stream_options={"include_usage": True}
    )
    texts = list(stream.texts())
    assert len(texts) > 1
    assert "".join(texts) == plain.text != ""
    assert stream.reply["choices"] == plain["choices"]
    assert (stream.reply.finish_reason, usage(stream.reply)) == (plain.finish_reason, usage(plain))
    assert (stream.reply["object"], stream.reply["model"]) == (plain["object"], plain["model"])


@row("6.1")
def test_a_streamed_completion_equals_a_plain_one(client: rawchat.Client) -> None:
    plain = client.complete("Once upon a time", **ASK)
    stream = client.stream_complete("Once upon a time", **ASK)
    assert "".join(stream.texts()) == plain.text != ""
    assert stream.reply.text == plain.text
    assert (stream.reply.finish_reason, stream.reply["object"]) == (
        plain.finish_reason,
        plain["object"],
    )


@row("6.1")
def test_two_choices(client: rawchat.Client) -> None:
    plain = client.chat("Say hi", n=2, **ASK)
    streamed = client.stream_chat("Say hi", n=2, **ASK).reply
    assert len(plain.texts) == 2
    assert streamed.texts == plain.texts


def test_stop_ends_an_answer(client: rawchat.Client) -> None:
    reply = client.chat("Count: one, two, three", stop=["e"], **ASK)
    assert "e" not in reply.text
    assert reply.finish_reason == "stop"


def test_the_models(client: rawchat.Client) -> None:
    assert [model["object"] for model in client.models()["data"]] == ["model"]
    assert "smollm2" in client.models()["data"][0]["id"].lower()


def test_a_prompt_beyond_the_context(client: rawchat.Client) -> None:
    for ask in (client.chat, client.stream_chat):
        with pytest.raises(
            rawchat.ContextLengthExceededError, match="exceeds the available context size"
        ) as caught:
            ask("word " * 4000)
        assert caught.value.type == "exceed_context_size_error"


@row("4.1")
def test_a_route_that_is_not_there_is_named(client: rawchat.Client, local_url: str) -> None:
    with pytest.raises(rawchat.NotFoundError) as caught:
        client.moderate("some text")
    assert f"POST {local_url}/moderations" in str(caught.value)


def test_a_stream_that_is_left_leaves_the_server_free(client: rawchat.Client) -> None:
    for _ in range(6):  # more than it has slots
        with client.stream_chat("Tell me a very long story") as stream:
            assert next(stream)
    assert client.chat("Say hi", **ASK).text
