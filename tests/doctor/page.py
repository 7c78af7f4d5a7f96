"""docs/doctor.md: what the doctor prints for a healthy server and for three faults.

`python -m tests.doctor.page` writes the page; test_page.py fails if it is not what would be written now, times aside.
"""

import contextlib
import io
import pathlib
import re
import socket
import time

from rawchat.doctor.check_server import CHECKS
from rawchat.doctor.command import main

from .servers import KEY, MODEL, Api, Clock, Proxy, Replying, closed_port

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "doctor.md"
SHOWN_PORT = (
    18080  #: in place of the free port that a server was given; as many digits, for the columns
)
SHOWN_PROXY_PORT = 13128
SETTINGS = {"OPENAI_API_KEY": KEY, "OPENAI_MODEL": MODEL}

TEXT = """# The doctor

`python -m rawchat.doctor [BASE_URL]` tries each step to a model on its own, names the first one that fails,
and says what to do about it. With `--probe` it then finds out what the server can do. `--help` lists the options;
`--json` prints the same as one JSON object. Keys are shown by their length and last two characters only, and nothing
is written to any file.

This page is written by `python -m tests.doctor.page`: the servers are small scripts on this machine, the output is the
doctor's own.

## A healthy server

{healthy}

The first part is free of charge: `GET /models`, and one request with an empty body, which a server must refuse. Only a
model that is not in the server's list is asked for one token. The cost of the probe is printed before its first call.

## The server is not running

{refused}

## The proxy requires a password

{proxy}

## Something buffers the stream

{buffered}

## What the probe tries

`--probe=NAMES` tries only some of these, separated by commas, and those that they depend on. Its exit code is then that of the
first of them that does not work; without names, `chat` and `stream` decide.

{checks}
"""


class PageClock(Clock):
    """The real clock, which a server can advance: nobody waits for the stream that is held back."""

    def __init__(self) -> None:
        self._ahead = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self._ahead

    def advance(self, seconds: float) -> None:
        self._ahead += seconds


def run(argv: list[str], ports: dict[int, int], clock: Clock, **variables: str) -> str:
    """Run the doctor, and return a block of Markdown with its command, its output and its exit code."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        code = main(argv, {**SETTINGS, **variables}, clock)
    assignments = [f"{name}={value} " for name, value in variables.items()]
    command = f"$ {''.join(assignments)}python -m rawchat.doctor {' '.join(argv)}"
    block = f"```console\n{command}\n{printed.getvalue()}$ echo $?\n{code}\n```"
    bundle = "…/certifi/cacert.pem"
    block = re.sub(
        r"(?m)^  CA bundle .*$", f"  CA bundle           {bundle.ljust(40)}  (default)", block
    )
    for port, shown in ports.items():
        block = block.replace(f":{port}", f":{shown}")
    return block


def healthy() -> str:
    """Return a run with --probe on a healthy server."""
    clock = PageClock()
    with Replying(Api()) as server:
        return run([server.url, "--probe"], {server.port: SHOWN_PORT}, clock)


def refused() -> str:
    """Return a run on a port on which nothing listens."""
    with closed_port() as port:
        return run([f"http://127.0.0.1:{port}/v1"], {port: SHOWN_PORT}, PageClock())


def ask_for_password(connection: socket.socket) -> None:
    """Answer CONNECT as a proxy does that wants a password."""
    connection.recv(65536)
    connection.sendall(
        b"HTTP/1.1 407 Proxy Authentication Required\r\n"
        b"Proxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n"
    )


def proxy() -> str:
    """Return a run through a proxy that wants a password."""
    with Proxy({}, whole=ask_for_password) as server:
        argv = ["https://api.example.test/v1"]
        return run(argv, {server.port: SHOWN_PROXY_PORT}, PageClock(), HTTPS_PROXY=server.url)


def buffered() -> str:
    """Return a run on a server with a buffer in front of it."""
    clock = PageClock()
    with Replying(Api("stream-buffered", clock)) as server:
        return run([server.url, "--probe=stream"], {server.port: SHOWN_PORT}, clock)


def checks() -> str:
    """Return the table of the checks, with what each costs at most."""
    rows = ["| check | what it does | calls | tokens |", "| --- | --- | --- | --- |"]
    for check in CHECKS:
        purpose = (check.run.__doc__ or "").splitlines()[0].rstrip(".")
        rows.append(f"| `{check.name}` | {purpose} | {check.calls} | {check.tokens} |")
    return "\n".join(rows)


def page() -> str:
    """Return the page."""
    return TEXT.format(
        healthy=healthy(), refused=refused(), proxy=proxy(), buffered=buffered(), checks=checks()
    )


def mask(text: str) -> str:
    """Return a page without what differs from run to run and from machine to machine: times and versions.

    >>> mask("rawchat doctor 1.0, Python 3.9.1, OpenSSL 3\\nok  [12 ms], after 2.0 s")
    'rawchat doctor …\\nok  [… s], after … s'
    """
    text = re.sub(r"(?m)^rawchat doctor .*$", "rawchat doctor …", text)
    return re.sub(r"\d+(\.\d+)? m?s\b", "… s", text)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
