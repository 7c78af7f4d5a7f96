"""Windows, simulated: what it lacks is taken away, what it does otherwise is imitated, and real calls are made.

There is no Windows here.  A process runs rawchat without the modules, functions, constants and signals that Windows lacks,
with `os.name` "nt", with files whose names are case-preserving as everywhere, and with text in a code page.  What only a
real Windows can show, its console and its drives, is not tested.
"""

import errno
import json
import os
import pathlib
import subprocess
import sys
from typing import Any, NamedTuple, Optional

import pytest

from rawchat import safe_path
from rawchat.bulk import progress, resume
from rawchat.cli.commands import split_command
from rawchat.cli.conversation import default_path
from rawchat.cli.terminal import Output, use_color
from rawchat.history import History

from .command import ROOT
from .server import answer, completion, serving, streamed_text

row = pytest.mark.row
SITE = [path for path in sys.path if "site-packages" in path]

# `-S -I`: no site-packages of its own, so that nothing is imported before it is taken away.
PREAMBLE = f"""
import sys
sys.path[:0] = [{ROOT!r}, *{SITE!r}]
POSIX_ONLY = ("fcntl", "termios", "tty", "pty", "readline", "resource", "pwd", "grp", "syslog")
for name in POSIX_ONLY:
    sys.modules[name] = None

import os, signal, socket, ntpath
# Python's own modules choose by os.name when they are imported, and would look for parts of Windows.
import asyncio, ctypes.util, getpass, logging, mimetypes, pathlib, random, runpy, shutil, subprocess, tempfile
import concurrent.futures, contextlib, http.client, multiprocessing, ssl, threading, urllib.request, uuid
import requests, sseclient
for name in (
    "fork forkpty register_at_fork geteuid getuid getegid getgid getgroups getpgid getpgrp getsid setsid setuid "
    "killpg mkfifo mknod chown fchown fchmod lchown chroot nice uname ttyname ctermid getloadavg sysconf "
    "wait3 wait4 WNOHANG tcgetpgrp tcsetpgrp posix_fallocate posix_fadvise pread pwrite sendfile "
    "O_NOFOLLOW O_NONBLOCK O_NOCTTY O_DIRECTORY O_CLOEXEC O_SYNC O_DSYNC"
).split():
    if hasattr(os, name):
        delattr(os, name)
for name in list(vars(signal)):
    kept = ("SIGABRT", "SIGFPE", "SIGILL", "SIGINT", "SIGSEGV", "SIGTERM", "SIG_DFL", "SIG_IGN")
    if name.startswith("SIG") and name not in kept:
        delattr(signal, name)
for name in ("alarm", "setitimer", "siginterrupt", "pthread_kill", "pthread_sigmask", "sigwait"):
    if hasattr(signal, name):
        delattr(signal, name)
for name in ("AF_UNIX", "SO_REUSEPORT", "MSG_DONTWAIT"):
    if hasattr(socket, name):
        delattr(socket, name)
# ~ is USERPROFILE: HOME means nothing there
os.path.expanduser = ntpath.expanduser
os.environ.pop("HOME", None)

os.name = "nt"


class msvcrt:
    "What the C library of Windows has for the console and for locks."
    LK_NBLCK = 2
    locked = ()

    @staticmethod
    def kbhit():
        return False

    @staticmethod
    def locking(descriptor, mode, count):
        if os.fstat(descriptor).st_ino in msvcrt.locked:
            raise PermissionError(13, "Permission denied")


sys.modules["msvcrt"] = msvcrt
"""
COMMAND = (
    "import runpy; sys.argv = ARGV; runpy.run_module(ARGV[0], run_name='__main__', alter_sys=True)"
)


class Ran(NamedTuple):
    code: int
    out: bytes
    err: bytes


