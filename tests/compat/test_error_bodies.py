"""Errors wherever servers put them, and the wording of a prompt that is too long.  Whole recordings: test_servers.py."""

import math
from typing import Any, Optional

import pytest

from rawchat.compat.error_bodies import is_error, parse_error_body
from rawchat.compat.wordings import (
    NOT_OVERFLOW,
    OVERFLOW_WORDINGS,
    Wording,
    is_overflow,
    requested_wait,
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
