"""How the command behaves among others: what it reads, what the environment asks for, and colour."""

import json
import os
import pathlib
import pty
import subprocess
import sys
import threading
import time
from typing import Any

import pytest

from rawchat.cli.inputs import SILENCE, build_prompt

from ..command import PLAIN, ROOT, Run, line, ran
from ..server import answer, completion, delta, event, serving, streamed
from ..terminal import Terminal

row = pytest.mark.row
BAD_KEY = answer({"error": {"message": "bad \x1b[2Jkey"}}, 401)


# ---- standard input


@row("13.4")
@pytest.mark.parametrize(
    "argv", [["Q"], [], ["Q", "-"], ["{stdin}"], ["--complete"], ["--moderate"]]
)
def test_binary_input_is_refused_and_nothing_is_sent(run: Run, argv: list[str]) -> None:
    with serving(streamed()) as server:
        result = run("--base-url", server.url, *argv, stdin=b"\x7fELF\0\1")
    assert (result.code, result.out, server.requests) == (2, b"", [])
    assert (
        line(result) == "standard input is not text but binary; a picture goes with --attach FILE"
    )


@row("13.4")
def test_broken_bytes_are_replaced_and_told_once(run: Run) -> None:
    with serving(streamed()) as server:
        result = run(
            "--base-url",
            server.url,
            "Q",
            stdin=b"\xef\xbb\xbfna\xc3\xafve \xff \xe4 \xef\xbf\xbd\n",
        )
    assert (result.code, result.out) == (0, b"Hello\n")
    assert (
        line(result) == "standard input is not valid UTF-8: U+FFFD replaces what is not (2 times)"
    )
    assert server.requests[0].json["messages"][0]["content"] == "naïve \ufffd \ufffd \ufffd\n\nQ"


@row("13.4")
@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf16_is_recognised_on_standard_input_in_a_file_and_attached(
    run: Run, encoding: str
) -> None:
    text = "Guten Tag\r\n"
    if encoding == "utf-16":  # with its byte order mark, as PowerShell writes it
        text = "Gr\u00fc\u00dfe \u6f22\r\n"
    pathlib.Path("note.txt").write_bytes(text.encode(encoding))
    line = text.rstrip()
    with serving(streamed()) as server:
        for argv in (["Q"], ["@note.txt"], ["-a", "note.txt", "Q"]):
            given = b""
            if argv == ["Q"]:
                given = text.encode(encoding)
            assert run("--base-url", server.url, *argv, stdin=given) == (0, b"Hello\n", "")
    assert [seen.json["messages"][0]["content"] for seen in server.requests] == [
        f"{line}\n\nQ",
        line,
        f"note.txt:\n```\n{line}\n```\n\nQ",
    ]


@row("13.4")
def test_broken_utf16_is_reported_by_its_name(run: Run) -> None:
    with serving(streamed()) as server:
        result = run(
            "--base-url", server.url, "Q", stdin="a\ud800b".encode("utf-16", "surrogatepass")
        )
    assert result.code == 0
    assert line(result) == (
        "standard input is not valid UTF-16: U+FFFD replaces what is not (1 times)"
    )


@row("13.1")
def test_a_pipe_that_stays_open_without_data_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    notices: list[str] = []

    def warn(text: str) -> None:
        notices.append(text)
        os.write(writer, b"late\n")  # without the notice, the prompt waits for ever
        os.close(writer)

    monkeypatch.setattr("rawchat.cli.inputs.SILENCE", 0.0)
    with open(reader, encoding="utf-8") as stdin:
        assert build_prompt(["Q"], stdin, warn) == "late\n\nQ"
    assert notices == ["waiting for standard input; --no-stdin or </dev/null runs without it"]


def test_a_pipe_with_data_or_without_a_prompt_is_read_without_a_notice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    timers: list[float] = []

    class Timer(threading.Timer):
        def __init__(self, seconds: float, function: Any, args: Any) -> None:
            super().__init__(3600, function, args)
            timers.append(seconds)

        def cancel(self) -> None:
            super().cancel()
            timers.append(-1)

    monkeypatch.setattr(threading, "Timer", Timer)
    for words in (["Q"], []):
        reader, writer = os.pipe()
        os.write(writer, b"data")
        os.close(writer)
        with open(reader, encoding="utf-8") as stdin:
            assert build_prompt(words, stdin, pytest.fail).startswith("data")
    assert timers == [SILENCE, -1]  # once: without a prompt, the pipe is the prompt


