"""Errors wherever servers put them, and the wording of a prompt that is too long.  Whole recordings: test_servers.py."""

import math
from typing import Any, Optional

import pytest

from rawchat.compat.error_bodies import is_error, parse_error_body
from rawchat.compat.waits import requested_wait
from rawchat.compat.wordings import (
    NOT_OVERFLOW,
    OVERFLOW_WORDINGS,
    Wording,
    is_overflow,
)

row = pytest.mark.row

EMPTY = {"message": "", "type": "", "param": "", "code": None}


@row("11.7")
@pytest.mark.parametrize(
    ("payload", "message", "code", "type"),
    [
        ({"error": {"message": "full", "code": 7, "type": "t"}}, "full", "7", "t"),
        ({"error": "full"}, "full", None, None),
        ({"error": "full", "error_type": "overloaded"}, "full", None, "overloaded"),  # TGI
        ({"error": "full", "code": "A sentence"}, "full", "A sentence", None),  # xAI
        ({"object": "error", "message": "full", "code": 4}, "full", "4", None),
        ([{"error": {"message": "full", "code": 400}}], "full", "400", None),  # Gemini
        ({"choices": [{"error": {"message": "full", "code": 502}}]}, "full", "502", None),
        ({"errors": [{"message": "full", "code": 3040}], "success": False}, "full", "3040", None),
        (
            {"choices": None, "base_resp": {"status_code": 1004, "status_msg": "full"}},
            "full",
            "1004",
            None,
        ),
        ({"error_code": 17, "error_msg": "full"}, "full", "17", None),
        ({"code": 4100, "msg": "full"}, "full", "4100", None),
        ({"code": "busy", "message": "full"}, "full", "busy", None),
        (
            {"error": {"message": "", "type": "", "code": 1210}},
            '{"message": "", "type": "", "code": 1210}',
            "1210",
            "",
        ),
        ({"error": {"message": '{"error": {"message": "full", "code": 9}}'}}, "full", "9", None),
        (
            {"error": {"message": "it failed", "metadata": {"raw": "full"}}},
            "it failed: full",
            None,
            None,
        ),
        (
            {"error": {"message": "no", "metadata": {"raw": '{"error": {"message": "full"}}'}}},
            "no: full",
            None,
            None,
        ),
        (
            {"error": "Not Found", "message": "no route", "statusCode": 404},  # Fastify
            "Not Found: no route",
            "404",
            None,
        ),
        (
            {"error": "invalid_token", "error_description": "full"},
            "invalid_token: full",
            None,
            None,
        ),
        ({"error": "full", "message": "it is full"}, "it is full", None, None),
        ({"error": "it is full", "detail": "full"}, "it is full", None, None),
        ({"error": True, "message": "full"}, "full", None, None),
        ({"error": {"errors": [{"message": "full"}], "code": 9}}, "full", "9", None),  # Google
        ({"error": ["full", "busy"]}, "full; busy", None, None),
        ({"error": [{"code": 2019, "message": "full"}]}, "full", "2019", None),  # Cloudflare
        ({"text": "full", "error_code": 50001}, "full", "50001", None),  # FastChat
        (
            {"object": "error", "message": {"detail": [{"loc": ["body", "x"], "msg": "no"}]}},
            "no (body.x)",
            None,
            None,
        ),
    ],
)
def test_an_error_is_found_wherever_it_is(
    payload: Any, message: str, code: Optional[str], type: Optional[str]
) -> None:
    assert is_error(payload)
    found, fields = parse_error_body(payload)
    assert (found, fields["code"], fields["type"]) == (message, code, type)


@row("11.7")
@pytest.mark.parametrize(
    ("payload", "message", "code"),
    [
        ({"Message": "full"}, "full", None),  # AWS
        ({"__type": "ThrottlingException", "message": "full"}, "full", None),
        ({"errorCode": "E1", "errorMessage": "full"}, "full", "E1"),
        ({"ErrorCode": "E1", "ErrorMessage": "full"}, "full", "E1"),
        ({"type": "about:blank", "title": "full", "status": 402}, "full", None),  # RFC 9457
        ({"title": "Error", "detail": "full"}, "full", None),
        ({"success": False, "reason": "full"}, "full", None),
        ({"statusCode": 429, "message": "full"}, "full", "429"),  # Azure's gateway
    ],
)
def test_words_are_found_under_names_of_any_spelling(
    payload: Any, message: str, code: Optional[str]
) -> None:
    """These have an error's status; under 200 they might be anything."""
    found, fields = parse_error_body(payload)
    assert (found, fields["code"]) == (message, code)


