"""The columns of the table in docs/servers.md.  Each takes the name of a server, plays its recordings, and returns a cell.

A column raises AssertionError, or what rawchat raises, if something does not work; `cell` says so in the table.
"""

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Callable

import pytest

import rawchat
from rawchat import History, tools
from rawchat.wire import Request, Response

from ..recordings import Recording, client_of, read_recording
from ..test_servers import HELLO, SERVERS, Want
from .recorded import GOOD, GOOD_STREAM, RecordedServer

#: In a cell: there is no recording.
UNKNOWN = ""

#: It stands in the reasoning of all recordings, and in nothing else.
REASONING_WORD = "greet"

#: A conversation that has grown too long, and how much of it fits.
TURNS = 300
FITTING_TURNS = 10


@dataclass
class Person:
    """A typed answer."""

    name: str
    age: int


def recordings(server: str, start: str) -> dict[str, Want]:
    """Return what is wanted of those recordings of a server whose kind begins with `start`."""
    return {kind: want for kind, want in SERVERS[server].items() if kind.startswith(start)}


def ask(client: rawchat.Client, streamed: bool) -> rawchat.Reply:
    """Make a plain or a streamed call and return its reply."""
    if not streamed:
        return client.chat("Hi")
    with client.stream_chat("Hi") as stream:
        shown = "".join(stream.texts())
        assert shown == stream.reply.text
        return stream.reply


def worked(remedies: Sequence[str]) -> str:
    """Return the cell for calls that worked, with what the client did about refusals."""
    return ", ".join(["yes", *dict.fromkeys(remedies)])


# ---- the columns: each takes the name of a server, and returns a cell


def chat(server: str) -> str:
    return text_cell(server, "plain")


def streams(server: str) -> str:
    return text_cell(server, "stream")


def text_cell(server: str, kind: str) -> str:
    """Ask, and compare the text."""
    want = SERVERS[server].get(kind)
    if want is None:
        return UNKNOWN
    recorded = RecordedServer(server, [read_recording(f"{server}/{kind}")])
    reply = ask(recorded.client(), kind == "stream")
    assert (reply.text, reply.finish_reason) == (want.text, want.finish), reply
    return worked(recorded.remedies)


Called = list[tuple[str, dict[str, Any]]]


def functions_for(called: Called) -> list[Callable[..., str]]:
    """Return two functions for a model to call, which note their calls in `called`."""

    def get_weather(city: str) -> str:
        """Return the weather of a city."""
        called.append(("get_weather", {"city": city}))
        return f"sunny in {city}"

    def get_time() -> str:
        """Return the time."""
        called.append(("get_time", {}))
        return "noon"

    return [get_weather, get_time]


def tool_calls(server: str) -> str:
    """Run the tools that the model of the recording calls, and send back their results."""
    wants = recordings(server, "tools")
    remedies: list[str] = []
    for kind, want in wants.items():
        streamed = "stream" in kind
        last = GOOD_STREAM if streamed else GOOD
        recorded = RecordedServer(server, [read_recording(f"{server}/{kind}"), last])
        called: Called = []
        on_text = io.StringIO().write if streamed else None
        functions = functions_for(called)
        reply = tools.run("Hi", functions, recorded.client(), on_text=on_text)
        assert reply.text == "Hello"
        assert called == list(want.calls), called
        check_results(recorded.bodies[1]["messages"], len(want.calls))
        remedies += recorded.remedies
    return worked(remedies) if wants else UNKNOWN


def check_results(messages: list[dict[str, Any]], count: int) -> None:
    """Check that the second request has the calls, and a result for each under its id."""
    _, message, *results = messages
    ids = [call["id"] for call in message["tool_calls"]]
    assert [result["tool_call_id"] for result in results] == ids
    assert len(ids) == count


def reasoning(server: str) -> str:
    """Return where the reasoning is; it must go back in the next request as it came."""
    places: list[str] = []
    for kind in recordings(server, "reasoning"):
        recorded = RecordedServer(server, [read_recording(f"{server}/{kind}"), GOOD])
        history = History(recorded.client())
        if "stream" in kind:
            "".join(history.stream("Hi"))
        else:
            history.ask("Hi")
        found = [name for name, value in history[1].items() if REASONING_WORD in json.dumps(value)]
        assert found, history[1]
        history.ask("Go on")
        assert recorded.bodies[1]["messages"][1] == history[1]
        places += found
    return ", ".join(f"`{name}`" for name in dict.fromkeys(places))


