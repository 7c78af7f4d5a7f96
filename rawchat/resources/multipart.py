"""Encode a form with files as multipart/form-data (RFC 7578), to be read from disk while it is sent.

A body that holds a file becomes a form: its texts first, then its files, as the SDK sends them.

>>> form = Form({"model": "whisper-1", "file": ("hi.txt", b"Hello")}, boundary="b")
>>> print(b"".join(form.open()).decode().replace("\\r\\n", "\\n"), end="")
--b
Content-Disposition: form-data; name="model"
<BLANKLINE>
whisper-1
--b
Content-Disposition: form-data; name="file"; filename="hi.txt"
Content-Type: text/plain
<BLANKLINE>
Hello
--b--

Each part begins with a line of two hyphens and the boundary, then its headers, an empty line, and its bytes; a last line
with two more hyphens ends the body (RFC 2046, 5.1.1).
"""

import mimetypes
import os
import pathlib
import re
import secrets
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, Optional, Union

from .files import FileContent, FileData, open_content

#: A character that would end a quoted name, or its line.  The WHATWG replaces the quote, CR and LF (HTML, 4.10.21.8);
#: the SDK does so with every control character, which no name of a file needs.
UNSAFE_IN_NAME = re.compile(r'["\x00-\x1f]')

#: A media type that cannot be a header's value.
INVALID_TYPE = re.compile(r"[\x00-\x1f\x7f]")

#: The type of a file whose name says nothing (RFC 7578, 4.4).
UNKNOWN_TYPE = "application/octet-stream"


class FilePart(NamedTuple):
    """A file of a form."""

    name: str  #: of the field
    filename: Optional[str]
    content_type: Optional[str]
    data: FileData


# ---- finding the files in a body


def is_file(value: Any) -> bool:
    """Return whether a value of a body is a file: a path, an open file, or (name, content), (name, content, type)."""
    if isinstance(value, tuple):
        return 2 <= len(value) <= 3 and is_content(value[1]) and is_name(value[0])
    return isinstance(value, os.PathLike) or hasattr(value, "read")


def is_name(value: Any) -> bool:
    """Return whether `value` can be the name of a file; None is a part without one."""
    return value is None or isinstance(value, str)


def is_content(value: Any) -> bool:
    """Return whether `value` can be the content of a named file."""
    return isinstance(value, (bytes, bytearray, os.PathLike)) or hasattr(value, "read")


def holds_file(value: Any) -> bool:
    """Return whether a body holds a file, at any depth."""
    if is_file(value):
        return True
    if isinstance(value, Mapping):
        return any(holds_file(item) for item in value.values())
    return isinstance(value, (list, tuple)) and any(holds_file(item) for item in value)


# ---- the parts


