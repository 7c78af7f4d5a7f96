"""Read a response: a head that has to be whole, sizes that have to be numbers, and a body as it arrives."""

import threading
from collections.abc import Iterator
from functools import partial
from http.client import HTTPException, HTTPResponse, IncompleteRead
from typing import Any, Optional

from ..deadline import shutdown_socket
from ..errors import one_line
from ..wire.headers import HEADER_NAME

#: Bytes asked for at once: before urllib3 2.6 one compressed piece can inflate a thousandfold.
READ_SIZE = 16384

#: Bytes of a line that are read at once; http.client reads as many.
MAX_HEADER_LINE = 65536

#: Maximum number of lines in a header block that are not headers; http.client allows as many headers.
MAX_JUNK_LINES = 100

#: Interim responses before a final one: 102 while the server computes, 103 with links.
MAX_INTERIM_RESPONSES = 1000

#: The status of a server that would switch to another protocol, which was not requested.
SWITCHING_PROTOCOLS = 101

#: Characters of a wrong size that a message shows.
MAX_SHOWN = 40


# ---- the head


class LastLineReader:
    """A socket's file while the head of a response is read from it: drops lines that are not headers, remembers the last line.

    http.client's parser takes the first line that is not a header for the end of all headers: Content-Length may be
    lost, and the response then seems to have no end.
    """

    def __init__(self, file: Any):
        self.file = file
        self.last: Optional[bytes] = None
        self._in_headers = False  # else the next line is a status line

    def readline(self, *size: int) -> bytes:
        """Return the next useful line; raise HTTPException after too many useless ones."""
        dropped = False
        for _ in range(MAX_JUNK_LINES + 1):
            line = bytes(self.file.readline(*size))
            self.last = line
            if not self._in_headers:
                self._in_headers = bool(line)
                return line
            if not line.strip(b"\r\n"):
                self._in_headers = False
                # With another CR in it, http.client would go on to read the body for headers.
                return b"\r\n" if line.endswith(b"\n") else line
            if dropped and line[:1] in b" \t":
                continue  # this line continues one that was dropped
            header = clean_header_line(line)
            if header:
                return header
            dropped = True
        raise HTTPException(f"over {MAX_JUNK_LINES} lines in the header block are not headers")

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)


def clean_header_line(line: bytes) -> bytes:
    """Return a header line in the form that http.client's parser reads; b"" for a line that is not a header.

    A lone CR becomes a blank (RFC 9112, 2.2) or ends the line with the LF behind it; http.client's parser would take it
    for a line end of its own, and drop what follows.  Blanks before the colon are removed (RFC 9112, 5.1).

    >>> clean_header_line(b"Content-Length : 5\\r\\n"), clean_header_line(b"no header\\r\\n")
    (b'Content-Length: 5\\r\\n', b'')
    """
    text = line.rstrip(b"\r\n")
    line_end = b"\r\n" if line.endswith(b"\n") else b""
    text = text.replace(b"\r", b" ")
    if text[:1] in (b" ", b"\t"):
        return text + line_end  # continues the line before it (RFC 9112, 5.2)
    name, colon, value = text.partition(b":")
    name = name.rstrip(b" \t")
    if not colon or not HEADER_NAME.fullmatch(name.decode("latin-1")):
        return b""
    return name + colon + value + line_end