@row("11.7")
@pytest.mark.parametrize(
    "payload",
    [
        None,
        7,
        "text",
        [],
        [7],
        {},
        {"error": None},
        {"error": {}},
        {"error": EMPTY},
        {"error": "", "choices": []},
        {"error": False},
        {"errors": []},
        {"choices": [{"error": None}, {"error": EMPTY}, None, 5]},
        {"choices": [{"index": 0}], "base_resp": {"status_code": 0, "status_msg": ""}},
        {"base_resp": "odd"},
        {"code": 0, "msg": "success"},
        {"code": 200, "message": "OK"},
        {"code": "Success", "message": "done"},
        {"code": 4, "msg": None},
        {"code": 4, "message": "in a reply", "choices": [{"index": 0}]},
        {"error_code": 0, "error_msg": ""},
        {"data": [{"id": "m"}], "errors": [{"message": "one of many failed"}]},
    ],
)
def test_what_says_nothing_or_is_good_is_no_error(payload: Any) -> None:
    assert not is_error(payload)


@row("11.9")
@pytest.mark.parametrize("wording", OVERFLOW_WORDINGS, ids=lambda wording: wording.words)
def test_a_wording_matches_what_it_was_seen_as_and_not_what_it_is_like(wording: Wording) -> None:
    said = wording.words.replace("…", "8192").capitalize()
    assert is_overflow(f"400: {said} tokens", None, None)
    assert not is_overflow(wording.unlike, None, None)
    assert not is_overflow(said, "429", None)
    assert wording.words == wording.words.lower()


@row("11.9")
@pytest.mark.parametrize("words", NOT_OVERFLOW)
def test_words_about_the_output_or_a_rate_overrule(words: str) -> None:
    assert not is_overflow(f"{words}: maximum context length is 8 tokens", None, None)


@row("11.9")
@pytest.mark.parametrize(
    "said",
    [
        "Input length (9000) exceeds model's maximum context length (8192).",
        "Input length (41000 tokens) exceeds the maximum allowed length (40960 tokens).",
        "Too many input tokens. Max input tokens: 8192, request input token count: 11000",
        "Input Tokens Exceeded: Number of input tokens exceeds maximum length.",
        "prompt tokens too long",
        "Prompt length 9000 is greater than max_seq_len 8192",
        "input length exceeds maximum context length",
        "The sum of prompt length (9000), query length should not exceed max_num_tokens (8192)",
        "Context length exceeded",
        "Conversation is too long: 200000 tokens exceed the context window of the model",
        "The messages are too long for the context size of 4096 tokens",
        "Token limit exceeded: the prompt has 9000 tokens, the limit is 8192",
        "This request would exceed the model's context limit",
        # TensorRT-LLM, DeepInfra: a length without a unit (NVIDIA/TensorRT-LLM#2702)
        "Cannot process new request: Prompt length (5056) exceeds maximum sequence length (2048)",
        "Prompt length (1240) exceeds maximum input length (1024).",
        # Poolside (earendil-works/pi#4943), Bedrock (openclaw/openclaw#58839)
        "Input length 131393 exceeds the maximum allowed input length of 131040 tokens.",
        "ValidationException: Input exceeds the max input token limit",
        # SambaNova (OpenHands/OpenHands#9227)
        "The maximum context length of DeepSeek-V3-0324 is 32768. However, answering your request will take 39732 tokens.",
    ],
)
def test_a_wording_that_nobody_has_listed_is_recognised_by_what_it_says(said: str) -> None:
    assert is_overflow(said, None, None)
    assert not is_overflow(said, "rate_limit_exceeded", None)
    assert not any(words in said.lower() for words in NOT_OVERFLOW)


