"""-c: a conversation that goes on from one command to the next, and the file that keeps it."""

import contextlib
import os
import pathlib
import signal
import stat
import sys
import threading
from typing import Any

import pytest

from rawchat import History
from rawchat.cli.conversation import ConversationFile, default_path, folder_lock
from rawchat.cli.inputs import UsageError
from rawchat.errors import RawchatError

from ..command import Run, ran, started
from ..server import CLOSE, Server, answer, completion, delta, event, serving, streamed

row = pytest.mark.row
BOOM = answer({"error": {"message": "out of order"}}, 500)
CUT = streamed([event(delta("Hel")), CLOSE], framing="close")
TALK = b'{"role": "user", "content": "q1"}\n{"role": "assistant", "content": "a1"}\n'


def says(text: str) -> list[Any]:
    """A streamed answer."""
    return streamed([event(delta(text)), event(delta(finish="stop")), event("[DONE]")])


@pytest.fixture
def home(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """A home folder without anything in it."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    return folder


@pytest.fixture
def file(tmp_path: pathlib.Path) -> pathlib.Path:
    """A saved conversation."""
    path = tmp_path / "talk.jsonl"
    path.write_bytes(TALK)
    return path


def contents(path: pathlib.Path) -> list[Any]:
    return [message["content"] for message in History.load(path)]


def asked(server: Server, at: int = -1) -> list[Any]:
    return [message["content"] for message in server.requests[at].json["messages"]]


# ---- the file


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"XDG_STATE_HOME": "/state", "HOME": "/home/ann"}, "/state"),
        ({"XDG_STATE_HOME": "", "HOME": "/home/ann"}, "/home/ann/.local/state"),
        ({"XDG_STATE_HOME": "a/state", "HOME": "/home/ann"}, "/home/ann/.local/state"),
        ({"HOME": "", "USERPROFILE": "/users/ann"}, "/users/ann/.local/state"),
    ],
)
def test_the_default_file_is_where_xdg_says(environ: dict[str, str], expected: str) -> None:
    assert default_path(environ) == f"{expected}/rawchat/conversation.jsonl"


@pytest.mark.parametrize(
    "environ", [{}, {"HOME": ""}, {"HOME": "ann"}, {"XDG_STATE_HOME": "state"}]
)
def test_without_a_home_a_file_has_to_be_named(
    environ: dict[str, str], run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HOME", "XDG_STATE_HOME", "USERPROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    with serving(says("x")) as server:
        assert run("--base-url", server.url, "-c", "Q") == (
            2,
            b"",
            "rawchat: HOME is not set, so there is no file for the conversation; --conversation FILE names "
            "another one\n",
        )
        assert server.requests == []


@row("9.3")
def test_a_conversation_goes_on_in_a_file_of_the_owners_own(run: Run, home: pathlib.Path) -> None:
    file = home / ".local" / "state" / "rawchat" / "conversation.jsonl"
    with serving(says("Bonjour"), says("Guten Tag"), says("x")) as server:
        net = ("--base-url", server.url)
        assert run(*net, "-c", "Good day in French?") == (0, b"Bonjour\n", "")
        assert run(*net, "and in German?", "--continue") == (0, b"Guten Tag\n", "")
        assert asked(server) == ["Good day in French?", "Bonjour", "and in German?"]
        assert contents(file) == ["Good day in French?", "Bonjour", "and in German?", "Guten Tag"]
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
        assert [path.name for path in file.parent.iterdir()] == [file.name]
        run(*net, "without it")
        assert asked(server) == ["without it"]
        assert len(contents(file)) == 4


@pytest.mark.parametrize(
    "argv",
    [["--conversation={}", "Q"], ["-c", "--conversation", "{}", "Q"], ["Q", "--conversation={}"]],
)
def test_an_option_names_another_file(run: Run, file: pathlib.Path, argv: list[str]) -> None:
    with serving(says("A")) as server:
        assert run("--base-url", server.url, *[word.format(file) for word in argv]) == (
            0,
            b"A\n",
            "",
        )
        assert asked(server) == ["q1", "a1", "Q"]
    assert contents(file) == ["q1", "a1", "Q", "A"]


def test_a_variable_names_the_file_and_words_may_come_from_a_pipe(
    run: Run, file: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAWCHAT_CONVERSATION", str(file))
    with serving(says("A")) as server:
        assert run("--base-url", server.url, stdin=b"piped\n") == (0, b"A\n", "")
        assert asked(server) == ["q1", "a1", "piped"]


@pytest.mark.parametrize("word", ["new.jsonl", "there.txt"])
def test_a_file_after_a_blank_is_told_not_asked(run: Run, home: pathlib.Path, word: str) -> None:
    pathlib.Path("there.txt").touch()
    with serving(says("A")) as server:
        result = run("--base-url", server.url, "-c", word)
        assert result == (
            2,
            b"",
            f"rawchat: -c takes no file: --conversation {word} continues that one; -c -- {word} sends "
            "the word\n",
        )
        assert server.requests == []
        run("--base-url", server.url, "-c", "--", word)
        assert asked(server) == [word]


def test_instructions_are_kept_and_replaced(run: Run, file: pathlib.Path) -> None:
    with serving(says("A")) as server:
        for argv in (["-s", "Be kind."], [], ["-s", "Be brief."]):
            run("--base-url", server.url, f"--conversation={file}", *argv, "Q")
        assert [asked(server, at)[0] for at in range(3)] == ["Be kind.", "Be kind.", "Be brief."]
    assert contents(file)[:3] == ["Be brief.", "q1", "a1"]
    assert len(contents(file)) == 9


@pytest.mark.parametrize(
    ("argv", "code", "out"),
    [
        (["--json"], 0, b'{"id"'),
        (["--no-stream"], 0, b"Hel\n"),
        (["--no-stream", "--strict"], 9, b"Hel\n"),
        (["--no-stream", "-n", "2"], 0, b"Hel\n\nlo\n"),
    ],
)
def test_every_whole_answer_is_a_turn(
    run: Run, file: pathlib.Path, argv: list[str], code: int, out: bytes
) -> None:
    whole = completion("Hel")
    whole["choices"][0]["finish_reason"] = "length" if code else "stop"
    whole["choices"] += (
        [{**whole["choices"][0], "index": 1, "message": {"role": "assistant", "content": "lo"}}]
        if "-n" in argv
        else []
    )
    with serving(answer(whole)) as server:
        result = run("--base-url", server.url, f"--conversation={file}", *argv, "Q")
    assert (result.code, result.out[: len(out)]) == (code, out)
    assert contents(file) == ["q1", "a1", "Q", "Hel"]


def test_the_calls_of_tools_are_part_of_it(run: Run, file: pathlib.Path) -> None:
    pathlib.Path("tools.py").write_text(
        "def add(a: int, b: int) -> int:\n    return a + b\n", encoding="utf-8"
    )
    call = {
        "id": "1",
        "type": "function",
        "function": {"name": "add", "arguments": '{"a": 1, "b": 2}'},
    }
    calls = {
        **completion(),
        "choices": [
            {
                "index": 0,
                "finish_reason": "tool_calls",
                "message": {"role": "assistant", "content": None, "tool_calls": [call]},
            }
        ],
    }
    too_long = answer({"error": {"code": "context_length_exceeded", "message": "too long"}}, 400)
    with serving(
        answer(calls), too_long, answer(completion("three")), answer(completion("ok"))
    ) as server:
        net = ("--base-url", server.url, "--no-stream", f"--conversation={file}")
        result = run(*net, "--tools", "tools.py", "--yes", "1 + 2?")
        assert (result.out, result.err) == (b"three\n", "rawchat: calls add(a=1, b=2)\n")
        assert asked(server) == [
            "1 + 2?",
            None,
            "3",
        ]  # what was too long went on without its oldest turn
        run(*net, "thanks")
        assert asked(server) == ["q1", "a1", "1 + 2?", None, "3", "three", "thanks"]


def test_the_request_can_be_seen_before(run: Run, file: pathlib.Path) -> None:
    result = run("--base-url", "http://localhost:1/v1", f"--conversation={file}", "--dry-run", "Q")
    assert result.code == 0
    assert b'"q1"' in result.out
    assert file.read_bytes() == TALK


def test_a_completion_is_no_conversation(run: Run) -> None:
    result = run("--complete", "-c", "Once")
    assert (result.code, result.err) == (
        2,
        "rawchat: --complete and --continue cannot be combined\n",
    )


def test_what_is_too_long_goes_on_with_its_newest_turns_and_stays_whole(
    run: Run, file: pathlib.Path
) -> None:
    too_long = answer({"error": {"code": "context_length_exceeded", "message": "too long"}}, 400)
    with serving(too_long, says("A")) as server:
        assert run("--base-url", server.url, f"--conversation={file}", "Q").out == b"A\n"
        assert asked(server) == ["Q"]
    assert contents(file) == ["q1", "a1", "Q", "A"]


# ---- nothing is lost


@pytest.mark.parametrize("script", [BOOM, CUT])
def test_a_turn_that_fails_changes_nothing(run: Run, file: pathlib.Path, script: Any) -> None:
    before = file.stat()
    with serving(script) as server:
        assert run(
            "--base-url", server.url, "--retries", "0", f"--conversation={file}", "-s", "new", "Q"
        ).code in (5, 8)
    assert file.read_bytes() == TALK
    assert file.stat() == before


def test_ctrl_c_changes_nothing(file: pathlib.Path) -> None:
    never = threading.Event()
    with (
        serving(streamed([event(delta("Hel")), never])) as server,
        started("--base-url", server.url, f"--conversation={file}", "Q") as process,
    ):
        assert process.stdout
        assert os.read(process.stdout.fileno(), 100) == b"Hel"
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
        never.set()
    assert file.read_bytes() == TALK


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (
            TALK[:-5],
            "line 2: not a message of a saved conversation; the file is torn there; fix that line or choose "
            "another file",
        ),
        (
            TALK + b"# Notes\n",
            "line 3: not a message of a saved conversation; fix that line or choose another file",
        ),
        (
            b"\x00\xff\n",
            "line 1: not a message of a saved conversation; fix that line or choose another file",
        ),
    ],
)
def test_a_torn_or_foreign_file_is_told_and_left_alone(
    run: Run, file: pathlib.Path, data: bytes, said: str
) -> None:
    file.write_bytes(data)
    with serving(says("A")) as server:
        assert run("--base-url", server.url, f"--conversation={file}", "Q") == (
            2,
            b"",
            f"rawchat: {file}, {said}\n",
        )
        assert server.requests == []
    assert file.read_bytes() == data


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/dev/null", "/dev/null is not a file"),
        (".", ". is not a file"),
        ("", "--conversation: FILE is empty"),
        ("nowhere/talk.jsonl", "nowhere: No such file or directory"),
        ("there.txt/talk.jsonl", "there.txt/talk.jsonl: Not a directory"),
    ],
)
def test_a_place_for_no_file_is_told_before_anything_is_asked(
    run: Run, path: str, said: str
) -> None:
    pathlib.Path("there.txt").touch()
    with serving(says("A")) as server:
        code, out, err = run("--base-url", server.url, f"--conversation={path}", "Q")
        assert (code, out, server.requests) == (2, b"", [])
    assert err.endswith(f"{said}\n")
    assert err.count("\n") == 1


def test_a_state_folder_that_cannot_be_made_is_told(
    run: Run, home: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(home / "file"))
    code, out, err = run("-c", "Q")
    assert (code, out) == (2, b"")
    assert (
        err
        == f"rawchat: {home}/file/rawchat: Not a directory; --conversation FILE names another one\n"
    )


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere"
)
def test_a_folder_that_must_not_be_written_is_told_by_the_system(file: pathlib.Path) -> None:
    file.parent.chmod(0o500)
    with pytest.raises(UsageError, match="Permission denied"):
        ConversationFile(str(file))


def test_a_folder_that_cannot_be_written_is_told_before_anything_is_asked(
    run: Run, file: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(**_: Any) -> Any:
        raise OSError(30, "Read-only file system", "some name")

    monkeypatch.setattr("rawchat.cli.conversation.tempfile.TemporaryFile", refused)
    with serving(says("A")) as server:
        result = run("--base-url", server.url, f"--conversation={file}", "Q")
        assert result == (2, b"", f"rawchat: {file.parent}: Read-only file system\n")
        assert server.requests == []


@row("13.4")
def test_a_full_disk_costs_the_turn_but_not_the_conversation(
    run: Run, file: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("rawchat.history.jsonl.os.fsync", full)
    with serving(says("A")) as server:
        result = run("--base-url", server.url, f"--conversation={file}", "Q")
    assert result == (1, b"A\n", f"rawchat: not saved: {file}: No space left on device\n")
    assert file.read_bytes() == TALK


# ---- two at once


def test_of_many_at_once_one_is_saved_and_the_others_say_so(file: pathlib.Path) -> None:
    count = 4
    together = threading.Barrier(count)
    script = [[lambda _: together.wait(20), *says("A")]]
    with serving(*script) as server, contextlib.ExitStack() as stack:
        processes = [
            stack.enter_context(started("--base-url", server.url, f"--conversation={file}", "Q"))
            for _ in range(count)
        ]
        results = [(*process.communicate(timeout=60), process.returncode) for process in processes]
    assert [out for out, _, _ in results] == [b"A\n"] * count
    assert sorted(code for _, _, code in results) == [0] + [1] * (count - 1)
    assert {err for _, err, code in results if code} == {
        f"rawchat: not saved: another process has changed {file} meanwhile\n".encode()
    }
    assert contents(file) == ["q1", "a1", "Q", "A"]


def test_what_another_process_has_written_is_not_overwritten(file: pathlib.Path) -> None:
    mine, other = ConversationFile(str(file)), ConversationFile(str(file))
    with other.turn([*other.history, {"role": "user", "content": "theirs"}]):
        pass
    with pytest.raises(RawchatError, match="not saved: another process"):
        mine.save(mine.history)
    assert contents(file) == ["q1", "a1", "theirs"]
    other.save(other.history)  # its own writing does not count


@pytest.mark.skipif(sys.platform == "win32", reason="no such locks")
def test_looking_and_writing_are_done_alone(tmp_path: pathlib.Path) -> None:
    import fcntl

    handle = os.open(tmp_path, os.O_RDONLY)
    with folder_lock(str(tmp_path)), pytest.raises(BlockingIOError):
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(handle)


def test_where_there_are_no_locks_it_is_saved_all_the_same(
    file: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "fcntl", None)
    saved = ConversationFile(str(file))
    saved.history.append({"role": "user", "content": "q2"})
    saved.save(saved.history)
    assert contents(file) == ["q1", "a1", "q2"]


def test_a_real_conversation_goes_on(local_url: str, home: pathlib.Path) -> None:
    for question in ("My name is Ann.", "What is my name?"):
        result = ran("--base-url", local_url, "-t", "0", "--max-tokens", "20", "-c", question)
        assert result.code == 0, result.err
    assert len(contents(home / ".local" / "state" / "rawchat" / "conversation.jsonl")) == 4
