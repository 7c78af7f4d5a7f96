"""Standard error: what there is to say beside the answer, a line at a time, coloured on a terminal that likes it."""

from collections.abc import Mapping
from typing import Any, Callable

from .errors import one_line
from .output import abandon, utf8, visible

STYLES = {
    "rawchat:": "31",
    ">": "36",
    "<": "32",
    "*": "2",
}  # by the first word of a line (ECMA-48, 8.3.117)


def colourful(when: str, environ: Mapping[str, str], terminal: bool) -> bool:
    """Is colour wanted?  --color decides; without it a terminal, unless NO_COLOR or TERM=dumb says no."""
    dull = environ.get("NO_COLOR") or environ.get("TERM") == "dumb"
    return when == "always" or (when == "auto" and terminal and not dull)


class Notes:
    """Lines on their way to `file`, which is None if it was closed (2>&-)."""

    def __init__(self, file: Any):
        self._file = file
        self.terminal = bool(file) and file.isatty()
        self.colour = False
        self.leave_line: Callable[[], str] = (
            str  #: on the terminal where the answer is too: what ends its line
        )

    def complain(self, text: str) -> None:
        """Say `rawchat: …`, in one line whatever is in it."""
        self.say(f"rawchat: {one_line(text, 2000)}")

    def say(self, line: str) -> None:
        """Say one line, now.  On a terminal what could steer it is made visible."""
        first, blank, rest = (visible(line) if self.terminal else line).partition(" ")
        if self.colour and first in STYLES:
            first = f"\x1b[{STYLES[first]}m{first}\x1b[0m"
        self.put(f"{first}{blank}{rest}\n")

    def put(self, text: str) -> None:
        """Write `text` as it is, in UTF-8; a standard error that takes nothing is left alone."""
        if self._file:
            try:
                self._file.flush()  # what functions of --tools have printed
                self._file.buffer.write(utf8(self.leave_line() + text))
                self._file.flush()
            except OSError:
                abandon(self._file)
