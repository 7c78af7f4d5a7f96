"""Good answers in the wrong form: events for a plain call, encodings that nobody requested, lists of models, and more."""

import json
import pathlib
from dataclasses import dataclass
from typing import Any, Optional

import pytest

import rawchat
from rawchat.wire import Request, Response

from ..recordings import client_of
from ..server import completion, delta, event

row = pytest.mark.row


def answered(
    body: bytes,
    status: int = 200,
    type: str = "application/json",
    encoding: Optional[str] = None,
    **settings: Any,
) -> rawchat.Client:
    """Return a client whose requests are answered with this body."""
    headers = {"Content-Type": type}
    if encoding:
        headers["Content-Encoding"] = encoding
    return client_of(lambda request: Response(status, headers, [body]), **settings)


def message_json(message: dict[str, Any], **fields: Any) -> bytes:
    """Return the body of an answer with this message."""
    return json.dumps(completion(choices=[{"index": 0, "message": message}], **fields)).encode()


# ---- an event stream for a plain call

EVENTS = [event(delta("Hel")), event(delta("lo", "stop", usage={"prompt_tokens": 7}))]
DONE = event("[DONE]")


@row("11.14")
@pytest.mark.parametrize("type", ["text/event-stream", "application/json", "text/plain"])
@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf", b"\n\n", b"event: message\n"])
def test_an_event_stream_that_answers_a_plain_call_is_merged(type: str, start: bytes) -> None:
    reply = answered(start + b"".join([*EVENTS, DONE]), type=type).chat("Hi")
    assert (reply.text, reply.finish_reason) == ("Hello", "stop")
    assert (reply["object"], rawchat.Usage.of(reply).prompt) == ("chat.completion", 7)


@row("11.14")
@pytest.mark.parametrize("start", [b": ping\n\n", b"id: 1\n", b"retry: 5\n"])
def test_a_comment_begins_an_event_stream_by_its_content_type_alone(start: bytes) -> None:
    body = start + b"".join(EVENTS)
    assert answered(body, type="text/event-stream; charset=utf-8").chat("Hi").text == "Hello"
    with pytest.raises(rawchat.APIResponseValidationError, match="not a JSON object"):
        answered(body).chat("Hi")


@row("11.14")
@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"])
def test_events_of_any_line_end_and_without_done_are_merged_if_they_are_complete(
    line_end: bytes,
) -> None:
    body = b"".join(EVENTS).replace(b"\n", line_end)
    assert answered(body).chat("Hi").text == "Hello"


@row("11.14")
def test_events_that_stop_half_way_are_no_answer_to_a_plain_call() -> None:
    for body in (EVENTS[0], b"".join(EVENTS)[:-30]):
        with pytest.raises(rawchat.APIResponseValidationError, match="JSON that is cut off"):
            answered(body).chat("Hi")


@row("11.14", "11.7")
def test_an_error_in_the_events_of_a_plain_call_is_raised() -> None:
    body = EVENTS[0] + event({"error": {"message": "out of memory", "code": 500}})
    with pytest.raises(rawchat.APIError, match="out of memory") as caught:
        answered(body).chat("Hi")
    assert caught.value.code == "500"


@row("11.14")
def test_one_json_object_behind_data_is_merged_as_a_message() -> None:
    body = event(completion("Hello")) + DONE
    reply = answered(body).chat("Hi")
    assert (reply.text, reply.finish_reason) == ("Hello", "stop")


@row("11.14", "11.18")
def test_a_chunk_in_place_of_a_reply_loses_no_text() -> None:
    body = json.dumps(delta("Hello", "stop")).encode()
    client = answered(body)
    assert client.chat("Hi").text == "Hello"
    assert client.chat("Hi").message == {"role": "assistant", "content": "Hello"}
    assert "".join(client.stream_chat("Hi").texts()) == "Hello"


# ---- lines of JSON

LINES = [json.dumps(delta(*each)).encode() + b"\n" for each in (("Hel",), ("lo",), (None, "stop"))]
NDJSON = "application/x-ndjson"


