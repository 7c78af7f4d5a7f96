"""Measure each part of `rawchat/transport/fast.py` beside what it replaces: `python bench/fast_parts.py`.

Both sides take turns in one process, against a canned server in another; the least CPU time of all turns counts.
"""

import pathlib
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import rawchat
from rawchat import transport
from rawchat.transport import connection, fast

CALLS, POOLS, TIMERS, TURNS = 200, 20, 500, 12


class TwoPackets(connection.DeadlineConnection):
    """A connection that differs from FastConnection only in sending head and body apart."""

    response_class = fast.FastHTTPResponse


class TwoPacketsPool(fast.FastPool):
    """A pool of them."""

    ConnectionCls = TwoPackets


class PlainChunks(fast.FastConnection):
    """A connection that differs from FastConnection only in leaving the chunks to http.client."""

    response_class = connection.StrictHTTPResponse


class PlainChunksPool(fast.FastPool):
    """A pool of them."""

    ConnectionCls = PlainChunks


class MailHeadersResponse(fast.FastHTTPResponse):
    """A response that differs from FastHTTPResponse only in leaving the headers to http.client."""

    _read_head = connection.StrictHTTPResponse._read_head


class MailHeaders(fast.FastConnection):
    """A connection for them."""

    response_class = MailHeadersResponse


class MailHeadersPool(fast.FastPool):
    """A pool of them."""

    ConnectionCls = MailHeaders


def make_client(url: str, adapter: Any, pool: Any) -> rawchat.Client:
    """A client with this adapter and this pool, whose connection is open."""
    transport.Adapter, transport.POOL_CLASSES = adapter, {"http": pool}
    client = rawchat.Client(base_url=url, model="m", environ={})
    client.chat("Hi")
    return client


def make_calls(client: rawchat.Client) -> int:
    for _ in range(CALLS):
        client.chat("Hi")
    return CALLS


def read_stream(client: rawchat.Client) -> int:
    return sum(1 for _ in client.stream_chat("Hi"))


def make_pools(pool: Any) -> int:
    for _ in range(POOLS):
        pool("localhost", maxsize=transport.POOL_SIZE)
    return POOLS


def start_timers() -> int:
    for _ in range(TIMERS):
        timer = threading.Timer(5, print)
        timer.daemon = True
        timer.start()
        timer.cancel()
    return TIMERS


def compare(title: str, **sides: Callable[[], int]) -> None:
    """Print the µs of CPU that one unit of each side takes, and the ratio of the first two."""
    least = dict.fromkeys(sides, float("inf"))
    for _ in range(TURNS):
        for name, work in sides.items():
            start = time.process_time()
            units = work()
            least[name] = min(least[name], (time.process_time() - start) / units * 1e6)
    figures = ", ".join(f"{name} {microseconds:.1f} µs" for name, microseconds in least.items())
    first, *rest = least.values()
    ratio = f", ratio {first / rest[0]:.2f}" if rest else ""
    print(f"{title:16} {figures}{ratio}")


def main() -> None:
    server = pathlib.Path(__file__).with_name("server.py")
    command = [sys.executable, str(server)]
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)
    try:
        assert process.stdout
        url = f"http://127.0.0.1:{process.stdout.readline().strip()}/v1"
        quick = make_client(url, fast.FastAdapter, fast.FastPool)
        chunks = make_client(url, fast.FastAdapter, PlainChunksPool)
        packets = make_client(url, fast.FastAdapter, TwoPacketsPool)
        mail = make_client(url, fast.FastAdapter, MailHeadersPool)
        adapter = make_client(url, connection.StrictAdapter, fast.FastPool)
        compare(
            "decode_chunked", fast=lambda: read_stream(quick), plain=lambda: read_stream(chunks)
        )
        compare("FastConnection", fast=lambda: make_calls(quick), plain=lambda: make_calls(packets))
        compare("read_headers", fast=lambda: make_calls(quick), plain=lambda: make_calls(mail))
        compare("FastAdapter", fast=lambda: make_calls(quick), plain=lambda: make_calls(adapter))
        compare(
            "IdleQueue",
            fast=lambda: make_pools(fast.FastPool),
            plain=lambda: make_pools(connection.AutoClosingPool),
        )
        compare("read_to_end", timer=start_timers)
    finally:
        process.kill()


if __name__ == "__main__":
    main()