def windows(
    code: str, *argv: str, stdin: bytes = b"", encoding: str = "cp1252", env: Optional[Any] = None
) -> Ran:
    """Run `code` as on Windows, in this folder, with standard files in a code page; `argv` is ARGV there."""
    environ = {
        "PYTHONIOENCODING": f"{encoding}:strict",
        "PYTHONUTF8": "0",
        "PYTHONCOERCECLOCALE": "0",
        "LC_ALL": "C",
        "PATH": os.environ["PATH"],
        "OS": "Windows_NT",
        "USERPROFILE": os.getcwd(),
        "LOCALAPPDATA": os.path.join(os.getcwd(), "AppData", "Local"),
        "SystemRoot": "C:\\Windows",
        **(env or {}),
    }
    # -I would ignore the encoding
    done = subprocess.run(
        [sys.executable, "-S", "-s", "-B", "-c", f"{PREAMBLE}\nARGV = {list(argv)!a}\n{code}"],
        input=stdin,
        capture_output=True,
        env=environ,
        timeout=60,
        check=False,
    )
    return Ran(done.returncode, done.stdout, done.stderr)


def rawchat(*argv: str, **options: Any) -> Ran:
    """Run `python -m rawchat` as on Windows."""
    return windows(COMMAND, "rawchat", *argv, **options)


# ---- the package and the command


def test_every_module_is_imported_and_calls_are_made() -> None:
    code = """
import importlib, pathlib
import rawchat
for path in sorted(pathlib.PosixPath(ARGV[0]).rglob("[a-z]*.py")):
    name = ".".join(path.relative_to(ARGV[1]).with_suffix("").parts)
    if not name.endswith("socks"):
        importlib.import_module(name)
client = rawchat.Client(base_url=ARGV[2], environ={}, deadline=20)
assert client.chat("Hi").text == "Hello"
assert client.stream_chat("Hi").reply.text == "Gr\\xfc\\xdfe"
history = rawchat.History(client)
history.ask("Hi")
history.save("talk.jsonl")
assert [message["role"] for message in rawchat.History.load("talk.jsonl")] == ["user", "assistant"]
print("well")
"""
    with serving(
        answer(completion()), streamed_text("Grüße"), answer(completion("Hello"))
    ) as server:
        folder = os.path.join(ROOT, "rawchat")
        assert windows(code, folder, ROOT, server.url) == (0, b"well\n", b"")


@pytest.mark.parametrize("encoding", ["gbk", "cp1252", "cp437"])
def test_answers_are_utf8_whatever_the_code_page_is(encoding: str) -> None:
    text = "Grüße, 你好 — €…"
    with serving(streamed_text(text)) as server:
        asked = rawchat("--base-url", server.url, "你好?", stdin=b"a\r\nb\r\n", encoding=encoding)
    assert asked == (0, f"{text}\n".encode(), b"")
    assert server.requests[0].json["messages"][0]["content"] == "a\r\nb\n\n你好?"


@pytest.mark.parametrize("encoding", ["gbk", "cp1252", "cp437"])
@pytest.mark.parametrize("module", ["rawchat", "rawchat.bulk", "rawchat.doctor", "rawchat.local"])
def test_help_needs_no_letter_that_the_code_page_lacks(module: str, encoding: str) -> None:
    shown = windows(COMMAND, module, "--help", encoding=encoding)
    assert (shown.code, shown.err) == (0, b"")
    assert b"usage: " in shown.out


@pytest.mark.parametrize("encoding", ["gbk", "cp1252", "cp437"])
def test_errors_and_the_doctor_print_in_any_code_page(encoding: str) -> None:
    refusal = answer({"error": {"message": "no such model: 模型 é"}}, 404)
    with serving(refusal) as server:
        result = rawchat("--base-url", server.url, "Hi", encoding=encoding)
        assert result.code == 4
        assert "no such model: 模型 é" in result.err.decode()
        env = {"OPENAI_BASE_URL": server.url}
        result = windows(COMMAND, "rawchat.doctor", encoding=encoding, env=env)
    assert b"Traceback" not in result.err
    assert b"UnicodeEncodeError" not in result.out + result.err
    assert result.out


# ---- files


HTTPS = ["--base-url", "https://127.0.0.1:9/v1", "--retries", "0"]


