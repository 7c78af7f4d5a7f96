"""--post, --get, --form and --embed: any endpoint from the shell."""

import base64
import io
import json
import pathlib
import struct
from typing import Any

import pytest

from rawchat.cli.terminal import Output

from ..command import Run, line, ran
from ..server import CLOSE, answer, head, serving, streamed

row = pytest.mark.row

KEY = "sk-secret-0123456789"
CREATED = b'event: response.created\ndata: {"type":"response.created","response":{"id":"r"}}\n\n'
DELTA = b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","delta":"Hi"}\n\n'
COMPLETED = b'data: {"type":"response.completed","response":{"id":"r","output":[]}}\n\n'


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


def typed(body: bytes, content_type: str) -> bytes:
    return head(200, Content_Type=content_type, Content_Length=len(body)) + body


def coded(*numbers: float) -> str:
    return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()


# ---- what is sent


@row("14.10")
def test_the_body_is_the_prompt_a_file_standard_input_and_options(run: Run) -> None:
    pathlib.Path("body.json").write_text('{"a": [1, "é"]}', encoding="utf-8")
    with serving(answer({"ok": 1})) as server:
        base = ("--base-url", server.url, "--post", "/x")
        assert run(*base, '{"a": 1}').code == 0
        assert run(*base, "@body.json", "-o", "b", "2").code == 0
        assert run(*base, "-o", "b", "text", "-m", "gpt-4o").code == 0
        assert ran(*base, input=b'{"c": 3}\n').code == 0
        assert run(*base).code == 0
        assert ran("--base-url", server.url, "--get", "y?z=1", "-o", "limit", "2").code == 0
    seen = [(one.method, one.target, one.body.decode()) for one in server.requests]
    assert seen == [
        ("POST", "/v1/x", '{"a":1}'),
        ("POST", "/v1/x", '{"a":[1,"é"],"b":2}'),
        ("POST", "/v1/x", '{"b":"text","model":"gpt-4o"}'),
        ("POST", "/v1/x", '{"c":3}'),
        ("POST", "/v1/x", ""),
        ("GET", "/v1/y?z=1&limit=2", ""),
    ]


@row("14.10")
def test_a_form_uploads_files(run: Run) -> None:
    pathlib.Path("rows.jsonl").write_bytes(b'{"a": 1}\n')
    with serving(answer({"id": "file-1"})) as server:
        result = run(
            *("--base-url", server.url, "--post", "/files"),
            *("--form", "purpose=batch", "--form", "file=@rows.jsonl", "--form", "n=@@x"),
        )
    assert (result.code, result.out) == (0, b'{"id": "file-1"}')
    body = server.requests[0].body
    assert b'name="purpose"\r\n\r\nbatch\r\n' in body
    assert b'name="n"\r\n\r\n@x\r\n' in body
    assert b'name="file"; filename="rows.jsonl"\r\n' in body
    assert b'\r\n\r\n{"a": 1}\n\r\n' in body


@row("14.10")
@pytest.mark.parametrize("way", ["--dry-run", "--curl"])
def test_a_request_is_shown_and_not_sent(run: Run, way: str) -> None:
    pathlib.Path("a.wav").write_bytes(b"RIFF")
    with serving(answer({})) as server:
        base = ("--base-url", server.url, way)
        upload = run(*base, "--post", "/audio/transcriptions", "--form", "file=@a.wav")
        embed = run(*base, "--embed", "Hi")
        got = run(*base, "--get", "/files", "-o", "limit", "2")
        far = run(*base, "--get", "http://127.0.0.1:9/x")
    assert server.requests == []
    assert [upload.code, embed.code, got.code, far.code] == [0, 0, 0, 0]
    assert (b"[4 bytes]" if way == "--dry-run" else b'--form \'file=@"a.wav"') in upload.out
    assert b'"input":["Hi"]' in embed.out
    assert b"/v1/files?limit=2" in got.out
    assert b"Authorization" in got.out
    assert b"Authorization" not in far.out
    assert KEY.encode() not in upload.out + embed.out + got.out + far.out


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--post", "/x", "no JSON"], "the body is not JSON"),
        (["--post", "/x", '{"a": NaN}'], "the body is not JSON: NaN is not JSON"),
        (["--post", "/x", "[1]", "-o", "a", "1"], "only a dict body takes further parameters: a"),
        (["--post", "/x", "1"], "body must be a dict, a list or bytes, got int"),
        (["--post", "/../x"], "the path leads out of base_url"),
        (["--post", "/x", "--form", "file"], "--form expects NAME=@FILE or NAME=VALUE"),
        (["--post", "/x", "--form", "file=@gone"], "gone: No such file or directory"),
        (["--post", "/x", "--form", "a=b", "{}"], "--form is the whole body"),
        (["--form", "a=b", "Hi"], "--form needs --post PATH"),
        (["--get", "/x", "{}"], "--get sends no body"),
        (["--get", "/x", "--post", "/x"], "--post and --get cannot be combined"),
        (["--embed", "--json", "Hi"], "--embed and --json cannot be combined"),
        (["--post", "/x", "-s", "Be brief"], "--post and --system cannot be combined"),
    ],
)
def test_wrong_use_is_2_and_sends_nothing(run: Run, argv: list[str], said: str) -> None:
    with serving(answer({})) as server:
        result = run("--base-url", server.url, *argv)
    assert (result.code, server.requests) == (2, [])
    assert said in line(result)


