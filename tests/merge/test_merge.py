"""What was streamed and merged equals what would have been said at once."""

from typing import Any

import pytest

from rawchat.merge import MessageAccumulator

from ..server import delta

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


@row("6.1", "10.5", "11.18")
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


@row("10.5", "11.1")
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


@row("11.13")
def test_a_character_that_the_server_cut_in_two_is_whole_and_a_lone_half_can_be_printed() -> None:
    assert message("\ud83d", "\ude00", "!")["content"] == "😀!"
    assert message("\ud83d", "!")["content"] == "\ufffd!"


# ---- servers that bend the rules (BEHAVIOUR 11)


@row("11.1")
@pytest.mark.parametrize(
    ("deltas", "calls"),
    [
        (  # two whole calls, index 0 and no id (Gemini)
            [call(0, "", "f", '{"a":1}'), call(0, "", "f", '{"a":2}')],
            [("f", '{"a":1}'), ("f", '{"a":2}')],
        ),
        (  # other names, neither index nor id
            [call(None, None, "f", '{"a":1}'), call(None, None, "g", "{}")],
            [("f", '{"a":1}'), ("g", "{}")],
        ),
        (  # brackets in strings, and an escaped quote cut from its backslash
            [
                call(0, "a", "f", '{"a":"}\\'),
                call(0, "a", "f", '"{"'),
                call(0, "a", "f", "}"),
                call(0, None, "g", "{}"),
            ],
            [("f", '{"a":"}\\"{"}'), ("g", "{}")],
        ),
        (  # the same function again, name first and arguments after it
            [
                call(0, None, "f", ""),
                call(0, arguments='{"a":1}'),
                call(0, None, "f", ""),
                call(0, arguments='{"a":2}'),
            ],
            [("f", '{"a":1}'), ("f", '{"a":2}')],
        ),
        (  # the name in every delta, the last one without arguments (NIM)
            [call(0, "a", "f", '{"a":'), call(0, "a", "f", "1}"), call(0, "a", "f", "")],
            [("f", '{"a":1}')],
        ),
        (  # once more, whole
            [
                call(0, "a", "f", ""),
                call(0, arguments='{"a":'),
                call(0, arguments="1}"),
                call(0, arguments='{"a":1}'),
            ],
            [("f", '{"a":1}')],
        ),
        ([call(0, "a", "f", '{"a":1}'), call(0, "a", "f", '{"a":1}')], [("f", '{"a":1}')]),
        ([call(0, "a", "f", '{"a":'), call(0, "b", None, "1}")], [("f", '{"a":1}')]),
        ([call(0, "a", "f", "{}"), call(0, arguments='{"a":1}')], [("f", '{"a":1}')]),
        ([call(0, "a", "f", {"a": 1})], [("f", '{"a": 1}')]),
        ([call(0, 7, "f", '{"a":'), call(0, 7, "", "1}")], [("f", '{"a":1}')]),
        (  # interleaved: the id decides where the index does not
            [
                call(None, "a", "f", '{"a":'),
                call(None, "b", "g", '{"b":'),
                call(None, "a", None, "1}"),
                call(None, "b", None, "2}"),
            ],
            [("f", '{"a":1}'), ("g", '{"b":2}')],
        ),
        (  # one call in two entries of a list (Fireworks)
            [
                {
                    "tool_calls": [
                        call(0, "a", "f", '{"a"')["tool_calls"][0],
                        call(0, arguments=":1}")["tool_calls"][0],
                    ]
                }
            ],
            [("f", '{"a":1}')],
        ),
        ([{"tool_calls": call(0, "a", "f", "{}")["tool_calls"][0]}], [("f", "{}")]),  # TGI
    ],
)
def test_a_delta_finds_its_call(deltas: Any, calls: list[tuple[str, str]]) -> None:
    found = [each["function"] for each in message(*deltas)["tool_calls"]]
    assert [(each["name"], each["arguments"]) for each in found] == calls


def test_a_call_with_the_name_in_every_delta_has_it_once() -> None:
    """That a hundred thousand of them take linear time, tests/test_growth.py and test_patterns.py show."""
    merge = MessageAccumulator()
    for _ in range(1_000):
        merge.add(delta(call(0, "a", "f", "{")))
    function = merge.build()["choices"][0]["message"]["tool_calls"][0]["function"]
    assert function == {"name": "f", "arguments": "{" * 1_000}


@row("11.3")
def test_texts_and_parts_append_in_order_of_arrival() -> None:
    reference = {"type": "reference", "reference_ids": [1]}
    thinking = {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}
    assert message("Hel", [reference], "l", [{"type": "text", "text": "o"}], "!")["content"] == [
        {"type": "text", "text": "Hel"},
        reference,
        {"type": "text", "text": "lo!"},
    ]
    assert message([thinking], "", "Hi")["content"] == [thinking, {"type": "text", "text": "Hi"}]


@row("11.4")
def test_objects_with_an_index_are_merged_by_it() -> None:
    def block(index: int, **fields: Any) -> dict[str, Any]:
        return {"reasoning_details": [{**fields, "index": index}]}

    assert message(
        block(0, type="reasoning.text", text="Let", format="v1"),
        block(0, type="reasoning.text", text=" me", format="v1", signature=None),
        block(1, type="reasoning.summary", summary="s"),
        block(0, signature="Et8B", format="v1"),
        block(0, signature=""),
        block(1, type="reasoning.encrypted", data="EN"),
        block(1, type="reasoning.encrypted", data="C"),
    )["reasoning_details"] == [
        {
            "type": "reasoning.text",
            "text": "Let me",
            "format": "v1",
            "signature": "Et8B",
            "index": 0,
        },
        {"type": "reasoning.summary", "summary": "s", "index": 1},
        {"type": "reasoning.encrypted", "data": "ENC", "index": 1},
    ]


@row("11.3")
def test_a_whole_message_after_its_deltas_counts_once_and_adds_what_is_new() -> None:
    whole = {"role": "assistant", "content": "Hello", "refusal": None, "audio": {"id": "a"}}
    end = {"choices": [{"index": 0, "message": whole, "finish_reason": "stop"}]}
    merge = MessageAccumulator()
    for chunk in (delta("Hel"), delta("lo"), end):
        merge.add(chunk)
    merged_message = merge.build()["choices"][0]["message"]
    assert merged_message == {"role": "assistant", "content": "Hello", "audio": {"id": "a"}}
    assert merge.repeats == 1
    assert merged(delta({"role": "assistant"}), end)["choices"][0]["message"]["content"] == "Hello"


@row("11.10")
def test_stop_does_not_replace_another_reason() -> None:
    chunks = [delta(call(0, "a", "f", "{}"), finish="tool_calls"), delta({}, finish="stop")]
    assert merged(*chunks)["choices"][0]["finish_reason"] == "tool_calls"
    assert merged(delta("a", finish="null"), delta({}, finish="stop"))["choices"][0][
        "finish_reason"
    ] == ("stop")
    assert merged(delta("a", finish="stop"), delta({}, finish=""))["choices"][0][
        "finish_reason"
    ] == ("stop")
