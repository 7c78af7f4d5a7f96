"""Generated input: what must hold for every stream, body, key and header.

The same examples each time, a few hundred for each property; `make fuzz` takes new ones, and as many as you like.
"""

import json
import os
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rawchat import errors
from rawchat.compat.error_responses import error_from_status
from rawchat.config import load_config
from rawchat.endpoints import chat
from rawchat.errors import ConfigError
from rawchat.merge import MessageAccumulator
from rawchat.stream import Stream, events
from rawchat.wire import Headers, Request, Response

row = pytest.mark.row
MANY = int(os.environ.get("HYPOTHESIS_EXAMPLES", 0))
generated = settings(
    max_examples=MANY or 500,
    derandomize=not MANY,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


def split(data: bytes, cuts: list[int]) -> list[bytes]:
    """`data` cut at some places."""
    places = sorted({cut % (len(data) + 1) for cut in cuts})
    return [data[start:end] for start, end in zip([0, *places], [*places, len(data)])]


# ---- events, against a decoder written straight from the standard (HTML, 9.2.5 and 9.2.6)


def whatwg(data: bytes) -> Iterator[tuple[str, str]]:
    """Every event of a stream as (type, data): the steps of the standard, in their order and their words."""
    text = data.decode("utf-8", "replace")  # "UTF-8 decode", which also ...
    text = text[1:] if text[:1] == "\ufeff" else text  # ... "strips one leading BOM"
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    data_buffer, type_buffer = "", ""
    for line in text.split("\n")[
        :-1
    ]:  # "once the end of the file is reached, any pending data is discarded"
        if line == "":  # "dispatch the event"
            if data_buffer != "":
                yield (
                    type_buffer or "message",
                    data_buffer[:-1] if data_buffer.endswith("\n") else data_buffer,
                )
            data_buffer, type_buffer = "", ""
        elif line.startswith(":"):
            pass  # "ignore the line"
        else:
            field, _, value = line.partition(":")
            value = value[1:] if value.startswith(" ") else value
            if field == "event":
                type_buffer = value
            elif field == "data":
                data_buffer += value + "\n"


lines = st.one_of(
    st.sampled_from(
        [
            b"",
            b"data",
            b"data:",
            b"data: ",
            b"data: a",
            b"data:b",
            b": c",
            b":",
            b"event: x",
            b"event",
            b"id: 1",
            b"retry: 5",
            b"foo",
            b" data: x",
            b"data: \xe2\x82\xac",
            b"data: \xff",
            b"data: \xe2\x82",
            b"\xef\xbb\xbf",
            b"\xef\xbb\xbfdata: y",
            b"data: x\x0by\x0c\x1c\x85z",
            b"data: [DONE]",
            b'data: {"a": 1}',
        ]
    ),
    st.binary(max_size=6),
)
ends = st.sampled_from([b"\n", b"\r", b"\r\n", b"\n\n", b"\r\r", b"\r\n\r\n", b"\n\r", b"\n\r\n"])
event_streams = st.lists(st.tuples(lines, ends), max_size=12).map(
    lambda parts: b"".join(map(b"".join, parts))
)


@row("5.3", "5.2", "8.2")
@generated
@given(data=event_streams, cuts=st.lists(st.integers(0, 200), max_size=8))
def test_any_split_of_any_stream_gives_the_events_of_the_standard(
    data: bytes, cuts: list[int]
) -> None:
    tail = b"\n\n: the tail, whose rule is ours, is empty\n\n"
    assert [(e.event, e.data) for e in events(split(data + tail, cuts))] == list(
        whatwg(data + tail)
    )


@row("5.5")
@generated
@given(data=event_streams, cuts=st.lists(st.integers(0, 200), max_size=8))
def test_a_tail_counts_if_it_is_whole_and_nothing_else_differs(
    data: bytes, cuts: list[int]
) -> None:
    found = [(e.event, e.data) for e in events(split(data, cuts))]
    expected = list(whatwg(data))
    assert found[: len(expected)] == expected
    for _, extra in found[len(expected) :]:
        assert extra.lstrip().startswith("[DONE]") or isinstance(json.loads(extra), dict)


# ---- whatever a server sends

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "error",
                    "message",
                    "detail",
                    "code",
                    "type",
                    "param",
                    "choices",
                    "delta",
                    "index",
                    "content",
                    "tool_calls",
                    "object",
                    "function",
                    "usage",
                    "x",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
bodies = json_values.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=40)


@row("4.1", "4.2", "8.6")
@generated
@given(body=bodies, status=st.integers(300, 599))
def test_any_error_body_gives_an_error_and_one_line(body: bytes, status: int) -> None:
    error = error_from_status(status, Headers(), body, "POST https://h/v1")
    assert error.status_code == status
    assert str(error).startswith(str(status))
    assert len(str(error).splitlines()) == 1
    assert error.code is None or isinstance(error.code, str)