def test_a_path_with_a_drive_and_backslashes_is_a_path() -> None:
    folder = "C:\\Users\\ann\\"
    pathlib.Path(folder + "note.txt").write_bytes(b"\xef\xbb\xbfred\r\ngreen\r\n")
    pathlib.Path(folder + "key.txt").write_bytes(b"sk-windows-0123456789\r\n")
    pathlib.Path(folder + "person.json").write_text(
        '{"type": "object", "properties": {"name": {"type": "string"}}}', encoding="utf-8"
    )
    pathlib.Path(folder + "tools.py").write_bytes(
        b"def colour(name: str) -> str:\r\n    return name\r\n"
    )
    with serving(streamed_text('{"name": "Ann"}')) as server:
        words = ["--base-url", server.url, "--key-file", folder + "key.txt"]
        words += ["-a", folder + "note.txt", "--log", folder + "log.jsonl"]
        words += ["--har", folder + "calls.har", "--conversation", folder + "talk.jsonl"]
        result = rawchat(*words, "--schema", folder + "person.json", "@" + folder + "note.txt")
        assert result == (0, b'{"name": "Ann"}\n', b"")
        tools = rawchat(*words[:4], "--tools", folder + "tools.py", "--dry-run", "Hi")
    content = server.requests[0].json["messages"][0]["content"]
    assert content == f"{folder}note.txt:\n```\nred\r\ngreen\n```\n\nred\r\ngreen"
    assert server.requests[0].headers["authorization"] == "Bearer sk-windows-0123456789"
    assert (tools.code, b'"name":"colour"' in tools.out) == (0, True)
    for name in ("log.jsonl", "calls.har", "talk.jsonl"):
        assert pathlib.Path(folder + name).stat().st_size > 0, name


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--proxy", "C:\\proxy.pac"], 2, "the proxy's URL (proxy=) cannot be used"),
        (["--base-url", "C:\\server"], 2, "base_url"),
        (["-a", "C:\\none.png"], 2, "C:\\none.png: No such file or directory"),
        ([*HTTPS, "--cacert", "C:\\none.pem"], 2, "C:\\none.pem"),
        (["--conversation", "C:\\none\\talk.jsonl", "-a", "~\\none.txt"], 2, "none.txt: No such"),
    ],
)
def test_a_path_is_not_taken_for_a_url(words: list[str], code: int, said: str) -> None:
    with serving() as server:
        result = rawchat("--base-url", server.url, *words, "Hi")
    assert (result.code, result.out, server.requests) == (code, b"", [])
    assert said in result.err.decode()
    assert result.err.count(b"\n") == 1


def test_a_tilde_is_the_folder_of_the_user() -> None:
    pathlib.Path("key.txt").write_text("sk-windows-0123456789", encoding="utf-8")
    pathlib.Path("prompt.txt").write_text("Hi", encoding="utf-8")
    with serving(streamed_text("Hello")) as server:
        words = ["--base-url", server.url, "--key-file", "~/key.txt", "@~/prompt.txt"]
        assert rawchat(*words, env={"RAWCHAT_LOG": "~/log.jsonl"}) == (0, b"Hello\n", b"")
    assert server.requests[0].json["messages"][0]["content"] == "Hi"
    assert server.requests[0].headers["authorization"].endswith("6789")
    assert pathlib.Path("log.jsonl").exists()


def test_the_conversation_lies_in_the_local_data_of_the_user() -> None:
    with serving(streamed_text("Hello")) as server:
        assert rawchat("--base-url", server.url, "-c", "Hi") == (0, b"Hello\n", b"")
        assert rawchat("--base-url", server.url, "-c", "And?") == (0, b"Hello\n", b"")
    assert len(server.requests[1].json["messages"]) == 3
    assert pathlib.Path("AppData/Local/rawchat/conversation.jsonl").exists()
    environ = {"LOCALAPPDATA": "/data", "HOME": "/home/ann", "USERPROFILE": "/users/ann"}
    assert default_path(environ) == "/data/rawchat/conversation.jsonl"
    environ["XDG_STATE_HOME"] = "/state"
    assert default_path(environ) == "/state/rawchat/conversation.jsonl"


