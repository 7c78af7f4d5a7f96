"""The tool loop, from bytes: what is sent, what the model is told, what stays."""

import dataclasses
import enum
import functools
import json
import logging
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any, Literal, Optional

import pytest

import rawchat
from rawchat import History, tools
from rawchat.tools import calls

from ..server import Server, answer, completion, delta, event, serving, streamed

DONE = answer(completion("It is 20 degrees."))
DEEP = (
    300 if sys.implementation.name == "cpython" else 30_000
)  # objects within objects, more than the stack holds


class Unit(enum.Enum):
    CELSIUS = "C"


@dataclasses.dataclass
class Place:
    name: str


row = pytest.mark.row


def temperature(city: str, unit: Literal["C", "F"] = "C") -> float:
    """The temperature in a city
    right now.

    city: its name in English
    """
    return {"Paris": 20.5, "Oslo": 3}[city] * (1 if unit == "C" else 2)


def near(place: Place) -> list[Place]:
    return [place, Place("près de " + place.name)]


def called(*calls: tuple[str, str]) -> dict[str, Any]:
    """A message with tool calls (name, arguments), of ids c0, c1 …"""
    return {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {"id": f"c{at}", "type": "function", "function": {"name": name, "arguments": arguments}}
            for at, (name, arguments) in enumerate(calls)
        ],
    }


def calling(*calls: tuple[str, str]) -> bytes:
    return answer(
        {
            **completion(),
            "choices": [{"index": 0, "message": called(*calls), "finish_reason": "tool_calls"}],
        }
    )


def client(server: Server) -> rawchat.Client:
    return rawchat.Client(base_url=server.url, environ={}, max_retries=0)


def told(server: Server) -> list[str]:
    """What the last request told the model of its calls."""
    return [
        message["content"]
        for message in server.requests[-1].json["messages"]
        if message["role"] == "tool"
    ]


def test_a_function_is_a_tool_by_its_signature_and_docstring() -> None:
    assert tools.spec(temperature) == {
        "type": "function",
        "function": {
            "name": "temperature",
            "description": "The temperature in a city right now.",
            "strict": True,
            "parameters": {
                "type": "object",
                "additionalProperties": False,
                "required": ["city", "unit"],
                "properties": {
                    "city": {"type": "string", "description": "its name in English"},
                    "unit": {"type": "string", "enum": ["C", "F"], "description": '(default: "C")'},
                },
            },
        },
    }
    assert "description" not in tools.spec(near)["function"]


def test_calls_are_run_and_told_until_the_reply_is_text() -> None:
    first = ("temperature", '{"city": "Paris", "unit": "C"}')
    with serving(calling(first), calling(("near", '{"place": {"name": "Oslo"}}')), DONE) as server:
        reply = tools.run("How warm is it?", [temperature, near], client(server), temperature=0)
    assert reply.text == "It is 20 degrees."
    one, two, three = (request.json for request in server.requests)
    assert one["messages"] == [{"role": "user", "content": "How warm is it?"}]
    assert [tool["function"]["name"] for tool in one["tools"]] == ["temperature", "near"]
    assert one["temperature"] == three["temperature"] == 0
    assert two["messages"] == [
        *one["messages"],
        called(first),
        {"role": "tool", "tool_call_id": "c0", "content": "20.5"},
    ]
    assert three["messages"][-1]["content"] == '[{"name": "Oslo"}, {"name": "près de Oslo"}]'


@pytest.mark.parametrize("parallel", [False, True])
def test_several_calls_of_one_reply_are_answered_in_their_order(parallel: bool) -> None:
    second_began = threading.Event()

    def slow(name: str) -> str:
        if name == "first":
            assert second_began.wait(10) is parallel if parallel else not second_began.is_set()
        else:
            second_began.set()
        return name

    calls = [("slow", '{"name": "first"}'), ("slow", '{"name": "second"}')]
    with serving(calling(*calls), DONE) as server:
        tools.run("Go", [slow], client(server), parallel=parallel)
    assert told(server) == ["first", "second"]
    assert [message["tool_call_id"] for message in server.requests[1].json["messages"][2:]] == [
        "c0",
        "c1",
    ]