@row("5.7", "5.9", "5.6", "8.4")
@generated
@given(
    payloads=st.lists(bodies, max_size=6),
    cuts=st.lists(st.integers(0, 300), max_size=5),
    done=st.booleans(),
)
def test_any_stream_ends_well_or_in_an_error_of_ours_with_what_came(
    payloads: list[bytes], cuts: list[int], done: bool
) -> None:
    data = (
        b"".join(b"data: " + payload + b"\n\n" for payload in payloads) + b"data: [DONE]\n\n" * done
    )
    stream = Stream(Response(200, {}, split(data, cuts)))
    try:
        shown = "".join(stream.texts())
    except errors.APIError as error:
        shown = error.partial.text
    assert isinstance(shown, str)
    assert isinstance(stream.reply.texts, list)


# ---- what was streamed and merged equals the whole

texts = st.text(st.characters(codec="utf-8"), max_size=12)
calls = st.builds(
    lambda id, name, arguments: {
        "id": id,
        "type": "function",
        "function": {"name": name, "arguments": arguments},
    },
    st.integers(0, 99).map("call_{}".format),
    st.sampled_from(["f", "get_weather"]),
    texts,
)
messages = st.fixed_dictionaries(
    {"role": st.just("assistant"), "content": texts},
    optional={
        "refusal": texts,
        "reasoning_content": texts,
        "tool_calls": st.lists(calls, min_size=1, max_size=3, unique_by=lambda call: call["id"]),
    },
)


def deltas(message: dict[str, Any], sizes: list[int]) -> Iterator[dict[str, Any]]:
    """`message` in small parts: texts cut into pieces, tool calls by index, as servers do it."""
    yield {"role": message["role"], "content": ""}
    for name in ("reasoning_content", "content", "refusal"):
        for piece in cut_text(message.get(name, ""), sizes):
            yield {name: piece}
        if name in message:
            yield {name: ""}
    for index, call in enumerate(message.get("tool_calls", ())):
        yield {
            "tool_calls": [
                {**call, "index": index, "function": {**call["function"], "arguments": ""}}
            ]
        }
        for piece in cut_text(call["function"]["arguments"], sizes):
            yield {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}


def cut_text(text: str, sizes: list[int]) -> Iterator[str]:
    while text:
        size = sizes[len(text) % len(sizes)]
        yield text[:size]
        text = text[size:]


@row("6.1")
@generated
@given(
    several=st.lists(messages, min_size=1, max_size=3),
    sizes=st.lists(st.integers(1, 5), min_size=1, max_size=4),
    order=st.randoms(use_true_random=False),
)
def test_the_sum_of_the_deltas_is_the_message(
    several: list[dict[str, Any]], sizes: list[int], order: Any
) -> None:
    under_way = {index: deltas(message, sizes) for index, message in enumerate(several)}
    merge = MessageAccumulator()
    while under_way:  # the choices come mixed, each in its own order
        index = order.choice(sorted(under_way))
        try:
            merge.add({"choices": [{"index": index, "delta": next(under_way[index])}]})
        except StopIteration:
            merge.add({"choices": [{"index": index, "delta": {}, "finish_reason": "stop"}]})
            del under_way[index]
    assert [choice["message"] for choice in merge.build()["choices"]] == several
    assert merge.is_complete(len(several))


# ---- keys, headers, bodies: each works or is refused cleanly


@row("1.8", "8.5", "4.5")
@generated
@given(key=st.text(max_size=20) | st.binary(max_size=5) | st.integers())
def test_any_key_works_or_is_refused_without_being_told(key: Any) -> None:
    try:
        keys = load_config({"api_key": [key], "base_url": "https://h/v1"}, {}).keys()
    except ConfigError as error:
        said = str(error)
        assert len(str(key)) < 4 or str(key) not in said
    else:
        assert all(set(each) <= set(map(chr, range(33, 127))) for each in keys)
        assert keys == ((key.strip(),) if key.strip() else ())


@row("1.4", "8.5")
@generated
@given(
    name=st.text(max_size=8),
    value=st.text(max_size=20) | st.integers() | st.none() | st.binary(max_size=3),
)
def test_any_header_works_or_is_refused_cleanly(name: str, value: Any) -> None:
    try:
        request = chat(
            load_config({"base_url": "https://h/v1"}, {}), "Hi", {"extra_headers": {name: value}}
        )
    except ConfigError as error:
        said = str(error)
        assert (
            isinstance(value, (int, bytes)) or len(value) < 4 or value in name or value not in said
        )
    else:
        assert value is None or request.headers[name] == value
        for line in request.headers.items():
            ": ".join(line).encode("latin-1")
            assert not set("\r\n\0") & set("".join(line))


@row("1.6", "1.7")
@generated
@given(
    value=st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats()
        | st.text(max_size=5)
        | st.binary(max_size=3),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
        ),
        max_leaves=8,
    )
)
def test_any_value_is_sent_as_it_is_or_refused_with_its_place(value: Any) -> None:
    try:
        request: Request = chat(load_config({"base_url": "https://h/v1"}, {}), "Hi", {"x": value})
    except (TypeError, ValueError) as error:
        said = str(error)
        assert said.startswith("x")
    else:
        assert json.loads(request.body or b"")["x"] == value
