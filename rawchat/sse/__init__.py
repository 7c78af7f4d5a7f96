"""Parse server-sent events from bytes that arrive in pieces of any size (WHATWG HTML, 9.2).

The bytes pass three steps: line ends become LF (`pieces`), the stream is split at its blank lines, and `sseclient` parses
the fields of the events.  sseclient is given whole events only: given the pieces as they arrive, it splits or merges
events where a piece ends between CR and LF, and takes quadratic time over an event in many pieces.

>>> list(split_events([b"\\xef\\xbb\\xbfdata: on", b"e\\r", b"\\n\\r\\ndata: two\\n\\ndata: half"]))
[(b'data: one\\n\\ndata: two', True), (b'data: half', False)]
"""

import re
from collections.abc import Iterable, Iterator

from sseclient import Event as Event
from sseclient import SSEClient

from ..errors import APIError
from ..wire import MAX_BYTES, NOTHING_YET
from .joined_events import is_whole
from .pieces import drop_bom, normalize_newlines

if not hasattr(SSEClient, "events"):  # the package `sseclient` installs a module of the same name
    raise ImportError(
        "the installed `sseclient` is not sseclient-py: pip uninstall -y sseclient && "
        "pip install --force-reinstall sseclient-py"
    )

#: llama.cpp's line for an error in a stream.  The standard has no such field, so sseclient would skip it.
ERROR_FIELD = re.compile(rb"(?m)^error:")

#: What stands for NOTHING_YET among the events; it is known by its identity.
NO_EVENT = Event()

#: Bytes of an event that is long for sseclient.
LONG_EVENT = 2**16


def events(
    pieces: Iterable[bytes], limit: int = MAX_BYTES, error_field: bool = False
) -> Iterator[Event]:
    """Yield the server-sent events in an iterable of bytes; each has `.event` and `.data`.

    The rules are the WHATWG's (HTML, 9.2.6), with one exception: a last event without its blank line counts if its data
    is [DONE] or whole JSON objects.  `limit` bounds the bytes of one event.  With `error_field`, the field `error` counts
    as data of an event that is called "error" (llama.cpp).

    For NOTHING_YET it yields NO_EVENT.  Raises APIError for an event over the limit.

    >>> [event.data for event in events([b"data: on", b"e\\n\\ndata: two\\r\\n\\r", b"\\ndata: half"])]
    ['one', 'two']
    """
    for batch, ended in split_events(pieces, limit):
        if batch is NOTHING_YET:
            yield NO_EVENT
            continue
        if error_field and b"error:" in batch:
            batch = ERROR_FIELD.sub(b"event: error\ndata:", batch)
        for event in parse_events(batch):
            if ended or is_whole(event.data):
                yield event


# ---- bytes to batches of whole events


def split_events(pieces: Iterable[bytes], limit: int = MAX_BYTES) -> Iterator[tuple[bytes, bool]]:
    """Yield the events that each piece completes as one batch, with True; at the end the rest, with False.

    A fast server sends many events at once: a batch saves the cost of a parser for each of them.  The time is linear.

    Raises APIError for an event of more than `limit` bytes, before it takes the memory.
    """
    held = [b""]
    size = 0
    for piece in normalize_newlines(drop_bom(pieces)):
        if piece is NOTHING_YET:
            yield piece, False
            continue
        # The two line ends of a blank line may arrive in two pieces.
        completes = piece.startswith(b"\n") and held[-1].endswith(b"\n")
        held.append(piece)
        size += len(piece)
        if completes or b"\n\n" in piece:
            batch, _, rest = b"".join(held).rpartition(b"\n\n")
            if len(batch) > limit:
                for event in batch.split(b"\n\n"):
                    check_size(len(event), limit)
            held = [rest]
            size = len(rest)
            yield batch.strip(b"\n"), True
        check_size(size, limit)
    yield b"".join(held).strip(b"\n"), False


def check_size(size: int, limit: int) -> None:
    """Raise APIError if an event of `size` bytes is over the limit."""
    if size > limit:
        raise APIError(
            f"an event of the stream is over {limit} bytes; raise max_bytes if that is expected"
        )


# ---- batches to events


def parse_events(batch: bytes) -> Iterator[Event]:
    """Yield the events of a batch, which has LF for its line ends and no blank line at its end.

    Nearly every event is one line of data: it needs no parser, and sseclient takes a third of the time of a chunk.
    """
    for block in batch.split(b"\n\n"):
        if block.startswith(b"data:") and b"\n" not in block:
            event = Event()
            event.data = decode_data_line(block)
            yield event
        elif len(block) < LONG_EVENT:
            yield from parse_short_events(block)
        else:
            # Imported here: hardly any stream has a long event of several lines.
            from .long_events import parse_long_event

            yield from parse_long_event(block)


def decode_data_line(line: bytes) -> str:
    """Return the value of a line of data: what follows "data:" and one blank (WHATWG, 9.2.6)."""
    start = len(b"data: ") if line.startswith(b"data: ") else len(b"data:")
    # No second copy of the bytes: a picture may have sixty megabytes.
    return str(memoryview(line)[start:], "utf-8", "replace")


def parse_short_events(batch: bytes) -> Iterator[Event]:
    """Return the events of a block of lines that is not long, as sseclient parses them."""
    if not batch.isascii():
        # sseclient raises UnicodeDecodeError; the WHATWG has U+FFFD for bytes that are not UTF-8.
        batch = batch.decode("utf-8", "replace").encode()
    events: Iterator[Event] = SSEClient(iter([batch + b"\n\n"])).events()
    return events
