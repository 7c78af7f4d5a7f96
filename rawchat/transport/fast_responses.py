"""The part of `fast` that reads responses: their headers, and bodies in chunks."""

import re
import socket
import time
from collections.abc import Iterable, Iterator
from http.client import HTTPException, HTTPMessage, LineTooLong, UnknownProtocol
from typing import Any, Optional

from ..errors import one_line
from ..wire import NOTHING_YET
from .nonblocking import SocketBody
from .responses import MAX_HEADER_LINE, MAX_SHOWN, READ_SIZE, StrictHTTPResponse

#: Lines of a response's headers, with the empty one behind them; http.client allows as many.
MAX_HEADERS = 100

#: Statuses of a response without a body (RFC 9112, 6.3).
NO_BODY = (204, 304)

#: Bytes of the longest size line that is accepted, with its extensions: http.client's limit.
MAX_SIZE_LINE = 65536

#: Bytes of the longest trailer that is read; it is thrown away, so a long one can only be meant to hold the caller.
MAX_TRAILER = 65536

#: The size of a chunk; int() would also accept a sign and underscores.
SIZE_LINE = re.compile(rb"[ \t]*([0-9A-Fa-f]+)[ \t]*(?:;.*)?\r?\n")


# ---- headers


def read_headers(file: Any) -> HTTPMessage:
    """Read header lines up to an empty line and return them.

    http.client does the same with the parser of the email package, which takes a tenth of a plain call.  Raises HTTPException for a line that is too long, or too many lines.
    """
    fields: list[tuple[str, str]] = []
    for _ in range(MAX_HEADERS):
        line = file.readline(MAX_HEADER_LINE + 1)
        if len(line) > MAX_HEADER_LINE:
            raise LineTooLong("header line")
        if line in (b"\r\n", b"\n", b""):
            headers = HTTPMessage()
            for name, value in fields:
                headers.set_raw(name, value.rstrip("\r\n"))
            return headers
        text = line.decode("latin-1")
        if text[0] not in " \t":
            name, _, value = text.partition(":")
            fields.append((name, value.lstrip(" \t")))
        elif fields:
            # This line continues the one before it (RFC 9112, 5.2).
            name, value = fields.pop()
            fields.append((name, value + text))
    raise HTTPException(f"got more than {MAX_HEADERS} headers")


def parse_length(value: Optional[str]) -> Optional[int]:
    """Return the value of a Content-Length; None if there is no value, or no number."""
    try:
        return int(value or "")  # one below 0 is refused by `_check_length`
    except ValueError:
        return None


# ---- chunked transfer coding (RFC 9112, 7.1)