class StrictHTTPResponse(HTTPResponse):
    """http.client's response, but it is a final one, headers have to end, and no size may be nonsense.

    http.client skips the interim response 100, and takes any other (RFC 9110, 15.2) for a final one without a body: the
    final one would then answer the next request on the connection.
    http.client takes some header blocks that break off for those of an empty 200, and reads a body whose
    Content-Length is not a number up to the end of the connection, which a server may keep open.
    """

    def begin(self) -> None:
        """Read the status line and the headers."""
        lines = LastLineReader(self.fp)
        self.fp = lines  # type: ignore[assignment]
        self._read_head()
        if lines.last == b"":
            raise HTTPException(
                "connection closed before the response was complete (in the headers)"
            )
        if self.fp:  # http.client sets it to None when there is no body
            self.fp = lines.file
            if not self.chunked:
                self._check_length()

    def _read_head(self) -> None:
        """Read the status line and the headers, and work out how the body ends."""
        super().begin()

    def _read_status(self) -> tuple[str, int, str]:
        """Return version, status and reason of the final response; interim ones before it are read and dropped."""
        for _ in range(MAX_INTERIM_RESPONSES):
            version, status, reason = super()._read_status()  # type: ignore[misc]
            if status == SWITCHING_PROTOCOLS:
                raise HTTPException("101: the server switches to another protocol")
            if not 100 <= status < 200:
                return version, status, reason
            for _ in range(MAX_JUNK_LINES + 1):
                if not self.fp.readline(MAX_HEADER_LINE).strip(b"\r\n"):
                    break
            else:
                raise HTTPException(f"over {MAX_JUNK_LINES} headers in an interim response")
        raise HTTPException(f"over {MAX_INTERIM_RESPONSES} interim responses")

    def _check_length(self) -> None:
        """Set the length of a body whose Content-Length is given twice; raise HTTPException for one that is not a number.

        The same value twice counts once (RFC 9110, 8.6).
        """
        values = {value.strip() for value in (self.getheader("Content-Length") or "").split(",")}
        values.discard("")
        if not values or self.length == 0:
            return
        shown = one_line(", ".join(sorted(values)), MAX_SHOWN)
        if not shown.isdecimal() or not shown.isascii():
            raise HTTPException(f"invalid Content-Length: {shown}")
        self.length = int(shown)

    def _read_next_chunk_size(self) -> int:
        """Return the size of the next chunk.  http.client's own accepts "-5", and never stops reading."""
        try:
            size = int(super()._read_next_chunk_size())  # type: ignore[misc]
        except AttributeError:
            # http.client closes a file that another thread's `close` has already taken away.
            raise HTTPException("the response was closed while it was read") from None
        if size < 0:
            raise HTTPException(f"invalid chunk size: {size}")
        return size

    def read_to_end(self, body: Iterator[bytes], sock: Any, seconds: float) -> None:
        """Read what is left of `body` from `sock`, in `seconds` at most; then the connection can be used again."""
        timer = threading.Timer(seconds, shutdown_socket, [sock])
        timer.daemon = True
        timer.start()
        try:
            for _ in body:
                pass
        finally:
            timer.cancel()


# ---- the body


def iter_available(raw: Any) -> Iterator[bytes]:
    """Yield the body of urllib3's response `raw`, decompressed: what has arrived, at once, in every framing.

    `read1` does so; `read` and `stream` wait for full blocks.
    """
    body = getattr(getattr(raw, "_original_response", None), "nonblocking_body", None)
    if body:
        return end_as_urllib3(raw, body)
    if hasattr(raw, "read1"):
        return iter(partial(raw.read1, READ_SIZE, decode_content=True), b"")
    return end_as_urllib3(raw, iter_available_urllib3_v1(raw))


def end_as_urllib3(raw: Any, body: Iterator[bytes]) -> Iterator[bytes]:
    """Yield `body`, which is read in the place of urllib3's response `raw`, and end that as urllib3 would.

    A body that is left unread is `raw.close`'s to end.  Where it is left to the garbage collector, that may run while the
    same thread holds the lock of urllib3's pool, and to give the connection back would wait for that lock for ever.
    """
    failure: Optional[Exception] = None
    try:
        yield from body
    except Exception as error:
        failure = error
    # Gives the connection back at the end, and closes it after a failure, which it translates.
    with raw._error_catcher():
        if failure:
            raise failure
        raw._fp.close()


def iter_available_urllib3_v1(raw: Any) -> Iterator[bytes]:
    """Yield the same with urllib3 before 2.2, which has no `read1`: http.client's, and what urllib3 adds to its own.

    Only http.client of Python 3.13 and later notices a body that is shorter than its Content-Length.
    """
    remaining = raw.length_remaining  # None: the length is not known beforehand
    raw._init_decoder()
    while remaining != 0:
        data = raw._fp.read1(READ_SIZE)
        if remaining is not None:
            if not data:
                raise IncompleteRead(b"", remaining)
            remaining -= len(data)
        at_end = not data or remaining == 0
        piece = raw._decode(data, decode_content=True, flush_decoder=at_end)
        if piece:  # b"": the compressed data has only begun
            yield piece
        if not data:
            return
