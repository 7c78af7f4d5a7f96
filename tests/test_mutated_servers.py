"""Recorded exchanges of every server, mutated: a reply or an error of ours comes of it, and no text is lost silently.

A mutation replaces one value of a recording by another JSON value or drops it, or repeats, drops, cuts in two or divides
one event of a stream.  Each recording of tests/test_servers.py is mutated a few times, by a random generator whose seed
is the recording's name; `make fuzz` takes other seeds, and more of them.
"""

import copy
import json
import os
import pickle
import random
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Callable, NamedTuple, Optional

import pytest

import rawchat
from rawchat import History, RawchatError, tools
from rawchat.wire import Request, Response

from .recordings import Event, Recording, client_of, join_events, read_recording, split_body
from .server import completion, delta
from .test_mutated import GONE, HALF, Path, paths, replaced, use
from .test_servers import RECORDINGS, SERVERS, Outcome, ask

row = pytest.mark.row
EXAMPLES = int(os.environ.get("HYPOTHESIS_EXAMPLES", 0))

#: Mutations of each recording.
ROUNDS = max(1, EXAMPLES // len(RECORDINGS)) if EXAMPLES else 10

#: Values that have been seen to break a client.
ODD_VALUES: list[Any] = [
    GONE,
    GONE,
    None,
    None,
    True,
    False,
    0,
    1,
    -1,
    5,
    1.5,
    1e300,
    10**399,
    float("nan"),
    float("inf"),
    "",
    " ",
    "x",
    "0",
    HALF,
    "\ude00",
    "{}",
    "[DONE]",
    '{"error": "no"}',
    [],
    [None],
    [5],
    ["x"],
    [[]],
    [{}],
    [{"x": None}],
    {},
    {"x": 1},
    {HALF: HALF},
    {"error": None},
    {"error": {"message": None}},
    {"content": 5},
    {"tool_calls": [5]},
    {"tool_calls": {"function": 5}},
    {"function": {"name": 5, "arguments": {"x": 1}}},
    [{"type": "text", "text": 5}],
    [{"type": 5, "text": "x"}],
    [{"index": "x", "id": 1}, {"id": 2}],
    [{"index": -1}, {"index": 10**30}, {"index": 1.5}, {"index": True}],
    [{"function": 5}],
    [{"function": {"name": 5, "arguments": {"x": 1}}}],
    [{"error": "no"}],
]


class Mutated(NamedTuple):
    """A mutated recording: how it was mutated, and what must be seen of its text all the same."""

    recording: Recording
    description: str
    #: The texts that came whole.
    texts: list[str]
    #: As many of them came before the place of the mutation.
    before: int = 0


# ---- mutations


def mutate(recording: Recording, randoms: random.Random, values: Sequence[Any]) -> Mutated:
    """Return a mutation of a recording, a stream or a JSON body."""
    if recording.is_stream:
        return mutate_stream(recording, randoms, values)
    try:
        payload = json.loads(recording.body)
    except ValueError:  # a page of HTML, or nothing
        cut = randoms.randrange(len(recording.body) + 1)
        changed = recording._replace(body=recording.body[:cut])
        return Mutated(changed, f"cut after {cut} bytes", [])
    mutated, description = mutate_json(payload, randoms, values)
    body = json.dumps(mutated).encode()
    return Mutated(recording._replace(body=body), description, texts_of(mutated, "message"))


def mutate_json(payload: Any, randoms: random.Random, values: Sequence[Any]) -> tuple[Any, str]:
    """Return a copy of decoded JSON with another value at one of its paths, and what was done."""
    path: Path = randoms.choice([*paths(payload)])
    value = randoms.choice(values)
    if value is GONE:
        return replaced(payload, path, GONE), f"{list(path)} dropped"
    return replaced(payload, path, copy.deepcopy(value)), f"{list(path)} = {value!r}"


def mutate_stream(recording: Recording, randoms: random.Random, values: Sequence[Any]) -> Mutated:
    """Return a mutation of a stream: of a value in an event, or of the events themselves."""
    events = split_body(recording.body)
    place = randoms.randrange(len(events))
    event = events[place]
    kind = randoms.choice(["value"] * 5 + ["repeat", "drop", "cut", "divide"])
    description = kind
    if kind == "value" and event.payload is not None:
        payload, description = mutate_json(event.payload, randoms, values)
        changed = [event.with_payload(payload)]
    elif kind == "drop":
        changed = []
    elif kind == "cut":
        at = randoms.randrange(len(event.text) + 1)
        changed = [Event(event.text[:at], None), Event(event.text[at:], None)]
        description = f"cut after {at} characters"
    elif kind == "divide" and event.payload is not None:
        changed = divide(event)
    else:
        changed = [event, event]
    before = events[:place]
    after = events[place + 1 :]
    if kind == "repeat" and after and randoms.random() < 0.5:  # not at once
        changed, after = [event], [*after[:-1], event, after[-1]]
        description = "repeat later"
    texts = [text for each in [*before, *changed, *after] for text in stream_texts(each)]
    return Mutated(
        recording._replace(body=join_events([*before, *changed, *after])),
        f"event {place} of {len(events)}: {description}",
        texts,
        sum(len(stream_texts(each)) for each in before),
    )


def divide(event: Event) -> list[Event]:
    """Return two events in place of one: the text of the delta is divided between them."""
    first = copy.deepcopy(event.payload)
    second = copy.deepcopy(event.payload)
    for choice, rest in zip(first.get("choices") or (), second.get("choices") or ()):
        delta = choice.get("delta") or {}
        if isinstance(delta.get("content"), str):
            half = len(delta["content"]) // 2
            rest["delta"] = {"content": delta["content"][half:]}
            delta["content"] = delta["content"][:half]
            choice["finish_reason"] = None
    return [event.with_payload(first), event.with_payload(second)]


# ---- what must be seen of the text, read without rawchat


def stream_texts(event: Event) -> list[str]:
    """Return the texts in an event, those of its first choice, if they are in good form."""
    if event.payload is None or not event.text.startswith("data:"):
        return []
    return texts_of(event.payload, "delta")


def texts_of(payload: Any, name: str) -> list[str]:
    """Return the texts of the first choice of a reply or a chunk, if it is in good form; `name` is delta or message."""
    choices = payload.get("choices") if isinstance(payload, dict) else None
    if not isinstance(choices, list) or len(choices) != 1 or not isinstance(choices[0], dict):
        return []
    message = choices[0].get(name)
    index = choices[0].get("index")
    if not isinstance(message, dict) or (isinstance(index, int) and index > 0):
        return []
    content = message.get("content")
    parts = content if isinstance(content, list) else [content]
    texts = []
    for part in parts:
        if isinstance(part, dict) and part.get("type") == "text":
            part = part.get("text")
        if isinstance(part, str) and part and is_whole(part):
            texts.append(part)
    return texts


def is_whole(text: str) -> bool:
    """Return whether a text holds no half of a surrogate pair."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def missing(texts: Sequence[str], shown: str) -> Optional[str]:
    """Return the first of `texts` that does not stand in `shown`, each after the one before it; None if all do."""
    position = 0
    for text in texts:
        position = shown.find(text, position)
        if position < 0:
            return text
        position += len(text)
    return None


# ---- one call


def in_pieces(body: bytes, randoms: random.Random) -> list[bytes]:
    """Return a body in pieces of a random size."""
    size = randoms.choice([1, 7, 64, len(body) + 1])
    return [body[at : at + size] for at in range(0, len(body), size)]


def check(mutated: Mutated, streamed: bool, outcome: Outcome) -> None:
    """Check the outcome of a call that a mutated recording answered."""
    outcome.shown.encode()
    error = outcome.error
    if error is not None:
        check_error(error)
        if streamed and mutated.recording.is_stream:
            assert missing(mutated.texts[: mutated.before], outcome.shown) is None, repr(error)
            assert error.partial is None or error.partial.text == outcome.shown
        return
    reply = outcome.reply
    assert reply is not None
    assert mutated.recording.status == 200
    assert missing(mutated.texts, outcome.shown) is None, (mutated.texts, reply)
    assert outcome.shown == reply.text
    use(reply)
    check_message(reply.message)


def check_error(error: RawchatError) -> None:
    """Check that an error is one line, says something, and survives pickling."""
    text = str(error)
    assert text.strip()
    assert "\n" not in text
    assert len(text) < 3000
    assert str(pickle.loads(pickle.dumps(error))) == text
    if isinstance(error, rawchat.APIError) and error.partial is not None:
        use(error.partial)


def check_message(message: dict[str, Any]) -> None:
    """Check that a message can be sent back: it is JSON, and its calls are as OpenAI's."""
    text = json.dumps(message, ensure_ascii=False, allow_nan=False)
    text.encode()
    calls = message.get("tool_calls")
    assert calls is None or isinstance(calls, list)
    for each in calls or ():
        assert isinstance(each.get("id"), (str, type(None)))
        function = each.get("function")
        if function:
            assert isinstance(function.get("arguments"), (str, type(None)))


# ---- the walk


def values_found() -> Iterator[Any]:
    """Yield values that servers send somewhere: an error in the place of usage, a list in that of a text."""
    for name in RECORDINGS:
        recording = read_recording(name)
        if recording.is_stream:
            payloads = [event.payload for event in split_body(recording.body)]
        else:
            try:
                payloads = [json.loads(recording.body)]
            except ValueError:
                continue
        for payload in payloads:
            for path in paths(payload):
                value = payload
                for step in path:
                    value = value[step]
                yield value


@pytest.fixture(scope="module")
def values() -> list[Any]:
    """Odd values, and as many that servers really send elsewhere."""
    found = {json.dumps(value): value for value in values_found()}
    chosen = random.Random(1).sample(sorted(found), len(ODD_VALUES) // 2)
    if EXAMPLES:
        chosen = sorted(found)
        return ODD_VALUES * (1 + len(found) // len(ODD_VALUES)) + [found[text] for text in chosen]
    return ODD_VALUES + [found[text] for text in chosen]


def walk(
    server: str, values: Sequence[Any], purpose: str
) -> Iterator[tuple[Mutated, random.Random]]:
    """Yield mutations of each recording of a server."""
    for kind in SERVERS[server]:
        recording = read_recording(f"{server}/{kind}")
        start = random.SystemRandom().getrandbits(32) if EXAMPLES else 0
        for number in range(ROUNDS):
            seed = zlib.crc32(f"{purpose} {server} {kind} {start + number}".encode())
            randoms = random.Random(seed)
            mutated = mutate(recording, randoms, values)
            note = f"{server}/{kind}, seed {seed}: {mutated.description}"
            yield mutated._replace(description=note), randoms


def answering(mutated: Mutated, randoms: random.Random) -> Callable[[Request], Response]:
    """Return a function that answers every request with the mutated recording."""
    recording = mutated.recording

    def answer(request: Request) -> Response:
        return Response(recording.status, recording.headers, in_pieces(recording.body, randoms))

    return answer


@row("4.6", "8.4", "11.18")
@pytest.mark.parametrize("server", SERVERS)
def test_a_mutated_recording_is_a_reply_or_an_error(server: str, values: list[Any]) -> None:
    for mutated, randoms in walk(server, values, "call"):
        for streamed in (False, True):
            try:
                check(mutated, streamed, ask(client_of(answering(mutated, randoms)), streamed))
            except Exception as problem:
                raise AssertionError(f"{mutated.description}, streamed={streamed}") from problem


def get_weather(city: str) -> str:
    """Return the weather of a city."""
    return f"sunny in {city}"


def get_time() -> str:
    """Return the time."""
    return "noon"


@dataclass
class Person:
    name: str
    age: int


def use_tools(client: rawchat.Client, randoms: random.Random) -> None:
    on_text = randoms.choice([None, str])
    use(tools.run("Go", [get_weather, get_time], client, max_rounds=3, on_text=on_text))


def use_parse(client: rawchat.Client, randoms: random.Random) -> None:
    assert isinstance(client.parse("Who?", into=Person), Person)


def use_history(client: rawchat.Client, randoms: random.Random) -> None:
    """Ask, then save and load what was said."""
    history = History(client, system="Be brief.", max_tokens=10_000)
    try:
        if randoms.random() < 0.5:
            history.ask("Hi")
        else:
            "".join(history.stream("Hi")).encode()
    finally:
        history.show().encode()
        history.save("talk.jsonl")
        assert History.load("talk.jsonl") == history


USES = [use_tools, use_parse, use_history]


@row("8.4", "11.18")
@pytest.mark.parametrize("server", SERVERS)
def test_whatever_reads_a_mutated_recording_raises_only_errors_of_ours(
    server: str, values: list[Any]
) -> None:
    for mutated, randoms in walk(server, values, "use"):
        reads = randoms.choice(USES)
        client = client_of(answering(mutated, randoms), max_retries=1)
        try:
            reads(client, randoms)
        except RawchatError as error:
            check_error(error)
        except Exception as problem:
            raise AssertionError(f"{mutated.description}, {reads.__name__}") from problem


# ---- what was found in this way


def streamed_outcome(*chunks: dict[str, Any]) -> Outcome:
    """Return the outcome of a stream of these chunks."""
    events = [Event(f"data: {json.dumps(chunk)}", chunk) for chunk in chunks]
    body = join_events([*events, Event("data: [DONE]", None)])
    headers = {"Content-Type": "text/event-stream"}
    return ask(client_of(lambda request: Response(200, headers, [body])), streamed=True)


@pytest.mark.parametrize("index", [None, "0", "", "x", [], {"x": 1}, False, True, -1, 1.5])
def test_an_index_that_counts_nothing_is_that_of_the_first_choice(index: Any) -> None:
    outcome = streamed_outcome(delta("Hel"), delta("lo", index=index), delta(finish="stop"))
    assert outcome.shown == "Hello"
    assert outcome.reply is not None
    assert outcome.reply.texts == ["Hello"]


@pytest.mark.parametrize("index", [1, "1", 7])
def test_a_server_that_counts_its_choices_from_one_loses_no_text(index: Any) -> None:
    chunks = [delta("Hel", index=index), delta("lo", index=index), delta(None, "stop", index)]
    outcome = streamed_outcome(*chunks)
    assert outcome.reply is not None
    assert (outcome.shown, outcome.reply.texts) == ("Hello", ["Hello"])
    plain = completion()
    plain["choices"][0]["index"] = index
    headers = {"Content-Type": "application/json"}
    body = json.dumps(plain).encode()
    answered = ask(client_of(lambda request: Response(200, headers, [body])), streamed=True)
    assert answered.shown == "Hello"


def test_text_outside_of_a_delta_is_part_of_the_answer() -> None:
    completed = {**delta(), "choices": [{"index": 0, "text": "Hel"}]}
    for chunks in (
        [completed, delta("lo", "stop")],
        [delta("Hel"), {**completed, "choices": [{"text": "lo"}]}],
    ):
        outcome = streamed_outcome(*chunks)
        assert outcome.reply is not None
        assert (outcome.shown, outcome.reply.text) == ("Hello", "Hello")


def test_a_number_in_the_place_of_a_text_is_the_text_of_it() -> None:
    outcome = streamed_outcome(delta("1, "), delta({"content": 2}), delta(", 3", "stop"))
    assert outcome.reply is not None
    assert (outcome.shown, outcome.reply.text) == ("1, 2, 3", "1, 2, 3")


def test_a_message_beside_something_that_is_no_delta_is_the_answer() -> None:
    chunk = delta(finish="stop")
    chunk["choices"][0].update(delta="0", message={"role": "assistant", "content": "Hello"})
    outcome = streamed_outcome(chunk)
    assert outcome.reply is not None
    assert (outcome.shown, outcome.reply.text) == ("Hello", "Hello")
