"""Bytes, cut anywhere, → the lines of one server-sent event after the other: whole, and clean for `sseclient`.

>>> list(blocks([b"\\xef\\xbb\\xbfdata: on", b"e\\r", b"\\n\\r\\ndata: half"]))
[(b'data: one', True), (b'data: half', False)]
"""
from collections.abc import Iterable, Iterator
from typing import Optional

from .errors import APIError

BOM = b"\xef\xbb\xbf"          #: the byte order mark; one at the start is dropped (WHATWG, 9.2.5)


def clean(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes with LF for every line end (CR, LF, CRLF), without the byte order mark."""
    start: Optional[bytes] = b""            # until it is known whether the stream starts with a mark
    after_cr = False
    for piece in pieces:
        if start is not None:
            piece = start + piece
            if len(piece) < len(BOM) and BOM.startswith(piece):
                start = piece
                continue
            start, piece = None, piece[len(BOM):] if piece.startswith(BOM) else piece
        if after_cr and piece:              # the CR at the end of the last piece was a line end already
            piece = piece[1:] if piece[:1] == b"\n" else piece
            after_cr = False
        if b"\r" in piece:
            after_cr = piece.endswith(b"\r")
            piece = piece.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        yield piece


def blocks(pieces: Iterable[bytes], limit: int = 2**26) -> Iterator[tuple[bytes, bool]]:
    """The lines between blank lines, as one block each, and whether the blank line has come; in linear time.

    Raises APIError for a block of more than `limit` bytes, before it takes the memory.
    """
    held: list[bytes] = [b""]
    size = 0
    for piece in clean(pieces):
        if b"\n\n" in piece or (piece[:1] == b"\n" and held[-1][-1:] == b"\n"):
            held.append(piece)
            *whole, rest = b"".join(held).split(b"\n\n")
            for block in whole:
                yield within(limit, block, len(block)), True
            held, size = [rest], len(rest)
        elif piece:
            held.append(piece)
            size += len(piece)
        within(limit, b"", size)
    yield b"".join(held).strip(b"\n"), False


def within(limit: int, block: bytes, size: int) -> bytes:
    """`block` without the line ends around it; raises APIError if its `size` is over the limit."""
    if size > limit:
        raise APIError(f"an event of the stream is over {limit} bytes; raise max_bytes if it may be")
    return block.strip(b"\n")