def test_however_many_calls_a_reply_holds_so_many_threads_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pools: list[int] = []

    def pool(threads: int) -> ThreadPoolExecutor:
        pools.append(threads)
        return ThreadPoolExecutor(threads)

    monkeypatch.setattr(calls, "ThreadPoolExecutor", pool)
    two, hundred = (calling(*[("temperature", '{"city": "Paris"}')] * count) for count in (2, 100))
    with serving(two, hundred, DONE) as server:
        tools.run("Go", [temperature], client(server), parallel=True)
    assert (len(told(server)), pools) == (102, [2, 32])


def test_two_calls_in_one_stream_whose_pieces_come_out_of_order() -> None:
    def piece(*calls: tuple[int, dict[str, Any]]) -> bytes:
        return event(delta({"tool_calls": [{"index": at, **call} for at, call in calls]}))

    pieces = [
        event(delta({"role": "assistant", "content": "Let me see. "})),
        piece((1, {"id": "b", "function": {"name": "temperature", "arguments": '{"city": '}})),
        piece((0, {"id": "a", "function": {"name": "temperature", "arguments": ""}})),
        piece(
            (0, {"function": {"arguments": '{"city":"Pa'}}),
            (1, {"function": {"arguments": '"Oslo"}'}}),
        ),
        piece((0, {"function": {"arguments": 'ris"}'}})),
        event(delta(finish="tool_calls")),
        event("[DONE]"),
    ]
    shown: list[str] = []
    with serving(streamed(pieces), streamed()) as server:
        reply = tools.run("How warm?", [temperature], client(server), on_text=shown.append)
    assert (shown, reply.text) == (["Let me see. ", "Hel", "lo"], "Hello")
    assert server.requests[1].json["messages"][1]["content"] == "Let me see. "
    assert [
        (message["tool_call_id"], message["content"])
        for message in server.requests[1].json["messages"][2:]
    ] == [("a", "20.5"), ("b", "3")]


def broken(city: str) -> str:
    raise RuntimeError(f"no sensor in {city}")


def noon() -> str:
    return "12:00"


@dataclasses.dataclass
class Nest:
    inner: "Optional[Nest]"


def depth(nest: Nest) -> int:
    return 0


@row("11.2")
@pytest.mark.parametrize("arguments", ["", " ", "{}", "null", '""', json.dumps("{}")])
def test_a_function_without_parameters_is_called_whatever_stands_for_no_arguments(
    arguments: str,
) -> None:
    with serving(calling(("noon", arguments)), DONE) as server:
        tools.run("Go", [noon], client(server))
    assert told(server) == ["12:00"]


def test_arguments_that_were_encoded_twice_are_decoded_twice() -> None:
    call = ("temperature", json.dumps('{"city": "Paris"}'))
    with serving(calling(call), DONE) as server:
        tools.run("Go", [temperature], client(server))
    assert told(server) == ["20.5"]


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (("temperature", '{"city": '), "error: bad arguments: not JSON"),
        (("temperature", "[]"), "error: bad arguments: the top: not an object: []"),
        (("temperature", '{"city": 1}'), "error: bad arguments: city: not str: 1"),
        (("temperature", ""), "error: bad arguments: the top: missing city"),
        (("temperature", " "), "error: bad arguments: the top: missing city"),
        (("temperature", "null"), "error: bad arguments: the top: missing city"),
        (("temperature", '""'), "error: bad arguments: the top: missing city"),
        (("temperature", '"Paris"'), "error: bad arguments: not JSON"),
        (
            ("temperature", '{"city": "Paris", "unit": "K"}'),
            "error: bad arguments: unit: not Literal",
        ),
        (("temperature", '{"city": "Paris", "x": 1}'), "error: bad arguments: the top: unknown x"),
        (("temperature", '{"city": "Rome"}'), "error: KeyError: 'Rome'"),
        (("broken", '{"city": "Rome"}'), "error: RuntimeError: no sensor in Rome"),
        (("weather", "{}"), "error: there is no such tool; there is: temperature, broken, depth"),
        (
            ("depth", '{"nest": ' + '{"inner": ' * DEEP + "null" + "}" * (DEEP + 1)),
            "error: bad arguments: ",
        ),
    ],
)
def test_what_goes_wrong_is_told_to_the_model_and_logged(
    call: tuple[str, str], expected: str, caplog: pytest.LogCaptureFixture
) -> None:
    with serving(calling(call), DONE) as server, caplog.at_level(logging.WARNING, "rawchat"):
        assert (
            tools.run("Go", [temperature, broken, depth], client(server)).text
            == "It is 20 degrees."
        )
    assert told(server)[0].startswith(expected)
    assert f"tool {call[0]}: {expected[len('error: ') :]}" in caplog.text
    assert ("Traceback" in caplog.text) is ("Error: " in expected)


