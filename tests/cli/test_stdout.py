"""What is shown, and how: on a terminal, and into a pipe."""

import io
import os
import pty
import subprocess
import sys
from typing import Any

import pytest

from rawchat.cli.terminal import Output, escape_control

from ..command import ROOT, Run
from ..server import HELLO, answer, completion, delta, event, serving, streamed

row = pytest.mark.row
EVIL = "a\x1b[2J\x07b\x9b31m\u202ec\u2066d\U000e0041e\x7ff\rg\th\u200e"
SAFE = "a\u241b[2J\u2407b<U+009B>31m<U+202E>c<U+2066>d<U+E0041>e\u2421fg\th<U+200E>"


@row("9.1")
def test_what_could_steer_a_terminal_is_made_visible() -> None:
    assert escape_control(EVIL) == SAFE
    assert escape_control("plain \u00fc\u20ac\n\tline") == "plain \u00fc\u20ac\n\tline"
    assert escape_control("\ud800") == "<U+D800>"


@row("9.1")
@pytest.mark.parametrize("terminal", [True, False])
def test_on_a_terminal_only_also_in_parts(terminal: bool) -> None:
    class File(io.BytesIO):
        def isatty(self) -> bool:
            return terminal

    whole, parts = File(), File()
    for file, texts in ((whole, [EVIL]), (parts, EVIL)):
        out = Output(file)
        for text in texts:
            out.write(text)
        out.end()
    expected = (SAFE if terminal else EVIL) + "\n"
    assert whole.getvalue().decode() == parts.getvalue().decode() == expected


def test_what_others_say_between_two_pieces_adds_no_blank_line() -> None:
    class File(io.BytesIO):
        def isatty(self) -> bool:
            return True

    file = File()
    out = Output(file)
    for piece in ("One", "\n", "Two", "\n\n", "Three", "four\r\n", "five\n"):
        out.write(piece)
        file.write(out.pending_newline().encode() + b"*\n")
    out.end()
    assert file.getvalue().decode().replace("*\n", "") == "One\nTwo\n\nThree\nfour\nfive\n"


def test_a_ctrl_c_right_after_a_piece_was_shown_ends_its_line() -> None:
    class File(io.BytesIO):
        pressed = False

        def flush(self) -> None:
            before, self.pressed = self.pressed, True
            if not before:
                raise KeyboardInterrupt

    file = File()
    out = Output(file)
    with pytest.raises(KeyboardInterrupt):
        out.write("Hel")
    out.end_line()
    assert file.getvalue() == b"Hel\n"


def on_a_terminal(url: str, *argv: str) -> str:
    """What a real pseudo-terminal gets from a one-shot, standard error included."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "rawchat", "--base-url", url, "--color", "never", *argv, "Hi"],
        stdin=subprocess.DEVNULL,
        stdout=slave,
        stderr=slave,
        env={**os.environ, "PYTHONPATH": ROOT},
    )
    os.close(slave)
    shown: list[Any] = []
    while True:
        try:
            data = os.read(master, 4096)
        except OSError:  # Linux says so where others end the file
            break
        if not data:
            break
        shown.append(data)
    process.wait(20)
    os.close(master)
    return b"".join(shown).decode()


@row("9.1")
@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals here")
def test_a_hostile_server_on_a_real_terminal() -> None:
    with serving(
        streamed([*HELLO[:1], *[event(delta(character)) for character in EVIL], *HELLO[3:]])
    ) as server:
        assert on_a_terminal(server.url) == SAFE + "\r\n"
    with serving(answer({"error": {"message": f"no {EVIL}"}}, 400)) as server:
        shown = on_a_terminal(server.url)
    assert "\x1b" not in shown
    assert "\u241b[2J" in shown


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals here")
def test_json_ends_in_a_newline_on_a_terminal_and_stays_as_it_is_in_a_pipe(run: Run) -> None:
    with serving(answer(completion("Hi"))) as server:
        assert on_a_terminal(server.url, "--json").endswith("}\r\n")
        assert run("--base-url", server.url, "--json", "Hi").out.endswith(b"}")


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals here")
def test_json_that_does_not_fit_ends_in_a_newline_on_a_terminal() -> None:
    with serving(answer(completion("[1"))) as server:
        shown = on_a_terminal(server.url, "--json-mode", "--no-stream")
        assert shown.startswith("[1\r\nrawchat: the answer does not fit")
        shown = on_a_terminal(server.url, "--json-mode", "--json")
        assert "}\r\nrawchat: the answer does not fit" in shown
