"""Write to standard output and standard error: the answer, and the lines beside it.

On a terminal every character that could steer it is replaced by a visible symbol; a pipe or a file gets the bytes
unchanged.  `Output` holds the line ends at the end of a text back, so that an answer ends with exactly one.  Where both
streams are the same terminal, `Stderr` first ends the line that `Output` has begun.
"""

import contextlib
import errno
import os
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, BinaryIO, Callable, Optional, TextIO

from ..errors import DOCTOR, DOCTOR_COMMAND, RawchatError, one_line
from ..wire.printable import escape_control as escape_control

if TYPE_CHECKING:
    from .options import Options
    from .wrap import WordWrapper

# The colours of a line on standard error by its first word (ECMA-48, 8.3.117): red, cyan, green, faint.
FAINT = "2"
STYLES = {"rawchat:": "31", ">": "36", "<": "32", "*": FAINT}

#: characters of a warning; a longer one is cut
MAX_WARNING = 2000


# ---- standard output


class Output:
    """Standard output, or any other binary file, that receives an answer piece by piece."""

    def __init__(self, file: BinaryIO):
        self._file = file
        self.terminal = file.isatty()
        self.wrapper: Optional[WordWrapper] = None  # of the chat prompt
        self._held = ""  # line ends, or half of a character, that wait for what follows
        self._started = False  # something of the current answer has been written
        self._line_open = False  # the cursor stands in a line that `put` has begun

    def write(self, text: str) -> None:
        """Write a piece of text at once, except for the end that `hold_back` keeps."""
        ready, self._held = hold_back(self._held + text)
        if not ready:
            return
        if self._started and not self._line_open:
            # `pending_newline` has ended the line already
            ready = re.sub("^\r?\n", "", ready)
        self._started = True
        if self.terminal:
            ready = escape_control(ready)
            if self.wrapper:
                ready = self.wrapper.wrap(ready)
        self._write(utf8(ready))

    def put(self, data: bytes) -> None:
        """Write bytes as they are, or escaped on a terminal, and flush.

        Raises BrokenPipeError if the reader has gone, RawchatError if the bytes cannot be written.
        """
        if self.terminal:
            data = utf8(escape_control(data.decode("utf-8", "replace")))
        self._write(data)

    def _write(self, data: bytes) -> None:
        """Write and flush bytes that are harmless on a terminal."""
        # set first: Ctrl-C may come right after the terminal shows them
        self._line_open = bool(data) and not data.endswith(b"\n")
        try:
            self._file.write(data)
            self._file.flush()
        except OSError as error:
            to_devnull(self._file)
            if is_closed_pipe(error):
                raise BrokenPipeError from None
            raise write_error("standard output", error) from None

    def end(self) -> None:
        """End the answer with one newline."""
        rest = self._held.rstrip("\r\n")
        # the line of an answer that has started may have been ended by `pending_newline`
        if self._line_open or not self._started:
            rest += "\n"
        self.put(utf8(rest))
        self._reset()

    def end_line(self) -> None:
        """End the line if an answer has started and the reader is still there."""
        if self._started:
            with contextlib.suppress(OSError, RawchatError):
                self.end()

    def stop(self) -> None:
        """Leave the answer as it is, and end the line in which the terminal shows ^C."""
        self.put(utf8(self.pending_newline()))
        self._reset()

    def _reset(self) -> None:
        """Prepare for the next answer."""
        self._held = ""
        self._started = False
        if self.wrapper:
            self.wrapper.start_answer()

    def pending_newline(self) -> str:
        """Return the newline that ends the open line, if there is one, for a caller that writes it itself.

        The caller is the one that writes next to the same terminal.
        """
        if not self._line_open:
            return ""
        self._line_open = False
        if self.wrapper:
            self.wrapper.reset()
        return "\n"

    def track_sigint(self) -> None:
        """Note at every Ctrl-C that the terminal shows ^C, in a line that has to be ended.

        A SIGINT that is ignored (nohup, &) or has another handler stays as it is.
        """
        import signal  # here, not above: output into a pipe does not need it

        def note_sigint(*arguments: Any) -> None:
            self._line_open = True
            signal.default_int_handler(*arguments)

        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, note_sigint)


def hold_back(text: str) -> tuple[str, str]:
    """Return `text` in two parts: what can be written now, and its end that waits for more.

    Line ends wait, because they may turn out to be the last ones.  So does the first half of a surrogate pair:
    servers that count in UTF-16 cut there.
    """
    end = len(text)
    if text and "\ud800" <= text[-1] <= "\udbff":
        end -= 1
    end = len(text[:end].rstrip("\r\n"))
    return text[:end], text[end:]