@pytest.mark.parametrize(
    "call",
    [
        {"id": "c0"},
        {"id": "c0", "type": "custom", "custom": {"name": "x"}},
        {"id": "c0", "function": None},
    ],
)
def test_a_call_of_another_kind_is_an_unknown_tool(call: dict[str, Any]) -> None:
    message = {"role": "assistant", "tool_calls": [call]}
    with serving(answer({"choices": [{"index": 0, "message": message}]}), DONE) as server:
        tools.run("Go", [temperature], client(server))
    assert told(server) == ["error: there is no such tool; there is: temperature"]


@pytest.mark.parametrize("odd", [["weather"], "weather", [{"id": "c0", "function": "weather"}]])
def test_tool_calls_that_are_none_are_an_error(odd: Any) -> None:
    reply = answer(
        {
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "tool_calls": odd},
                    "finish_reason": "tool_calls",
                }
            ]
        }
    )
    unreadable = pytest.raises(rawchat.APIResponseValidationError, match="none of them can be read")
    with serving(reply) as server, unreadable:
        tools.run("Go", [temperature], client(server))


def test_a_name_from_the_network_stays_in_its_line_of_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with serving(calling(("x\nERROR root: the disk is full", "{}")), DONE) as server:
        tools.run("Go", [temperature], client(server))
    assert [record.getMessage().count("\n") for record in caplog.records] == [0]


def test_ctrl_c_in_a_tool_is_not_told_to_the_model() -> None:
    def stop(city: str) -> str:
        raise KeyboardInterrupt

    said = [{"role": "user", "content": "Go"}]
    with serving(calling(("stop", '{"city": "Rome"}'))) as server, pytest.raises(KeyboardInterrupt):
        tools.run(said, [stop], client(server))
    assert said == [{"role": "user", "content": "Go"}]


def test_the_rounds_are_limited_and_the_error_keeps_the_messages() -> None:
    said: list[Any] = [{"role": "user", "content": "Go"}]
    again = calling(("temperature", '{"city": "Paris"}'))
    with serving(again, again, DONE) as server:
        with pytest.raises(rawchat.ToolRoundsError, match="after 2 rounds") as caught:
            tools.run(said, [temperature], client(server), max_rounds=2)
        assert len(server.requests) == 2
        assert [message["role"] for message in caught.value.messages] == [
            "user",
            *["assistant", "tool"] * 2,
        ]
        assert said == [{"role": "user", "content": "Go"}]
        assert tools.run(
            caught.value.messages, [temperature], client(server)
        ).text  # it can be gone on from


def test_a_list_grows_by_what_is_said_and_a_failure_leaves_it() -> None:
    said: list[Any] = [{"role": "user", "content": "Go"}]
    once = calling(("temperature", '{"city": "Paris"}'))
    with serving(once, answer({"error": "no"}, 400), once, DONE) as server:
        with pytest.raises(rawchat.BadRequestError):
            tools.run(said, [temperature], client(server))
        assert len(said) == 1
        tools.run(said, [temperature], client(server))
    assert [message["role"] for message in said] == ["user", "assistant", "tool", "assistant"]


@pytest.mark.parametrize("on_text", [None, lambda text: None])
def test_inside_a_history_the_window_is_sent_and_the_turn_stays_whole(on_text: Any) -> None:
    once = ("temperature", '{"city": "Paris"}')
    streamed_call = [event(delta(called(once), "tool_calls")), event("[DONE]")]
    script = (streamed(streamed_call), streamed()) if on_text else (calling(once), DONE)
    with serving(*script) as server:
        history = History(client(server), system="s", max_messages=4)
        history += [
            {"role": "user", "content": "old"},
            {"role": "assistant", "content": "old"},
            {"role": "user", "content": "How warm?"},
        ]
        reply = tools.run(history, [temperature], on_text=on_text)
    assert [message["role"] for message in history] == [
        "system",
        "user",
        "assistant",
        "user",
        "assistant",
        "tool",
        "assistant",
    ]
    sent = server.requests[1].json["messages"]
    assert [message["role"] for message in sent] == ["system", "user", "assistant", "tool"]
    assert ("stream_options" in server.requests[0].json) is bool(on_text)
    assert history[-1] == reply.message
    assert history.usage.calls == 2


