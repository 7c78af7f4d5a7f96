"""The merged reply of a stream: beside the SDK's own merging, and beside its plain reply with the same content."""

from collections.abc import Mapping
from typing import Any, Optional

from tests.server import answer, completion, delta, event, streamed

from .scenario import HI, MERGE, Scenario, call, without_nulls

DONE = event("[DONE]")
USAGE = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
ROLE = delta({"role": "assistant", "content": None})
START, STOP = delta({"role": "assistant", "content": ""}), delta(finish="stop")


def tool(
    index: Any, arguments: str = "", id: Any = None, name: Any = None, **fields: Any
) -> dict[str, Any]:
    """A chunk with a part of one tool call."""
    function = {"arguments": arguments, **({"name": name} if name else {})}
    given = {
        "index": index,
        "id": id,
        "type": "function" if id else None,
        "function": function,
        **fields,
    }
    return delta(
        {"tool_calls": [{field: value for field, value in given.items() if value is not None}]}
    )


def called(*calls: tuple[str, str, str]) -> dict[str, Any]:
    """The plain reply with these tool calls: id, name, arguments."""
    return plain(
        {
            "content": None,
            "tool_calls": [
                {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}
                for id, name, arguments in calls
            ],
        },
        "tool_calls",
    )


def plain(
    message: Mapping[str, Any],
    finish: str = "stop",
    choice: Optional[Mapping[str, Any]] = None,
    **fields: Any,
) -> dict[str, Any]:
    """The plain reply with this message."""
    whole = {
        "index": 0,
        "message": {"role": "assistant", **message},
        "finish_reason": finish,
        **(choice or {}),
    }
    return completion(choices=[whole], **fields)


def logprobs(*tokens: str) -> dict[str, Any]:
    return {
        "content": [
            {"token": token, "logprob": -0.1, "bytes": list(token.encode()), "top_logprobs": []}
            for token in tokens
        ],
        "refusal": None,
    }


def chosen(change: Any, index: int = 0, finish: Any = None, **fields: Any) -> dict[str, Any]:
    """A chunk whose choice has more fields."""
    chunk = delta(change, finish, index)
    chunk["choices"][0].update(fields)
    return chunk