def outcomes(body: bytes, type: str) -> list[str]:
    """Return the text of this answer to a plain call and to a stream, or what the error says."""
    found = []
    client = answered(body, type=type)
    for call in (client.chat, lambda words: client.stream_chat(words).reply):
        try:
            found.append(call("Hi").text)
        except rawchat.APIError as error:
            found.append(str(error).partition(" (")[0])
    return found


@row("11.14")
@pytest.mark.parametrize("type", [NDJSON, "text/event-stream", "application/json"])
@pytest.mark.parametrize("end", [b"", b"[DONE]\n", b"data: [DONE]\n\n"])
def test_chunks_without_the_name_of_their_field_are_merged(type: str, end: bytes) -> None:
    assert outcomes(b"".join(LINES) + end, type) == ["Hello", "Hello"]
    assert outcomes(b"\n".join(LINES).replace(b"\n", b"\r\n") + end, type) == ["Hello", "Hello"]


@row("11.14")
@pytest.mark.parametrize("end", [b"data: [DONE]\n\n", b"\n\ndata: [DONE]\n\n", b"\ndata:[DONE]"])
def test_the_end_of_a_stream_behind_a_plain_completion_is_ignored(end: bytes) -> None:
    body = json.dumps(completion("Say data: [DONE]")).encode() + end
    assert outcomes(body, "text/event-stream") == ["Say data: [DONE]"] * 2


@row("11.14", "11.18")
def test_lines_of_json_that_are_cut_or_hold_an_error_are_no_answer() -> None:
    cut = outcomes(b"".join(LINES[:2]), NDJSON)
    assert cut == [
        "200, but JSON that is cut off",
        "the stream ended after 2 chunks without [DONE]",
    ]
    assert outcomes(b"".join(LINES)[:-20], NDJSON) == ["200, but JSON that is cut off"] * 2
    failed = LINES[0] + json.dumps({"error": {"message": "full"}}).encode()
    assert outcomes(failed, NDJSON) == ["error in the stream: full"] * 2


@row("11.8")
def test_events_without_any_choice_are_no_answer() -> None:
    body = event({"choices": []}) + event({"choices": None}) + DONE
    for type in ("text/event-stream", "application/json"):
        with pytest.raises(rawchat.APIResponseValidationError, match="choice"):
            answered(body, type=type).chat("Hi")


# ---- an encoding that was not requested


@row("11.14")
@pytest.mark.parametrize("encoding", ["br", "zstd", "BR", "compress", "gzip, br"])
def test_an_encoding_that_was_not_requested_is_named(encoding: str) -> None:
    body = b"\x8b\x03\x80\xff\xfe\x00"
    client = answered(body, encoding=encoding)
    words = f"its content encoding is {encoding.lower()}, which was not requested"
    with pytest.raises(rawchat.APIResponseValidationError, match=words):
        client.chat("Hi")
    with pytest.raises(rawchat.APIResponseValidationError, match=words):
        client.stream_chat("Hi").reply  # noqa: B018


@row("11.14")
def test_an_error_in_an_encoding_that_was_not_requested_keeps_its_status() -> None:
    client = answered(b"\x8b\x03\xff", status=401, encoding="br")
    with pytest.raises(rawchat.AuthenticationError, match="in the encoding br, which was not"):
        client.chat("Hi")


@row("11.14")
@pytest.mark.parametrize("encoding", ["identity", "", "br"])
def test_a_body_that_is_not_encoded_is_read_whatever_its_header_claims(encoding: str) -> None:
    body = json.dumps(completion()).encode()
    assert answered(body, encoding=encoding).chat("Hi").text == "Hello"


# ---- lists of models, and pictures


@row("11.17")
@pytest.mark.parametrize(
    "payload",
    [
        [{"id": "a"}, {"id": "b"}],  # Together
        ["a", "b"],
        {"models": [{"name": "a"}, {"model": "b"}]},  # Ollama's own list
        {"models": ["a", "b"], "object": "list"},
        {
            "object": "list",
            "data": [{"id": "a"}, {"id": "b"}],
            "models": [{"name": "c"}],
        },  # llama.cpp
        [None, {"id": "a"}, 5, {"id": "b"}],
    ],
)
def test_a_list_of_models_in_any_form(payload: Any) -> None:
    models = answered(json.dumps(payload).encode()).models()
    assert models["object"] == "list"
    assert [model["id"] for model in models["data"]] == ["a", "b"]


