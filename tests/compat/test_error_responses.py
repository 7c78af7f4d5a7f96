"""The way from what a server says to its exception."""

import json
from collections.abc import Iterator
from typing import Any, Optional

import pytest

from rawchat import errors
from rawchat.compat.error_responses import error_from_response
from rawchat.wire import Request, Response

row = pytest.mark.row
WHERE = "POST https://host/v1/chat/completions"


def refused(body: Any, status: int = 400, **headers: str) -> errors.APIStatusError:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    response = Response(
        status, {name.replace("_", "-"): value for name, value in headers.items()}, [data]
    )
    response.request = Request("POST", "https://host/v1/chat/completions?key=sk-1")
    return error_from_response(response, 2**20)


@row("4.1")
@pytest.mark.parametrize(
    ("status", "name"),
    [
        (400, "BadRequestError"),
        (401, "AuthenticationError"),
        (403, "PermissionDeniedError"),
        (404, "NotFoundError"),
        (409, "ConflictError"),
        (422, "UnprocessableEntityError"),
        (429, "RateLimitError"),
        (500, "InternalServerError"),
        (503, "InternalServerError"),
        (599, "InternalServerError"),
        (418, "APIStatusError"),
        (301, "APIStatusError"),
    ],
)
def test_each_status_has_its_class(status: int, name: str) -> None:
    assert type(refused({"error": {"message": "no"}}, status)).__name__ == name


@row("4.1")
def test_fields_come_from_the_error_object() -> None:
    error = refused(
        {"error": {"message": "no such model", "code": 17, "param": "model", "type": "invalid"}},
        404,
        x_request_id="req_1",
    )
    assert (error.status_code, error.code, error.param, error.type) == (
        404,
        "17",
        "model",
        "invalid",
    )
    assert error.request_id == "req_1"
    assert error.body == {
        "message": "no such model",
        "code": 17,
        "param": "model",
        "type": "invalid",
    }


@row("4.2")
@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"error": {"message": "it is full"}}, "it is full"),
        ({"error": "it is full"}, "it is full"),
        ({"detail": "it is full"}, "it is full"),
        ({"detail": [{"loc": ["body"], "msg": "it is full"}]}, "it is full"),
        ({"message": "it is full"}, "it is full"),
        ({"object": "error", "message": "it is full", "code": 400}, "it is full"),
        ({"errors": ["it is full"]}, "it is full"),
        (b"it is full\nand more", "it is full"),
        (b"<html>\r\n<head><title>it is full</title></head></html>", "it is full"),
        (b"\xff it is full", "it is full"),
        (b'["it is full"]', "it is full"),
    ],
)
def test_the_message_keeps_what_the_server_said(body: Any, said: str) -> None:
    error = refused(body, 400, x_request_id="req_1")
    assert said in error.message
    assert error.message.startswith("400")
    assert error.message.endswith(f"({WHERE}, request id req_1)")


@row("4.2")
def test_an_empty_body_still_says_the_status() -> None:
    assert refused(b"", 502).message == f"502: no reason given ({WHERE})"


@row("10.2")
@pytest.mark.parametrize("shape", ["text", {"message": "m"}, ["a"], 7])
def test_body_is_the_value_of_error_whatever_its_shape(shape: Any) -> None:
    assert refused({"error": shape, "more": 1}).body == shape


@row("10.2")
def test_body_is_the_whole_json_or_the_text_without_an_error_field() -> None:
    assert refused({"detail": "d"}).body == {"detail": "d"}
    assert refused(b"plain").body == "plain"


@row("10.2")
def test_the_text_is_one_line() -> None:
    assert "\n" not in str(refused({"error": {"message": "one\n\n  two\r\nthree"}}))
    assert "one two three" in str(refused({"error": {"message": "one\n\n  two\r\nthree"}}))


def test_the_format_of_the_line() -> None:
    error = refused(
        {"error": {"message": "Incorrect key", "code": "invalid_api_key"}},
        401,
        x_request_id="req_1",
    )
    assert str(error).startswith(
        f"401 invalid_api_key: Incorrect key ({WHERE}, request id req_1); check the key"
    )


