"""The pieces of a body before they are parsed: what it begins with, their line ends, and when to stop waiting for more.

Some servers keep a stream open after the last finish_reason, without [DONE]: in silence (musistudio/claude-code-router#1271),
or with comments for ever, which no timeout of a read ends (maximhq/bifrost#6784).
"""

import math
import time
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Callable, TypeVar

from ..wire import NOTHING_YET, Response
from ..wire.nonblocking import AFTER_DONE

#: The byte order mark; one at the start of a stream is dropped (WHATWG, 9.2.5).
BOM = b"\xef\xbb\xbf"

#: Seconds that a stream is read on after its last finish_reason and its last chunk, for the usage and [DONE].
AFTER_FINISH = 10.0

Item = TypeVar("Item")


def peek(pieces: Iterable[bytes]) -> tuple[bytes, Iterable[bytes]]:
    """Return the first byte that is not blank, and the pieces from its piece on; b"" if all are blank.

    Returns NOTHING_YET, and the pieces that come later, if it has not arrived.
    """
    iterator = iter(pieces)
    for piece in iterator:
        if piece is NOTHING_YET:
            return piece, iterator
        if piece.lstrip(BOM + b"\r\n"):
            first = piece.lstrip(BOM + b" \t\r\n")[:1]
            return first, chain([piece], iterator)
    return b"", ()


def drop_bom(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the pieces without the byte order mark at the start, which may be cut."""
    iterator = iter(pieces)
    start = b""
    for piece in iterator:
        if piece is NOTHING_YET:
            yield piece
            continue
        start += piece
        if len(start) >= len(BOM) or not BOM.startswith(start):
            break
    yield start.removeprefix(BOM)
    yield from iterator


def normalize_newlines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the pieces with LF for every line end (CR, LF or CRLF); none is empty."""
    after_cr = False
    for piece in pieces:
        if not piece:
            if piece is NOTHING_YET:
                yield piece
            continue
        if after_cr and piece.startswith(b"\n"):
            # This LF belongs to the CR that ended the piece before, which was a line end already.
            piece = piece[1:]
        after_cr = False
        if b"\r" in piece:
            after_cr = piece.endswith(b"\r")
            piece = piece.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        if piece:
            yield piece


def read_until_over(response: Response, finished_chunks: Callable[[], int]) -> Iterator[bytes]:
    """Yield the pieces of a streamed body, but wait no longer than AFTER_FINISH for what may follow the last chunk.

    finished_chunks    returns the number of chunks so far if each choice has its finish_reason, else 0

    Some servers send a finish_reason with every chunk, so each further chunk is waited for anew.
    """
    known = 0
    end = math.inf
    for piece in response.pieces:
        if known and time.monotonic() > end:
            return
        yield piece
        if piece is NOTHING_YET:
            continue
        # By now the events in the piece are merged.  Nearly every piece ends with a choice that goes on: a call is saved.
        if not known and b"null" in piece.rpartition(b'"finish_reason":')[2][:6]:
            continue
        count = finished_chunks()
        if count != known:
            known = count
            timeout = response.request.timeout[1]
            end = math.inf
            if count:
                timeout = min(timeout, AFTER_FINISH)
                end = time.monotonic() + AFTER_FINISH
            response.set_read_timeout(timeout)


def wait_for_end(response: Response, waiting: Item) -> Iterator[Item]:
    """Yield `waiting` for a moment, while a body that is read without waiting has not ended.

    With its end the connection can be used again.  For any other body `Response.release` waits.
    """
    end = time.monotonic() + AFTER_DONE
    while not response.has_arrived():
        remaining = end - time.monotonic()
        if remaining <= 0:
            return
        response.set_read_timeout(remaining)
        yield waiting
