"""Understand the events of servers that send one line end between them where the standard has two.

By the standard they are one event with several lines of data (WHATWG HTML, 9.2.6), which together are no JSON.  No server
means that: JSON over several lines, as some send it, has no line that is an object by itself.
"""

from collections.abc import Iterable, Iterator

from sseclient import Event

from ..wire.json_text import is_json_object


def split_joined(events: Iterable[Event]) -> Iterator[Event]:
    """Yield the events, and one for each line of an event whose lines are all JSON objects, or [DONE].

    GLM on Baseten joins events like this (anomalyco/opencode#27365).
    """
    for event in events:
        if "\n" not in event.data or not is_joined(event.data):
            yield event
            continue
        for line in event.data.split("\n"):
            part = Event()
            part.event = event.event
            part.data = line
            yield part


def is_whole(data: str) -> bool:
    """Return whether the data of an event is complete, whatever follows: [DONE], a JSON object, or several of them."""
    return is_done(data) or is_json_object(data) or is_joined(data)


def is_joined(data: str) -> bool:
    """Return whether each line of the data of an event is a JSON object, or [DONE]."""
    return all(is_done(line) or is_json_object(line) for line in data.split("\n"))


def is_done(data: str) -> bool:
    """Return whether the data of an event ends a stream."""
    return data.lstrip().startswith("[DONE]")
