"""What was streamed and merged equals what would have been said at once."""

from typing import Any

import pytest

from rawchat.merge import MessageAccumulator

from .server import delta

row = pytest.mark.row


def merged(*chunks: dict[str, Any]) -> Any:
    merge = MessageAccumulator()
    for chunk in chunks:
        merge.add(chunk)
    return merge.build()


def message(*deltas: Any) -> Any:
    return merged(*map(delta, deltas))["choices"][0]["message"]


def call(
    index: Any = None, id: Any = None, name: Any = None, arguments: Any = None
) -> dict[str, Any]:
    """A delta with a part of one tool call; what is None is left out."""
    function = {
        key: value for key, value in (("name", name), ("arguments", arguments)) if value is not None
    }
    parts = {"index": index, "id": id, "type": "function" if id else None, "function": function}
    return {"tool_calls": [{key: value for key, value in parts.items() if value is not None}]}


def tool(id: str, name: str, arguments: str) -> dict[str, Any]:
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


@row("6.1", "10.5")
def test_texts_are_joined_and_the_object_is_that_of_a_plain_reply() -> None:
    whole = merged(
        delta({"role": "assistant", "content": ""}),
        delta("Hel"),
        delta("lo"),
        delta(finish="stop"),
        {"id": "chatcmpl-1", "choices": [], "usage": {"total_tokens": 3}},
    )
    assert whole == {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "usage": {"total_tokens": 3},
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Hello"},
                "finish_reason": "stop",
            }
        ],
    }


def test_a_message_that_is_null_is_no_message_yet() -> None:
    assert merged({"choices": [{"index": 0, "message": None}]}, delta("Hi"))["choices"][0][
        "message"
    ] == {"role": "assistant", "content": "Hi"}


@row("6.1")
def test_refusal_and_reasoning_are_joined_too() -> None:
    assert message(
        {"role": "assistant", "content": None, "refusal": None},
        {"refusal": "I "},
        {"refusal": "won't"},
        {"reasoning_content": "hm"},
        {"reasoning_content": "m"},
    ) == {"role": "assistant", "content": None, "refusal": "I won't", "reasoning_content": "hmm"}


@row("6.1", "10.5")
def test_tool_calls_are_merged_by_index_and_lose_it() -> None:
    assert message(
        {"role": "assistant", "content": None},
        call(1, "b", "g", ""),
        call(0, "a", "f", "{"),
        call(1, arguments="{}"),
        call(0, arguments="}"),
    ) == {
        "role": "assistant",
        "content": None,
        "tool_calls": [tool("a", "f", "{}"), tool("b", "g", "{}")],
    }


@row("6.1", "10.5")
@pytest.mark.parametrize(
    "deltas",
    [
        [call(1, "a", "f", "{"), call(1, arguments="}")],  # a first index of 1
        [call(None, "a", "f", "{"), call(None, arguments="}")],  # no index at all
        [call(None, "a", "f", "{"), call(0, arguments="}")],
        [call("0", "a", "f", "{"), call("0", arguments="}")],
        [call(0, "a", "f", "{"), call(0, "a", "f", "}")],  # id and name in every delta
        [call(0, "a", "f", "{"), call(0, "", None, "}")],  # an empty id later
        [
            call(0, "a", "f", "{}"),
            {"tool_calls": []},
            {"tool_calls": None},
            {"tool_calls": [None, "odd"]},
        ],
        [
            {"role": "assistant", **call(0, "a", "f", "{")},
            {"role": "assistant", **call(0, arguments="}")},
        ],
    ],
)
def test_odd_tool_calls_do_no_harm(deltas: Any) -> None:
    whole = message(*deltas)
    assert whole["tool_calls"] == [tool("a", "f", "{}")]
    assert whole["role"] == "assistant"


@row("10.5")
def test_fragments_of_a_name_are_joined_and_another_id_is_another_call() -> None:
    assert message(call(0, "a", "get_", ""), call(0, None, "weather", "{}"))["tool_calls"] == [
        tool("a", "get_weather", "{}")
    ]
    assert message(call(0, "a", "f", "{}"), call(0, "b", "f", "{}"))["tool_calls"] == [
        tool("a", "f", "{}"),
        tool("b", "f", "{}"),
    ]
    assert message(call(None, "a", "f", "{}"), call(None, "b", "f", "{}"))["tool_calls"] == [
        tool("a", "f", "{}"),
        tool("b", "f", "{}"),
    ]


@row("6.1")
def test_the_old_function_call() -> None:
    assert message(
        {"function_call": {"name": "f", "arguments": ""}}, {"function_call": {"arguments": "{}"}}
    )["function_call"] == {"name": "f", "arguments": "{}"}


