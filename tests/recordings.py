"""Recorded exchanges without a network: their status, headers and body, and a transport that plays them.

tests/wire/README.md says where the recordings come from, and tests/test_servers.py what a careful client makes of them.
"""

import json
import pathlib
import re
from collections.abc import Sequence
from typing import Any, Callable, NamedTuple

import rawchat
from rawchat.wire import Request, Response

WIRE = pathlib.Path(__file__).parent / "wire"
CHUNKED = b"\r\nTransfer-Encoding: chunked"

#: Requests of one call after which a test stops it: a client that repeats a request without end fails, and does not hang.
MAX_REQUESTS = 20


class Recording(NamedTuple):
    """A response as it was recorded, its body without the framing of HTTP."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def is_stream(self) -> bool:
        """Return whether the body is an event stream, by its content type."""
        return "text/event-stream" in self.headers.get("Content-Type", "")

    def response(self) -> Response:
        return Response(self.status, self.headers, [self.body])


def read_bytes(name: str) -> bytes:
    """Return a recording, SERVER/KIND, byte for byte."""
    return (WIRE / f"{name}.http").read_bytes()


def read_recording(name: str) -> Recording:
    """Return a recording, SERVER/KIND, taken apart."""
    data = read_bytes(name)
    first, *lines = data.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
    headers = {}
    for line in lines:
        field, _, value = line.partition(":")
        headers[field.strip()] = value.strip()
    return Recording(int(first.split(" ", 2)[1]), headers, body_of(data))


def body_of(data: bytes) -> bytes:
    """Return the part of a response body that has arrived, without the framing of its chunks."""
    head, _, body = data.partition(b"\r\n\r\n")
    if CHUNKED not in head:
        return body
    received = b""
    while body:
        size, end, body = body.partition(b"\r\n")
        if not end:
            break  # the size of a chunk is cut
        received += body[: int(size, 16)]
        body = body[int(size, 16) + 2 :]
    return received


# ---- the events of a body

#: The line of an event that holds its JSON; llama.cpp has a field `error`.
DATA_LINE = re.compile(r"(?m)^(data|error): ?(.*)$")


class Event(NamedTuple):
    """An event as it was recorded: its text, and the JSON in it, None for one that holds none ([DONE], a comment)."""

    text: str
    payload: Any

    def with_payload(self, payload: Any) -> "Event":
        """Return the event with another JSON value in its place."""
        line = json.dumps(payload)
        text = DATA_LINE.sub(lambda found: f"{found[1]}: {line}", self.text, count=1)
        return Event(text, payload)


def split_body(body: bytes) -> list[Event]:
    """Return the events of a stream's body; LF stands for its line ends."""
    events = []
    # Baseten sends one line end, not two, between events.
    for text in re.split(r"\n\n|\n(?=data: [\[{])", body.decode().replace("\r\n", "\n")):
        if text.strip():
            found = DATA_LINE.search(text)
            payload = None
            if found is not None and found[2].startswith("{"):
                payload = json.loads(found[2])
            events.append(Event(text, payload))
    return events


def join_events(events: Sequence[Event]) -> bytes:
    """Return the body of a stream of these events."""
    return "".join(event.text + "\n\n" for event in events).encode()


# ---- playing them


def client_of(
    answer: Callable[[Request], Response], /, max_retries: int = 0, **settings: Any
) -> rawchat.Client:
    """Return a client whose requests `answer` answers; the request after MAX_REQUESTS is an AssertionError."""
    count = 0

    def transport(request: Request) -> Response:
        nonlocal count
        count += 1
        assert count <= MAX_REQUESTS, "the client repeats the request without end"
        return answer(request)

    return rawchat.Client(
        transport=transport,
        environ={},
        base_url="http://localhost/v1",
        model="m",
        max_retries=max_retries,
        sleep=lambda seconds: None,
        **settings,
    )
