"""The wire, shown: every attempt as it happens, and a request as text, curl line and archive."""

import json
import shlex
import shutil
import subprocess
from typing import Any

import pytest

import rawchat
from rawchat import endpoints, trace
from rawchat.client import authorize
from rawchat.config import load_config
from rawchat.endpoints import others
from rawchat.keys import Key
from rawchat.trace import har
from rawchat.transport import over_http
from rawchat.wire import Request, Response

from ..server import CLOSE, answer, completion, delta, event, serving, streamed

row = pytest.mark.row
KEY = "sk-very-secret-key"
BUSY = answer({"error": {"message": f"busy, {KEY}"}}, 503)


def asked(base_url: str = "http://127.0.0.1:1/v1", **params: Any) -> Request:
    config = load_config({"base_url": base_url, "api_key": KEY}, {})
    return authorize(
        endpoints.chat(config, params.pop("messages", "It's \"$HOME\" `x` é\n'"), params), Key(KEY)
    )


def observing(server: Any, lines: list[str], **settings: Any) -> rawchat.Client:
    transport = trace.traced(over_http(server.url, environ={}), lines.append)
    return rawchat.Client(
        api_key=KEY, transport=transport, environ={}, sleep=lambda seconds: None, **settings
    )


def test_a_trace_shows_each_attempt_as_it_happens() -> None:
    lines: list[str] = []
    usage = {"prompt_tokens": 1, "completion_tokens": 7, "total_tokens": 8}
    script = streamed(
        [event(delta("Hel")), event(delta("lo", "stop", usage=usage)), event("[DONE]")]
    )
    with serving([CLOSE], BUSY, script) as server:
        stream = observing(server, lines).stream_chat("Hi")
        before = len(lines)
        assert next(stream).text == "Hel"
        assert len(lines) > before  # not at the end
        assert stream.reply.text == "Hello"
    text = "\n".join(lines)
    assert text.count(f"> POST {server.url}/chat/completions") == 3
    assert (
        '> {"model":"gpt-4o-mini","messages":[{"role":"user","content":"Hi"}],"stream":true}'
        in lines
    )
    assert "> Authorization: ***" in lines
    assert any(
        line.startswith("* attempt 2, 0.0") and "closed connection" in line for line in lines
    )
    assert any(
        line.startswith("* attempt 3, 0.0") and line.endswith("s after 503") for line in lines
    )
    assert any(line.startswith("< ") and "data: [DONE]" in line for line in lines)
    assert "first token after 0.0" in lines[-1]
    assert "; 7 tokens" in lines[-1]
    assert lines[-1].endswith("attempt 3; connection reused")
    assert KEY not in text


def test_a_new_call_is_not_another_attempt_and_a_plain_body_is_shown() -> None:
    lines: list[str] = []
    with serving(answer(completion("Hello"))) as server:
        client = observing(server, lines)
        client.chat("Hi")
        client.chat("Hi")
    assert not [line for line in lines if line.startswith("* attempt")]
    assert [line for line in lines if "Hello" in line]
    assert [line.rpartition("connection ")[2] for line in lines if line.startswith("* ")] == [
        "new",
        "reused",
    ]


def test_an_attempt_that_fails_says_what_broke() -> None:
    lines: list[str] = []
    with serving([CLOSE]) as server, pytest.raises(rawchat.APIConnectionError):
        observing(server, lines, max_retries=0).chat("Hi")
    assert "closed connection without response" in lines[-1]


def test_what_is_traced_is_not_changed() -> None:
    with serving(streamed()) as server:
        client = observing(server, [])
        assert client.stream_chat("Hi").reply.text == "Hello"
        assert client.config.base_url == server.url  # the wrapper hands on what the transport knows
        client.close()
        assert not client._transport.__wrapped__._adapter.poolmanager.pools.keys()  # type: ignore[union-attr]


