"""What responses mean, from their bytes."""

from typing import Any, Optional

import pytest

from rawchat.doctor import proxies, remedies, responses, tls
from rawchat.doctor.steps import Answer

PAGE = b"\xef\xbb\xbf\r\n<html><title>\n Log\x1b[2J in </title>"


def reply(status: int, body: bytes = b"{}", **headers: str) -> Answer:
    return Answer(status, {name.replace("_", "-"): value for name, value in headers.items()}, body)


@pytest.mark.parametrize(
    ("answer", "through_proxy", "cause"),
    [
        (reply(200, b'{"data": []}'), False, ""),
        (reply(200, b"[]"), False, ""),
        (reply(401), False, ""),
        (reply(403), False, ""),
        (reply(400, b'{"error": {"type": "no_db_connection"}}'), False, ""),
        (reply(407), True, "proxy-authentication"),
        (reply(401, server="tinyproxy/1.11"), True, "proxy-authentication"),
        (reply(403, x_squid_error="ERR_ACCESS_DENIED 0"), True, "proxy-refuses"),
        (reply(500, server="tinyproxy/1.11"), True, "proxy-upstream"),
        (reply(500, server="tinyproxy/1.11"), False, "server-error"),
        (reply(502), True, "proxy-upstream"),
        (reply(502, x_request_id="r"), True, "server-error"),
        (reply(502), False, "server-error"),
        (reply(301, location="https://other/"), False, "redirect"),
        (reply(400, b"The plain HTTP request was sent to HTTPS port"), False, "tls-on-plain-port"),
        (reply(400), False, "refused-request"),
        (reply(404), False, "not-found"),
        (reply(429), False, "rate-limited"),
        (reply(200, PAGE), False, "web-page"),
        (reply(200, b"pong"), False, "not-json"),
    ],
)
def test_judge_http(answer: Answer, through_proxy: bool, cause: str) -> None:
    assert responses.judge_http(answer, through_proxy) == cause


def test_every_cause_has_a_remedy_that_can_be_filled_in() -> None:
    import re

    for cause, (code, text) in remedies.REMEDIES.items():
        assert code in (0, 2, 3, 4, 5, 6, 7), cause
        filled = remedies.remedy(cause, dict.fromkeys(re.findall(r"{(\w+)}", text), "FIELD"))
        assert "{" not in filled
    named = [
        *tls.VERIFY_CAUSES.values(),
        *(proxies.proxy_cause(status) for status in (403, 407, 502)),
    ]
    assert {*named} <= remedies.REMEDIES.keys()


@pytest.mark.parametrize(
    ("body", "ids"),
    [
        (b'{"data": [{"id": "a"}, {"id": "b"}, 5]}', ["a", "b"]),
        (b'{"models": [{"name": "a"}, {"model": "b"}]}', ["a", "b"]),
        (b'["a", {"id": null}]', ["a"]),
        (b"null", []),
        (b"<html>", []),
    ],
)
def test_model_ids(body: bytes, ids: list[str]) -> None:
    assert responses.model_ids(reply(200, body)) == ids


def test_titles_hold_no_control_characters() -> None:
    assert responses.title_of(reply(200, PAGE)) == " (Log?[2J in)"
    assert responses.title_of(reply(200, b"<html>")) == ""


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("Sun, 06 Nov 1994 08:49:37 GMT", 784111777.0),
        ("yesterday", None),
        ("", None),
        (None, None),
    ],
)
def test_dates(text: Optional[str], seconds: Any) -> None:
    assert responses.parse_date(text) == seconds


def test_requests() -> None:
    headers = {"X": "y", "Accept-Encoding": "gzip"}
    plain = responses.build_request(
        "GET", "http://[::1]:8080/v1/models?a=1", headers, None, False, ""
    )
    assert plain == (
        b"GET /v1/models?a=1 HTTP/1.1\r\nHost: [::1]:8080\r\nX: y\r\nAccept-Encoding: identity\r\n"
        b"Connection: close\r\n\r\n"
    )
    forwarded = responses.build_request("POST", "http://host/v1", {}, b"{}", True, "Basic dTpw")
    assert forwarded == (
        b"POST http://host/v1 HTTP/1.1\r\nHost: host\r\nAccept-Encoding: identity\r\n"
        b"Connection: close\r\nProxy-Authorization: Basic dTpw\r\nContent-Length: 2\r\n\r\n{}"
    )


def test_names_that_come_close() -> None:
    assert responses.close_names("gpt-4o-min", ["llama3", "gpt-4o-mini"]) == ": gpt-4o-mini"
    assert responses.close_names("x", ["llama3", "phi"]) == ": llama3, phi"
    assert responses.close_names("x", []) == ""
