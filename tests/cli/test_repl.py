"""The chat prompt, on a real pseudo-terminal: what a person types, and what it shows."""

import contextlib
import os
import pathlib
import re
import shutil
import stat
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any, Optional

import pytest

import rawchat
from rawchat.cli.commands import COMMANDS, completions

from ..command import ran
from ..server import CLOSE, HELLO, Server, answer, completion, delta, event, serving, streamed

if sys.platform == "win32":
    pytest.skip("no pseudo-terminals here", allow_module_level=True)

from ..terminal import CTRL_A, CTRL_C, CTRL_D, PASTE, PASTED, TERM, UP, Terminal, plain, screen

row = pytest.mark.row
edited = pytest.mark.skipif(TERM == "dumb", reason="PyPy edits lines in a way of its own")
SOON = 0.2  # seconds that Ctrl-C may take
STOPPED = "rawchat: stopped; the conversation is as it was before (/retry asks again)\n"
STOPPED_PART = "rawchat: stopped; what was printed stays in the conversation (/retry asks again)\n"
BOOM = answer({"error": {"message": "out of order"}}, 500)


@pytest.fixture
def never() -> Iterator[threading.Event]:
    """What comes after it in a script is not played before the test is over."""
    event = threading.Event()
    yield event
    event.set()


class Chat(Terminal):
    """The command without a prompt."""

    def __init__(self, url: str, *argv: str, **options: Any):
        super().__init__("-m", "rawchat", "--base-url", url, "--retries", "0", *argv, **options)

    def enter(self, text: str) -> str:
        """Type a line, and give what is shown until the next prompt, without the line."""
        self.type(text + "\r")
        return self.prompt().partition("\n")[2]

    def prompt(self) -> str:
        """What is shown until the next prompt."""
        return plain(self.until("> "))[:-2]

    def interrupt(self, expected: str) -> str:
        """Press Ctrl-C until `expected` is shown, and give what is shown up to it.

        Python's `input` overlooks a signal between two keys until the next one, so once may not be enough.
        """
        for _ in range(20):
            self.type(CTRL_C)
            if self.shows(expected, 0.5):
                break
        return plain(self.until(expected))


@contextlib.contextmanager
def chatting(
    *script: Any, argv: Sequence[str] = (), **options: Any
) -> Iterator[tuple[Chat, Server]]:
    """A chat with a server that plays a script, at its first prompt, without colour."""
    options["env"] = {"NO_COLOR": "1", **options.get("env", {})}
    with serving(*script) as server, Chat(server.url, *argv, **options) as chat:
        chat.prompt()
        yield chat, server


def says(text: str) -> list[Any]:
    """A streamed answer."""
    return streamed([event(delta(text)), event(delta(finish="stop")), event("[DONE]")])


def asked(server: Server, at: int = -1) -> list[Any]:
    """What the messages of a request say."""
    return [message["content"] for message in server.requests[at].json["messages"]]


# ---- talking


def test_without_a_prompt_on_a_terminal_it_talks_and_writes_nothing(tmp_path: pathlib.Path) -> None:
    with (
        serving(says("Hello"), says("Fine")) as server,
        Chat(
            server.url, "-m", "mine", "-s", "Be kind.", "-t", "0", env={"HOME": str(tmp_path)}
        ) as chat,
    ):
        assert chat.prompt() == f"mine at {server.url}; /help for commands, Ctrl-D to exit\n"
        assert chat.enter("Hi") == "Hello\n"
        assert chat.enter("How are you?") == "Fine\n"
        chat.type("exit\r")
        assert plain(chat.rest()) == "exit\n"
        assert chat.process.returncode == 0
    assert asked(server) == ["Be kind.", "Hi", "Hello", "How are you?"]
    assert server.requests[1].json["temperature"] == 0
    assert server.requests[1].json["model"] == "mine"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("keys", ["quit\r", "/exit\r", " exit \r", CTRL_D])
def test_ways_to_leave(keys: str) -> None:
    with chatting(says("x")) as (chat, server):
        chat.type(keys)
        assert plain(chat.rest()).endswith("\n")
        assert (chat.process.returncode, server.requests) == (0, [])


