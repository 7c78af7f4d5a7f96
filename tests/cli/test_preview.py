"""--dry-run and --curl: what would be sent is shown, nothing is sent; and neither they nor --help wait for requests."""

import json
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
from typing import Any

import pytest

from ..command import ROOT, Run, line, ran
from ..server import answer, completion, serving, streamed

KEY = "sk-secret-0123456789"
WAYS = ["--dry-run", "--curl"]


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


def test_dry_run_shows_what_would_go_out_and_sends_nothing(run: Run) -> None:
    with serving(streamed()) as server:
        result = run("--base-url", server.url, "--dry-run", "-H", "X-One: 1", "-t", "0", "où?")
        assert server.requests == []
        assert (result.code, result.err) == (0, "")
        head, _, body = result.out.decode().partition("\n\n")
        assert run("--base-url", server.url, "-H", "X-One: 1", "-t", "0", "où?").code == 0
    sent = server.requests[0]
    assert head.splitlines()[0] == f"POST {server.url}/chat/completions"
    shown = {
        name.lower(): value
        for name, value in (each.split(": ", 1) for each in head.splitlines()[1:])
    }
    own = {"host", "content-length", "connection"}
    assert shown == {
        name: "***" if name == "authorization" else value
        for name, value in sent.headers.items()
        if name not in own
    }
    assert body.encode() == sent.body + b"\n"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("argv", "method", "target"),
    [
        (["--complete", "Once"], "POST", "/v1/completions"),
        (["--models"], "GET", "/v1/models"),
        (["--moderate", "Hi"], "POST", "/v1/moderations"),
        (["--image", "a.png", "a cat"], "POST", "/v1/images/generations"),
    ],
)
def test_every_kind_of_question_can_be_shown(
    run: Run, way: str, argv: list[str], method: str, target: str
) -> None:
    result = run("--base-url", "http://127.0.0.1:9/v1", way, *argv)
    assert (result.code, result.err) == (0, "")
    assert re.search(rf"{method} http://127.0.0.1:9{target}\s", result.out.decode())
    assert not pathlib.Path("a.png").exists()


@pytest.mark.parametrize("way", WAYS)
def test_no_key_is_shown(run: Run, way: str) -> None:
    pathlib.Path("key").write_text(KEY, encoding="utf-8")
    for argv in ([], ["--key-file", "key"], ["-H", f"Api-Key: {KEY}"]):
        result = run("--base-url", "http://127.0.0.1:9/v1", way, *argv, "Q")
        assert (result.code, result.err) == (0, "")
        assert KEY.encode() not in result.out


@pytest.mark.parametrize(("way", "stands"), [("--dry-run", "***"), ("--curl", "$OPENAI_API_KEY")])
def test_without_a_key_something_stands_for_it(
    run: Run, monkeypatch: pytest.MonkeyPatch, way: str, stands: str
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    result = run(way, "Q")
    assert (result.code, line(result)) == (0, f"no API key: {stands} is shown in its place")
    assert f"Authorization: {'Bearer ' * (way == '--curl')}{stands}".encode() in result.out
    assert b"https://api.openai.com/v1/chat/completions" in result.out


@pytest.mark.parametrize("way", WAYS)
def test_a_server_without_a_key_gets_none(
    run: Run, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    result = run("--base-url", "http://127.0.0.1:9/v1", way, "Q")
    assert (result.code, result.err) == (0, "")
    assert b"uthorization" not in result.out


@pytest.mark.parametrize("way", WAYS)
def test_the_local_server_is_not_started_and_gets_no_key(
    run: Run, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    monkeypatch.setattr("rawchat.local.serve", lambda: pytest.fail("started"))
    result = run("--local", way, "Q")
    assert result.code == 0
    assert "shown is http://127.0.0.1:8080/v1, the default" in line(result)
    assert b"uthorization" not in result.out


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--dry-run", "--curl", "Q"], "--dry-run and --curl cannot be combined"),
        (["--dry-run"], "nothing to ask"),
        (["--curl", "-t", "nan", "Q"], "temperature: JSON has no nan"),
        (["--curl", "--key-file", "no", "Q"], "no: No such"),
        (["--dry-run", "--base-url", "http://198.51.100.1/v1", "Q"], "--allow-http"),
    ],
)
def test_wrong_use_is_told_as_if_it_were_sent(run: Run, argv: list[str], said: str) -> None:
    result = run(*argv)
    assert (result.code, result.out) == (2, b"")
    assert said in line(result)


def pasted(result: bytes) -> Any:
    """What curl makes of a command that is pasted into a shell."""
    if not shutil.which("curl"):
        pytest.skip("no curl here")
    done = subprocess.run(
        ["sh", "-c", result.decode()], capture_output=True, check=True, timeout=30
    )
    return json.loads(done.stdout)


def test_the_curl_command_sends_the_same_bytes(run: Run) -> None:
    hard = 'it\'s "$HOME" `x` \\ é\n-d @/etc/passwd'
    with serving(answer(completion("Hello"))) as server:
        argv = ["--base-url", server.url, "--no-stream", "-H", "X-One: it's", hard]
        assert run(*argv).out == b"Hello\n"
        shown = run(*argv, "--curl")
        assert shown.out.count(b"\n") == 1
        assert pasted(shown.out)["choices"][0]["message"]["content"] == "Hello"
    ours, curls = server.requests
    assert (ours.method, ours.target, ours.body) == (curls.method, curls.target, curls.body)
    assert curls.headers["authorization"] == f"Bearer {KEY}"
    assert curls.headers["x-one"] == "it's"
    assert "$OPENAI_API_KEY" in shown.out.decode()
    assert len(shlex.split(shown.out.decode())) > 10


def test_the_curl_command_gets_the_same_reply_from_a_real_model(run: Run, local_url: str) -> None:
    argv = [
        "--base-url",
        local_url,
        "-t",
        "0",
        "-o",
        "seed",
        "1",
        "--max-tokens",
        "8",
        "--no-stream",
        "What is water?",
    ]
    reply = pasted(run(*argv, "--curl").out)
    assert reply["choices"][0]["message"]["content"].rstrip("\n").encode() + b"\n" == run(*argv).out


# ---- what is not needed is not loaded


@pytest.mark.parametrize(
    "argv",
    [
        ["--help"],
        ["--version"],
        ["--completion", "bash"],
        ["--curl", "Q"],
        ["--dry-run", "Q"],
        ["--dry-run", "--schema", "name, age int", "Q"],
        ["--nonsense"],
    ],
)
def test_who_asks_for_help_does_not_wait_for_requests(argv: list[str]) -> None:
    code = (
        "import sys, rawchat.cli\ntry:\n    rawchat.cli.main(sys.argv[1:])\nexcept SystemExit: pass\n"
        "print(*sorted(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *argv],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
        cwd=ROOT,
    )
    loaded = set(done.stderr.splitlines()[-1].split())
    assert "rawchat.cli" in loaded
    assert not loaded & {
        "requests",
        "urllib3",
        "sseclient",
        "rawchat.client",
        "rawchat.local",
        "subprocess",
        "logging",
    }


def test_what_cannot_be_written_is_told() -> None:
    result = ran("--curl", "Q", sh=">/dev/full", env={"OPENAI_API_KEY": KEY})
    assert result.code == 1
    assert line(result) == "standard output: No space left on device"