@row("11.17", "11.7")
def test_a_list_of_models_that_is_an_error_is_raised() -> None:
    for payload in ([{"error": {"message": "no"}}], {"error": "no"}, {"models": 5, "error": "no"}):
        with pytest.raises(rawchat.APIError, match="no"):
            answered(json.dumps(payload).encode()).models()


@row("11.17")
def test_a_list_is_no_answer_to_a_chat() -> None:
    with pytest.raises(rawchat.APIResponseValidationError, match="not a JSON object"):
        answered(b'[{"id": "a"}]').chat("Hi")


@row("11.17")
def test_base64_with_the_prefix_of_a_data_url_is_a_picture() -> None:
    gif = "R0lGODlhAQABAAAAACw="
    for text in (gif, f"data:image/gif;base64,{gif}"):
        picture = answered(json.dumps({"data": [{"b64_json": text}]}).encode()).image("a cat")
        picture.save("cat.gif")
        assert pathlib.Path("cat.gif").read_bytes().startswith(b"GIF89a")
        pathlib.Path("cat.gif").unlink()


# ---- typed answers, usage, waits


@dataclass
class Person:
    name: str


@row("11.15")
@pytest.mark.parametrize(
    "text",
    [
        '<think>A {"name": 5}? No.</think>{"name": "Ann"}',
        'Hm.</think>\n\n```json\n{"name": "Ann"}\n```',  # the template put <think> into the prompt
        '{"name": "Ann"}',
    ],
)
def test_parse_reads_the_json_behind_the_reasoning(text: str) -> None:
    body = message_json({"role": "assistant", "content": text})
    assert answered(body).parse("Who?", into=Person) == Person("Ann")


@row("11.11")
@pytest.mark.parametrize(
    "fields",
    [
        {"usage": {"prompt_tokens": 7, "completion_tokens": 2}},
        {"x_groq": {"usage": {"prompt_tokens": 7, "completion_tokens": 2}}},
        {"usage": None, "x_groq": {"usage": {"prompt_tokens": 7, "completion_tokens": 2}}},
    ],
)
def test_usage_is_found_where_it_is(fields: dict[str, Any]) -> None:
    plain = answered(json.dumps(completion(**fields)).encode()).chat("Hi")
    streamed = answered(
        event(delta("Hello")) + event({**delta(finish="stop"), **fields}) + DONE,
        type="text/event-stream",
    ).stream_chat("Hi")
    for reply in (plain, streamed.reply):
        usage = rawchat.Usage.of(reply)
        assert (usage.prompt, usage.completion) == (7, 2)


@row("11.11")
def test_usage_within_a_choice_and_growing_usage_are_not_added_up() -> None:
    chunks = []
    for count, text in ((1, "Hel"), (2, "lo")):
        usage = {"prompt_tokens": 7, "completion_tokens": count}
        chunk = delta(text, "stop" if count == 2 else None)
        chunk["choices"][0]["usage"] = usage
        chunks.append(event(chunk))
        chunks.append(event({**delta(), "choices": [], "usage": usage}))
    for events in (chunks[::2], chunks):  # in the choices alone; and at the top, too
        body = b"".join(events) + DONE
        reply = answered(body, type="text/event-stream").stream_chat("Hi").reply
        assert rawchat.Usage.of(reply).completion == 2


@row("11.16")
@pytest.mark.parametrize(
    ("payload", "seconds"),
    [
        ({"error": {"message": "no", "details": [{"retryDelay": "7s"}]}}, 7.0),
        ([{"error": {"message": "no", "details": [{"retryDelay": "7s"}]}}], 7.0),
        ({"error": {"message": "Please try again in 7.5s."}}, 7.5),
        ({"error": {"message": "Please retry after 20 seconds."}}, 20.0),
    ],
)
def test_a_wait_that_only_the_body_names_is_kept(payload: Any, seconds: float) -> None:
    bodies = [(429, json.dumps(payload).encode()), (200, json.dumps(completion()).encode())]
    waits: list[float] = []

    def transport(request: Request) -> Response:
        status, body = bodies.pop(0)
        return Response(status, {"Content-Type": "application/json"}, [body])

    client = rawchat.Client(
        transport=transport, environ={}, base_url="http://localhost/v1", sleep=waits.append
    )
    assert client.chat("Hi").text == "Hello"
    [waited] = waits
    assert seconds <= waited < seconds * 1.3


