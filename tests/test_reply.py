"""The JSON of an answer, and what is none."""

import pickle
from typing import Any

import pytest

from rawchat.errors import APIResponseValidationError
from rawchat.reply import Reply, read_reply
from rawchat.wire import Headers, Request, Response

from .server import completion

row = pytest.mark.row


def response(body: bytes, kind: str = "application/json") -> Response:
    made = Response(200, {"Content-Type": kind, "x-request-id": "req_1"}, [body])
    made.request = Request("POST", "https://host/v1/chat/completions")
    return made


def test_the_short_ways_into_a_reply() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    reply = Reply(completion("Hi", usage={"total_tokens": 3}))
    reply["choices"].append(
        {
            "index": 1,
            "message": {"role": "assistant", "content": None, "tool_calls": [call]},
            "finish_reason": "tool_calls",
        }
    )
    assert reply.text == reply["choices"][0]["message"]["content"] == "Hi"
    assert reply.texts == ["Hi", ""]
    assert reply.message == {"role": "assistant", "content": "Hi"}
    assert (reply.finish_reason, reply.usage, reply.tool_calls) == ("stop", {"total_tokens": 3}, [])
    assert Reply(choices=reply["choices"][1:]).tool_calls == [call]
    assert Reply(choices=[{"index": 0, "text": "there was"}]).text == "there was"


@row("4.6")
@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"choices": None},
        {"choices": []},
        {"choices": "odd"},
        {"choices": 7},
        {"choices": [None, "x"]},
        {"choices": [{"message": None}]},
        {"choices": [{"message": {"content": [None, 5, ["part"]]}}]},
        {"choices": [{"text": 5}]},
    ],
)
def test_what_is_missing_or_odd_is_tolerated(payload: Any) -> None:
    reply = Reply(payload)
    assert reply.text == ""
    assert (reply.tool_calls, reply.finish_reason, reply.usage) == ([], None, None)


@row("4.6")
def test_unknown_fields_are_kept() -> None:
    assert read_reply(response(b'{"choices": [], "new": {"deep": [1, 2]}}'))["new"] == {
        "deep": [1, 2]
    }


def test_a_reply_knows_its_response() -> None:
    came = response(b"{}")
    came.retries, came.elapsed = 2, lambda: 1.5
    reply = read_reply(came)
    assert (reply.status, reply.request_id, reply.retries, reply.elapsed) == (200, "req_1", 2, 1.5)
    again = pickle.loads(pickle.dumps(reply))
    assert (again, again.retries, again.headers) == (reply, 2, Headers(came.headers))


@row("4.3")
@pytest.mark.parametrize(
    ("body", "kind", "say"),
    [
        (b"<!DOCTYPE html><p>Welcome", "text/html", "web page: check base_url"),
        (b"", "application/json", "empty body"),
        (b"null", "application/json", "null"),
        (b"[1]", "application/json", "[1]"),
        (b'"text"', "text/plain", "text/plain"),
        (b"OK", "text/plain", "OK"),
        (b"\xff\xfe", "", "no content type"),
    ],
)
def test_what_is_no_json_object_is_an_error_with_an_excerpt(
    body: bytes, kind: str, say: str
) -> None:
    with pytest.raises(APIResponseValidationError) as caught:
        read_reply(response(body, kind))
    assert say in str(caught.value)
    assert "request id req_1" in str(caught.value)
    assert (caught.value.status_code, caught.value.request_id, caught.value.truncated) == (
        200,
        "req_1",
        False,
    )


@row("4.3")
def test_an_error_in_a_200_is_an_error() -> None:
    with pytest.raises(APIResponseValidationError, match="overloaded") as caught:
        read_reply(response(b'{"error": {"message": "overloaded", "code": "busy"}}'))
    assert caught.value.code == "busy"
    assert read_reply(response(b'{"choices": [], "error": null}')) == {"choices": [], "error": None}


@row("10.10")
@pytest.mark.parametrize(
    "body", [b"{", b'{"a', b'{"a": "b', b'{"a": 1', b'{"a": tru', b'{"a": {"b": 1}', b'{"a": "\xc3']
)
def test_json_that_stops_half_way_is_cut(body: bytes) -> None:
    with pytest.raises(APIResponseValidationError, match="JSON that is cut off") as caught:
        read_reply(response(body))
    assert caught.value.truncated


@row("8.6")
def test_the_bytes_are_utf8_whatever_the_header_says() -> None:
    text = '{"a": "ü€"}'.encode()
    assert read_reply(response(text, "application/json; charset=latin-1"))["a"] == "ü€"
    assert read_reply(response(b"\xef\xbb\xbf" + text, "text/plain"))["a"] == "ü€"


@row("8.6")
@pytest.mark.parametrize(
    "body", [b'{"a":' * 200_000 + b"1" + b"}" * 200_000, b'{"a": ' + b"9" * 5000 + b"}"]
)
def test_deep_json_and_huge_numbers_are_clean_errors(body: bytes) -> None:
    with pytest.raises(APIResponseValidationError):
        read_reply(response(body))
