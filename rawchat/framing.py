"""Bytes, cut anywhere, → the lines of whole server-sent events, clean for `sseclient`.

>>> list(batches([b"\\xef\\xbb\\xbfdata: on", b"e\\r", b"\\n\\r\\ndata: two\\n\\ndata: half"]))
[(b'data: one\\n\\ndata: two', True), (b'data: half', False)]
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
        if piece:
            yield piece


def batches(pieces: Iterable[bytes], limit: int = 2**26) -> Iterator[tuple[bytes, bool]]:
    """The events that each piece ends, together, and whether the last one's blank line has come; in linear time.

    A fast server sends many events at once; what is done for each batch need not be done for each of them.
    Raises APIError for an event of more than `limit` bytes, before it takes the memory.
    """
    held: list[bytes] = [b""]
    size = 0
    for piece in clean(pieces):
        at_once = piece[:1] == b"\n" and held[-1][-1:] == b"\n"      # a blank line, cut in two
        held.append(piece)
        size += len(piece)
        if at_once or b"\n\n" in piece:
            batch, _, rest = b"".join(held).rpartition(b"\n\n")
            for event in batch.split(b"\n\n") if len(batch) > limit else ():
                within(limit, len(event))
            held, size = [rest], len(rest)
            yield batch.strip(b"\n"), True
        within(limit, size)
    yield b"".join(held).strip(b"\n"), False


def within(limit: int, size: int) -> None:
    """Raise APIError if the `size` of an event is over the limit."""
    if size > limit:
        raise APIError(f"an event of the stream is over {limit} bytes; raise max_bytes if it may be")
