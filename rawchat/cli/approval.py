"""Ask on the terminal whether the model may call a function, in a way that the arguments cannot forge.

The model chooses the arguments, so they are an attacker's text.  Every character that does not show as itself is
escaped, the first row of every argument begins with a bar and its further rows with a colon and an indent, an excerpt
fits the screen, and the last row is ours:

    | city='Paris, or any other place whose name is too long fo
    :     r one row'
    rawchat: [y/N] may the model call temperature?
"""

import contextlib
import os
import re
import unicodedata
from collections.abc import Mapping
from typing import Any, NamedTuple, Optional

from .terminal import utf8

#: the margins of the first row of an argument and of its further rows: a value must not look like another
#: argument, whatever it holds
BAR = "| "
CONTINUATION = ":     "
ELLIPSIS = "…"

# Letters and symbols that look like blanks, though Unicode counts them as printable: two Hangul fillers, the jamo
# filler of half width, the empty Braille pattern.
BLANK = "\u115f\u1160\u2800\u3164\uffa0"

# More of them: the musical symbol of a null notehead, two blanks of Egyptian hieroglyphs, the object replacement.
BLANK += "\U0001d159\U00013441\U00013442\ufffc"

# Vowels and final consonants of Hangul, which a terminal joins with the letter before them, in no column of their own
# (wcwidth gives 0).
JOINING = re.compile("[\u1160-\u11ff\ud7b0-\ud7ff]")

#: rows left free on the screen: the cursor may stand in a line, and the typed answer ends one
SPARE_ROWS = 2

#: columns and lines of a terminal that does not report its size
DEFAULT_SIZE = (80, 24)

#: columns of a question around the function's name, if the name itself has to be cut
QUESTION_COLUMNS = 14

#: below this code point (Hangul Jamo) no character is wide
FIRST_WIDE = 0x1100


class Call(NamedTuple):
    """A call that the model asks for."""

    name: str
    arguments: Mapping[str, Any]

    def __str__(self) -> str:
        return f"{self.name}({', '.join(self.texts())})"

    def texts(self) -> list[str]:
        """Return each argument as `name=value`, in one line of characters that show as themselves."""
        texts = []
        for name, value in self.arguments.items():
            # The model chooses the names too: a name with blanks or = in it is shown in quotes.
            shown = name if name.isidentifier() else repr(name)
            texts.append(escape_invisible(f"{shown}={representation(value)}"))
        return texts


# ---- asking


def ask(call: Call) -> Optional[bool]:
    """Ask on the terminal of this process, even if standard input is a pipe; return None if there is no terminal.

    y and yes allow the call, s shows all of it and asks again, anything else refuses.  What was typed before the
    question appeared does not answer it.
    """
    try:
        with contextlib.ExitStack() as stack:
            terminal = open_terminal(stack)
            while True:
                columns, lines = size_of(terminal)
                question = "\n".join(screenful(call, columns, lines))
                answer = read_answer(question, terminal)
                if answer not in ("s", "show"):
                    return answer in ("y", "yes")
                show_all(call, terminal)
    except OSError:
        return None


class Terminal(NamedTuple):
    """The terminal of this process: what is typed there, and what shows there."""

    keyboard: Any
    screen: Any


def open_terminal(stack: contextlib.ExitStack) -> Terminal:
    """Return the terminal of this process, which `stack` closes; raise OSError if there is none."""
    keyboard, screen = ("CONIN$", "CONOUT$") if os.name == "nt" else ("/dev/tty", "/dev/tty")
    return Terminal(
        stack.enter_context(open(keyboard, "rb", buffering=0)),
        stack.enter_context(open(screen, "wb", buffering=0)),
    )


def show_all(call: Call, terminal: Terminal) -> None:
    """Print all arguments of `call`, a screen at a time, until the person stops it."""
    columns, lines = size_of(terminal)
    rows = []
    for text in call.texts():
        wrapped, _ = wrap(text, columns)
        rows += wrapped
    page_rows = max(1, lines - SPARE_ROWS - 1)
    for start in range(0, len(rows), page_rows):
        page = "\n".join(rows[start : start + page_rows])
        remaining = len(rows) - start - page_rows
        if remaining <= 0:
            terminal.screen.write(utf8(page + "\n"))
        elif read_answer(f"{page}\n[Enter/q] {remaining} more ", terminal) not in ("", "s"):
            return


def read_answer(question: str, terminal: Terminal) -> str:
    """Print `question` and return the line that is typed after it, in lower case; "q" for Ctrl-D."""
    drop_typed_ahead(terminal)
    terminal.screen.write(utf8(question))
    typed: bytes = terminal.keyboard.readline()
    if not typed.endswith(b"\n"):
        # Ctrl-D ends no line
        terminal.screen.write(b"\n")
        return "q"
    return typed.decode("utf-8", "replace").strip().lower()