@row("11.9")
@pytest.mark.parametrize(
    "said",
    [
        "max_tokens should be less than or equal to 12288",
        "The parameter `max_tokens` specified in the request is not valid: expected a value <= 4096",
        "max_tokens (9000) exceeds the model's maximum output tokens (8192)",
        "max_completion_tokens is larger than the context window",
        "Invalid 'messages[0].name': string too long. Expected a string with maximum length 64",
        "You exceeded your current quota: input tokens per day",
        "Image is too large: at most 20 MB",
        "tools[0].function.description is too long",
        "Invalid token in input: unexpected character",
        "Your authentication token exceeded its lifetime",
        "Post http://host: context deadline exceeded (Client.Timeout exceeded)",
        "request timed out: the prompt took longer than 60 s",
        "stop: too many stop tokens, at most 4",
        "Invalid request: too many tokens in logit_bias, must be less than 300",
        "too many requests with more than 9 tokens",
        "Insufficient credits: this request needs more than 9000 tokens",
        "Input exceeds maximum input length of 1048576 characters.",
        "Your request has exceeded the maximum number of tokens for this month",
        # Databricks (omnigent-ai/omnigent#6209), DeepInfra (HeyPuter/puter#3564), Novita (cline/cline#8337)
        "max_tokens (1048576) cannot exceed 65536",
        "max_tokens=131072 cannot be greater than max_model_len=28672. Please request fewer output tokens.",
        "max_tokens (current value: 65536) must be between 0 and 32768",
    ],
)
def test_a_size_of_something_else_is_no_overflow(said: str) -> None:
    assert not is_overflow(said, None, None)


@row("11.9")
def test_a_code_is_enough() -> None:
    assert is_overflow("no", "context_length_exceeded", None)
    assert is_overflow("no", None, "exceed_context_size_error")
    assert not is_overflow("prompt is too long", "rate_limit_exceeded", "tokens")


@row("11.16")
@pytest.mark.parametrize(
    ("body", "message", "seconds"),
    [
        ({"details": [{"@type": "Help"}, {"retryDelay": "39.5s"}]}, "retry in 3s", 39.5),
        ({"details": [None, {"retryDelay": 7}]}, "", math.nan),
        ({"details": [{"retryDelay": "soon"}]}, "", math.nan),
        (None, "Please try again in 20s.", 20),
        (None, "Please try again in 7.66s. Contact us", 7.66),
        (None, "try again in 120ms", 0.12),
        (None, "Please try again in 6m0s", 360),
        (None, "try again in 1m2.5s", 62.5),
        (None, "Please retry after 26 seconds.", 26),
        (None, "retry after 1 minute", 60),
        ("text", "wait 30 seconds", 30),
        (None, "Your quota will reset after 9s.", 9),
        ({"retry_after": 7}, "retry in 3s", 7),
        ({"retry_after_ms": 500}, "", 0.5),
        ({"retryAfter": "7s"}, "", 7),
        ({"metadata": {"retry_after_seconds": 7.5}}, "", 7.5),
        ({"metadata": {"retry_after": True}, "details": {}}, "", math.nan),
        ({"retry_after": None}, "wait 4 s", 4),
        (None, "try again later", math.nan),
        (None, "try again in 5 days", math.nan),
        (None, "", math.nan),
    ],
)
def test_a_wait_that_only_the_body_gives(body: Any, message: str, seconds: float) -> None:
    found = requested_wait(body, message)
    assert found == seconds or (math.isnan(found) and math.isnan(seconds))


@pytest.mark.parametrize(
    ("page", "line"),
    [
        ("<html><title>520: It failed</title><body>Your IP: 192.0.2.1</body>", "520: It failed"),
        ("<!--[if lt IE 7]><!-->\n<p>Bad gateway</p>", "Bad gateway"),
        ("\n\nupstream error\nmore", "upstream error"),
        ("", ""),
    ],
)
def test_a_page_or_a_text_gives_its_title_or_first_line(page: str, line: str) -> None:
    message, fields = parse_error_body(page)
    assert message == line
    assert fields["body"] == page
