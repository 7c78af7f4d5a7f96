"""A command on a pseudo-terminal, as a person has it: typed to, watched, interrupted.

    with Terminal("-m", "rawchat") as terminal:
        terminal.until("> ")
        terminal.type("Hi\\r")

Nothing here waits for a time to pass: `until` reads till what is expected has been shown, and fails if that takes more
than PATIENCE.
"""

import codecs
import fcntl
import os
import pathlib
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from typing import Optional

import rawchat

from .server import PATIENCE

ROOT = str(pathlib.Path(rawchat.__file__).parent.parent)
# The terminal is to be the one that Ctrl-C comes from, and a session's leader has to ask for that.
START = "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
# PyPy edits lines by itself, with sequences of its own: there the tests are those of a terminal that has no sequences.
TERM = "dumb" if sys.implementation.name == "pypy" else "xterm"
CTRL_A, CTRL_C, CTRL_D, CTRL_K, UP = "\x01", "\x03", "\x04", "\x0b", "\x1b[A"
PASTE, PASTED = (
    "\x1b[200~",
    "\x1b[201~",
)  # what a terminal puts around what is pasted, if it has been asked to


class Terminal:
    """Python with these arguments; `env` is added to the environment, where None takes away."""

    def __init__(
        self,
        *argv: str,
        env: Optional[dict[str, Optional[str]]] = None,
        columns: int = 80,
        rows: int = 24,
        patience: float = PATIENCE,
        cwd: Optional[str] = None,
    ):
        self._patience = patience
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._cut = ""  # \r at the end of what was read: \n may follow
        self._shown = ""  # and not yet taken by `until`
        self.all = ""  #: all that was ever shown
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        every = {
            **os.environ,
            "PYTHONPATH": ROOT,
            "TERM": TERM,
            "INPUTRC": os.devnull,
            "LC_ALL": "C.UTF-8",
            "COLUMNS": None,
            "LINES": None,
            **(env or {}),
        }
        self.process = subprocess.Popen(
            [sys.executable, "-IS", "-c", START, sys.executable, *argv],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            cwd=cwd,
            env={name: value for name, value in every.items() if value is not None},
        )
        os.close(slave)

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._master)

    def type(self, text: str) -> None:
        """Press these keys; \\r is Enter."""
        os.write(self._master, text.encode())

    def until(self, expected: str) -> str:
        """What is shown from the last time on up to and with `expected`, with \\n for line ends."""
        end = time.monotonic() + self._patience
        while expected not in self._shown:
            assert self._more(end), f"{expected!r} is not in {self._shown!r}"
        before, found, self._shown = self._shown.partition(expected)
        return before + found

    def shows(self, expected: str, seconds: float) -> bool:
        """Is that shown within so many seconds?"""
        end = time.monotonic() + seconds
        while expected not in self._shown and self._more(end):
            pass
        return expected in self._shown

    def rest(self) -> str:
        """What is shown until the command ends by itself."""
        end = time.monotonic() + self._patience
        while self._more(end):
            pass
        self.process.wait(max(1, end - time.monotonic()))
        rest, self._shown = self._shown, ""
        return rest

    def _more(self, end: float) -> bool:
        """Read on; False at the end, or when the time is over."""
        if not select.select([self._master], [], [], max(0, end - time.monotonic()))[0]:
            return False
        try:
            data = os.read(self._master, 65536)
        except OSError:  # Linux says so where others end the file
            return False
        text = self._cut + self._decoder.decode(data)
        self._cut = "\r" if text.endswith("\r") else ""
        text = text[: len(text) - len(self._cut)].replace("\r\n", "\n")
        self._shown += text
        self.all += text
        return bool(data)


CONTROL = re.compile("\x1b\\[([?\\d;]*)(.)")
COMMANDS = {"A": (-1, 0), "B": (1, 0), "C": (0, 1), "D": (0, -1)}  # up, down, right, left


def plain(text: str) -> str:
    """`text` without the sequences that set colours and modes."""
    return re.sub("\x1b\\[[?\\d;]*[a-zA-Z]\r?", "", text)


def screen(text: str, columns: int) -> list[str]:
    """The lines that a terminal of so many columns shows: as much of an xterm as readline uses (ECMA-48)."""
    lines, row, column = [""], 0, 0
    while text:
        control = CONTROL.match(text)
        if control:
            text = text[control.end() :]
            count = int(control[1]) if control[1].isdigit() else 1
            column = min(
                column, columns - 1
            )  # a full line waits with its cursor on its last column
            if control[2] in COMMANDS:
                down, right = COMMANDS[control[2]]
                row, column = row + down * count, column + right * count
            elif control[2] == "@":
                lines[row] = lines[row][:column] + " " * count + lines[row][column:]
            elif control[2] == "P":
                lines[row] = lines[row][:column] + lines[row][column + count :]
            elif control[2] in "KJ":
                lines[row] = lines[row][:column]
                lines[row + 1 :] = [] if control[2] == "J" else lines[row + 1 :]
            continue
        sign, text = text[0], text[1:]
        if sign == "\b":
            column = min(column, columns - 1) - 1
        elif sign == "\r":
            column = 0
        elif sign == "\n":
            row, column = row + 1, 0
        else:
            if column == columns:
                row, column = row + 1, 0
            lines += [""] * (row + 1 - len(lines))
            lines[row] = lines[row][:column].ljust(column) + sign + lines[row][column + 1 :]
            column += 1
        lines += [""] * (row + 1 - len(lines))
    return lines