def test_each_piece_is_shown_before_the_next_is_sent() -> None:
    seen = threading.Event()
    with chatting(streamed([event(delta("Hel")), seen, *HELLO[2:]])) as (chat, _):
        chat.type("Hi\r")
        assert plain(chat.until("Hel")) == "Hi\nHel"
        seen.set()
        assert chat.prompt() == "lo\n"


def test_an_answer_ends_with_one_newline() -> None:
    with chatting(says("a\n\nb\n\n"), says("")) as (chat, _):
        assert chat.enter("Hi") == "a\n\nb\n"
        assert chat.enter("Hi") == "\n"


def test_no_stream_and_the_reasons_of_an_answer_that_was_cut() -> None:
    cut = completion("Hel")
    cut["choices"][0]["finish_reason"] = "length"
    with chatting(answer(cut), answer(completion("whole")), argv=["--no-stream"]) as (chat, server):
        assert (
            chat.enter("Hi")
            == "Hel\nrawchat: the answer was cut (length); --max-tokens allows more\n"
        )
        assert chat.enter("again") == "whole\n"
        assert asked(server) == ["Hi", "Hel", "again"]  # a cut answer is one


def test_a_conversation_that_is_too_long_goes_on_with_its_newest_turns() -> None:
    too_long = answer({"error": {"code": "context_length_exceeded", "message": "too long"}}, 400)
    with chatting(says("a1"), says("a2"), too_long, says("a3")) as (chat, server):
        for question in ("q1", "q2", "q3"):
            shown = chat.enter(question)
        assert shown == "a3\n"
        assert asked(server) == ["q2", "a2", "q3"]


# ---- what is typed


def test_several_lines_make_one_message() -> None:
    with chatting(says("ok")) as (chat, server):
        for text in (
            "one \\\rtwo\\\rthree",
            '"""\rfour\\\r\r  five\r"""',
            '"""exit"""',
            '"""seven\reight"""  ',
        ):
            *lines, last = text.split("\r")
            for line in lines:
                chat.type(line + "\r")
                chat.until(". ")
            chat.type(last + "\r")
            chat.until("ok\n")
            chat.prompt()
        messages = [asked(server, at)[-1] for at in range(4)]
    assert messages == ["one \ntwo\nthree", "four\\\n\n  five", "exit", "seven\neight"]


@edited
def test_what_is_pasted_is_one_message_as_it_stands() -> None:
    with chatting(says("ok")) as (chat, server):
        for text in ("/reset\rexit\r\\", '"""Doc."""\rimport x', "one line"):
            chat.type(f"{PASTE}{text}{PASTED}\r")
            chat.until("ok\n")
            chat.prompt()
        messages = [asked(server, at)[-1] for at in range(3)]
    assert messages == ["/reset\nexit\n\\", '"""Doc."""\nimport x', "one line"]


def test_without_readline_lines_that_arrive_at_once_are_one_message() -> None:
    with chatting(says("ok"), env={"TERM": "dumb"}) as (chat, server):
        chat.type("/reset\rexit\r  two\r")
        chat.until("ok\n")
        chat.prompt()
        chat.type("three\r")
        chat.until("ok\n")
        assert asked(server) == ["/reset\nexit\n  two", "ok", "three"]


@edited
def test_lines_can_be_edited_and_called_back() -> None:
    with chatting(says("ok")) as (chat, server):
        chat.type(f"brown fux\x7f\x7fox{CTRL_A}quick \r")
        chat.until("ok\n")
        chat.prompt()
        chat.type(UP)
        chat.until("quick brown fox")
        chat.enter("es")
        assert asked(server) == ["quick brown fox", "ok", "quick brown foxes"]