# ---- what is printed


@row("14.10")
def test_json_is_printed_byte_for_byte_and_other_bytes_as_they_come(run: Run) -> None:
    bodies = [typed(b'{"a":  1}', "application/json"), typed(b"\xff\x00", "audio/wav"), head(204)]
    with serving(*bodies) as server:
        outputs = [run("--base-url", server.url, "--get", "/x") for _ in bodies]
    assert [(one.code, one.out, one.err) for one in outputs] == [
        (0, b'{"a":  1}', ""),
        (0, b"\xff\x00", ""),
        (0, b"", ""),
    ]


@row("14.10")
def test_each_event_is_a_line_of_json(run: Run) -> None:
    with serving(streamed([CREATED, DELTA, COMPLETED])) as server:
        result = run("--base-url", server.url, "--post", "/responses", '{"input": "Hi"}', "-v")
    lines = [json.loads(text) for text in result.out.splitlines()]
    assert [each["type"] for each in lines] == [
        "response.created",
        "response.output_text.delta",
        "response.completed",
    ]
    assert result.code == 0
    assert "usage not reported" in result.err


@pytest.mark.parametrize(
    ("answered", "code", "said"),
    [
        (answer({"error": {"message": "no"}}, 404), 4, "404: no"),
        (answer({"error": {"message": "no"}}, 401), 3, "401: no"),
        ([*streamed([CREATED, DELTA], end=False), CLOSE], 8, "the answer is incomplete"),
        (
            streamed([CREATED, b'event: error\ndata: {"message": "out of luck"}\n\n']),
            8,
            "out of luck",
        ),
        (
            [head(200, Content_Type="audio/wav", Content_Length=9) + b"half", CLOSE],
            8,
            "not the whole body",
        ),
    ],
)
def test_failures_have_the_exit_codes_of_a_chat(
    run: Run, answered: Any, code: int, said: str
) -> None:
    with serving(answered) as server:
        result = run("--base-url", server.url, "--retries", "0", "--post", "/x", "{}")
    assert result.code == code
    assert said in line(result)


def test_a_terminal_gets_text_only() -> None:
    from rawchat.cli.endpoint import print_bytes
    from rawchat.errors import RawchatError
    from rawchat.resources import ByteStream
    from rawchat.wire import Response

    class Shown:
        def __init__(self) -> None:
            self.file = io.BytesIO()
            self.stdout = Output(self.file)
            self.stdout.terminal = True

    shown: Any = Shown()
    print_bytes(shown, ByteStream(Response(200, {"content-type": "text/plain"}, [b"a\x1b", b"b"])))
    assert shown.file.getvalue() == "a␛b\n".encode()
    with pytest.raises(RawchatError, match=r"the answer is audio/wav, not text: add > FILE"):
        print_bytes(shown, ByteStream(Response(200, {"content-type": "audio/wav"}, [b"a"])))


@row("14.10")
def test_a_line_of_json_for_each_input(run: Run) -> None:
    def vectors(*numbers: float) -> bytes:
        data = []
        for index, number in enumerate(numbers):
            data.append({"index": index, "embedding": coded(number)})
        return answer({"data": data, "usage": {"prompt_tokens": 1, "total_tokens": 1}})

    text = "".join(f"line {number}\n\n" for number in range(101)).encode()
    script = [vectors(*[0.5] * 100), vectors(1), vectors(2)]
    with serving(*script) as server:
        base = ("--base-url", server.url, "--embed", "-o", "dimensions", "1", "-v")
        piped = ran(*base, input=text)
        assert (
            run(*base, "-m", "e", "one input").out == b'{"input":"one input","embedding":[2.0]}\n'
        )
    lines = piped.out.splitlines()
    assert len(lines) == 101
    assert lines[0] == b'{"input":"line 0","embedding":[0.5]}'
    assert lines[100] == b'{"input":"line 100","embedding":[1.0]}'
    assert "2 tokens in" in piped.err
    assert [len(one.json["input"]) for one in server.requests] == [100, 1, 1]
    assert [one.json["model"] for one in server.requests] == [*["text-embedding-3-small"] * 2, "e"]


# ---- what watches


@row("14.10")
def test_the_wire_is_shown_recorded_replayed_and_logged(run: Run) -> None:
    pathlib.Path("a.bin").write_bytes(b"\xff" * 1000)
    argv = ["--post", "/files", "--form", "purpose=batch", "--form", "file=@a.bin"]
    with serving(answer({"id": "file-1"})) as server:
        base = ["--base-url", server.url]
        shown = run(*base, *argv, "--trace", "--har", "f.har", "--log", "calls.jsonl")
        played = run(*base, *argv, "--replay", "f.har")
    assert len(server.requests) == 1
    assert (shown.code, played.code, played.out) == (0, 0, shown.out)
    assert "[1000 bytes]" in shown.err
    assert KEY not in shown.err + pathlib.Path("f.har").read_text("utf-8")
    assert json.loads(pathlib.Path("calls.jsonl").read_text("utf-8"))["seconds"] >= 0