def write_error(name: str, error: OSError) -> RawchatError:
    """Return the error for a file that cannot be written: 'calls.jsonl: No space left on device'."""
    return RawchatError(f"{name}: {error.strerror or error}")


def is_closed_pipe(error: OSError) -> bool:
    """Return whether the reader has gone; Windows reports that as an invalid argument."""
    return isinstance(error, BrokenPipeError) or (os.name == "nt" and error.errno == errno.EINVAL)


def to_devnull(file: Any) -> None:
    """Redirect `file` to the null device.

    Python flushes standard files when it exits; what they still hold would fail again, with a traceback.
    """
    os.dup2(os.open(os.devnull, os.O_WRONLY), file.fileno())


# ---- text for a terminal


def utf8(text: str) -> bytes:
    """Return `text` in UTF-8; surrogate pairs are joined, and a lone surrogate becomes U+FFFD."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        joined = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        return joined.encode()


def use_color(when: str, environ: Mapping[str, str], terminal: bool) -> bool:
    """Return whether to write in colour.

    when        the value of --color: "always", "never", or "auto", which means on a terminal
    environ     NO_COLOR (no-color.org) or TERM=dumb turn "auto" off
    """
    if when != "auto":
        return when == "always"
    if environ.get("NO_COLOR") or not knows_escapes(environ):
        return False
    return terminal


def knows_escapes(environ: Mapping[str, str]) -> bool:
    """Return whether a terminal knows escape sequences.

    Not one with TERM=dumb, and not the old console of Windows; its Terminal, ConEmu and the shells of Git say who they are.
    """
    if environ.get("OS") == "Windows_NT":
        known = environ.get("WT_SESSION") or environ.get("TERM")
        return bool(known) or environ.get("ConEmuANSI") == "ON"
    return environ.get("TERM") != "dumb"


# ---- standard error


def describe_error(error: Exception, options: "Options") -> str:
    """Return the text of an error.

    If it advises to run the doctor, and --base-url names the server, the advice names it too: the doctor would try the
    server of the environment.
    """
    text = str(error)
    if "base_url" not in options.given or DOCTOR not in text:
        return text
    import shlex

    from ..keys.redaction import redact_url

    server = shlex.quote(redact_url(options.base_url or ""))
    return text.replace(DOCTOR_COMMAND, f"{DOCTOR_COMMAND} --base-url {server}")


def no_newline() -> str:
    """Return the empty text: no line of an answer is open on this terminal."""
    return ""


class Stderr:
    """Standard error, written a line at a time; `file` is None if it was closed (2>&-)."""

    def __init__(self, file: Optional[TextIO]):
        self._file = file
        self.terminal = file is not None and file.isatty()
        self.colour = False
        self._line_open = False  # `write` has begun a line
        #: where the answer goes to the same terminal: `Output.pending_newline`
        self.pending_newline: Callable[[], str] = no_newline

    def warn(self, text: str) -> None:
        """Write `rawchat: …`, as one line whatever the text holds."""
        self.line(f"rawchat: {one_line(text, MAX_WARNING)}")

    def line(self, text: str) -> None:
        """Write one line; control characters are escaped on a terminal."""
        if self.terminal:
            text = escape_control(text)
        first, blank, rest = text.partition(" ")
        if self.colour and first in STYLES:
            first = f"\x1b[{STYLES[first]}m{first}\x1b[0m"
        self._put(f"{first}{blank}{rest}\n")

    def lines(self, text: str) -> None:
        """Write a text of several lines, such as a traceback; control characters are escaped on a terminal."""
        for line in text.rstrip("\n").split("\n"):
            self.line(line)

    def write(self, text: str) -> None:
        """Write a piece of a longer text, which is not empty; `end_line`, or any other line, ends it."""
        # else `_put` would end the line
        self._line_open = False
        ends_line = text.endswith("\n")
        if self.terminal:
            text = escape_control(text)
        if self.colour:
            text = f"\x1b[{FAINT}m{text}\x1b[0m"
        self._put(text)
        self._line_open = not ends_line

    def end_line(self) -> None:
        """End the line that `write` has begun."""
        if self._line_open:
            self._line_open = False
            self._put("\n")

    def _put(self, text: str) -> None:
        """Write `text`, which is harmless on a terminal, in UTF-8; an error of standard error itself is ignored."""
        if self._file is None:
            return
        self.end_line()
        try:
            # what the functions of --tools have printed comes first
            self._file.flush()
            self._file.buffer.write(utf8(self.pending_newline() + text))
            self._file.flush()
        except OSError:
            to_devnull(self._file)