@row("13.1")
def test_a_loop_that_reads_keeps_its_lines() -> None:
    loop = f'while read word; do "{sys.executable}" -m rawchat --no-stdin --curl "$word"; done'
    done = subprocess.run(
        ["sh", "-c", loop],
        input=b"one\ntwo\n",
        capture_output=True,
        timeout=60,
        env={**os.environ, **PLAIN, "OPENAI_API_KEY": "sk-none"},
    )
    assert done.stderr == b""
    assert [word in done.stdout for word in (b'"one"', b'"two"')] == [True, True]
    assert done.stdout.count(b"curl") == 2


def test_input_that_is_utf8_is_not_complained_about(run: Run) -> None:
    with serving(streamed()) as server:
        assert run("--base-url", server.url, stdin="\ufffd 漢字".encode()).err == ""


def test_a_huge_input_is_sent_whole() -> None:
    text = b"0123456789abcde\n" * 2**19  # 8 MiB
    with serving(streamed()) as server:
        start = time.monotonic()
        assert ran("--base-url", server.url, input=text) == (0, b"Hello\n", "")
        assert time.monotonic() - start < 20
    assert server.requests[0].json["messages"][0]["content"] == text.decode().rstrip("\n")


def test_a_terminal_in_an_ascii_locale_gets_utf8() -> None:
    env = {"LC_ALL": "C", "PYTHONIOENCODING": "ascii"}
    result = ran("-a", "größe.txt", "Q", env=env)
    told = (
        "'ascii' codec"
        if sys.implementation.name == "pypy"
        else "größe.txt: No such file or directory"
    )
    assert result.code == 2
    assert line(result).startswith(told)


# ---- variables