WEATHER, TIME = ("call_1", "weather", '{"city":"Rome"}'), ("call_2", "time", "{}")
ENDED = delta(finish="tool_calls")
TEXTS = [
    {"index": n, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    for n, text in enumerate(("one", "two", "three"))
]

#: name: the plain reply, and the chunks that must merge to the same
SAME: dict[str, tuple[dict[str, Any], list[dict[str, Any]]]] = {
    "content": (completion("Hello"), [START, delta("Hel"), delta("lo"), STOP]),
    "content beyond ASCII": (
        completion("Grüße 🎈"),
        [START, delta("Grü"), delta("ße "), delta("🎈"), STOP],
    ),
    "role in every chunk": (
        completion("Hello"),
        [
            delta({"role": "assistant", "content": "Hel"}),
            delta({"role": "assistant", "content": "lo"}),
            STOP,
        ],
    ),
    "no role at all": (completion("Hello"), [delta("Hel"), delta("lo"), STOP]),
    "finish_reason with the last content": (
        completion("Hello"),
        [START, delta("Hel"), delta("lo", "stop")],
    ),
    "cut by length": (
        plain({"content": "Hel"}, "length"),
        [START, delta("Hel"), delta(finish="length")],
    ),
    "refusal": (
        plain({"content": None, "refusal": "I will not"}),
        [
            delta({"role": "assistant", "content": None, "refusal": ""}),
            delta({"refusal": "I will "}),
            delta({"refusal": "not"}),
            STOP,
        ],
    ),
    "reasoning_content": (
        plain({"content": "4", "reasoning_content": "2 and 2"}),
        [
            delta({"role": "assistant", "content": None, "reasoning_content": "2 and "}),
            delta({"reasoning_content": "2"}),
            delta({"content": "4"}),
            STOP,
        ],
    ),
    "one tool call": (
        called(WEATHER),
        [ROLE, tool(0, "", "call_1", "weather"), tool(0, '{"city"'), tool(0, ':"Rome"}'), ENDED],
    ),
    "two tool calls": (
        called(WEATHER, TIME),
        [
            ROLE,
            tool(0, "", "call_1", "weather"),
            tool(0, '{"city":"Rome"}'),
            tool(1, "", "call_2", "time"),
            tool(1, "{}"),
            ENDED,
        ],
    ),
    "tool calls in one chunk each": (
        called(WEATHER, TIME),
        [ROLE, tool(0, WEATHER[2], "call_1", "weather"), tool(1, "{}", "call_2", "time"), ENDED],
    ),
    "tool calls whose first index is 1": (
        called(WEATHER, TIME),
        [ROLE, tool(1, WEATHER[2], "call_1", "weather"), tool(2, "{}", "call_2", "time"), ENDED],
    ),
    "tool calls without an index": (
        called(WEATHER, TIME),
        [
            ROLE,
            tool(None, WEATHER[2], "call_1", "weather"),
            tool(None, "{}", "call_2", "time"),
            ENDED,
        ],
    ),
    "tool calls that all have index 0": (
        called(WEATHER, TIME),
        [ROLE, tool(0, WEATHER[2], "call_1", "weather"), tool(0, "{}", "call_2", "time"), ENDED],
    ),
    "a tool call whose id and name are repeated": (
        called(WEATHER),
        [
            ROLE,
            tool(0, '{"city"', "call_1", "weather"),
            tool(0, ':"Rome"}', "call_1", "weather"),
            ENDED,
        ],
    ),
    "tool calls whose parts are interleaved": (
        called(WEATHER, TIME),
        [
            ROLE,
            tool(0, "", "call_1", "weather"),
            tool(1, "{", "call_2", "time"),
            tool(0, '{"city"'),
            tool(1, "}"),
            tool(0, ':"Rome"}'),
            ENDED,
        ],
    ),
    "the old function_call": (
        plain(
            {"content": None, "function_call": {"name": "weather", "arguments": "{}"}},
            "function_call",
        ),
        [
            delta(
                {
                    "role": "assistant",
                    "content": None,
                    "function_call": {"name": "weather", "arguments": ""},
                }
            ),
            delta({"function_call": {"arguments": "{"}}),
            delta({"function_call": {"arguments": "}"}}),
            delta(finish="function_call"),
        ],
    ),
    "logprobs": (
        plain({"content": "Hello"}, choice={"logprobs": logprobs("Hel", "lo")}),
        [
            START,
            chosen("Hel", logprobs=logprobs("Hel")),
            chosen("lo", logprobs=logprobs("lo")),
            STOP,
        ],
    ),
    "audio": (
        plain(
            {
                "content": None,
                "audio": {"id": "a1", "transcript": "Hi you", "data": "AAAABBBB", "expires_at": 9},
            }
        ),
        [
            delta(
                {"role": "assistant", "content": None, "audio": {"id": "a1", "transcript": "Hi "}}
            ),
            delta({"audio": {"transcript": "you"}}),
            delta({"audio": {"data": "AAAA"}}),
            delta({"audio": {"data": "BBBB"}}),
            delta({"audio": {"expires_at": 9}}),
            STOP,
        ],
    ),
    "annotations": (
        plain(
            {
                "content": "See",
                "annotations": [
                    {"type": "url_citation", "url": "http://a"},
                    {"type": "url_citation", "url": "http://b"},
                ],
            }
        ),
        [
            START,
            delta({"content": "See", "annotations": [{"type": "url_citation", "url": "http://a"}]}),
            delta({"annotations": [{"type": "url_citation", "url": "http://b"}]}),
            STOP,
        ],
    ),
    "n = 3": (
        completion(choices=TEXTS),
        [
            *[delta({"role": "assistant", "content": ""}, index=n) for n in range(3)],
            delta("one", index=0),
            delta("th", index=2),
            delta("two", index=1),
            delta("ree", index=2),
            *[delta(finish="stop", index=n) for n in (2, 0, 1)],
        ],
    ),
    "usage in a chunk of its own": (
        completion("Hello", usage=USAGE),
        [START, delta("Hello"), STOP, {**delta(), "choices": [], "usage": USAGE}],
    ),
    "usage, then chunks with null": (
        completion("Hello", usage=USAGE),
        [START, delta("Hello", usage=USAGE), {**STOP, "usage": None}],
    ),
    "usage in every chunk": (
        completion("Hello", usage=USAGE),
        [
            {**START, "usage": {**USAGE, "completion_tokens": 0, "total_tokens": 1}},
            delta("Hello"),
            {**STOP, "usage": USAGE},
        ],
    ),
    "system_fingerprint and service_tier": (
        completion("Hello", system_fingerprint="fp", service_tier="default"),
        [
            {**chunk, "system_fingerprint": "fp", "service_tier": "default"}
            for chunk in (START, delta("Hello"), STOP)
        ],
    ),
    "padding": (
        completion("Hello"),
        [{**START, "obfuscation": "xYz"}, {**delta("Hello"), "obfuscation": "1"}, STOP],
    ),
    "Azure's first chunk": (
        completion("Hello"),
        [
            {**delta(), "choices": [], "id": "", "model": "", "created": 0},
            START,
            delta("Hello"),
            STOP,
        ],
    ),
    "chunks without object": (
        completion("Hello"),
        [
            {k: v for k, v in chunk.items() if k != "object"}
            for chunk in (START, delta("Hello"), STOP)
        ],
    ),
    "an unknown field of a choice": (
        plain(
            {"content": "Hello"}, choice={"content_filter_results": {"hate": {"filtered": False}}}
        ),
        [START, chosen("Hello", content_filter_results={"hate": {"filtered": False}}), STOP],
    ),
}


def beside_plain(name: str, whole: dict[str, Any], chunks: list[dict[str, Any]]) -> Scenario:
    return Scenario(
        f"a stream beside a plain reply: {name}",
        "6 Equal to what the plain call would have returned",
        [answer(whole)],
        [call("yardstick", HI)],
        played=[streamed([*map(event, chunks), DONE])],
        look=("reply", "text"),
    )


def beside_merged(name: str, whole: dict[str, Any], chunks: list[dict[str, Any]]) -> Scenario:
    better, raised = STUMBLES.get(name, ("", False))
    ours = {"reply": without_nulls(whole)} if better else {}
    if raised:
        ours.update(error=None, text=whole["choices"][0]["message"]["content"] or "")
    return Scenario(
        f"a stream, merged by both: {name}",
        "6 The merged reply of a stream",
        [streamed([*map(event, chunks), DONE])],
        [MERGE],
        look=("reply", "text", "error"),
        better=better,
        ours=ours,
    )


AS_PLAIN = "tool calls carry no index, as in a plain reply"
#: where the SDK's merging gives something else than the plain reply: why ours is better, and whether the SDK raises
STUMBLES = {
    "role in every chunk": ("the role is not assistantassistant", False),
    "no role at all": ("the message has its role, and can be sent back as it is", False),
    "cut by length": ("what came is the answer, with its finish_reason, as in a plain reply", True),
    "one tool call": (AS_PLAIN, False),
    "two tool calls": (AS_PLAIN, False),
    "tool calls in one chunk each": (AS_PLAIN, False),
    "tool calls whose parts are interleaved": (AS_PLAIN, False),
    "tool calls whose first index is 1": ("they are merged by index, whichever comes first", True),
    "tool calls without an index": ("another id is another call", True),
    "tool calls that all have index 0": ("another id is another call", False),
    "a tool call whose id and name are repeated": ("a repeat counts once", False),
    "annotations": ("lists are joined, whatever is in them", True),
    "usage, then chunks with null": ("usage is kept", False),
    "Azure's first chunk": ("id, model and date are the first that say something", False),
    "chunks without object": ("a missing field does no harm", True),
    "an unknown field of a choice": ("it is kept, as in a plain reply", False),
}

TEXT = {"id": "c", "object": "text_completion", "created": 1, "model": "m"}
SCENARIOS = [beside_plain(name, whole, chunks) for name, (whole, chunks) in SAME.items()]
SCENARIOS += [beside_merged(name, whole, chunks) for name, (whole, chunks) in SAME.items()]
SCENARIOS += [
    Scenario(
        "a stream beside a plain reply: text of /completions",
        "6 text of /v1/completions",
        [
            answer(
                {
                    **TEXT,
                    "choices": [{"index": 0, "text": "upon a time", "finish_reason": "stop"}],
                    "usage": USAGE,
                }
            )
        ],
        [call("yardstick_complete", "Once")],
        look=("reply", "text"),
        played=[
            streamed(
                [
                    event(
                        {**TEXT, "choices": [{"index": 0, "text": "upon ", "finish_reason": None}]}
                    ),
                    event(
                        {
                            **TEXT,
                            "choices": [{"index": 0, "text": "a time", "finish_reason": "stop"}],
                        }
                    ),
                    event({**TEXT, "choices": [], "usage": USAGE}),
                    DONE,
                ]
            )
        ],
    )
]
