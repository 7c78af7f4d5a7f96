"""Server-sent events from bytes that are cut anywhere.

`sseclient` reads the fields of an event.  It is handed whole events, with plain line ends: left alone with the pieces
it merges or halves events at odd borders, and takes quadratic time over long ones.

>>> list(split_events([b"\\xef\\xbb\\xbfdata: on", b"e\\r", b"\\n\\r\\ndata: two\\n\\ndata: half"]))
[(b'data: one\\n\\ndata: two', True), (b'data: half', False)]
"""

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Optional

from sseclient import Event, SSEClient

from .errors import APIError
from .normalise import decode_json
from .wire import MAX_BYTES

if not hasattr(SSEClient, "events"):
    raise ImportError(
        "the module sseclient is of another package here: pip uninstall -y sseclient && "
        "pip install --force-reinstall sseclient-py"
    )


BOM = b"\xef\xbb\xbf"  #: the byte order mark; one at the start is dropped (WHATWG, 9.2.5)


LINES_PER_PARSE = (
    100  #: lines of a long event that sseclient is given at once: it glues them one by one
)


LONG_EVENT = 2**16  #: bytes of a batch that may hold such an event


def events(pieces: Iterable[bytes], limit: int = MAX_BYTES) -> Iterator[Event]:
    """Server-sent events from any iterable of bytes, cut anywhere: each has `.event` and `.data`.

    Exactly the WHATWG's rules (HTML standard, 9.2.6), but that a last event without its blank line still counts
    if its data is [DONE] or a whole JSON object.  Raises APIError for an event of more than `limit` bytes.

    >>> [event.data for event in events([b"data: on", b"e\\n\\ndata: two\\r\\n\\r", b"\\ndata: half"])]
    ['one', 'two']
    """
    for batch, ended in split_events(pieces, limit):
        if not batch.isascii():  # the rule for bytes that are not UTF-8: U+FFFD in their place
            batch = batch.decode("utf-8", "replace").encode()
        for event in (
            parse_events(batch)
            if len(batch) < LONG_EVENT
            else chain.from_iterable(map(parse_long_event, batch.split(b"\n\n")))
        ):
            if ended or is_complete(event.data):
                yield event


def normalize_newlines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes with LF for every line end (CR, LF, CRLF), without the byte order mark."""
    start: Optional[bytes] = b""  # until it is known whether the stream starts with a mark
    after_cr = False
    for piece in pieces:
        if start is not None:
            piece = start + piece
            if len(piece) < len(BOM) and BOM.startswith(piece):
                start = piece
                continue
            start, piece = None, piece[len(BOM) :] if piece.startswith(BOM) else piece
        if after_cr and piece:  # the CR at the end of the last piece was a line end already
            piece = piece[1:] if piece[:1] == b"\n" else piece
            after_cr = False
        if b"\r" in piece:
            after_cr = piece.endswith(b"\r")
            piece = piece.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        if piece:
            yield piece


def split_events(pieces: Iterable[bytes], limit: int = MAX_BYTES) -> Iterator[tuple[bytes, bool]]:
    """The events that each piece ends, together, and whether the last one's blank line has come; in linear time.

    A fast server sends many events at once; what is done for each batch need not be done for each of them.
    Raises APIError for an event of more than `limit` bytes, before it takes the memory.
    """
    held: list[bytes] = [b""]
    size = 0
    for piece in normalize_newlines(pieces):
        at_once = piece[:1] == b"\n" and held[-1][-1:] == b"\n"  # a blank line, cut in two
        held.append(piece)
        size += len(piece)
        if at_once or b"\n\n" in piece:
            batch, _, rest = b"".join(held).rpartition(b"\n\n")
            for event in batch.split(b"\n\n") if len(batch) > limit else ():
                check_size(limit, len(event))
            held, size = [rest], len(rest)
            yield batch.strip(b"\n"), True
        check_size(limit, size)
    yield b"".join(held).strip(b"\n"), False


def check_size(limit: int, size: int) -> None:
    """Raise APIError if the `size` of an event is over the limit."""
    if size > limit:
        raise APIError(
            f"an event of the stream is over {limit} bytes; raise max_bytes if it may be"
        )


def parse_events(batch: bytes) -> Iterator[Event]:
    """The events in clean lines; one reader for many of them, as to make one takes half as long as to read an event."""
    found: Iterator[Event] = SSEClient(iter([batch + b"\n\n"])).events()
    return found


def parse_long_event(block: bytes) -> Iterator[Event]:
    """The event in the lines of one, if it has data: so many lines at a time, each time with the event's name so far.

    An empty line of data at the end makes an event of each part.
    """
    if block.count(b"\n") < LINES_PER_PARSE:
        return parse_events(block)
    name, data, lines = b"message", [], block.split(b"\n")
    for at in range(0, len(lines), LINES_PER_PARSE):
        event = next(
            parse_events(
                b"\n".join([b"event: " + name, *lines[at : at + LINES_PER_PARSE], b"data"])
            )
        )
        name = event.event.encode()
        data.append(event.data)
    event.data = "".join(data)[:-1]
    return iter([event] if "".join(data) else [])


def is_complete(data: str) -> bool:
    """Is this the data of a last event whose blank line is missing, but nothing else: [DONE], or a JSON object?"""
    try:
        return data.lstrip().startswith("[DONE]") or isinstance(decode_json(data), dict)
    except ValueError:
        return False


def peek(pieces: Iterable[bytes]) -> tuple[bytes, Iterable[bytes]]:
    """The first byte that is not blank, and the pieces again, without blank lines before it; b'' if all are blank."""
    iterator = iter(pieces)
    for piece in iterator:
        if piece.lstrip(BOM + b"\r\n"):
            return piece.lstrip(BOM + b" \t\r\n")[:1], chain([piece], iterator)
    return b"", ()
