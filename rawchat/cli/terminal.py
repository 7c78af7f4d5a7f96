"""Standard error: what there is to say beside the answer, a line at a time, coloured on a terminal that likes it."""

import contextlib
import os
import re
from collections.abc import Mapping
from typing import Any, BinaryIO, Callable

from ..errors import RawchatError, one_line

# C0 but tab and newline, DEL and C1; marks, overrides and isolates of bidirectional text; tags; halves of characters.
CONTROL = re.compile(
    "[\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\\u061c\\u200e\\u200f\\u202a-\\u202e\\u2066-\\u2069"
    "\\ud800-\\udfff\\U000e0000-\\U000e007f]"
)


class Output:
    """An answer on its way to `file`.  Line ends at its end are held back until it is known what follows them.

    On a terminal, what could steer it is made visible; into a pipe or a file bytes go unchanged.
    """

    def __init__(self, file: BinaryIO):
        self._file = file
        self.terminal = file.isatty()
        self._held = ""  # the end of what was written that waits for more
        self._in_line = False
        self._open = False  # does the cursor stand in a line of ours?

    def write(self, text: str) -> None:
        """Show `text` now, but for what `parted` holds back."""
        shown, self._held = hold_back(self._held + text)
        if shown:
            if self._in_line and not self._open:  # `pending_newline` has ended the line already
                shown = re.sub("^\r?\n", "", shown)
            self._in_line = True
            self.put(utf8(shown))

    def put(self, data: bytes) -> None:
        """Show bytes as they are, now."""
        self._open = data[-1:] not in (
            b"",
            b"\n",
        )  # before they are seen: Ctrl-C may come right after
        try:
            self._file.write(
                utf8(escape_control(data.decode("utf-8", "replace"))) if self.terminal else data
            )
            self._file.flush()
        except BrokenPipeError:
            to_devnull(self._file)
            raise
        except OSError as error:
            to_devnull(self._file)
            raise unwritten("standard output", error) from None

    def end(self) -> None:
        """End the answer with one newline."""
        begun = self._open or not self._in_line  # else `pending_newline` has ended it
        self.put(utf8(self._held.rstrip("\r\n")) + b"\n" * begun)
        self._held, self._in_line = "", False

    def end_line(self) -> None:
        """End the line if something stands in it, and somebody still reads."""
        if self._in_line:
            with contextlib.suppress(OSError, RawchatError):
                self.end()

    def track_sigint(self) -> None:
        """From now on a Ctrl-C is known to leave a ^C on the terminal, in a line that has to be ended."""
        import signal  # here, not above: what goes into a pipe need not know

        def pressed(*signalled: Any) -> None:
            self._open = True
            signal.default_int_handler(*signalled)

        if (
            signal.getsignal(signal.SIGINT) is signal.default_int_handler
        ):  # else it is ignored: nohup, or &
            signal.signal(signal.SIGINT, pressed)

    def stop(self) -> None:
        """Leave the answer as it is, below what the terminal shows of Ctrl-C."""
        self.put(utf8(self.pending_newline()))
        self._held, self._in_line = "", False

    def pending_newline(self) -> str:
        """What has to be written before anything else is, where others write on the same terminal."""
        begun, self._open = self._open, False
        return "\n" * begun


def unwritten(name: str, error: OSError) -> RawchatError:
    """Return the error that names the file which took no more, and why: 'calls.jsonl: No space left on device'."""
    return RawchatError(f"{name}: {error.strerror or error}")


def to_devnull(file: Any) -> None:
    """Nobody reads `file` any more: what it still holds would fail again when Python ends, and make it complain."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), file.fileno())


def hold_back(text: str) -> tuple[str, str]:
    """`text` in two: what can be shown now, and its end that waits for more.

    Line ends wait, as they may turn out to be the last ones.  So does the first half of a character outside the
    BMP: servers that count in UTF-16 cut there.
    """
    end = len(text) - ("\ud800" <= text[-1:] <= "\udbff")
    end = len(text[:end].rstrip("\r\n"))
    return text[:end], text[end:]


def escape_control(text: str) -> str:
    """`text` with every character that can steer a terminal, or turn text around, shown as a symbol or its number.

    One by one, so that a sequence that comes in two parts cannot slip through.  Tab and newline stay; a carriage
    return, which would write over the line, is dropped.

    >>> escape_control("a\\x1b[31mb\\u202ec\\r\\n")
    'a␛[31mb<U+202E>c\\n'
    """
    return CONTROL.sub(control_symbol, text)


def control_symbol(match: "re.Match[str]") -> str:
    code = ord(match[0])
    if code == 0x0D:
        return ""
    return chr(0x2400 + code) if code < 0x20 else "\u2421" if code == 0x7F else f"<U+{code:04X}>"


def utf8(text: str) -> bytes:
    """`text` in UTF-8: halves of a character are joined, and a lone one becomes U+FFFD."""
    try:
        return text.encode()
    except UnicodeEncodeError:  # there are halves
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").encode()


STYLES = {
    "rawchat:": "31",
    ">": "36",
    "<": "32",
    "*": "2",
}  # by the first word of a line (ECMA-48, 8.3.117)


def use_color(when: str, environ: Mapping[str, str], terminal: bool) -> bool:
    """Is colour wanted?  --color decides; without it a terminal, unless NO_COLOR or TERM=dumb says no."""
    dull = environ.get("NO_COLOR") or environ.get("TERM") == "dumb"
    return when == "always" or (when == "auto" and terminal and not dull)


class Stderr:
    """Lines on their way to `file`, which is None if it was closed (2>&-)."""

    def __init__(self, file: Any):
        self._file = file
        self.terminal = bool(file) and file.isatty()
        self.colour = False
        self.pending_newline: Callable[[], str] = (
            str  #: on the terminal where the answer is too: what ends its line
        )

    def warn(self, text: str) -> None:
        """Say `rawchat: …`, in one line whatever is in it."""
        self.line(f"rawchat: {one_line(text, 2000)}")

    def line(self, text: str) -> None:
        """Say one line, now.  On a terminal what could steer it is made visible."""
        first, blank, rest = (escape_control(text) if self.terminal else text).partition(" ")
        if self.colour and first in STYLES:
            first = f"\x1b[{STYLES[first]}m{first}\x1b[0m"
        self.put(f"{first}{blank}{rest}\n")

    def put(self, text: str) -> None:
        """Write `text` as it is, in UTF-8; a standard error that takes nothing is left alone."""
        if self._file:
            try:
                self._file.flush()  # what functions of --tools have printed
                self._file.buffer.write(utf8(self.pending_newline() + text))
                self._file.flush()
            except OSError:
                to_devnull(self._file)