@row("4.1")
@pytest.mark.parametrize(
    ("path", "model", "code", "hint"),
    [
        ("/chat/completions", "gpt-9", None, "check the model name and base_url"),
        ("/models/gpt-9", None, None, "check the model name and base_url"),
        ("/moderations", None, "model_not_found", "check the model name and base_url"),
        ("/moderations", None, None, "this server may not have that path: check it and base_url"),
        ("/nowhere?a=/models/", None, None, "this server may not have that path"),
        (
            "/chat/completions/chat/completions",
            "m",
            None,
            "base_url ends in /chat/completions: leave that out",
        ),
        ("/embeddings/models", None, None, "base_url ends in /embeddings: leave that out"),
        ("/completions/chat/completions", "m", None, "base_url ends in /completions: leave"),
        ("/chat/completions/chatcmpl-1/messages", None, None, "this server may not"),
    ],
)
def test_the_hint_of_a_404_fits_the_request(
    path: str, model: Optional[str], code: Optional[str], hint: str
) -> None:
    response = Response(404, {}, [json.dumps({"error": {"message": "no", "code": code}}).encode()])
    response.request = Request("POST", f"http://localhost/v1{path}", body=b"{}", model=model)
    assert error_from_response(response, 2**20).hint.startswith(hint)


def test_the_hint_of_a_404_for_a_form_names_the_model() -> None:
    class Form:
        length = 0

    response = Response(404, {}, [b"{}"])
    body: Any = Form()
    response.request = Request("POST", "http://localhost/v1/audio/transcriptions", body=body)
    assert error_from_response(response, 2**20).hint == "check the model name and base_url"


def test_attempts_are_told() -> None:
    error = refused({"error": "full"}, 503)
    error.retries = 2
    assert "; after 3 attempts; " in str(error)


@pytest.mark.parametrize(
    "error",
    [{"code": "context_length_exceeded"}, {"type": "exceed_context_size_error", "code": 400}],
)
def test_a_prompt_beyond_the_context_has_its_own_class(error: Any) -> None:
    assert (
        type(refused({"error": {"message": "too long", **error}}))
        is errors.ContextLengthExceededError
    )


@row("2.6")
def test_a_redirection_names_its_place() -> None:
    assert "https://elsewhere/x" in str(refused(b"", 302, location="https://elsewhere/x"))


@row("8.6")
@pytest.mark.parametrize(
    "body", [b"[" * 100_000, b"9" * 5000, b'{"error": ' * 30_000, b"\x00\xff" * 100]
)
def test_a_hostile_body_is_just_a_body(body: bytes) -> None:
    assert isinstance(refused(body, 500), errors.InternalServerError)


def test_of_an_error_only_a_megabyte_is_read() -> None:
    read = []

    def pieces() -> Iterator[bytes]:
        for number in range(64):
            read.append(number)
            yield b"[" * 2**20

    response = Response(400, {}, pieces())
    response.request = Request("POST", "http://h/v1/chat/completions", {})
    error = error_from_response(response, 64 * 2**20)
    assert error.message.startswith("400: its body is over 1048576 bytes, too long for an error")
    assert len(read) <= 2


@pytest.mark.parametrize(
    "body",
    [
        rb'{"error": {"message": "bad \ud83d", "code": "c\ud83d"}}',
        rb'{"error": "bad \ud83d"}',
        rb'"bad \ud83d"',
        rb'{"error": {"message": "no", "metadata": {"raw": "bad \ud83d"}}}',
    ],
)
def test_half_of_a_pair_in_an_error_can_be_printed(body: bytes) -> None:
    response = Response(400, {}, [body])
    response.request = Request("POST", "http://h/v1/chat/completions", {})
    error = error_from_response(response, 2**20)
    str(error).encode()
    json.dumps(error.body, ensure_ascii=False).encode()
    assert "bad \ufffd" in str(error)