def typed_answers(server: str) -> str:
    """Ask for an instance; the recordings' text is replaced by the JSON of one."""
    kinds = [kind for kind in ("plain", "reasoning") if kind in SERVERS[server]]
    remedies: list[str] = []
    for kind in kinds:
        recording = read_recording(f"{server}/{kind}")
        # 9router: the end of a stream follows the JSON.
        body = recording.body.partition(b"data: [DONE]")[0]
        payload = replace_text(json.loads(body), HELLO, '{"name": "Ann", "age": 7}')
        answer = recording._replace(body=json.dumps(payload).encode())
        recorded = RecordedServer(server, [answer])
        assert recorded.client().parse("Who?", into=Person) == Person("Ann", 7)
        remedies += recorded.remedies
    return worked(remedies) if kinds else UNKNOWN


def replace_text(value: Any, old: str, new: str) -> Any:
    """Return a copy of decoded JSON with `new` in place of `old` in every text."""
    if isinstance(value, dict):
        return {name: replace_text(item, old, new) for name, item in value.items()}
    if isinstance(value, list):
        return [replace_text(item, old, new) for item in value]
    return value.replace(old, new) if isinstance(value, str) else value


def usage(server: str) -> str:
    """Return in which answers the tokens are counted."""
    counted = []
    kinds = [kind for kind in ("plain", "stream") if kind in SERVERS[server]]
    for kind in kinds:
        recorded = RecordedServer(server, [read_recording(f"{server}/{kind}")])
        found = rawchat.Usage.of(ask(recorded.client(), kind == "stream"))
        assert (found.prompt, found.completion) == SERVERS[server][kind].usage
        if found.prompt and found.completion:
            counted.append(kind)
    if not kinds:
        return UNKNOWN
    if counted == kinds:
        return "yes"
    return " and ".join(f"{kind} only" for kind in counted) or "not counted"


def recovery(server: str) -> str:
    """Return how many requests a conversation needs to recover from each overflow."""
    counts = set()
    for kind, want in recordings(server, "overflow").items():
        if want.partial:  # some text had arrived: the question is not asked again by itself
            continue
        recording = read_recording(f"{server}/{kind}")
        counts.add(requests_to_recover(recording, "stream" in kind))
    if not counts:
        return UNKNOWN
    return f"{max(counts)} requests"


def requests_to_recover(overflow: Recording, streamed: bool = False) -> int:
    """Return the requests of a history of 300 turns until the 10 that fit are answered, and no longer with `overflow`."""
    requests = 0

    def answer(request: Request) -> Response:
        nonlocal requests
        requests += 1
        messages = json.loads(request.body or b"")["messages"]
        turns = sum(message["role"] == "user" for message in messages)
        if turns > FITTING_TURNS:
            return overflow.response()
        return (GOOD_STREAM if streamed else GOOD).response()

    history = History(client_of(answer))
    for number in range(TURNS - 1):
        history.append({"role": "user", "content": f"question {number}"})
        history.append({"role": "assistant", "content": f"answer {number}"})
    text = "".join(history.stream("Hi")) if streamed else history.ask("Hi").text
    assert text == "Hello"
    return requests


def errors(server: str) -> str:
    """Return the exceptions that the recorded errors raise; each has the server's words."""
    names = []
    for kind, want in SERVERS[server].items():
        if want.error is None or kind.startswith("overflow"):
            continue
        recorded = RecordedServer("", [read_recording(f"{server}/{kind}")])
        with pytest.raises(want.error) as caught:
            ask(recorded.client(), "stream" in kind)
        for words in want.says:
            assert words in str(caught.value), caught.value
        names.append(type(caught.value).__name__)
    return ", ".join(f"`{name}`" for name in dict.fromkeys(names))


COLUMNS: dict[str, Callable[[str], str]] = {
    "chat": chat,
    "streams": streams,
    "tools": tool_calls,
    "reasoning": reasoning,
    "typed answers": typed_answers,
    "usage": usage,
    "overflow recovery": recovery,
    "errors": errors,
}


def cell(column: Callable[[str], str], server: str) -> str:
    """Return a cell; what does not work is told in it."""
    try:
        return column(server)
    except Exception as problem:
        return f"**no**: {type(problem).__name__}"