@pytest.mark.skipif(not hasattr(os, "symlink"), reason="no symbolic links here")
def test_a_symbolic_link_is_not_followed_where_the_system_cannot_be_told() -> None:
    pathlib.Path("theirs.jsonl").write_text("{}\n", encoding="utf-8")
    os.symlink("theirs.jsonl", "log.jsonl")
    result = rawchat("--base-url", "http://127.0.0.1:9/v1", "--log", "log.jsonl", "Hi")
    assert (result.code, result.out) == (2, b"")
    assert result.err == b"rawchat: log.jsonl: a symbolic link, which is not followed\n"


# ---- a file that another program has open


class Replace:
    """Stands in for `os.replace`, and fails so many times as Windows does."""

    def __init__(self, failures: int):
        self.failures = failures
        self.real = os.replace

    def __call__(self, source: Any, target: Any) -> None:
        if self.failures:
            self.failures -= 1
            raise PermissionError(errno.EACCES, "Access is denied", source, None, target)
        self.real(source, target)


def test_a_file_that_is_open_elsewhere_is_replaced_a_moment_later(
    monkeypatch: pytest.MonkeyPatch, waits: Any
) -> None:
    pathlib.Path("new").write_text("new", encoding="utf-8")
    pathlib.Path("old").write_text("old", encoding="utf-8")
    monkeypatch.setattr(os, "replace", Replace(3))
    safe_path.replace_file("new", "old", sleep=waits)
    assert pathlib.Path("old").read_text(encoding="utf-8") == "new"
    assert waits == list(safe_path.REPLACE_DELAYS[:3])


def test_a_file_that_stays_open_elsewhere_is_an_error_and_nothing_is_lost(
    monkeypatch: pytest.MonkeyPatch, waits: Any
) -> None:
    history = History()
    history.append({"role": "user", "content": "Hi"})
    history.save("talk.jsonl")
    before = pathlib.Path("talk.jsonl").read_bytes()
    history.append({"role": "user", "content": "Bye"})
    monkeypatch.setattr(os, "replace", Replace(99))
    monkeypatch.setattr("time.sleep", waits)
    with pytest.raises(PermissionError) as caught:
        history.save("talk.jsonl")
    assert caught.value.filename == "talk.jsonl"
    assert caught.value.strerror == "Access is denied (does another program have it open?)"
    assert waits == list(safe_path.REPLACE_DELAYS)
    assert pathlib.Path("talk.jsonl").read_bytes() == before
    assert len(history) == 2
    assert os.listdir() == ["talk.jsonl"]


OPEN_ELSEWHERE = """
def refuse(source, target):
    raise PermissionError(13, "Access is denied", source, None, target)
os.replace = refuse
import time
time.sleep = lambda seconds: None
"""


@row("13.4")
def test_a_conversation_that_cannot_be_saved_is_one_line_after_the_answer() -> None:
    with serving(streamed_text("Hello")) as server:
        words = ["rawchat", "--base-url", server.url, "--conversation", "talk.jsonl", "Hi"]
        result = windows(OPEN_ELSEWHERE + COMMAND, *words)
    assert (result.code, result.out) == (1, b"Hello\n")
    assert result.err == (
        b"rawchat: not saved: talk.jsonl: Access is denied (does another program have it open?)\n"
    )