# ---- arguments with something around them


@row("11.2")
@pytest.mark.parametrize(
    ("said", "arguments"),
    [
        ('{}{"city": "Paris"}', '{"city": "Paris"}'),  # BerriAI/litellm#4537
        ('{} {}\n{"city": "Paris"}', '{"city": "Paris"}'),
        ('{"city": "Paris"}{"city": "Paris"}', '{"city": "Paris"}'),  # decolua/9router#2869
        ('{"city": "Paris"}\n</tool_call>', '{"city": "Paris"}'),  # nearai/ironclaw#5951
        ('{}""', "{}"),  # UKGovernmentBEIS/inspect_ai#4822
    ],
)
def test_what_stands_around_the_arguments_is_dropped(said: str, arguments: str) -> None:
    call = {"id": "c0", "type": "function", "function": {"name": "f", "arguments": said}}
    plain = answered(message_json({"tool_calls": [call]})).chat("Hi")
    stream = event(delta({"tool_calls": [{"index": 0, **call}]})) + event(delta(None, "tool_calls"))
    streamed = answered(stream + DONE, type="text/event-stream").stream_chat("Hi").reply
    for reply in (plain, streamed):
        assert reply.tool_calls[0]["function"]["arguments"] == arguments


@row("11.2")
@pytest.mark.parametrize(
    "said",
    [
        '{"city": "Paris"}{"city": "Oslo"}',  # which of them is meant?
        '{"city": "Paris"',
        ' {"city": "Paris"}\n',
        '[{"city": "Paris"}]',
        '"{} {"',
        "{}",
        "",
    ],
)
def test_other_arguments_are_left_alone(said: str) -> None:
    call = {"id": "c0", "type": "function", "function": {"name": "f", "arguments": said}}
    reply = answered(message_json({"tool_calls": [call]})).chat("Hi")
    assert reply.tool_calls == [call]


@row("11.1")
@pytest.mark.parametrize(
    ("parts", "arguments"),
    [
        (['{"ci', '{"city": ', '{"city": "Paris"}'], '{"city": "Paris"}'),  # decolua/9router#2869
        (['{"city": ', '{"city": "Paris"}', "}"], '{"city": {"city": "Paris"}}'),
        (['{"city": ', '{"city": "Paris"}}'], '{"city": {"city": "Paris"}}'),
        (['{"ci', '{"city": '], '{"ci{"city": '),
    ],
)
def test_arguments_that_each_part_repeats_from_their_beginning(
    parts: list[str], arguments: str
) -> None:
    calls = [{"index": 0, "function": {"arguments": part}} for part in parts]
    calls[0]["function"] = {"name": "f", "arguments": parts[0]}
    chunks = [event(delta({"tool_calls": [call]})) for call in calls]
    stream = b"".join([*chunks, event(delta(None, "tool_calls")), DONE])
    reply = answered(stream, type="text/event-stream").stream_chat("Hi").reply
    assert [call["function"]["arguments"] for call in reply.tool_calls] == [arguments]


# ---- tool calls without an id


@row("11.2")
@pytest.mark.parametrize("id", [None, "", ...])
def test_calls_without_an_id_get_one_each_and_keep_it(id: Any) -> None:
    call: dict[str, Any] = {"function": {"name": "f", "arguments": "{}"}}
    if id is not ...:
        call["id"] = id
    calls = message_json({"content": None, "tool_calls": [call, call]})
    client = answered(calls)
    first, second = client.chat("Hi").tool_calls
    assert first["id"] != second["id"]
    assert (first["type"], first["function"]) == ("function", call["function"])
    assert client.chat("Hi").tool_calls == [first, second]  # as a cache needs it
    deltas = [{"index": at, **call} for at in range(2)]
    stream = event(delta({"tool_calls": deltas})) + event(delta(None, "tool_calls")) + DONE
    streamed = answered(stream, type="text/event-stream").stream_chat("Hi").reply
    assert streamed.tool_calls == [first, second]
