"""Files that are sent: a path, an open file, or bytes, each of known length, read anew for every attempt."""

import io
import os
import stat
import tempfile
import weakref
from collections.abc import Iterator
from typing import Any, BinaryIO, Optional, Union

from ..errors import RawchatError

#: What the content of a file may be.
FileContent = Union[bytes, bytearray, "os.PathLike[str]", BinaryIO]

#: Bytes that are read and sent at once.
PIECE_SIZE = 65536

#: Bytes of a pipe that are kept in memory; further ones go to a temporary file.
MAX_IN_MEMORY = 2**20


class FileData:
    """The bytes of one file that is sent: `length` of them, whatever becomes of the file in the meantime."""

    #: the file on disk, if there is one, for a curl command
    path: Optional[str] = None
    length: int

    def open(self) -> Iterator[bytes]:
        """Yield the bytes from the beginning, in pieces of PIECE_SIZE at most."""
        raise NotImplementedError


class BytesData(FileData):
    """Bytes in memory."""

    def __init__(self, data: Union[bytes, bytearray]):
        self.data = bytes(data)
        self.length = len(self.data)

    def open(self) -> Iterator[bytes]:
        """Yield the bytes in pieces."""
        for start in range(0, self.length, PIECE_SIZE):
            yield self.data[start : start + PIECE_SIZE]


class PathData(FileData):
    """A file on disk, opened anew for every attempt."""

    def __init__(self, path: str, length: int):
        self.path = path
        self.length = length

    def open(self) -> Iterator[bytes]:
        """Yield the file; raise RawchatError if it cannot be read any more, or has become shorter."""
        assert self.path is not None
        try:
            file = open(self.path, "rb")  # noqa: SIM115  # `with` would hold its own OSError and the network's apart
        except OSError as error:
            raise changed_file(self.path, error.strerror or "it cannot be opened") from None
        with file:
            yield from read_exactly(file, self.length, self.path)


class OpenFileData(FileData):
    """A file that the caller opened; every attempt sends it from its beginning."""

    def __init__(self, file: BinaryIO, name: str):
        self.file = file
        self.name = name
        file.seek(0, os.SEEK_END)
        self.length = file.tell()
        found = getattr(file, "name", None)
        if isinstance(found, str):
            self.path = found

    def open(self) -> Iterator[bytes]:
        """Yield the file; raise RawchatError if it was closed, or has become shorter."""
        try:
            self.file.seek(0)
        except (OSError, ValueError) as error:
            raise changed_file(self.name, str(error)) from None
        yield from read_exactly(self.file, self.length, self.name)


class SpooledData(OpenFileData):
    """What was left of a file that can be read only once, copied: to memory, or if it is long to a temporary file."""

    def __init__(self, file: Any, name: str):
        copy = tempfile.SpooledTemporaryFile(max_size=MAX_IN_MEMORY)  # noqa: SIM115  # lives as long as this object
        weakref.finalize(self, copy.close)
        for piece in iter(lambda: file.read(PIECE_SIZE), b""):
            if not isinstance(piece, bytes):
                raise TypeError(f"{name}: the file gives {type(piece).__name__}, not bytes")
            copy.write(piece)
        super().__init__(copy, name)  # type: ignore[arg-type]
        self.path = None


def open_content(content: FileContent, name: str) -> FileData:
    """Return the FileData for `content`; `name` names it in messages.

    A pipe, which cannot be read twice and has no known length, is read to its end here, to memory or to a
    temporary file: its form has a Content-Length, and can be sent again.

    Raises OSError for a file that cannot be read (missing, forbidden, a directory), TypeError for one that is open as
    text or has no bytes.
    """
    if isinstance(content, (bytes, bytearray)):
        return BytesData(content)
    if isinstance(content, os.PathLike):
        path = os.fspath(content)
        with open(path, "rb") as file:
            status = os.fstat(file.fileno())
            if stat.S_ISREG(status.st_mode):
                return PathData(path, status.st_size)
            return SpooledData(file, name)
    if isinstance(content, io.TextIOBase):
        raise TypeError(f"{name}: the file is open as text: use open(path, 'rb')")
    if is_seekable(content):
        return OpenFileData(content, name)
    return SpooledData(content, name)


def is_seekable(file: Any) -> bool:
    """Return whether an open file can be read a second time."""
    seekable = getattr(file, "seekable", None)
    return bool(seekable()) if seekable else hasattr(file, "seek")


def read_exactly(file: BinaryIO, length: int, name: str) -> Iterator[bytes]:
    """Yield `length` bytes of `file`, which may be longer: it may have grown since its length was announced.

    Raises RawchatError if it ends before, or cannot be read: the form would be of another length than announced.
    """
    left = length
    while left:
        try:
            piece = file.read(min(PIECE_SIZE, left))
        except (OSError, ValueError) as error:
            raise changed_file(name, str(error)) from None
        if not piece:
            raise changed_file(name, f"it ended after {length - left} of {length} bytes")
        left -= len(piece)
        yield piece


def changed_file(name: str, reason: str) -> RawchatError:
    """Return the error for a file that is not any more what it was when the call began."""
    return RawchatError(f"{name} changed while it was sent: {reason}; the request was abandoned")