@row("6.1")
def test_logprobs_are_put_together() -> None:
    first, second = (
        {"token": "Hel", "logprob": -1},
        {"token": "lo", "logprob": -2, "top_logprobs": []},
    )
    chunks = [delta("Hel"), delta("lo"), delta(finish="stop")]
    chunks[0]["choices"][0]["logprobs"] = {"content": [first], "refusal": None}
    chunks[1]["choices"][0]["logprobs"] = {"content": [second], "refusal": None}
    chunks[2]["choices"][0]["logprobs"] = None
    assert merged(*chunks)["choices"][0]["logprobs"] == {
        "content": [first, second],
        "refusal": None,
    }
    assert merged(*chunks)["choices"][0]["logprobs"] == {
        "content": [first, second],
        "refusal": None,
    }


@row("6.1")
def test_audio() -> None:
    parts = [
        {"audio": {"id": "a", "transcript": "Hel"}},
        {"audio": {"data": "QUJD"}},
        {"audio": {"data": "REVG", "transcript": "lo"}},
        {"audio": {"expires_at": 5}},
    ]
    assert message(*parts)["audio"] == {
        "id": "a",
        "transcript": "Hello",
        "data": "QUJDREVG",
        "expires_at": 5,
    }


@row("6.1")
def test_several_choices_sorted_by_index() -> None:
    whole = merged(
        delta("b", index=1),
        delta("a"),
        delta("B", index=1),
        delta("A"),
        delta(finish="length", index=1),
        delta(finish="stop"),
    )
    assert [
        (c["index"], c["message"]["content"], c["finish_reason"]) for c in whole["choices"]
    ] == [(0, "aA", "stop"), (1, "bB", "length")]


@row("6.1")
def test_usage_stays_when_later_chunks_carry_null() -> None:
    assert merged(delta("a", usage={"total_tokens": 1}), delta("b", usage=None))["usage"] == {
        "total_tokens": 1
    }


@row("6.1")
def test_azures_empty_first_choices_and_empty_names() -> None:
    first = {
        "id": "",
        "model": "",
        "object": "",
        "created": 0,
        "choices": [],
        "prompt_filter_results": [{"a": 1}],
    }
    whole = merged(first, delta("Hi", finish="stop", obfuscation="xyz"))
    assert (whole["id"], whole["model"], whole["created"]) == ("chatcmpl-1", "m", 1)
    assert whole["prompt_filter_results"] == [{"a": 1}]
    assert "obfuscation" not in whole


@row("6.1", "10.5")
def test_completions_and_chunks_without_object() -> None:
    whole = merged(
        {"choices": [{"index": 0, "text": "there ", "finish_reason": None}]},
        {"choices": [{"index": 0, "text": "was", "finish_reason": "stop", "logprobs": None}]},
    )
    assert whole == {
        "object": "text_completion",
        "choices": [{"index": 0, "finish_reason": "stop", "text": "there was", "logprobs": None}],
    }
    assert merged({"choices": [{"delta": {"content": "x"}}]})["object"] == "chat.completion"


@row("6.1", "5.7")
@pytest.mark.parametrize(
    "choices",
    [
        None,
        7,
        "odd",
        [],
        [None],
        ["odd"],
        [{}],
        [{"delta": None}],
        [{"delta": "odd"}],
        [{"index": "0", "delta": {"content": 5}}],
        [{"delta": {"tool_calls": "odd"}}],
    ],
)
def test_odd_choices_are_passed_over(choices: Any) -> None:
    merged({"choices": choices}, delta("a"))
    whole = merged(delta("Hel"), {"choices": choices}, delta("lo", finish="stop"))
    assert whole["choices"][0]["finish_reason"] == "stop"


@row("6.1")
def test_a_message_beside_a_delta_says_the_same_again_and_the_chunk_stays_as_it_was() -> None:
    chunk = {"choices": [{"index": 0, "message": {"content": "Hi"}, "delta": {"content": "Hi"}}]}
    assert merged(chunk)["choices"][0]["message"] == {"role": "assistant", "content": "Hi"}
    assert chunk["choices"][0]["message"] == {"content": "Hi"}
    whole = merged({"choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}}]})
    assert whole["choices"][0]["message"] == {"role": "assistant", "content": "Hi"}


@row("5.4")
def test_finished_is_when_as_many_as_were_asked_for_have_a_reason() -> None:
    merge = MessageAccumulator()
    assert not merge.is_complete()
    merge.add(delta("a"))
    assert not merge.is_complete()
    merge.add(delta(finish="stop"))
    assert merge.is_complete()
    assert not merge.is_complete(2)
    merge.add(delta("b", index=1))
    assert not merge.is_complete(2)
    merge.add(delta(finish="stop", index=1))
    assert merge.is_complete(2)


def test_a_character_that_the_server_cut_in_two_is_whole_and_a_lone_half_can_be_printed() -> None:
    assert message("\ud83d", "\ude00", "!")["content"] == "😀!"
    assert message("\ud83d", "!")["content"] == "\ufffd!"