def test_a_request_as_text() -> None:
    text = trace.format_request(
        asked(messages="Hi", extra_headers={"api-key": "sk-another-secret"})
    )
    first, *_, blank, body = text.split("\n")
    assert first == "POST http://127.0.0.1:1/v1/chat/completions"
    assert "Authorization: ***" in text
    assert (blank, json.loads(body)["messages"][0]["content"]) == ("", "Hi")
    assert "secret" not in text
    assert trace.format_request(
        others.models(load_config({"base_url": "http://h"}, {}), {})
    ).endswith("\n")


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl on this machine")
@pytest.mark.parametrize(
    "messages", ["Hi", "It's \"$HOME\" `x` é \\ !\n\t'", [{"role": "user", "content": "@file"}]]
)
def test_the_curl_line_sends_the_same_bytes(messages: Any) -> None:
    """It is pasted into a real shell and run by a real curl."""
    with serving(answer(completion())) as server:
        request = asked(server.url, messages=messages)
        line = trace.curl(request)
        assert KEY not in line
        subprocess.run(
            ["sh", "-c", line],
            check=True,
            capture_output=True,
            timeout=20,
            env={"OPENAI_API_KEY": KEY, "PATH": "/usr/bin:/bin"},
        )
        over_http(server.url, environ={})(request).read()
    by_curl, by_us = server.requests
    assert by_curl.body == by_us.body
    assert (by_curl.method, by_curl.target, by_curl.headers) == (
        by_us.method,
        by_us.target,
        by_us.headers,
    )


def test_the_curl_line_of_a_get() -> None:
    line = trace.curl(
        others.models(load_config({"base_url": "http://h/v1"}, {}), {"extra_query": {"a": "b c"}})
    )
    assert "http://h/v1/models?a=b%20c" in shlex.split(line)
    assert "--data-raw" not in line


def test_an_archive_holds_every_exchange_and_no_key() -> None:
    exchanges: list[trace.Exchange] = []
    with serving([CLOSE], BUSY, streamed()) as server:
        transport = trace.observe(over_http(server.url, environ={}), har.collector(exchanges))
        client = rawchat.Client(
            api_key=KEY, transport=transport, environ={}, sleep=lambda seconds: None
        )
        client.stream_chat("Hi", extra_query={"a": "b"}).reply  # noqa: B018
    archive = json.loads(json.dumps(har.archive(exchanges)))
    assert KEY not in json.dumps(archive)
    assert archive["log"]["version"] == "1.2"
    entries = archive["log"]["entries"]
    assert [entry["response"]["status"] for entry in entries] == [0, 503, 200]
    assert "closed connection" in entries[0]["response"]["_error"]
    for entry in entries:
        assert {"startedDateTime", "time", "request", "response", "cache", "timings"} <= set(entry)
        assert entry["request"]["queryString"] == [{"name": "a", "value": "b"}]
        assert {"name": "Authorization", "value": "***"} in entry["request"]["headers"]
        assert entry["time"] >= entry["timings"]["wait"] >= 0
        assert entry["timings"]["receive"] >= 0
    assert entries[2]["response"]["content"]["text"].endswith("data: [DONE]\n\n")
    assert len(entries[2]["_pieces"]) >= 1


def test_a_reader_that_loses_interest_ends_an_exchange() -> None:
    seen: list[str] = []

    def transport(request: Request) -> Response:
        return Response(200, {}, [event(delta("a")), event(delta("b"))])

    observed = trace.observe(transport, lambda exchange, what: seen.append(what))
    client = rawchat.Client(base_url="http://localhost", transport=observed, environ={})
    stream = client.stream_chat("Hi")
    next(stream)
    stream.close()
    assert seen == ["request", "response", "piece", "end"]


# ---- a key that the server echoes in pieces


@pytest.mark.parametrize("secret", [KEY, 'p/w"d+é very=secret'])
def test_a_secret_that_comes_in_pieces_is_hidden_wherever_it_is_cut(secret: str) -> None:
    request = Request(
        "POST",
        "http://h/v1?api-key=in%2Fthe-query&a=b",
        rawchat.Headers(
            {"Authorization": f"Bearer {KEY}", "api-key": 'p/w"d+é very=secret', "X-Other": "b"}
        ),
    )
    echo = f"data: é {{{secret}}} in%2Fthe-query in/the-query\n\n".encode()
    for forms in (echo, json.dumps(echo.decode()).replace("/", "\\/").encode()):
        for cut in range(len(forms) + 1):
            lines: list[str] = []
            exchanges: list[trace.Exchange] = []
            pieces = [forms[:cut], forms[cut:]]

            def transport(request: Request, pieces: list[bytes] = pieces) -> Response:
                return Response(200, {"Location": f"http://u:{KEY}@h/?token=other-secret"}, pieces)

            watched = trace.observe(trace.traced(transport, lines.append), har.collector(exchanges))
            assert watched(request).read() == forms
            shown = "".join(line[11:] for line in lines if line.startswith("< "))
            body = har.archive(exchanges)["log"]["entries"][0]["response"]["content"]["text"]
            assert body.count("***") == 3
            # one of them in the Location; a secret that is cut may be hidden in two parts
            assert shown.count("***") in (4, 5)
            everything = "\n".join(lines) + json.dumps(har.archive(exchanges))
            for form in (
                secret,
                secret[5:],
                secret[:-5],
                "in%2Fthe",
                "in/the",
                "other-secret",
                "query\n",
            ):
                assert form not in everything
            assert "a=b" in everything


