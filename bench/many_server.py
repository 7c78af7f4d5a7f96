"""A server for thousands of streams at once: each gets its chunks at fixed intervals.  Prints its port; ends with stdin."""

import asyncio
import contextlib
import os
import re
import resource
import sys

from server import chunk, framed

COUNT, PAUSE = 10, 0.1  # chunks of a stream, seconds between two of them

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
STEPS = [
    HEAD + chunk(" word0"),
    *(chunk(f" word{number}") for number in range(1, COUNT)),
    chunk(finish="stop") + framed(b"data: [DONE]\n\n") + b"0\r\n\r\n",
]


class Paced(asyncio.Protocol):
    """One connection: a request, then the steps of the answer, and so on."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.received = b""

    def data_received(self, data: bytes) -> None:
        self.received += data
        head, end, body = self.received.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: *(\d+)", head)
        if end and length and len(body) >= int(length[1]):
            self.received = body[int(length[1]) :]
            self.take_step(0)

    def take_step(self, number: int) -> None:
        if number < len(STEPS) and not self.transport.is_closing():
            self.transport.write(STEPS[number])
            asyncio.get_running_loop().call_later(PAUSE, self.take_step, number + 1)


def raise_file_limit() -> None:
    """Allow as many open files as the system lets this process have: a connection is one."""
    with contextlib.suppress(ValueError, OSError):
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


async def main() -> None:
    raise_file_limit()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Paced, "127.0.0.1", 0, backlog=5000)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    os._exit(0)


if __name__ == "__main__":
    asyncio.run(main())
