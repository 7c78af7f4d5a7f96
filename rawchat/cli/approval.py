"""The question whether the model may call a function, on a terminal whose whole screen nobody else can draw.

The model chooses the arguments, so they are an attacker's text: every character that does not show as itself is
escaped, every row of them begins with a bar, an excerpt fits the screen, and the last row is ours.
"""

import contextlib
import os
import unicodedata
from collections.abc import Mapping
from typing import Any, NamedTuple, Optional

from .terminal import utf8

BAR = "| "


BLANK = "\u115f\u1160\u2800\u3164\uffa0"  # letters and a symbol that look like blanks, though Unicode prints them


SPARE = 2  #: rows left free: the cursor may stand in a line, and the answer ends one


SCREEN = (80, 24)  #: of a terminal that does not tell its size


class Call(NamedTuple):
    """A call that the model asks for."""

    name: str
    arguments: Mapping[str, Any]

    def __str__(self) -> str:
        return f"{self.name}({', '.join(self.texts())})"

    def texts(self) -> list[str]:
        """Return each argument as `name=value`, in one line of characters that show as themselves."""
        return [
            escaped(f"{name}={representation(value)}") for name, value in self.arguments.items()
        ]


def representation(value: Any) -> str:
    """Return `repr(value)`, or the reason why there is none: a number of 5,000 digits has none (PEP 651 bounds it)."""
    try:
        return repr(value)
    except Exception as error:  # a function's own class may raise anything
        return f"<{type(value).__name__} that cannot be shown: {type(error).__name__}>"


def escaped(text: str) -> str:
    """Return `text` with everything that does not show as itself written as an escape of Python.

    That is what is not printable (controls, bidirectional overrides, every blank but the space), what draws over its
    neighbour (combining marks), and what looks like a blank.

    >>> print(escaped("a\\tb\\u202ec\\u3000d\\u3164e\\u0301"))
    a\\tb\\u202ec\\u3000d\\u3164e\\u0301
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(sign if shows(sign) else ascii(sign)[1:-1] for sign in text)


def shows(sign: str) -> bool:
    """Return whether a character takes a place of its own on the screen, and can be seen there."""
    return (
        sign.isprintable() and sign not in BLANK and unicodedata.category(sign) not in ("Mn", "Me")
    )


def width(text: str) -> int:
    """Return the most columns that `text` takes: 2 for each character that some terminal shows wide (UAX #11)."""
    if text.isascii():
        return len(text)
    return sum(
        1 if ord(sign) < 0x1100 and unicodedata.east_asian_width(sign) in ("N", "Na", "H") else 2
        for sign in text
    )


def rows_of(text: str, columns: int, limit: Optional[int] = None) -> tuple[list[str], int]:
    """Return `text` in at most `limit` rows of so many columns, and how many characters are in them."""
    rows, row, used, taken = [], "", 0, 0
    for sign in text:
        size = width(sign)
        if row and used + size > columns:
            rows.append(row)
            row, used = "", 0
            if len(rows) == limit:
                return rows, taken
        row, used, taken = row + sign, used + size, taken + 1
    return [*rows, row], taken


def question(name: str, columns: int, hidden: bool = False) -> str:
    """Return the last row of the question, which ends with the function's name, cut in its middle if too long."""
    name = escaped(name)
    more = ", s: show all" if hidden else ""
    for text in (
        f"rawchat: [y/N{more}] may the model call {name}? ",
        f"[y/N{'/s' if hidden else ''}] {name}? ",
    ):
        if width(text) < columns:
            return text
    room = max(4, (columns - 14) // 4)
    return f"[y/N{'/s' if hidden else ''}] {name[:room]}…{name[-room:]}? "


def screenful(call: Call, columns: int, lines: int) -> list[str]:
    """Return the rows that ask for `call`; they fit a screen of that size, and say how much of it they do not show."""
    texts, room = call.texts() or ["(no arguments)"], max(1, lines - SPARE - 1)
    wrapped = excerpt(texts, columns, room)
    if wrapped[1]:
        rows, hidden = excerpt(texts, columns, max(1, room - 1))
        note = f"* {hidden} of {sum(map(len, texts))} characters are hidden"
        rows.append(note if len(note) < columns else note[: columns - 3] + "…")
    else:
        rows = wrapped[0]
    return [*rows, question(call.name, columns, bool(wrapped[1]))]


def excerpt(texts: list[str], columns: int, room: int) -> tuple[list[str], int]:
    """Return the beginnings of `texts` in at most `room` rows, a fair share each, and how many characters are left."""
    rows: list[str] = []
    taken = 0
    for number, text in enumerate(texts):
        left = room - len(rows)
        if left < 1:
            break
        share = max(1, left // (len(texts) - number))
        some, size = rows_of(text, max(1, columns - len(BAR) - 1), share)
        rows += [BAR + row for row in some]
        taken += size
    return rows, sum(map(len, texts)) - taken


def ask(call: Call) -> Optional[bool]:
    """Ask on the terminal of this process, wherever its standard input comes from; None if it has none.

    y and yes allow the call, s shows it whole and asks again, all else refuses.  What was typed before a question was
    there is not its answer.
    """
    try:
        with open("/dev/tty", "r+b", buffering=0) as terminal:
            while True:
                columns, lines = size_of(terminal)
                reply = answer_to("\n".join(screenful(call, columns, lines)), terminal)
                if reply not in ("s", "show"):
                    return reply in ("y", "yes")
                show(call, terminal)
    except OSError:
        return None


def show(call: Call, terminal: Any) -> None:
    """Show all arguments of `call`, a screen at a time."""
    columns, lines = size_of(terminal)
    rows = [
        BAR + row
        for text in call.texts()
        for row in rows_of(text, max(1, columns - len(BAR) - 1))[0]
    ]
    step = max(1, lines - SPARE - 1)
    for start in range(0, len(rows), step):
        page = "\n".join(rows[start : start + step])
        left = len(rows) - start - step
        if left <= 0:
            terminal.write(utf8(page + "\n"))
        elif answer_to(f"{page}\n[Enter/q] {left} more ", terminal) not in ("", "s"):
            return


def answer_to(text: str, terminal: Any) -> str:
    """Write `text` and return the line that is typed then, in small letters."""
    with contextlib.suppress(ImportError):
        import termios  # POSIX only

        termios.tcflush(terminal.fileno(), termios.TCIFLUSH)
    terminal.write(utf8(text))
    typed: bytes = terminal.readline()
    if not typed.endswith(b"\n"):  # Ctrl-D ends no line
        terminal.write(b"\n")
        return "q"
    return typed.decode("utf-8", "replace").strip().lower()


def size_of(terminal: Any) -> tuple[int, int]:
    """Return the columns and lines of a terminal; some say that they have none."""
    try:
        columns, lines = os.get_terminal_size(terminal.fileno())
    except OSError:
        return SCREEN
    return columns or SCREEN[0], lines or SCREEN[1]