def test_results_of_a_batch_survive_a_file_that_cannot_be_replaced() -> None:
    pathlib.Path("in.txt").write_bytes(b"one\r\ntwo\r\n")
    failed = answer({"error": {"message": "no"}}, 400)
    with serving(answer(completion()), failed, answer(completion())) as server:
        words = ["rawchat.bulk", "in.txt", "out.jsonl", "--base-url", server.url, "--workers", "1"]
        assert windows(COMMAND, *words).code == 1
        assert [seen.json["messages"][0]["content"] for seen in server.requests] == ["one", "two"]
        before = pathlib.Path("out.jsonl").read_bytes()
        result = windows(OPEN_ELSEWHERE + COMMAND, *words, "--retry-failed")
        assert (result.code, result.err.count(b"\n")) == (2, 1)
        assert b"out.jsonl: Access is denied" in result.err
        assert pathlib.Path("out.jsonl").read_bytes() == before
        assert windows(COMMAND, *words, "--retry-failed").code == 0
    results = pathlib.Path("out.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["error"] for line in results] == [None, None]


# ---- one writer


@row("13.7")
def test_a_second_batch_on_one_output_is_refused() -> None:
    pathlib.Path("in.txt").write_bytes(b"one\r\n")
    pathlib.Path("out.jsonl").touch()
    locked = "msvcrt.locked = [os.stat('out.jsonl').st_ino]\n"
    with serving(answer(completion())) as server:
        words = ["rawchat.bulk", "in.txt", "out.jsonl", "--base-url", server.url]
        result = windows(locked + COMMAND, *words)
        assert (result.code, server.requests) == (2, [])
        assert b"out.jsonl: another process writes its results there" in result.err
        assert windows(COMMAND, *words).code == 0


def test_the_lock_leaves_the_place_in_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    places = []

    class Console:
        LK_NBLCK = 2

        @staticmethod
        def locking(descriptor: int, mode: int, count: int) -> None:
            places.append((os.lseek(descriptor, 0, os.SEEK_CUR), count))

    monkeypatch.setitem(sys.modules, "fcntl", None)
    monkeypatch.setitem(sys.modules, "msvcrt", Console)
    pathlib.Path("out.jsonl").write_bytes(b"abc")
    with resume.open_output("out.jsonl") as file:
        assert file.read() == b"abc"
    assert places == [(resume.LOCKED_OFFSET, 1)]


# ---- the console


def test_a_closed_pipe_is_one_whatever_windows_calls_it(monkeypatch: pytest.MonkeyPatch) -> None:
    class Pipe:
        def isatty(self) -> bool:
            return False

        def write(self, data: bytes) -> None:
            raise OSError(errno.EINVAL, "Invalid argument")

        def fileno(self) -> int:
            return os.open(os.devnull, os.O_WRONLY)

    output = Output(Pipe())  # type: ignore[arg-type]
    monkeypatch.setattr(os, "name", "nt")
    with pytest.raises(BrokenPipeError):
        output.put(b"Hello")


def test_the_progress_line_of_a_batch_needs_no_escape_sequence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "name", "nt")
    assert progress.erase_rest().isspace()


@pytest.mark.parametrize(
    ("environ", "colour"),
    [
        ({}, False),
        ({"WT_SESSION": "1"}, True),
        ({"ConEmuANSI": "ON"}, True),
        ({"TERM": "xterm"}, True),
        ({"WT_SESSION": "1", "NO_COLOR": "1"}, False),
    ],
)
def test_the_old_console_gets_no_colour(environ: dict[str, str], colour: bool) -> None:
    assert use_color("auto", {"OS": "Windows_NT", **environ}, terminal=True) is colour


def test_the_command_of_an_editor_keeps_its_backslashes() -> None:
    assert split_command('"C:\\Program Files\\ed.exe" -w', windows=True) == [
        "C:\\Program Files\\ed.exe",
        "-w",
    ]
    assert split_command("C:\\ed.exe", windows=True) == ["C:\\ed.exe"]
    assert split_command("'my ed' a\\ b", windows=False) == ["my ed", "a b"]


def test_tools_ask_on_the_console(monkeypatch: pytest.MonkeyPatch) -> None:
    from rawchat.cli import approval

    opened = []

    def open_console(name: str, mode: str, buffering: int) -> Any:
        opened.append((name, mode))
        raise FileNotFoundError(errno.ENOENT, "no console", name)

    monkeypatch.setattr(approval, "open", open_console, raising=False)
    monkeypatch.setattr(os, "name", "nt")
    assert approval.ask(approval.Call("f", {})) is None
    assert opened == [("CONIN$", "rb")]
