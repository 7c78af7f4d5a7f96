"""Read the rows of the input: a line each, in the encoding that the file announces.

Windows PowerShell writes UTF-16, and archives are compressed: both are recognised by their first bytes and decoded.
Anything that is not text is refused, and never sent to a model.
"""

import codecs
import contextlib
import gzip
import io
import zlib
from collections.abc import Iterator
from typing import IO, AnyStr, Optional

from ..errors import RawchatError
from .rows import Row

GZIP_MAGIC = b"\x1f\x8b"

#: The mark of UTF-32-LE begins with that of UTF-16-LE, so it comes first.
BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
MARK_BYTES = 4  #: the longest mark

#: bytes of the longest line, more than a whole file of OpenAI's Batch format may have: a device has no line ends
MAX_LINE_BYTES = 256 * 2**20


class InputError(RawchatError):
    """The input cannot be read as rows."""


def read_rows(file: io.BufferedReader) -> Iterator[Row]:
    """Yield the rows of a file: its lines that are not blank.

    A line that is not text becomes a Row with an error.  Raises InputError for a file that cannot be decoded at all.
    """
    for number, line in enumerate(read_lines(file), 1):
        if line is None:
            yield Row(number, "", error=not_text(number))
        elif line.strip():
            yield Row(number, line)


def read_lines(file: io.BufferedReader) -> Iterator[Optional[str]]:
    """Yield the lines of a file without their ends; None for one that is not text."""
    start = file.peek(MARK_BYTES)
    if start.startswith(GZIP_MAGIC):
        yield from read_compressed(file)
        return
    for mark, encoding in BYTE_ORDER_MARKS:
        if start.startswith(mark):
            yield from read_encoded(file, encoding)
            return
    for number, data in enumerate(bounded_lines(file), 1):
        try:
            line = data.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
        except UnicodeDecodeError:
            yield None
            continue
        # UTF-16 without a mark, or a binary file.
        yield None if "\0" in line else line


def read_compressed(file: io.BufferedReader) -> Iterator[Optional[str]]:
    """Yield the lines of a gzip file."""
    try:
        # GzipFile is a reader of bytes like any other; `file` stays open when it ends.
        with gzip.GzipFile(fileobj=file) as unpacked:
            yield from read_lines(io.BufferedReader(unpacked))
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InputError(f"the gzip file is damaged: {error}") from None


def read_encoded(file: io.BufferedReader, encoding: str) -> Iterator[str]:
    """Yield the lines of a file in an encoding that its byte order mark announced."""
    # Only \n ends a line, as in UTF-8.
    text = io.TextIOWrapper(file, encoding=encoding, newline="\n")
    try:
        for line in bounded_lines(text):
            yield line.rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise InputError(f"the file begins as {encoding}, but is not: {error.reason}") from None
    finally:
        # Without this, `file` would be closed with the wrapper.
        with contextlib.suppress(ValueError):
            text.detach()


def bounded_lines(file: IO[AnyStr]) -> Iterator[AnyStr]:
    """Yield the lines of a file with their ends; raise InputError for one that is too long to be a row."""
    number = 0
    while True:
        number += 1
        line = file.readline(MAX_LINE_BYTES + 1)
        if not line:
            return
        if len(line) > MAX_LINE_BYTES:
            raise InputError(
                f"line {number} is longer than {MAX_LINE_BYTES} bytes: IN has one row in each line"
            )
        yield line


def count_lines(file: io.BufferedReader) -> int:
    """Return the number of rows in a file; raise InputError if one is not text."""
    count = 0
    for number, line in enumerate(read_lines(file), 1):
        if line is None:
            raise InputError(not_text(number))
        if line.strip():
            count += 1
    return count


def not_text(number: int) -> str:
    """Return the message about a line that cannot be decoded."""
    return f"line {number} is not text in UTF-8; convert the file, for example with iconv"
