"""Valid replies and chunks in which one value is another: only errors of ours come out of whatever reads them.

One value, at any path, is replaced by any JSON value, or is left out.  `make fuzz` takes new examples, and more.
"""

import contextlib
import copy
import io
import json
import pathlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Callable, Union
from unittest import mock

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import rawchat
from rawchat import History, RawchatError, bulk, cli, tools
from rawchat.bulk.progress import Progress
from rawchat.limits import limited
from rawchat.usage import Meter
from rawchat.wire import Request, Response

from .server import completion, delta
from .test_generated import MANY

row = pytest.mark.row
Path = tuple[Union[str, int], ...]
HALF = "half \ud83d"
PRICES = {"m": {"prompt": 1.0, "completion": 2.0}}
GONE = object()  # stands for a value that is left out
CALL = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "double", "arguments": '{"number": 4}'},
}
COUNTS = {
    "prompt_tokens": 9,
    "completion_tokens": 4,
    "total_tokens": 13,
    "prompt_tokens_details": {"cached_tokens": 3},
    "completion_tokens_details": {"reasoning_tokens": 1},
}

SAID = completion('{"name": "Ann", "age": 7}', usage=COUNTS, system_fingerprint=None)
CALLED = completion(usage=COUNTS)
CALLED["choices"][0] = {
    "index": 0,
    "finish_reason": "tool_calls",
    "logprobs": None,
    "message": {"role": "assistant", "content": None, "refusal": None, "tool_calls": [CALL]},
}
MODERATED = {"id": "m", "model": "m", "results": [{"flagged": True, "categories": {"hate": True}}]}
MODELS = {"object": "list", "data": [{"id": "m", "object": "model"}]}
PICTURE = {"created": 1, "data": [{"b64_json": "R0lGODlhAQABAAAAACw="}], "usage": COUNTS}
TEXT = {
    "object": "text_completion",
    "model": "m",
    "usage": COUNTS,
    "choices": [{"index": 0, "text": " there was", "finish_reason": "stop", "logprobs": None}],
}

SAID_CHUNKS = [
    delta({"role": "assistant", "content": ""}),
    delta("Hel"),
    delta("lo"),
    delta(finish="stop"),
    {**delta(), "choices": [], "usage": COUNTS},
]
CALLED_CHUNKS = [
    delta(
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{**CALL, "index": 0, "function": {"name": "double", "arguments": ""}}],
        }
    ),
    delta({"tool_calls": [{"index": 0, "function": {"arguments": '{"number":'}}]}),
    delta({"tool_calls": [{"index": 0, "function": {"arguments": " 4}"}}]}),
    delta(finish="tool_calls"),
    {**delta(), "choices": [], "usage": COUNTS},
]
TEXT_CHUNKS = [
    {**TEXT, "choices": [{"index": 0, "text": text, "finish_reason": end}]}
    for text, end in ((" there", None), (" was", "stop"))
]