def decode_chunked(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the body inside of `pieces`, with as many bytes at a time as each piece brings.

    http.client reads twice for each chunk and makes a dozen calls; a server that streams sends each event in a chunk
    of its own.  Here all chunks of a piece are decoded in one go.  A piece is taken only when the body of the one
    before it has been yielded, and none is taken after the end.  NOTHING_YET is passed on.

    Raises HTTPException where the body breaks off, or where something other than a chunk size is found.

    >>> list(decode_chunked([b"5\\r\\nHello\\r\\n7;x=y\\r\\n, wo", b"rld\\r\\n", b"0\\r\\n\\r\\n"]))
    [b'Hello, wo', b'rld']
    """
    pieces = iter(pieces)
    # The data of each chunk ends in CRLF, and the next size follows.  At first: the end of a chunk of no bytes.
    pending = b"\r\n"
    data_end = 0
    for piece in pieces:
        if piece is NOTHING_YET:
            yield piece
            continue
        piece = pending + piece
        data = [piece[:data_end]]
        while data_end <= len(piece):  # the chunk is complete
            line_start = data_end + 2
            line_end = piece.find(b"\n", line_start) + 1
            if not line_end:
                break
            match = SIZE_LINE.fullmatch(piece, line_start, line_end)
            if not match:
                if body := b"".join(data):
                    yield body
                raise bad_chunk_size(piece[line_start:line_end])
            size = int(match[1], 16)
            if size == 0:
                if body := b"".join(data):
                    yield body
                yield from skip_trailer(piece[line_end:], pieces)
                return
            data_end = line_end + size
            data.append(piece[line_end:data_end])
        if body := b"".join(data):  # an empty piece would pass for the end
            yield body
        pending = piece[data_end:]
        data_end = max(0, data_end - len(piece))
        if len(pending) > MAX_SIZE_LINE:
            raise bad_chunk_size(pending)
    raise HTTPException("connection closed before the response was complete")


def bad_chunk_size(line: bytes) -> HTTPException:
    """Return the error for a line that is not a chunk size."""
    return HTTPException(f"invalid chunk size: {one_line(repr(line), MAX_SHOWN)}")


def skip_trailer(start: bytes, pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Read up to the empty line that ends the trailer; accept an end without it, as http.client does.

    Yields NOTHING_YET for each one in `pieces`.  Raises HTTPException after MAX_TRAILER bytes.
    """
    tail = b"\n" + start
    size = len(tail)
    while not re.search(b"\n\r?\n", tail):
        if size > MAX_TRAILER:
            raise HTTPException(f"the trailer after the last chunk is over {MAX_TRAILER} bytes")
        piece = next(pieces, b"")
        if piece is NOTHING_YET:
            yield piece
            continue
        if not piece:
            return
        size += len(piece)
        tail = tail[-2:] + piece


class FastHTTPResponse(StrictHTTPResponse):
    """A response whose chunks are decoded by `decode_chunked`, and which needs no timer to read on after [DONE]."""

    _body: Iterator[bytes] = iter(())
    _read_until: Optional[float] = None  # on the monotonic clock
    _sock: Any = None
    #: The body, if it is read without waiting.
    nonblocking_body: Optional[Iterator[bytes]] = None
    _nonblocking: Optional[SocketBody] = None

    def begin(self) -> None:
        """Read the status line and the headers."""
        super().begin()
        if self.fp:
            self._body = decode_chunked(iter(self._read_coded, b""))

    def _read_head(self) -> None:
        """Read status line and headers, and set what http.client's `begin` sets."""
        version, self.status, reason = self._read_status()
        self.code = self.status
        self.reason = reason.strip()
        if version in ("HTTP/1.0", "HTTP/0.9"):
            self.version = 10
        elif version.startswith("HTTP/1."):
            self.version = 11
        else:
            raise UnknownProtocol(version)
        self.headers = self.msg = read_headers(self.fp)
        self.chunked = (self.headers.get("Transfer-Encoding") or "").lower() == "chunked"
        self.chunk_left = None
        self.length = None
        if not self.chunked:
            self.length = parse_length(self.headers.get("Content-Length"))
        if self.status in NO_BODY or self._method == "HEAD":  # type: ignore[attr-defined]
            self.length = 0
        self.will_close = self._check_close()  # type: ignore[attr-defined]
        if not self.chunked and self.length is None:
            self.will_close = True  # a body without a length ends with its connection

    def read1(self, n: int = -1) -> bytes:
        """Return what has arrived: of a chunked body all that a read of the socket gives, READ_SIZE bytes at most."""
        if self.chunked:
            return next(self._body, b"")
        self._bound_next_read()
        return super().read1(n)

    def read_to_end(self, body: Iterator[bytes], sock: Any, seconds: float) -> None:
        """Read what is left of `body`; raise TimeoutError after `seconds`."""
        self._read_until = time.monotonic() + seconds
        self._sock = sock
        for _ in body:
            pass

    def set_nonblocking(self, sock: Any, timeout: float) -> Optional[SocketBody]:
        """Read the body without waiting from now on; return None, and change nothing, if that is not possible.

        `timeout` bounds the seconds that the caller waits for each read.
        """
        if self.fp is None or not self.chunked or self.getheader("Content-Encoding"):
            return None
        if not isinstance(sock, socket.socket):
            return None  # TLS inside TLS
        self._nonblocking = SocketBody(self.fp, sock, timeout)
        self.nonblocking_body = self._decode_received(self._nonblocking)
        return self._nonblocking

    def _decode_received(self, received: SocketBody) -> Iterator[bytes]:
        """Yield the decoded body; set `is_over` at its end, before the connection can be used again."""
        yield from decode_chunked(received.pieces())
        received.is_over = True

    def _read_coded(self) -> bytes:
        """Return what has arrived of a chunked body, still coded."""
        self._bound_next_read()
        return self.fp.read1(READ_SIZE)

    def _bound_next_read(self) -> None:
        """Give the next read what is left of `read_to_end`'s time: a read returns with the first byte."""
        if self._read_until is None:
            return
        remaining = self._read_until - time.monotonic()
        if remaining <= 0:
            raise TimeoutError("no time left for the rest of the body")
        self._sock.settimeout(remaining)