def test_a_terminal_that_cannot_be_edited_on_gets_plain_lines(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "talk.jsonl"
    file.write_text('{"role": "user", "content": "q1"}\n{"role": "assistant", "content": "a1"}\n')
    with chatting(says("ok"), argv=[f"--conversation={file}"], env={"TERM": "dumb"}) as (
        chat,
        server,
    ):
        chat.type(f"{UP}\r")
        assert chat.until("ok\n") == "^[[A\nok\n"
        assert asked(server) == ["q1", "a1", UP]


def test_blank_lines_ask_nothing_and_two_slashes_begin_with_one() -> None:
    with chatting(says("ok")) as (chat, server):
        assert chat.enter("") == chat.enter("   ") == ""
        assert chat.enter("//usr/bin is a folder?") == "ok\n"
        assert asked(server) == ["/usr/bin is a folder?"]


def test_a_message_that_is_a_file_sends_its_text() -> None:
    pathlib.Path("my question.txt").write_text("What is it?\n", encoding="utf-8")
    with chatting(says("ok")) as (chat, server):
        assert chat.enter("@my question.txt ") == "ok\n"
        assert asked(server) == ["What is it?"]
        assert chat.enter("@missing") == (
            "rawchat: missing: No such file or directory (@@ begins a text with @)\n"
        )
        assert chat.enter("@@ada said") == "ok\n"
        assert chat.enter('"""@ada said"""') == "ok\n"
        assert "@FILE sends the text in a file" in chat.enter("/help")
    assert [asked(server, at)[-1] for at in range(3)] == ["What is it?", "@ada said", "@ada said"]


@edited
@pytest.mark.parametrize("columns", [20, 80])
@pytest.mark.parametrize("colour", ["always", "never"])
def test_a_narrow_window_does_not_disturb_editing(colour: str, columns: int) -> None:
    with (
        serving(says("ok")) as server,
        Chat(server.url, "--color", colour, columns=columns) as chat,
    ):
        chat.prompt()
        chat.type("the quick brown fox jumps over the lazy dog")
        shown = chat.until("dog")
        chat.type(f"{CTRL_A}A \x05!\x7f\x7f\x02\x02\x02Z\r")
        lines = screen(f"> {shown}{chat.until('ok')}", columns)
        assert asked(server) == ["A the quick brown fox jumps over the lazyZ do"]
    line = "> A the quick brown fox jumps over the lazyZ do"
    expected = [*(line[at : at + columns] for at in range(0, len(line), columns)), "ok"]
    assert [part.rstrip() for part in lines] == [part.rstrip() for part in expected]


def test_what_is_typed_is_utf8_whatever_the_locale() -> None:
    environ = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    with chatting(says("Grüße €"), env=environ) as (chat, server):
        chat.type("Zoë €\r")
        chat.until("Grüße €\n")
        chat.prompt()
        os.write(chat._master, b"bad \xff\r")
        chat.until("Grüße €\n")
        assert asked(server) == ["Zoë €", "Grüße €", "bad \ufffd"]


# ---- completion, /show, /edit


def test_what_tab_completes(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "sub").mkdir()
    for name in ("talk.jsonl", "tale.txt", ".hidden", "t\x1b[2J"):
        (tmp_path / name).touch()
    assert completions("/sh", "/sh") == ["/show "]
    assert completions("/", "/") == [f"{name} " for name in COMMANDS]
    assert completions("what is /sh", "/sh") == []
    assert completions("/save ta", "ta") == ["tale.txt", "talk.jsonl"]
    assert completions("/system @su", "@su") == ["@sub/"]
    assert completions("read ./ta", "./ta") == ["./tale.txt", "./talk.jsonl"]
    assert completions("read ~/s", "~/s") == ["~/sub/"]
    assert completions("read ~/t", "~/t") == ["~/tale.txt", "~/talk.jsonl"]
    assert completions("read nowhere/x", "nowhere/x") == []
    assert completions("a ta", "ta") == []


@edited
def test_tab_on_a_terminal() -> None:
    with chatting(says("ok")) as (chat, server):
        chat.type("/und\t")
        chat.until("/undo ")
        assert "nothing has been said yet" in chat.enter("")
        chat.type("/retr\t\r")
        assert "nothing has been said yet" in chat.prompt()
        assert server.requests == []


def test_show_prints_the_conversation() -> None:
    with chatting(says("a1")) as (chat, _):
        assert chat.enter("/show") == "nothing has been said yet\n"
        chat.enter("q1")
        assert chat.enter("/show") == "user: q1\n\nassistant: a1\n"


def test_edit_opens_the_editor_and_sends_what_it_leaves(tmp_path: pathlib.Path) -> None:
    editor = tmp_path / "an editor.sh"
    editor.write_text('#!/bin/sh\nprintf "/line 1\\nline 2\\n" >>"$1"\n')
    editor.chmod(0o700)
    env = {"EDITOR": f"'{editor}'", "VISUAL": None}
    with chatting(says("ok"), env=env) as (chat, server):
        assert chat.enter("/edit") == "/line 1\nline 2\nok\n"
        assert chat.enter("/edit It is: ") == "It is:/line 1\nline 2\nok\n"
        assert asked(server) == ["/line 1\nline 2", "ok", "It is:/line 1\nline 2"]


@pytest.mark.parametrize(
    ("editor", "said"),
    [
        ("true", "the file is empty: nothing was sent"),
        ("false", "EDITOR: false: exit code 1; nothing was sent"),
        ("no-such-editor", "EDITOR: no-such-editor: [Errno 2] No such file"),
    ],
)
def test_an_editor_that_leaves_nothing_sends_nothing(editor: str, said: str) -> None:
    with chatting(says("ok"), env={"EDITOR": editor, "VISUAL": None}) as (chat, server):
        assert chat.enter("/edit").startswith(f"rawchat: {said}")
        assert server.requests == []


# ---- Ctrl-Z


@edited
@pytest.mark.skipif(not shutil.which("bash"), reason="no bash here")
def test_after_ctrl_z_and_fg_the_prompt_and_the_text_are_drawn_once() -> None:
    shell = "import os; os.execvp('bash', ['bash', '--norc', '-i'])"
    with serving(says("ok")) as server:
        command = f"{sys.executable} -m rawchat --base-url {server.url}\r"
        with Terminal("-c", shell, env={"PS1": "% ", "NO_COLOR": "1"}) as terminal:
            terminal.until("% ")
            terminal.type(command)
            terminal.until("to exit\n")
            terminal.until("> ")
            terminal.type("half")
            terminal.until("half")
            # Python's readline overlooks a signal that arrives right before it waits for a key: press Ctrl-Z again.
            for _ in range(20):
                terminal.type("\x1a")
                terminal.until("% ")
                terminal.type("fg\r")
                if terminal.shows("> half", 1):
                    break
            assert terminal.until("> half").count("> ") == 1
            terminal.type(" more\r")
            shown = plain(terminal.until("ok\n"))
            assert shown == " more\nok\n"
        assert asked(server) == ["half more"]


# ---- Ctrl-C


def soon(chat: Chat, expected: str) -> None:
    """Ctrl-C leads to a new prompt within SOON, and shows this."""
    start = time.monotonic()
    chat.type(CTRL_C)
    shown = chat.prompt()
    seconds = time.monotonic() - start
    assert shown == expected
    assert seconds < SOON, f"{seconds:.2f} s"


def within(attempt: Any) -> None:
    """Three tries, as the machine may be busy."""
    for last in (False, False, True):
        try:
            return attempt()
        except AssertionError as error:
            if last or not re.search(r"\d s$", str(error).splitlines()[0]):
                raise
    return None


def test_ctrl_c_stops_an_answer_and_keeps_the_session(never: threading.Event) -> None:
    def attempt() -> None:
        with chatting(says("a1"), streamed([event(delta("Hel")), never]), says("a2")) as (
            chat,
            server,
        ):
            chat.enter("q1")
            chat.type("q2\r")
            chat.until("Hel")
            soon(chat, "^C\n" + STOPPED_PART)
            assert chat.enter("q3") == "a2\n"
            assert asked(server) == ["q1", "a1", "q2", "Hel", "q3"]

    within(attempt)


def test_what_ctrl_c_left_of_an_answer_is_saved_and_retry_replaces_it(
    never: threading.Event, tmp_path: pathlib.Path
) -> None:
    file = tmp_path / "talk.jsonl"
    argv = [f"--conversation={file}"]
    stalled = streamed([event(delta("Hel")), never])
    with chatting(stalled, says("Hello"), stalled, argv=argv) as (chat, server):
        chat.type("Hi\r")
        chat.until("Hel")
        chat.type(CTRL_C)
        assert chat.prompt().endswith(STOPPED_PART)
        assert '"Hel"' in file.read_text()
        assert chat.enter("/retry") == "Hello\n"
        assert asked(server) == ["Hi"]
        chat.type("/retry\r")
        chat.until("Hel")
        chat.type(CTRL_C)
        assert chat.prompt().endswith(STOPPED)
        assert '"Hello"' in file.read_text()


def test_ctrl_c_before_the_first_byte_and_retry_asks_again(never: threading.Event) -> None:
    def attempt() -> None:
        arrived = threading.Event()
        with chatting([lambda _: arrived.set(), never], says("Hello")) as (chat, server):
            chat.type("Hi\r")
            assert arrived.wait(10)
            soon(chat, "Hi\n^C\n" + STOPPED)
            assert chat.enter("/retry") == "Hello\n"
            assert asked(server) == ["Hi"]

    within(attempt)


@pytest.mark.parametrize("begun", [False, True])
def test_what_is_told_of_a_call_that_ctrl_c_stopped_stands_below_it(
    never: threading.Event, begun: bool
) -> None:
    shown = threading.Event()
    pieces = (
        [event(delta("Hel")), shown, event(delta({})), never]
        if begun
        else [event(delta({})), never]
    )
    with chatting(streamed(pieces), argv=["--trace"]) as (chat, _):
        chat.type("Hi\r")
        if begun:
            chat.until("\nHel")
            shown.set()
        chat.until('"delta": {}')
        chat.until("\n")
        chat.type(CTRL_C)
        chat.until("^C")
        lines = chat.prompt().splitlines()
    assert [line[:2] for line in lines] == ["", "* ", "ra"]


def test_ctrl_c_at_the_prompt_clears_what_was_typed() -> None:
    with chatting(says("ok")) as (chat, server):
        chat.type("half a")
        chat.until("half a")
        chat.interrupt("> ")
        chat.type('"""\ra block')
        chat.until("a block")
        chat.interrupt("> ")
        assert chat.enter("Hi") == "ok\n"
        assert asked(server) == ["Hi"]


# ---- what goes wrong


def test_errors_are_one_line_and_keep_the_session() -> None:
    cut = streamed([event(delta("Hel")), CLOSE], framing="close")
    with chatting(BOOM, cut, says("Hello")) as (chat, server):
        lines = chat.enter("q1").splitlines()
        assert len(lines) == 1
        assert lines[0].startswith("rawchat: 500: out of order (POST ")
        shown, error = chat.enter("q2").splitlines()
        assert (shown, error[:32]) == ("Hel", "rawchat: the stream ended after ")
        assert chat.enter("q3") == "Hello\n"
        assert asked(server) == ["q3"]


def test_parameters_that_cannot_be_sent_are_one_line() -> None:
    with chatting(says("x"), argv=["--no-stream", "-o", "stream", "true"]) as (chat, server):
        assert chat.enter("Hi").startswith("rawchat: stream= is not a parameter")
        assert server.requests == []


@row("9.1")
def test_what_the_network_says_cannot_steer_the_terminal() -> None:
    evil = [event(delta(sign)) for sign in "a\x1b]0;title\x07\x1b[2J\x9b31m\u202eb"]
    error = answer({"error": {"message": "no \x1b[2J"}}, 400)
    with chatting(streamed([*evil, event(delta(finish="stop")), event("[DONE]")]), error) as (
        chat,
        _,
    ):
        assert chat.enter("Hi") == "a␛]0;title␇␛[2J<U+009B>31m<U+202E>b\n"
        assert "no ␛[2J" in chat.enter("Hi")


# ---- commands


def test_help_shows_every_command_in_narrow_lines() -> None:
    with chatting(says("x")) as (chat, _):
        shown = chat.enter("/help")
    assert all(name in shown for name in COMMANDS)
    assert max(map(len, shown.splitlines())) < 80


def test_a_command_that_does_not_exist_is_told() -> None:
    with chatting(says("x")) as (chat, server):
        assert chat.enter("/usr/bin x") == (
            "rawchat: no such command: /usr/bin (/help lists them; // begins a message with /)\n"
        )
        assert chat.enter("/undo") == chat.enter("/retry") == "rawchat: nothing has been said yet\n"
        assert chat.enter("/save") == "rawchat: usage: /save FILE\n"
        assert server.requests == []


def test_instructions_and_model_can_be_seen_and_changed() -> None:
    with open("pirate.txt", "w", encoding="utf-8") as file:
        file.write("Talk like a pirate.\n")
    with chatting(says("ok"), argv=["-o", "model", "first"]) as (chat, server):
        assert chat.enter("/system") == "no instructions; /system TEXT sets them\n"
        assert chat.enter("/system  Be brief. ") == "instructions: Be brief.\n"
        assert chat.enter("/system") == "Be brief.\n"
        assert chat.enter("/model") == "model: first\n"
        assert chat.enter("/model other/model:7b") == "model: other/model:7b\n"
        chat.enter("Hi")
        assert chat.enter("/system @pirate.txt") == "instructions: Talk like a pirate.\n"
        chat.enter("again")
        assert "rawchat: nowhere.txt: No such file" in chat.enter("/system @nowhere.txt")
    assert [asked(server, at)[0] for at in (0, 1)] == ["Be brief.", "Talk like a pirate."]
    assert [seen.json["model"] for seen in server.requests] == ["other/model:7b"] * 2


def test_turns_can_be_asked_again_and_forgotten() -> None:
    with chatting(says("a1"), says("a2"), says("a2 anew"), BOOM, says("a3"), argv=["-s", "s"]) as (
        chat,
        server,
    ):
        chat.enter("q1")
        chat.enter("q2")
        assert chat.enter("/retry") == "a2 anew\n"
        assert asked(server) == ["s", "q1", "a1", "q2"]
        assert "out of order" in chat.enter("/retry")  # the answer that was there stays
        assert chat.enter("/undo") == "removed: q2\n"
        chat.enter("q3")
        assert asked(server) == ["s", "q1", "a1", "q3"]
        assert chat.enter("/reset") == "the conversation is empty\n"
        chat.enter("q4")
        assert asked(server) == ["s", "q4"]


def test_retry_after_a_failed_retry_asks_once_and_in_its_place() -> None:
    with chatting(says("a1"), BOOM, says("a1 anew")) as (chat, server):
        chat.enter("q1")
        chat.enter("/retry")
        assert chat.enter("/retry") == "a1 anew\n"
        assert asked(server) == ["q1"]


def test_tokens_are_counted() -> None:
    usage = event({"choices": [], "usage": {"prompt_tokens": 20, "completion_tokens": 5}})
    with chatting(streamed([*HELLO[:-1], usage, HELLO[-1]])) as (chat, _):
        chat.enter("Hi")
        shown = chat.enter("/tokens")
    assert re.sub(r"\d\d tokens;", "NN tokens;", shown) == (
        "messages: 2, about NN tokens; answers: 1, 20 tokens sent and 5 received\n"
    )


@edited
def test_a_conversation_is_saved_and_gone_on_with(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "my talk.jsonl"
    with chatting(says("a1"), argv=["-s", "s"], env={"HOME": str(tmp_path)}) as (chat, _):
        chat.enter("q1")
        assert chat.enter("/save ~/my talk.jsonl") == f"saved; --conversation {file} continues it\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with (
        serving(says("a2")) as server,
        Chat(server.url, f"--conversation={file}", env={"NO_COLOR": "1"}) as chat,
    ):
        assert chat.prompt().endswith(", turns so far: 1; /help for commands, Ctrl-D to exit\n")
        chat.type(UP)
        chat.until("q1")
        chat.type("\x7f2\r")
        chat.until("a2\n")
        assert asked(server) == ["s", "q1", "a1", "q2"]
        chat.prompt()
        assert contents(file) == ["s", "q1", "a1", "q2", "a2"]  # after every turn


def test_what_is_taken_back_is_taken_back_in_the_file(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "rawchat" / "conversation.jsonl"
    with chatting(
        says("a1"), says("a2"), BOOM, argv=["-c"], env={"XDG_STATE_HOME": str(tmp_path)}
    ) as (chat, _):
        assert not file.exists()
        chat.enter("q1")
        chat.enter("q2")
        chat.enter("q3")
        assert contents(file) == ["q1", "a1", "q2", "a2"]
        chat.enter("/undo")
        assert contents(file) == ["q1", "a1"]
        chat.enter("/system Be kind.")
        assert contents(file) == ["Be kind.", "q1", "a1"]
        chat.enter("/reset")
        assert contents(file) == ["Be kind."]


def test_what_another_process_says_meanwhile_is_not_overwritten(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "talk.jsonl"
    with chatting(says("a1"), says("a2"), says("a3"), argv=[f"--conversation={file}"]) as (
        chat,
        server,
    ):
        chat.enter("q1")
        assert ran("--base-url", server.url, f"--conversation={file}", "q2").out == b"a2\n"
        assert (
            chat.enter("q3")
            == f"a3\nrawchat: not saved: another process has changed {file} meanwhile\n"
        )
        assert contents(file) == ["q1", "a1", "q2", "a2"]
        assert chat.enter(f"/save {tmp_path}/mine.jsonl").startswith("saved; ")
    assert contents(tmp_path / "mine.jsonl") == ["q1", "a1", "q3", "a3"]


@edited
@pytest.mark.parametrize("text", ["a \0 b", "\x1b[2Jx", "\x9b31mx", "Zo\xeb", "@secret", "/x"])
def test_only_harmless_questions_of_a_file_are_under_the_up_arrow(
    tmp_path: pathlib.Path, text: str
) -> None:
    history = rawchat.History()
    history += [{"role": "user", "content": content} for content in ("plain", text)]
    history.save(tmp_path / "talk.jsonl")
    ascii_only = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    with chatting(says("a1"), argv=[f"--conversation={tmp_path}/talk.jsonl"], env=ascii_only) as (
        chat,
        _,
    ):
        chat.type(UP)
        assert chat.until("plain").endswith("plain")
        assert chat.enter("er") == "a1\n"


def test_instructions_on_the_command_line_replace_those_of_the_file(tmp_path: pathlib.Path) -> None:
    history = rawchat.History(system="old")
    history.save(tmp_path / "talk.jsonl")
    with chatting(says("a1"), argv=[f"--conversation={tmp_path}/talk.jsonl", "-s", "new"]) as (
        chat,
        server,
    ):
        chat.enter("q1")
        assert asked(server) == ["new", "q1"]
    assert contents(tmp_path / "talk.jsonl") == ["new", "q1", "a1"]


def test_tools_are_allowed_call_by_call_and_stay_in_the_conversation() -> None:
    with open("tools.py", "w", encoding="utf-8") as file:
        file.write("def add(a: int, b: int) -> int:\n    return a + b\n")
    call = {
        "index": 0,
        "id": "1",
        "type": "function",
        "function": {"name": "add", "arguments": '{"a": 1, "b": 2}'},
    }
    calls = streamed(
        [event(delta({"tool_calls": [call]})), event(delta(finish="tool_calls")), event("[DONE]")]
    )
    with chatting(calls, says("three"), says("ok"), argv=["--tools", "tools.py"]) as (chat, server):
        chat.type("1 + 2?\r")
        chat.until("| a=1\n| b=2\nrawchat: [y/N] may the model call add? ")
        chat.type("y\r")
        assert chat.prompt() == "y\nthree\n"
        chat.enter("thanks")
        assert asked(server) == ["1 + 2?", None, "3", "three", "thanks"]


def test_each_answer_is_told_of_and_logged() -> None:
    usage = event({"choices": [], "usage": {"prompt_tokens": 20, "completion_tokens": 5}})
    with chatting(streamed([*HELLO[:-1], usage, HELLO[-1]]), argv=["-v", "--log", "log.jsonl"]) as (
        chat,
        _,
    ):
        for number in (1, 2):
            shown, told = chat.enter("Hi").splitlines()
            assert (shown, told[:31]) == ("Hello", "rawchat: 20 tokens in, 5 out; 0")
            assert len(pathlib.Path("log.jsonl").read_bytes().splitlines()) == number


def contents(file: pathlib.Path) -> list[Any]:
    return [message["content"] for message in rawchat.History.load(file)]


def test_save_overwrites_nothing_but_what_it_has_written(tmp_path: pathlib.Path) -> None:
    notes = tmp_path / "notes.md"
    notes.write_text("# Notes\n", encoding="utf-8")
    with chatting(says("a1")) as (chat, _):
        chat.enter("q1")
        for path in (notes, "/dev/null", tmp_path):
            assert (
                chat.enter(f"/save {path}")
                == f"rawchat: {path} already exists; choose another file\n"
            )
        assert "No such file" in chat.enter(f"/save {tmp_path}/none/x.jsonl")
        for question in ("q2", "q3"):
            chat.enter(question)
            chat.enter(f"/save {tmp_path}/x.jsonl")
    assert notes.read_text(encoding="utf-8") == "# Notes\n"
    assert contents(tmp_path / "x.jsonl") == ["q1", "a1", "q2", "a1", "q3", "a1"]


# ---- terminals


def test_colour_is_only_for_terminals_that_like_it() -> None:
    environments: list[tuple[dict[str, Optional[str]], bool, bool]] = [
        ({"TERM": "xterm"}, True, True),
        ({"TERM": "xterm", "NO_COLOR": "1"}, False, True),
        ({"TERM": "dumb"}, False, False),
    ]
    for env, colour, sequences in environments:
        with serving(says("Hello")) as server, Chat(server.url, env=env) as chat:
            chat.prompt()
            chat.enter("Hi")
            assert ("\x1b[1m" in chat.all, "\x1b" in chat.all) == (colour, sequences), env


def test_without_readline_it_talks_too(tmp_path: pathlib.Path, never: threading.Event) -> None:
    (tmp_path / "readline.py").write_text("raise ImportError\n", encoding="utf-8")
    script = [says("Hello"), streamed([event(delta("Hel")), never]), says("again")]
    path = os.pathsep.join([str(tmp_path), str(pathlib.Path(rawchat.__file__).parent.parent)])
    with (
        serving(*script) as server,
        Chat(server.url, env={"PYTHONPATH": path, "TERM": "xterm"}) as chat,
    ):
        chat.prompt()
        assert chat.enter("Hi") == "Hello\n"
        chat.type("q2\r")
        chat.until("Hel")
        chat.type(CTRL_C)
        chat.until("/retry asks again)\n")
        chat.prompt()
        chat.type("half")
        chat.interrupt("> ")
        chat.type("q3 \\\r")
        chat.until(". ")
        assert chat.enter("...").endswith("again\n")
        assert asked(server) == ["Hi", "Hello", "q2", "Hel", "q3 \n..."]
        assert "\x1b[1m> \x1b[0m" in chat.all
        assert "\x01" not in chat.all
        chat.type(CTRL_D)
        assert plain(chat.rest()).endswith("\n")
        assert chat.process.returncode == 0


def test_it_talks_only_where_a_person_sits_on_both_sides_and_asked_for_no_other() -> None:
    with serving(says("x")) as server:
        for argv in (["--json"], ["--jsonl"], ["--complete"]):
            with Chat(server.url, *argv) as chat:
                assert "nothing to ask" in chat.rest()
                assert chat.process.returncode == 2
        assert server.requests == []


def test_a_real_model(local_url: str) -> None:
    with Chat(
        local_url,
        "--retries",
        "2",
        "-t",
        "0",
        "--max-tokens",
        "20",
        "-o",
        "seed",
        "7",
        patience=120,
    ) as chat:
        chat.prompt()
        for question in ("What is the capital of France?", "/retry", "And of Italy?"):
            assert chat.enter(question).strip()
        assert re.match(r"messages: 4, about \d+ tokens; answers: 3", chat.enter("/tokens"))
        chat.type("exit\r")
        chat.rest()
        assert chat.process.returncode == 0