def test_a_variable_sets_an_option_and_comes_before_the_sdks(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "OPENAI_MODEL": "theirs",
        "RAWCHAT_MODEL": "ours",
        "OPENAI_BASE_URL": "http://127.0.0.1:9/v1",
        "RAWCHAT_NO_STREAM": "yes",
        "RAWCHAT_OPTION": "seed 7\nuser J D",
    }.items():
        monkeypatch.setenv(name, value)
    with serving(answer({"choices": []})) as server:
        monkeypatch.setenv("RAWCHAT_BASE_URL", server.url)
        for argv in ([], ["-m", "mine", "-o", "seed", "8"]):
            assert run(*argv, "Q").code == 0
    first, second = (seen.json for seen in server.requests)
    assert (first["model"], first["seed"], first["user"]) == ("ours", 7, "J D")
    assert (second["model"], second["seed"]) == ("mine", 8)
    assert "stream" not in first
    assert "user" not in second


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("RAWCHAT_TIMEOUT", "soon", "RAWCHAT_TIMEOUT: not a number: soon"),
        ("RAWCHAT_JSON", "perhaps", "RAWCHAT_JSON: not 1 or 0: perhaps"),
        ("RAWCHAT_KEY_FILE", "missing", "missing: No such file"),
        ("RAWCHAT_DEADLINE", "-1", "RAWCHAT_DEADLINE: not a positive number: -1"),
    ],
)
def test_a_variable_that_cannot_be_used_is_2(
    run: Run, monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    monkeypatch.setenv(name, value)
    result = run("--base-url", "http://127.0.0.1:9/v1", "Q")
    assert (result.code, result.out) == (2, b"")
    assert said in line(result)


def test_a_dot_env_sets_no_option(run: Run) -> None:
    pathlib.Path(".env").write_text(
        "RAWCHAT_MODEL=evil\nRAWCHAT_TOOLS=evil.py\nRAWCHAT_YES=1\n", encoding="utf-8"
    )
    with serving(streamed()) as server:
        assert run("--base-url", server.url, "Q").code == 0
    assert server.requests[0].json["model"] == "gpt-4o-mini"


def test_debug_can_be_a_variable(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAWCHAT_DEBUG", "1")
    with serving(BAD_KEY) as server:
        result = run("--base-url", server.url, "Q")
    assert "Traceback" in result.err


# ---- colour

RED = "\x1b[31mrawchat:\x1b[0m "


@pytest.mark.parametrize(
    ("env", "argv", "red"),
    [
        ({}, [], True),
        ({"NO_COLOR": "1"}, [], False),
        ({"TERM": "dumb"}, [], False),
        ({}, ["--color", "never"], False),
        ({"NO_COLOR": "1"}, ["--color=always"], True),
        ({"RAWCHAT_COLOR": "never"}, [], False),
    ],
)
@row("9.1")
def test_an_error_on_a_terminal_is_harmless_and_coloured_if_that_is_liked(
    env: Any, argv: list[str], red: bool
) -> None:
    with (
        serving(BAD_KEY) as server,
        Terminal(
            "-m", "rawchat", "--base-url", server.url, *argv, "Q", env={"TERM": "xterm", **env}
        ) as person,
    ):
        shown = person.rest()
    assert shown.startswith((RED if red else "rawchat: ") + "401: bad ␛[2Jkey (POST ")


def test_only_what_is_ours_is_coloured_and_a_pipe_gets_none_unless_asked(run: Run) -> None:
    with serving(streamed()) as server:
        plain = run("--base-url", server.url, "--trace", "Q")
        coloured = run("--base-url", server.url, "--trace", "--color", "always", "Q")
    assert plain.out == coloured.out == b"Hello\n"
    assert "\x1b" not in plain.err
    assert "\x1b[36m>\x1b[0m POST " in coloured.err
    assert "\x1b[32m<\x1b[0m " in coloured.err
    assert "\x1b[2m*\x1b[0m headers after" in coloured.err


def test_a_trace_and_an_answer_on_one_terminal_have_lines_of_their_own() -> None:
    with (
        serving(streamed()) as server,
        Terminal(
            "-m", "rawchat", "--base-url", server.url, "--trace", "-v", "--color", "never", "Q"
        ) as person,
    ):
        lines = person.rest().splitlines()
    answer_lines = [each for each in lines if not each.startswith(("> ", "< ", "* ", "rawchat: "))]
    assert "".join(answer_lines) == "Hello"
    assert "" not in answer_lines
    assert lines[-1].startswith("rawchat: ")


def test_a_trace_on_another_terminal_ends_no_line_of_the_answer() -> None:
    first, second = event(delta("One\n")), event(delta("Two"))
    with serving(streamed([first, second, event("[DONE]")])) as server:
        other, named = pty.openpty()
        with Terminal(
            "-c",
            f"import os; os.dup2(os.open({os.ttyname(named)!r}, os.O_WRONLY | os.O_NOCTTY), 2); "
            f"import sys; sys.argv[1:] = ['--base-url', {server.url!r}, '--trace', 'Q']; "
            "from rawchat.cli import main; main()",
        ) as person:
            assert person.rest() == "One\nTwo\n"
        assert b"POST" in os.read(other, 65536)
        for number in (other, named):
            os.close(number)


@row("9.1")
def test_a_trace_on_a_terminal_is_harmless() -> None:
    hostile = answer(
        {"choices": [{"message": {"content": "\u202e\x9b2J"}, "finish_reason": "stop"}]},
        headers={"X-Odd": "\x9b2J"},
    )
    argv = ["--base-url", "", "--trace", "--no-stream", "--color", "never", "Q"]
    with serving(hostile) as server:
        argv[1] = server.url
        with Terminal("-m", "rawchat", *argv) as person:
            shown = person.rest()
    assert "X-Odd: <U+009B>2J" in shown
    assert "<U+202E><U+009B>2J" in shown
    assert not {"\x9b", "\x1b", "\u202e"} & set(shown)


@row("9.1")
@pytest.mark.parametrize(
    "script",
    [
        answer({"error": {"message": "bad \x1b]0;TITLE\x07 \x1b[2J"}}, 400),
        answer(b"<html>\x1b[2J\xc2\x9b2J", 404, {"Content-Type": "text/html"}),
    ],
    ids=["in an error", "in a page"],
)
def test_a_traceback_on_a_terminal_is_harmless(script: Any) -> None:
    with serving(script) as server:
        argv = ["--debug", "--color", "never", "--retries", "0", "--base-url", server.url, "Q"]
        with Terminal("-m", "rawchat", *argv) as person:
            shown = person.rest()
    assert "Traceback (most recent call last)" in shown
    assert not {"\x9b", "\x1b", "\x07"} & set(shown)


# ---- a dependency that is missing


@pytest.mark.parametrize("name", ["requests", "sseclient"])
def test_a_dependency_that_is_missing_is_told_in_one_line_when_it_is_needed(
    name: str, tmp_path: pathlib.Path
) -> None:
    (tmp_path / f"{name}.py").write_text(
        f"raise ImportError('No module named {name}')\n", encoding="utf-8"
    )
    env = {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    result = ran("--base-url", "http://127.0.0.1:9/v1", "Q", env=env)
    assert (result.code, result.out, line(result)) == (1, b"", f"No module named {name}")
    assert ran("--curl", "--base-url", "http://127.0.0.1:9/v1", "Q", env=env).code == 0


# ---- modules in the working directory

# Not among them: what Python itself has imported by the time it finds rawchat (runpy's own imports).
SHADOWS = (
    "argparse",
    "base64",
    "json",
    "logging",
    "queue",
    "requests",
    "signal",
    "socket",
    "sseclient",
    "ssl",
    "subprocess",
    "tempfile",
    "typing",
    "urllib3",
    "tqdm",
)


def shadowed(
    folder: pathlib.Path, argv: list[str], env: dict[str, str]
) -> "subprocess.CompletedProcess[str]":
    """Run a command of ours in a folder whose modules would write a file if they were imported.

    What `python -m` imports by itself, with the folder on the path, is out of our hands: `typing` on Python 3.9.
    """
    show = "import runpy, sys; print(*sys.modules)"
    own = subprocess.run([sys.executable, "-c", show], capture_output=True, text=True, check=True)
    for name in set(SHADOWS) - set(own.stdout.split()):
        (folder / f"{name}.py").write_text(
            f"open({str(folder / 'ran')!r}, 'a').write('{name} ')\n", encoding="utf-8"
        )
    return subprocess.run(
        [sys.executable, "-m", *argv],
        cwd=folder,
        env={**os.environ, **PLAIN, **env},
        text=True,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        check=False,
    )


def test_no_module_of_the_working_directory_is_run(tmp_path: pathlib.Path) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir()
    (folder / "rows").write_text("Hi\n", encoding="utf-8")
    with serving(streamed(), answer(completion("Hello"))) as server:
        env = {"OPENAI_BASE_URL": server.url, "COLUMNS": "80"}
        asked = shadowed(folder, ["rawchat", "Hi"], env)
        many = shadowed(folder, ["rawchat.bulk", "rows", "out"], env)
    served = shadowed(folder, ["rawchat.local", "--help"], {})
    assert not (folder / "ran").exists()
    assert (asked.returncode, asked.stdout, asked.stderr) == (0, "Hello\n", "")
    assert (many.returncode, json.loads((folder / "out").read_text())["error"]) == (0, None)
    assert served.returncode == 0


def test_a_checkout_runs_where_it_lies_and_a_chosen_path_stays(tmp_path: pathlib.Path) -> None:
    show = (
        "import sys; sys.argv = ['-m']; from rawchat import safe_path; before = sys.path[:]; "
        "sys.path.insert(0, {}); safe_path.remove_working_directory(); print(sys.path == before)"
    )
    for first, cwd, gone in [
        (f"{str(tmp_path)!r}", tmp_path, True),
        (f"{ROOT!r}", ROOT, False),
        (f"{ROOT!r}", tmp_path, False),
        ("'/somewhere'", tmp_path, False),
    ]:
        shown = subprocess.run(
            [sys.executable, "-c", show.format(first)],
            cwd=cwd,
            capture_output=True,
            text=True,
            env={**os.environ, **PLAIN},
            timeout=60,
            check=True,
        )
        assert shown.stdout == f"{gone}\n", (first, cwd)


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Python 3.11 has this variable first")
def test_a_safe_path_is_left_alone(tmp_path: pathlib.Path) -> None:
    (tmp_path / "mine.py").touch()
    show = "import sys; from rawchat import safe_path; safe_path.remove_working_directory(); import mine"
    subprocess.run(
        [sys.executable, "-c", show],
        cwd=tmp_path,
        timeout=60,
        check=True,
        capture_output=True,
        env={
            **os.environ,
            **PLAIN,
            "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}",
            "PYTHONSAFEPATH": "1",
        },
    )
