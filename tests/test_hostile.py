"""Servers that mean harm: nothing hangs past its deadline, memory stays bounded, the error says what happened.

What drips is in test_transport.py, what is odd but finite in test_stream.py and test_generated.py.
"""

import pathlib
import subprocess
import sys
import zlib
from collections.abc import Sequence

import pytest

import rawchat
from rawchat.errors import APIError

from .server import (
    CLOSE,
    HELLO,
    RESET,
    Step,
    answer,
    completion,
    delta,
    event,
    head,
    serving,
    streamed,
)

row = pytest.mark.row
MEBI = 2**20
ROOT = pathlib.Path(rawchat.__file__).parent.parent
CLIENT = """
import resource, sys
import rawchat
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
client = rawchat.Client(base_url=sys.argv[1], environ={}, max_retries=0)
client.models()                         # everything is loaded and has been used once
before = peak()
try:
    if sys.argv[2] == "stream":
        list(client.stream_chat("Hi"))
    else:
        client.chat("Hi")
except rawchat.APIError as error:
    print(type(error).__name__, error)
print("MiB", round(peak() - before))
"""


def zeros(packed: bytes, size: int) -> list[Step]:
    """`size` bytes of zeros, as they look when a server packs them: a thousandth of that."""
    packer = zlib.compressobj(wbits=31)
    start = packer.compress(packed) + packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(b"0" * MEBI) + packer.flush(
        zlib.Z_FULL_FLUSH
    )  # after a full flush it may be repeated
    return [start, lambda connection: [connection.sendall(block) for _ in range(size // MEBI)]]


def endless(piece: bytes, size: int) -> list[Step]:
    block = piece * (MEBI // len(piece))
    return [lambda connection: [connection.sendall(block) for _ in range(size // MEBI)]]


@row("2.8")
@pytest.mark.skipif(sys.platform == "win32", reason="no getrusage here")
@pytest.mark.parametrize(
    ("verb", "steps"),
    [
        (
            "chat",
            [
                head(200, Content_Encoding="gzip", Connection="close"),
                *zeros(b'{"choices": "', 10_000 * MEBI),
            ],
        ),
        (
            "chat",
            [head(500, Content_Encoding="gzip", Connection="close"), *zeros(b"", 10_000 * MEBI)],
        ),
        (
            "stream",
            [
                head(200, Content_Encoding="gzip", Connection="close"),
                *zeros(b"data: ", 10_000 * MEBI),
            ],
        ),
        ("chat", [head(200, Connection="close"), *endless(b" ", 300 * MEBI)]),
        ("stream", [head(200, Connection="close"), b"data: ", *endless(b"x", 300 * MEBI)]),
        ("stream", [head(200, Connection="close"), *endless(b": comment\n", 300 * MEBI)]),
    ],
)
def test_memory_is_bounded_whatever_comes(verb: str, steps: Sequence[Step]) -> None:
    """64 MiB are allowed; twice that and a little is what it may take."""
    with serving(answer({"data": []}), steps) as server:
        shown = subprocess.run(
            [sys.executable, "-c", CLIENT, server.url, verb],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
            cwd=ROOT,
        ).stdout
    # of an error response less is read than of a reply
    reply, error = "is over 67108864 bytes; raise max_bytes", "is over 1048576 bytes, too long"
    assert reply in shown or ("InternalServerError" in shown and error in shown)
    assert int(shown.split()[-1]) < 160, shown


@row("2.8", "5.2")
def test_comments_between_events_take_no_memory() -> None:
    steps = [
        *streamed(HELLO[:3], "close", end=False),
        *endless(b": comment\n\n", 2 * MEBI),
        event("[DONE]"),
    ]
    with serving(steps) as server:
        stream = rawchat.Client(base_url=server.url, environ={}, max_bytes=10_000).stream_chat("Hi")
        assert stream.reply.text == "Hello"


@row("5.11", "5.1")
def test_an_event_of_ten_megabytes_in_small_pieces() -> None:
    text = "x" * (10 * MEBI)
    data = event(delta(text, "stop"))
    pieces = [data[at : at + 1000] for at in range(0, len(data), 1000)]
    with serving([head(200, Connection="close"), *pieces, CLOSE]) as server:
        assert rawchat.Client(base_url=server.url, environ={}).stream_chat("Hi").reply.text == text


@row("3.1", "5.6", "8.4")
@pytest.mark.parametrize("verb", ["chat", "stream_chat"])
def test_a_reset_at_any_stage_is_one_of_our_errors(verb: str) -> None:
    whole = (
        answer(completion())
        if verb == "chat"
        else b"".join(step for step in streamed() if isinstance(step, bytes))
    )
    for at in range(0, len(whole) - 40, 23):
        with serving([whole[:at], RESET]) as server:
            client = rawchat.Client(base_url=server.url, environ={}, max_retries=0)
            with pytest.raises(APIError):
                list(getattr(client, verb)("Hi"))