def drop_typed_ahead(terminal: Terminal) -> None:
    """Drop what was typed and not read yet."""
    try:
        import termios
    except ImportError:
        # Windows
        with contextlib.suppress(ImportError):
            import msvcrt

            while msvcrt.kbhit():  # type: ignore[attr-defined,unused-ignore]
                msvcrt.getch()  # type: ignore[attr-defined,unused-ignore]
    else:
        termios.tcflush(terminal.keyboard.fileno(), termios.TCIFLUSH)


def size_of(terminal: Terminal) -> tuple[int, int]:
    """Return the columns and lines of a terminal; some report none, or zero."""
    try:
        columns, lines = os.get_terminal_size(terminal.screen.fileno())
    except OSError:
        return DEFAULT_SIZE
    return columns or DEFAULT_SIZE[0], lines or DEFAULT_SIZE[1]


# ---- a question that fits the screen


def screenful(call: Call, columns: int, lines: int) -> list[str]:
    """Return the rows that ask for `call`; they fit a screen of that size, and say how much of it is hidden."""
    texts = call.texts() or ["(no arguments)"]
    room = max(1, lines - SPARE_ROWS - 1)
    rows, hidden = excerpt(texts, columns, room)
    if hidden:
        # one row less, for the line that says so
        rows, hidden = excerpt(texts, columns, max(1, room - 1))
        total = sum(len(text) for text in texts)
        notice = f"* {hidden} of {total} characters are hidden"
        if len(notice) >= columns:
            notice = notice[: columns - 3] + ELLIPSIS
        rows.append(notice)
    return [*rows, question_row(call.name, columns, hidden > 0)]


def excerpt(texts: list[str], columns: int, room: int) -> tuple[list[str], int]:
    """Return the beginnings of `texts` in at most `room` rows, and the number of characters that are left out.

    Every text gets an equal share of the rows that are free when its turn comes, and at least one.
    """
    rows: list[str] = []
    shown = 0
    for number, text in enumerate(texts):
        free = room - len(rows)
        if free < 1:
            break
        share = max(1, free // (len(texts) - number))
        wrapped, length = wrap(text, columns, share)
        rows += wrapped
        shown += length
    return rows, sum(len(text) for text in texts) - shown


def question_row(name: str, columns: int, hidden: bool = False) -> str:
    """Return the last row of the question, which ends with the function's name, cut in its middle if it is too long.

    hidden      arguments are hidden, and the person can show all of them
    """
    name = escape_invisible(name)
    long_keys = "y/N, s: show all" if hidden else "y/N"
    keys = "y/N/s" if hidden else "y/N"
    for text in (
        f"rawchat: [{long_keys}] may the model call {name}? ",
        f"[{keys}] {name}? ",
    ):
        if width(text) < columns:
            return text
    # half of the room for each end, and every character may be two columns wide
    room = max(4, (columns - QUESTION_COLUMNS) // 4)
    return f"[{keys}] {name[:room]}{ELLIPSIS}{name[-room:]}? "


def wrap(text: str, columns: int, limit: Optional[int] = None) -> tuple[list[str], int]:
    """Return the text of an argument in at most `limit` rows, and the number of its characters in them.

    Every row has its margin, and stays narrower than `columns`: a full row would wrap by itself on some terminals.
    """
    rows: list[str] = []
    margin = BAR
    row = ""
    used = len(margin)
    length = 0
    for character in text:
        size = width(character)
        if row and used + size >= columns:
            rows.append(margin + row)
            margin = CONTINUATION
            row = ""
            used = len(margin)
            if len(rows) == limit:
                return rows, length
        row += character
        used += size
        length += 1
    rows.append(margin + row)
    return rows, length


# ---- characters


def representation(value: Any) -> str:
    """Return `repr(value)`, or the reason why there is none.

    A number of 5,000 digits has none since Python 3.11, and the class of a function's parameter may raise anything.
    """
    try:
        return repr(value)
    except Exception as error:
        return f"<{type(value).__name__} that cannot be shown: {type(error).__name__}>"


def escape_invisible(text: str) -> str:
    """Return `text` with everything that does not show as itself written as a Python escape.

    That is what is not printable (controls, bidirectional overrides, every blank but the space), what draws over its
    neighbour (combining marks, Hangul that joins), and what looks like a blank.

    >>> print(escape_invisible("a\\tb\\u202ec\\u3000d\\u3164e\\u0301"))
    a\\tb\\u202ec\\u3000d\\u3164e\\u0301
    """
    if text.isascii() and text.isprintable():
        return text
    characters = []
    for character in text:
        if not is_visible(character):
            character = ascii(character)[1:-1]
        characters.append(character)
    return "".join(characters)


def is_visible(character: str) -> bool:
    """Return whether a character takes a place of its own on the screen, and can be seen there."""
    if not character.isprintable() or character in BLANK:
        return False
    if JOINING.match(character):
        return False
    return unicodedata.category(character) not in ("Mn", "Me")


def width(text: str) -> int:
    """Return the most columns that `text` takes: 2 for each character that some terminal shows wide (UAX #11)."""
    if text.isascii():
        return len(text)
    columns = 0
    for character in text:
        narrow = unicodedata.east_asian_width(character) in ("N", "Na", "H")
        columns += 1 if narrow and ord(character) < FIRST_WIDE else 2
    return columns