def flatten(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Yield the fields of a form for one entry of a body, each with its name: a text or a file.

    Objects and lists become names with brackets, as in the SDK: `a[b]`, `a[]`.  None is left out.

    >>> list(flatten("a", {"b": [1, True], "c": None}))
    [('a[b][]', '1'), ('a[b][]', 'true')]
    """
    if is_file(value):
        yield name, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from flatten(f"{name}[{key}]", item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from flatten(f"{name}[]", item)
    elif value is not None:
        yield name, text_of(name, value)


def text_of(name: str, value: Any) -> str:
    """Return a value of a form as text; raise TypeError or ValueError for one that has none."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (bytes, bytearray)):
        raise TypeError(f"{name}: bytes need the name of a file: ('name.wav', data)")
    if not isinstance(value, (str, int, float)):
        raise TypeError(f"{name}: {type(value).__name__} cannot be a field of a form")
    text = str(value)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(
            f"{name}: lone surrogate U+{ord(text[error.start]):04X} at position {error.start + 1}"
        ) from None
    return text


def file_part(name: str, value: Any) -> FilePart:
    """Return the part for a file of a body; its type is guessed by its name unless it is given.

    Raises OSError for a file that cannot be read, TypeError for one that is open as text, ValueError for a type that
    cannot be a header.
    """
    content_type: Optional[str] = None
    content: FileContent = value
    filename: Optional[str]
    if isinstance(value, tuple):
        filename, content = value[0], value[1]
        content_type = value[2] if len(value) == 3 else None
    elif isinstance(value, os.PathLike):
        filename = pathlib.Path(value).name
    else:
        filename = pathlib.Path(str(getattr(value, "name", "upload"))).name
    if content_type is None and filename:
        content_type = mimetypes.guess_type(filename)[0] or UNKNOWN_TYPE
    if content_type is not None and INVALID_TYPE.search(content_type):
        raise ValueError(f"{name}: not a content type: {content_type!r}")
    return FilePart(name, filename, content_type, open_content(content, filename or name))


def quote_name(name: str) -> str:
    """Return the name of a field or a file as it stands between quotes; what is not ASCII is sent as UTF-8.

    >>> quote_name('a"b\\r\\n')
    'a%22b%0D%0A'
    """
    return UNSAFE_IN_NAME.sub(lambda match: f"%{ord(match[0]):02X}", name)


# ---- the body


class Form:
    """A multipart/form-data body, of known length, that `open` reads anew for every attempt (`wire.Upload`)."""

    def __init__(self, body: Mapping[str, Any], boundary: Optional[str] = None):
        """Take the entries of a body.  `boundary` must not occur in it; default: 32 random hexadecimal digits.

        Raises what `text_of` and `file_part` raise.
        """
        self.boundary = boundary or secrets.token_hex(16)
        self.texts: list[tuple[str, str]] = []
        self.files: list[FilePart] = []
        for name, value in body.items():
            for field, item in flatten(name, value):
                if is_file(item):
                    self.files.append(file_part(field, item))
                else:
                    self.texts.append((field, item))
        self.content_type = f"multipart/form-data; boundary={self.boundary}"
        #: the bytes between the files, and the files
        self._segments = list(self._layout())
        self.length = sum(segment_length(segment) for segment in self._segments)

    def _layout(self) -> Iterator[Union[bytes, FileData]]:
        """Yield the body: framing as bytes, and each file as it is."""
        delimiter = f"--{self.boundary}"
        for name, text in self.texts:
            yield (
                f"{delimiter}\r\n"
                f'Content-Disposition: form-data; name="{quote_name(name)}"\r\n\r\n{text}\r\n'
            ).encode()
        for part in self.files:
            # A name on disk that is not UTF-8 is sent as the bytes that it is.
            yield f"{delimiter}\r\n{part_headers(part)}\r\n\r\n".encode("utf-8", "surrogateescape")
            yield part.data
            yield b"\r\n"
        yield f"{delimiter}--\r\n".encode()

    def open(self) -> Iterator[bytes]:
        """Yield the whole body, `length` bytes, in pieces of bounded size.

        Raises RawchatError for a file that has changed or gone since it was looked at.
        """
        for segment in self._segments:
            if isinstance(segment, bytes):
                yield segment
            else:
                yield from segment.open()

    @property
    def excerpt(self) -> bytes:
        """The body as a log shows it: a file is its size in bytes."""
        shown = []
        for segment in self._segments:
            if isinstance(segment, bytes):
                shown.append(segment)
            else:
                shown.append(f"[{segment.length} bytes]".encode())
        return b"".join(shown)

    @property
    def curl_options(self) -> list[tuple[str, str]]:
        """The form as options of curl with their values, not yet quoted for a shell."""
        options = [("--form-string", f"{name}={text}") for name, text in self.texts]
        for part in self.files:
            path = part.data.path or part.filename or "-"
            value = f'{part.name}=@"{curl_quote(path)}"'
            if part.content_type:
                value += f";type={part.content_type}"
            if part.filename and part.filename != os.path.basename(path):
                value += f';filename="{curl_quote(part.filename)}"'
            options.append(("--form", value))
        return options


def part_headers(part: FilePart) -> str:
    """Return the header lines of a file (RFC 7578, 4.2 and 4.4)."""
    lines = f'Content-Disposition: form-data; name="{quote_name(part.name)}"'
    if part.filename:
        lines += f'; filename="{quote_name(part.filename)}"'
    if part.content_type is not None:
        lines += f"\r\nContent-Type: {part.content_type}"
    return lines


def segment_length(segment: Union[bytes, FileData]) -> int:
    """Return the number of bytes of a segment of a body."""
    return len(segment) if isinstance(segment, bytes) else segment.length


def curl_quote(text: str) -> str:
    """Return a name as it stands between double quotes in curl's --form."""
    return text.replace("\\", "\\\\").replace('"', '\\"')