# What has been seen to break something, and then anything at all.
odd = st.sampled_from(
    [
        GONE,
        None,
        True,
        False,
        0,
        5,
        -1,
        1.5,
        10**399,
        float("inf"),
        float("nan"),
        "",
        "x",
        HALF,
        "\ude00",
        [],
        [None],
        [5],
        ["x"],
        [[]],
        [{}],
        {},
        {"x": 1},
        {HALF: HALF},
        [HALF],
        {"error": None},
        {"content": 5},
        {"tool_calls": [5]},
        {"tool_calls": 5},
        [{"type": "text", "text": 5}],
        [{"id": [1]}],
        [{"index": "x", "id": 1}, {"id": 2}],
        [{"function": 5}],
        [{"function": {"name": 5, "arguments": {"number": 4}}}],
    ]
)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "choices",
                    "message",
                    "delta",
                    "index",
                    "role",
                    "content",
                    "tool_calls",
                    "id",
                    "function",
                    "name",
                    "arguments",
                    "usage",
                    "refusal",
                    "text",
                    "type",
                    "data",
                    "x",
                ]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=6,
)
values = odd | anything
mutated = settings(
    max_examples=MANY or 150,
    derandomize=not MANY,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


@dataclass
class Person:
    name: str
    age: int


def double(number: int) -> Any:
    """Double a number."""
    return {"twice": 2 * number}


def paths(value: Any, path: Path = ()) -> Iterator[Path]:
    """Yield the path of every value in `value`, its own too."""
    yield path
    if isinstance(value, dict):
        for name, item in value.items():
            yield from paths(item, (*path, name))
    elif isinstance(value, list):
        for at, item in enumerate(value):
            yield from paths(item, (*path, at))


def replaced(whole: Any, path: Path, value: Any) -> Any:
    """Return a copy of `whole` with `value` at `path`; GONE takes away what is there."""
    if not path:
        return None if value is GONE else value
    changed = copy.deepcopy(whole)
    inner = changed
    for step in path[:-1]:
        inner = inner[step]
    if value is GONE:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return changed


@st.composite
def changed(draw: Callable[..., Any], *wholes: Any) -> Any:
    """One of `wholes` with one value replaced."""
    whole = draw(st.sampled_from(wholes))
    return replaced(whole, draw(st.sampled_from([*paths(whole)])), draw(values))


def plain(payload: Any) -> Response:
    return Response(200, {"Content-Type": "application/json"}, [json.dumps(payload).encode()])


def stream_of(chunks: Any) -> Response:
    events = [
        f"data: {json.dumps(chunk)}\n\n".encode()
        for chunk in (chunks if isinstance(chunks, list) else [chunks])
    ]
    return Response(200, {"Content-Type": "text/event-stream"}, [*events, b"data: [DONE]\n\n"])


def client(*answers: Any) -> rawchat.Client:
    """A client that is answered by these payloads, a list as a stream; by the last one again and again."""
    left = list(answers)

    def transport(request: Request) -> Response:
        payload = left.pop(0) if len(left) > 1 else left[0]
        streamed = b'"stream":true' in (request.body or b"")
        return stream_of(payload) if streamed else plain(payload)

    limits = limited(transport, tokens_per_minute=1e9, sleep=lambda seconds: None)
    meter = Meter()
    return rawchat.Client(
        transport=limits,
        on_reply=meter,
        environ={},
        base_url="http://localhost/v1",
        model="m",
        max_retries=0,
    )


def use(reply: rawchat.Reply) -> None:
    """Read everything that a reply gives by a name of its own."""
    assert all(isinstance(text, str) for text in reply.texts)
    assert reply.text.encode() is not None
    assert all(isinstance(call, dict) for call in reply.tool_calls)
    assert reply.usage is None or isinstance(reply.usage, dict)
    assert reply.finish_reason is None or isinstance(reply.finish_reason, str)
    assert all(isinstance(name, str) for name in reply.categories)
    assert reply.flagged in (True, False)
    used = rawchat.Usage.of(reply)
    assert used.cost(PRICES["m"]) >= used.total / 1e9 - 1


@row("8.4", "4.6")
@mutated
@given(payload=changed(SAID, CALLED, TEXT, MODERATED, MODELS, PICTURE))
def test_every_verb(payload: Any) -> None:
    asked = client(payload)
    for verb, argument in (
        ("chat", "Hi"),
        ("complete", "Hi"),
        ("moderate", "Hi"),
        ("model", "m"),
        ("image", "Hi"),
    ):
        with contextlib.suppress(RawchatError):
            use(getattr(asked, verb)(argument))
    with contextlib.suppress(RawchatError):
        use(asked.models())


@mutated
@given(chunks=changed(SAID_CHUNKS, CALLED_CHUNKS, TEXT_CHUNKS))
def test_every_stream(chunks: Any) -> None:
    for verb in ("stream_chat", "stream_complete"):
        try:
            with getattr(client(chunks), verb)("Hi") as stream:
                for text in stream.texts():
                    assert text.encode()
            use(stream.reply)
        except rawchat.APIError as error:
            if error.partial is not None:
                use(error.partial)


@mutated
@given(payload=changed(SAID, CALLED))
def test_a_history(payload: Any) -> None:
    talk = History(client(payload, completion("Fine")), system="Be brief.", max_tokens=10_000)
    with contextlib.suppress(RawchatError):
        talk.ask("Hi")
    kept = list(talk)
    talk.ask("And then?")
    assert talk[: len(kept)] == kept
    assert talk.show().encode()
    talk.save("talk.jsonl")
    assert History.load("talk.jsonl") == talk
    assert talk.window() == talk
    talk.fork().summarise()


@mutated
@given(chunks=changed(SAID_CHUNKS, CALLED_CHUNKS))
def test_a_history_that_is_streamed(chunks: Any) -> None:
    talk = History(client(chunks, SAID_CHUNKS), max_tokens=10_000)
    with contextlib.suppress(RawchatError):
        assert "".join(talk.stream("Hi")).encode() is not None
    assert "".join(talk.stream("And then?")) == "Hello"
    assert talk.show().encode()
    talk.save("talk.jsonl")
    assert History.load("talk.jsonl") == talk


@mutated
@given(payload=changed(CALLED, SAID), parallel=st.booleans())
def test_the_tool_loop(payload: Any, parallel: bool) -> None:
    for said in ("Go", History(), [{"role": "user", "content": "Go"}]):
        with contextlib.suppress(RawchatError):
            use(tools.run(said, [double], client(payload, SAID), parallel=parallel))


@mutated
@given(chunks=changed(CALLED_CHUNKS, SAID_CHUNKS))
def test_the_tool_loop_that_is_streamed(chunks: Any) -> None:
    heard: list[str] = []
    with contextlib.suppress(RawchatError):
        use(tools.run("Go", [double], client(chunks, SAID_CHUNKS), on_text=heard.append))
    assert "".join(heard).encode() is not None


@mutated
@given(payload=changed(SAID, CALLED))
def test_parse(payload: Any) -> None:
    for kind in (Person, list[int]):
        with contextlib.suppress(RawchatError):
            client(payload).parse("Hi", kind)


@mutated
@given(payload=changed(SAID, CALLED, TEXT))
def test_bulk(payload: Any) -> None:
    pathlib.Path("in.jsonl").write_text('{"prompt": "Hi"}\n', encoding="utf-8")
    pathlib.Path("out.jsonl").unlink(missing_ok=True)
    with (
        mock.patch("rawchat.bulk.__main__.make_client", return_value=client(payload)),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        assert bulk.main(["in.jsonl", "out.jsonl", "--workers", "1", "--price", "1", "2"]) in (0, 1)
    # splitlines() would also split at U+0085 and the like, which stand as they are in JSON.
    [line] = pathlib.Path("out.jsonl").read_text(encoding="utf-8").rstrip("\n").split("\n")
    assert json.loads(line, parse_constant=pytest.fail)["custom_id"] == "line-1"


COMMANDS = [
    ["Hi", "--no-stream"],
    ["Hi"],
    ["Hi", "--json"],
    ["Hi", "--jsonl"],
    ["Hi", "--schema", "name, age int"],
    ["Hi", "--conversation=talk.jsonl"],
    ["Hi", "--no-stream", "--conversation=talk.jsonl"],
    ["Hi", "--moderate"],
    ["--models"],
    ["Hi", "--complete"],
    ["Hi", "--tools", "functions.py", "--yes"],
    ["Hi", "--tools", "functions.py", "--yes", "--no-stream", "--conversation=talk.jsonl"],
]


def command(argv: Sequence[str], *answers: Any) -> tuple[int, str]:
    """Run the command line in this process; its exit code, and what it writes on standard error."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2))
    with (
        mock.patch("rawchat.cli.client.open_client", return_value=client(*answers)),
        mock.patch("sys.stdin", io.TextIOWrapper(io.BytesIO())),
        mock.patch("sys.stdout", out),
        mock.patch("sys.stderr", err),
    ):
        code = cli.main([*argv, "-v", "--log", "calls.jsonl", "--prices", "prices.json"])
        err.flush()
    assert isinstance(err.buffer, io.BytesIO)
    return code, err.buffer.getvalue().decode()


@mutated
@given(
    payload=changed(SAID, CALLED, TEXT, MODERATED, MODELS),
    chunks=changed(SAID_CHUNKS, CALLED_CHUNKS, TEXT_CHUNKS),
    argv=st.sampled_from(COMMANDS),
)
def test_the_command_line(payload: Any, chunks: Any, argv: list[str]) -> None:
    pathlib.Path("prices.json").write_text(json.dumps(PRICES), encoding="utf-8")
    source = "def double(number: int) -> int:\n    return 2 * number\n"
    pathlib.Path("functions.py").write_text(source, encoding="utf-8")
    for path in ("calls.jsonl", "talk.jsonl"):
        pathlib.Path(path).unlink(missing_ok=True)
    for answers in ((payload, SAID), (chunks, SAID_CHUNKS)):
        _, said = command(argv, *answers)
        assert "unexpected" not in said, said
        assert "Traceback" not in said
    for line in pathlib.Path("calls.jsonl").read_text(encoding="utf-8").splitlines():
        json.loads(line, parse_constant=pytest.fail)


# ---- what was found before the properties were written


def message(**fields: Any) -> dict[str, Any]:
    """A reply whose message has these fields; one that is GONE is left out."""
    said = {"role": "assistant", "content": "Hi", **fields}
    said = {name: value for name, value in said.items() if value is not GONE}
    return completion(choices=[{"index": 0, "message": said, "finish_reason": "stop"}])


@row("6.1", "11.13")
def test_half_of_a_character_waits_for_the_other_half_and_a_lone_one_can_be_printed() -> None:
    def texts(*pieces: str) -> list[str]:
        return list(
            client([delta(piece) for piece in pieces] + [delta(finish="stop")])
            .stream_chat("Hi")
            .texts()
        )

    assert texts("so \ud83d", "\ude00", "!") == ["so ", "😀", "!"]
    assert texts("\ud83d", "!") == ["\ufffd!"]
    assert texts("\ude00", "end \ud83d") == ["\ufffd", "end ", "\ufffd"]
    assert client([delta("end \ud83d", "stop")]).stream_chat("Hi").reply.text == "end \ufffd"


def test_an_answer_that_ends_in_half_an_emoji_is_stored_shown_and_sent_again() -> None:
    for stream in (True, False):
        talk = History(
            client([delta(HALF, "stop")] if stream else message(content=HALF), message())
        )
        if stream:
            list(talk.stream("Hi"))
        else:
            talk.ask("Hi")
        assert talk.ask("And then?").text == "Hi"
        talk.save("talk.jsonl")
        assert (
            History.load("talk.jsonl").show() == "user: Hi\n\nassistant: half \ufffd\n\n"
            "user: And then?\n\nassistant: Hi"
        )


def test_half_an_emoji_of_the_caller_is_still_refused_with_its_place() -> None:
    with pytest.raises(
        ValueError, match=r"messages\[0\].content: lone surrogate U\+D83D at position 6"
    ):
        History(client(message())).ask(HALF)


def test_a_tool_may_return_half_an_emoji() -> None:
    def half() -> str:
        """Return half of a character."""
        return HALF

    call = {"id": "c", "type": "function", "function": {"name": "half", "arguments": "{}"}}
    talk: list[Any] = [{"role": "user", "content": "Go"}]
    assert tools.run(talk, [half], client(message(tool_calls=[call]), message())).text == "Hi"
    assert talk[2]["content"] == "half \ufffd"


@pytest.mark.parametrize("stream", [True, False])
def test_half_an_emoji_ends_no_command(stream: bool) -> None:
    pathlib.Path("prices.json").write_text(json.dumps(PRICES), encoding="utf-8")
    said: Any = [delta(HALF, "stop")] if stream else message(content=HALF)
    argv = ["Hi", "--conversation=talk.jsonl", *([] if stream else ["--no-stream"])]
    assert command(argv, said)[0] == 0
    assert command(argv, said)[0] == 0
    assert History.load("talk.jsonl")[3]["content"] == "half \ufffd"
    logged = [
        json.loads(line)
        for line in pathlib.Path("calls.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    assert [line["answer"] for line in logged] == ["half \ufffd"] * 2


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_number_that_is_none_is_sent_back_as_null(value: float) -> None:
    talk = History(client(message(score=[value]), message()))
    talk.ask("Hi")
    talk.ask("And then?")
    assert talk[1]["score"] == [None]


def test_a_message_without_a_role_is_the_assistants() -> None:
    talk = History(client(message(role=GONE)))
    assert talk.ask("Hi").message == {"role": "assistant", "content": "Hi"}
    assert talk.show() == "user: Hi\n\nassistant: Hi"
    talk.save("talk.jsonl")
    assert History.load("talk.jsonl") == talk
    assert client(message(role=5)).chat("Hi").message["role"] == "assistant"


@row("11.2")
@pytest.mark.parametrize("calls", [5, True, "x", {"id": "c"}, [None], [5]])
def test_tool_calls_that_are_no_list_of_objects_are_passed_over(calls: Any) -> None:
    assert client(message(tool_calls=calls)).chat("Hi").tool_calls == []
    assert tools.run("Go", [double], client(message(tool_calls=calls))).text == "Hi"


@row("11.2")
@pytest.mark.parametrize("id", [7, [7], {"x": 7}])
@pytest.mark.parametrize("stream", [True, False])
def test_an_odd_id_of_a_tool_call_becomes_a_text_and_the_function_is_called(
    id: Any, stream: bool
) -> None:
    call = {**CALL, "id": id, "function": {"name": "double", "arguments": {"number": 4}}}
    parts = [{**CALL, "id": id, "index": 0}, {"id": id, "index": 0, "function": {"arguments": ""}}]
    chunks = [*(delta({"tool_calls": [part]}) for part in parts), delta(finish="tool_calls")]
    talk: list[Any] = [{"role": "user", "content": "Go"}]
    on_text = str if stream else None
    tools.run(
        talk,
        [double],
        client(chunks if stream else message(tool_calls=[call]), SAID_CHUNKS if stream else SAID),
        on_text=on_text,
    )
    assert talk[2] == {"role": "tool", "tool_call_id": json.dumps(id), "content": '{"twice": 8}'}


@pytest.mark.parametrize(
    ("content", "text"), [(5, "5"), ({"a": [1]}, '{"a": [1]}'), (True, "true")]
)
def test_a_content_that_is_no_text_becomes_its_json(content: Any, text: str) -> None:
    talk = History(client(message(content=content), message()), max_tokens=1000)
    assert talk.ask("Hi").text == text
    talk.ask("And then?")
    assert f"assistant: {text}\n" in talk.show()


def test_a_refusal_of_another_shape_is_an_error_of_parse() -> None:
    for refusal in ({"why": "no"}, ["no"], 5):
        with pytest.raises(rawchat.APIResponseValidationError, match="the model refused"):
            client(message(refusal=refusal)).parse("Hi", Person)


def test_a_count_of_400_digits_stops_no_limiter_and_costs_nothing() -> None:
    usage = {"total_tokens": 10**399, "prompt_tokens": 10**399, "completion_tokens": True}
    asked = client(completion(usage=usage))
    assert asked.chat("Hi").text == "Hello"
    assert rawchat.Usage.of({"usage": usage}) == rawchat.Usage(calls=1)


@pytest.mark.parametrize("usage", ["x", 5, [5], {"prompt_tokens": "x"}, {"prompt_tokens": 10**399}])
def test_an_odd_usage_ends_no_bulk_run(usage: Any) -> None:
    progress = Progress(1, (1.0, 2.0))
    progress.count(
        {"response": {"status_code": 200, "body": completion(usage=usage)}, "error": None}
    )
    assert (progress.done, progress.failed, progress.tokens, progress.cost) == (1, 0, 0, 0.0)