@pytest.mark.parametrize("kind", [list, History])
def test_a_reply_without_a_message_is_an_error_and_nothing_stays(kind: type[list[Any]]) -> None:
    said = kind()
    said.append({"role": "user", "content": "Go"})
    with (
        serving(answer({"choices": []})) as server,
        pytest.raises(rawchat.APIResponseValidationError, match="200, but without a choice: "),
    ):
        tools.run(said, [temperature], client(server))
    assert said == [{"role": "user", "content": "Go"}]


def test_a_failure_inside_a_history_leaves_it() -> None:
    with serving(
        calling(("temperature", '{"city": "Paris"}')), answer({"error": "no"}, 500)
    ) as server:
        history = History(client(server))
        history.append({"role": "user", "content": "How warm?"})
        with pytest.raises(rawchat.InternalServerError):
            tools.run(history, [temperature])
    assert history == [{"role": "user", "content": "How warm?"}]


READY = {"type": "function", "function": {"name": "lookup", "parameters": {"type": "object"}}}


def lookup(key: str, more: Annotated[Optional[dict[str, int]], "anything"] = None) -> Any:
    return {"key": key, "more": more}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ('{"key": "a", "more": {"b": 1}}', '{"key": "a", "more": {"b": 1}}'),
        ("{}", "error: bad arguments: missing a req"),
        ("[1]", "error: bad arguments"),
        ('{"x": 1}', "error: bad arguments"),
    ],
)
def test_ready_made_tools_work_with_a_mapping(arguments: str, expected: str) -> None:
    with serving(calling(("lookup", arguments)), DONE) as server:
        tools.run("Go", [READY, temperature], client(server), functions={"lookup": lookup})
    assert server.requests[0].json["tools"][0] == READY
    assert told(server)[0].startswith(expected)


def test_a_ready_made_tool_may_be_a_built_in_function_that_does_not_tell_its_signature() -> None:
    with serving(calling(("lookup", '{"key": "a"}')), DONE) as server:
        tools.run("Go", [READY], client(server), functions={"lookup": dict})
    assert told(server) == ['{"key": "a"}']


def test_a_ready_made_tool_without_a_function_is_refused_before_sending() -> None:
    with serving(DONE) as server, pytest.raises(TypeError, match="no function for tool 'lookup'"):
        tools.run("Go", [READY], client(server))
    assert server.requests == []


def test_two_tools_of_one_name_are_refused_before_sending() -> None:
    def lookup(key: str) -> str:
        return key

    with serving(DONE) as server, pytest.raises(TypeError, match="same name"):
        tools.run("Go", [READY, lookup], client(server), functions={"lookup": lookup})
    assert server.requests == []


@pytest.mark.parametrize("wrong", [3, None, "lookup", functools.partial(print)])
def test_what_is_no_function_with_a_name_is_refused_before_sending(wrong: Any) -> None:
    with serving(DONE) as server, pytest.raises(TypeError, match="a function with a name"):
        tools.run("Go", [wrong], client(server))
    assert server.requests == []


@pytest.mark.parametrize(
    ("wrong", "shown"), [(max, "max"), (READY, "…"), ("lookup", "…"), (None, "…")]
)
def test_a_tool_outside_a_list_is_refused_before_sending(wrong: Any, shown: str) -> None:
    with serving(DONE) as server, pytest.raises(TypeError) as caught:
        tools.run("Go", tools=wrong, client=client(server))
    assert str(caught.value) == f"tools must be a list of tools: tools=[{shown}]"
    assert server.requests == []


def test_without_tools_none_are_sent() -> None:
    with serving(DONE) as server:
        tools.run("Go", [], client(server))
    assert "tools" not in server.requests[0].json


def test_results_are_text_as_it_is_or_json() -> None:
    def results(kind: str) -> Any:
        return {"text": "ü", "none": None, "set": {1}, "place": Place("ü"), "unit": [Unit.CELSIUS]}[
            kind
        ]

    asked = [
        ("results", json.dumps({"kind": kind})) for kind in ("text", "none", "set", "place", "unit")
    ]
    with serving(calling(*asked), DONE) as server:
        tools.run("Go", [results], client(server))
    assert told(server) == ["ü", "null", '"{1}"', '{"name": "ü"}', '["C"]']


def test_the_default_client_is_asked_if_there_is_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(DONE) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        monkeypatch.setattr("rawchat.client.default._client", None)
        assert tools.run("Go", [temperature]).text