def test_the_caller_does_not_wait_for_what_the_trace_holds_back() -> None:
    lines: list[str] = []
    seen: list[bytes] = []

    def pieces() -> Any:
        for piece in (b"x sk-ver", b"y-different sk-very-secret-ke"):
            yield piece
            assert seen[-1] == piece  # the caller has it already
            assert not any("sk-ver" in line for line in lines[:-1])

    request = Request("GET", "http://h/v1", rawchat.Headers({"Authorization": f"Bearer {KEY}"}))
    for piece in trace.traced(lambda request: Response(200, {}, pieces()), lines.append)(
        request
    ).pieces:
        seen.append(piece)
    assert [line[11:] for line in lines if line.startswith("< ")][1:] == [
        "x ",
        "sk-very-different ",
    ]


def test_what_a_cut_body_shows_of_a_key_is_hidden() -> None:
    redactor = trace.Redactor([KEY])
    assert (redactor.feed(b"a " + KEY[:-1].encode()), redactor.end()) == ("a ", "***")
    redactor = trace.Redactor(["abcde", "xabc", "abcdefgh"])
    assert (
        redactor.feed(b"1 abc")
        + redactor.feed(b"de 2 abcde")
        + redactor.feed(b"fgh 3 xab")
        + redactor.end()
        == "1 *** 2 *** 3 xab"
    )
    assert trace.secrets(Request("GET", "http://h", rawchat.Headers({"api-key": "word"}))) == []


ESCAPED = "".join(f"\\u{ord(sign):04X}" for sign in KEY)


@pytest.mark.parametrize("echo", [ESCAPED, KEY[:5] + ESCAPED[30:], ESCAPED[:60].lower() + KEY[10:]])
def test_a_key_with_json_escapes_is_hidden(echo: str) -> None:
    body = f'{{"a": "\\u4f60 {echo}\\u00e9"}}'.encode()
    assert json.loads(body)["a"] == f"\u4f60 {KEY}\u00e9"
    hidden = '{"a": "\\u4f60 ***\\u00e9"}'
    for size in (1, 4, 7, len(body)):
        redactor = trace.Redactor([KEY])
        shown = [redactor.feed(body[start : start + size]) for start in range(0, len(body), size)]
        assert "".join(shown) + redactor.end() == hidden
    redactor = trace.Redactor([KEY])
    cut = body[: body.index(echo.encode()) + len(echo) - 2]
    assert redactor.feed(cut) + redactor.end() == '{"a": "\\u4f60 ***'


def test_an_archive_holds_no_key_with_json_escapes() -> None:
    request = Request("GET", "http://h/v1", rawchat.Headers({"Authorization": f"Bearer {KEY}"}))
    exchanges: list[trace.Exchange] = []
    body = f'{{"a": "{ESCAPED}"}}'.encode()
    transport = trace.observe(lambda request: Response(200, {}, [body]), har.collector(exchanges))
    transport(request).read()
    text = har.archive(exchanges)["log"]["entries"][0]["response"]["content"]["text"]
    assert text == '{"a": "***"}'


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-Foo", "Bearer sk-abcdefgh12345678"),
        ("X-Api-Key-2", "secretvalue99887766"),
        ("X-My-Auth-Id", "zzzyyyxxx111"),
    ],
)
def test_whatever_looks_like_a_credential_is_hidden_before_it_is_sent(
    name: str, value: str
) -> None:
    config = load_config({"api_key": "sk-0123456789", "default_headers": {name: value}}, {})
    request = endpoints.chat(config, "Hi", {"extra_query": {"tok": "sk-0123456789"}})
    request = request._replace(url="http://h/v1/chat?tok=sk-0123456789")
    for shown in (trace.curl(request), trace.format_request(request), repr(request.headers)):
        assert name in shown
        assert value not in shown
        assert "sk-0123456789" not in shown
