"""Parse a long event in linear time and little memory.

sseclient concatenates the lines of an event one by one, and copies each of them eight times.  Of a long event it is given
some lines at a time, and a long line not at all.
"""

import io
from collections.abc import Iterable, Iterator

from . import LONG_EVENT, Event, decode_data_line, parse_short_events

#: Lines that sseclient is given at once; its time is quadratic in them.
LINES_PER_PARSE = 100


def parse_long_event(block: bytes) -> Iterator[Event]:
    """Yield the event in the lines of one, if it has data.

    sseclient is given some lines and an empty data line, which makes an event of each part; the last part that sets
    the name counts.  A line of data that is long by itself is decoded here.
    """
    name = "message"
    texts: list[str] = []
    for lines in group_lines(io.BytesIO(block)):
        if len(lines[0]) >= LONG_EVENT and lines[0].startswith(b"data:"):
            texts += [decode_data_line(lines[0]), "\n"]
            continue
        event = next(parse_short_events(b"\n".join([*lines, b"data"])))
        if any(line.startswith(b"event:") or line == b"event" for line in lines):
            name = event.event
        texts.append(event.data)
    # Each line of data has brought a line end, and that of the last one does not count.
    texts = [text for text in texts if text]
    if texts:
        texts[-1] = texts[-1][:-1]
        found = Event()
        found.event = name
        found.data = "".join(text for text in texts if text)
        yield found


def group_lines(lines: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Yield the lines, without their ends, in groups of at most LINES_PER_PARSE; a long one is a group by itself."""
    group: list[bytes] = []
    for line in lines:
        line = line.rstrip(b"\n")
        is_long = len(line) >= LONG_EVENT
        if group and (is_long or len(group) == LINES_PER_PARSE):
            yield group
            group = []
        if is_long:
            yield [line]
        else:
            group.append(line)
    if group:
        yield group
