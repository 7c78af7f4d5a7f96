"""Answers that are not JSON: `Content`, read whole, and `ByteStream`, read or saved while it arrives."""

import contextlib
import os
import secrets
import stat
from collections.abc import Generator, Iterable, Iterator
from typing import Optional, Union

from ..compat.error_responses import as_stream_error
from ..errors import APIError, RawchatError, StreamInterruptedError
from ..keys.redaction import redact_error, request_secrets
from ..wire import MAX_BYTES, Headers, Response

#: The hint for a body of bytes that broke off; an error of a stream of text has it in .partial.
INCOMPLETE = "what has arrived is not the whole body"

Path = Union[str, "os.PathLike[str]"]


def media_type(response: Response) -> str:
    """Return the media type of a response in lower case, without its parameters; "" if it has none."""
    return str(response.headers.get("content-type") or "").partition(";")[0].strip().lower()


class Content(bytes):
    """The body of a response that is not JSON, as bytes; empty for a response without one (204)."""

    status: int = 200
    headers: Headers = Headers()
    #: Retries before this response.
    retries: int = 0
    #: Seconds from the call to the last byte.
    elapsed: float = 0.0

    def __repr__(self) -> str:
        return f"<Content {self.content_type or 'without a type'}, {len(self)} bytes>"

    @property
    def content_type(self) -> str:
        """The Content-Type header; "" if there is none."""
        return str(self.headers.get("content-type") or "")

    @property
    def request_id(self) -> Optional[str]:
        """The server's identifier of this call, which its support asks for."""
        found: Optional[str] = self.headers.get("x-request-id")
        return found

    @property
    def text(self) -> str:
        """The bytes decoded as UTF-8; invalid ones become U+FFFD."""
        return self.decode("utf-8-sig", "replace")

    def save(self, path: Path) -> str:
        """Write the bytes to the file at `path` and return the path; raise as `write_file` does."""
        return write_file(path, [self])


def as_content(body: bytes, response: Response) -> Content:
    """Return `body` as Content, with the metadata of its response."""
    content = Content(body)
    content.status = response.status
    content.headers = response.headers
    content.retries = response.retries
    content.elapsed = response.elapsed()
    return content


class ByteStream:
    """A body of bytes that is read while it arrives: iterate over it, `save` it, or `read` it whole.

    It can be read once.  Leaving the loop, `close()` or the end of a `with` block frees the connection.  Errors while
    it is read are APIErrors; a body that breaks off is a StreamInterruptedError.
    """

    def __init__(self, response: Response, limit: int = MAX_BYTES):
        """Take a 2xx `response` whose body has not been read; `limit` bounds the bytes of `read`, and of nothing else."""
        self.status = response.status
        self.headers = response.headers
        self.request_id: Optional[str] = response.request_id
        self.retries = response.retries
        self._response = response
        self._limit = limit
        self._pieces = self._iter_pieces()

    def __repr__(self) -> str:
        return f"<ByteStream {self._response.summary}: {self.content_type or 'without a type'}>"

    @property
    def content_type(self) -> str:
        """The Content-Type header; "" if there is none."""
        return str(self.headers.get("content-type") or "")

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._pieces
        finally:
            self.close()

    def __next__(self) -> bytes:
        return next(self._pieces)

    def __bytes__(self) -> bytes:
        return self.read()

    def read(self) -> Content:
        """Return what is left of the body as Content.

        Raises APIResponseValidationError for more than max_bytes; `save` and iteration have no bound.
        """
        response = self._response
        whole = Response(self.status, self.headers, self._pieces, self.close)
        whole.request = response.request
        whole.retries = response.retries
        whole.elapsed = response.elapsed
        return as_content(whole.read(self._limit), whole)

    def save(self, path: Path) -> str:
        """Write the body to the file at `path` while it arrives, and return the path.

        It takes constant memory, and has no bound.  A body that breaks off leaves no file.  Raises as `write_file` does.
        """
        return write_file(path, self)

    def close(self) -> None:
        """Free the connection, from any thread; what has not been read is lost."""
        self._response.close()
        # ValueError: the generator is running in another thread, and ends there.
        with contextlib.suppress(ValueError):
            self._pieces.close()

    def __enter__(self) -> "ByteStream":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _iter_pieces(self) -> Generator[bytes, None, None]:
        """Yield the pieces; raise one APIError where the body breaks off."""
        response = self._response
        failure: Optional[APIError] = None
        try:
            yield from response.pieces
        except APIError as error:
            failure = as_stream_error(error, response.request.timeout[1])
        finally:
            response.close()
        if failure is not None:
            response.annotate(failure)
            failure.hint = failure.hint.replace(StreamInterruptedError.hint, INCOMPLETE)
            redact_error(request_secrets(response.request), failure)
            raise failure from failure.__cause__


# ---- files


def write_file(path: Path, pieces: Iterable[bytes]) -> str:
    """Write `pieces` to the file at `path`, which is replaced when all have arrived; return the path.

    Raises RawchatError for a symbolic link, whose target is not ours to write; OSError that names the file; and what
    `pieces` raises, in which case the file stays as it was.
    """
    target = os.fspath(path)
    if os.path.islink(target):
        raise RawchatError(f"{target}: a symbolic link, which is not followed")
    if is_special(target):
        # A pipe or a device is written to, not replaced.
        with open(target, "wb") as file:
            file.writelines(pieces)
        return target
    folder, name = os.path.split(target)
    draft = os.path.join(folder, f".{name}.{secrets.token_hex(4)}.part")
    try:
        with open(draft, "xb") as file:
            file.writelines(pieces)
        os.replace(draft, target)
    except OSError as error:
        error.filename = target
        error.filename2 = None
        raise
    finally:
        with contextlib.suppress(OSError):
            os.unlink(draft)
    return target


def is_special(path: str) -> bool:
    """Return whether `path` exists, and is neither a file nor a folder."""
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return False
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)
