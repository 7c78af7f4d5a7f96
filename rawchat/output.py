"""Standard output: what is shown is there at once, in UTF-8, and ends with exactly one newline."""
import contextlib
import os
from typing import Any, BinaryIO


class Output:
    """An answer on its way to `file`.  Line ends at its end are held back until it is known what follows them."""

    def __init__(self, file: BinaryIO):
        self._file = file
        self._held = ""                     # the end of what was written that waits for more
        self._in_line = False

    def write(self, text: str) -> None:
        """Show `text` now, but for what `parted` holds back."""
        shown, self._held = parted(self._held + text)
        if shown:
            self._in_line = True
            self.put(utf8(shown))

    def put(self, data: bytes) -> None:
        """Show bytes as they are, now."""
        try:
            self._file.write(data)
            self._file.flush()
        except OSError:
            abandon(self._file)
            raise

    def end(self) -> None:
        """End the answer with one newline."""
        self.put(utf8(self._held.rstrip("\r\n")) + b"\n")
        self._held, self._in_line = "", False

    def end_line(self) -> None:
        """End the line if something stands in it, and somebody still reads."""
        if self._in_line:
            with contextlib.suppress(OSError):
                self.end()


def abandon(file: Any) -> None:
    """Nobody reads `file` any more: what it still holds would fail again when Python ends, and make it complain."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), file.fileno())


def parted(text: str) -> tuple[str, str]:
    """`text` in two: what can be shown now, and its end that waits for more.

    Line ends wait, as they may turn out to be the last ones.  So does the first half of a character outside the
    BMP: servers that count in UTF-16 cut there.
    """
    end = len(text) - ("\ud800" <= text[-1:] <= "\udbff")
    end = len(text[:end].rstrip("\r\n"))
    return text[:end], text[end:]


def utf8(text: str) -> bytes:
    """`text` in UTF-8: halves of a character are joined, and a lone one becomes U+FFFD."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").encode()
