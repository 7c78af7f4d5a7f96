"""A scenario: what the server plays, what is called, and where rawchat is meant to be better, why and how.

Both sides play the same.  What is seen must be the same too, field by field, or a reason must say why not: `better`
says it, and `ours` holds rawchat's values for exactly those fields that differ.  So a reason covers nothing but what
it names, and one whose difference has gone is found out.

In settings, variables and scripts "{url}" stands for the server's base_url, "{origin}" for its origin, "{port}" for
its port, and "{dead}" for a port where nobody listens.
"""
import email.utils
import gzip
import select
import socket
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from tests.server import PATIENCE, Answer, answer, completion

NOW = 1_700_000_000         #: what time it is in every scenario: Tue, 14 Nov 2023 22:13:20 GMT
KEY = "sk-parity-0123456789"
HI = [{"role": "user", "content": "Hi"}]
OK = answer(completion())


class Call(NamedTuple):
    """A verb, which each side says in its own words, with its arguments."""

    verb: str
    args: tuple[Any, ...] = ()
    params: Mapping[str, Any] = {}


def call(verb: str, *args: Any, **params: Any) -> Call:
    return Call(verb, args, params)


CHAT = call("chat", HI)
STREAM = call("stream", HI)
MERGE = call("merge", HI)


class Scenario(NamedTuple):
    name: str
    row: str                                #: section and key words in the description of the behaviour
    script: Sequence[Answer] = (OK,)        #: one answer for each request, the last one again for all further ones
    calls: Sequence[Call] = (CHAT,)         #: on one client, one after the other
    client: Mapping[str, Any] = {}          #: its settings, over base_url, api_key and a timeout; None leaves one out
    environ: Mapping[str, str] = {}
    files: Mapping[str, str] = {}           #: what is in the working directory
    added: Mapping[str, Any] = {}           #: settings for rawchat alone
    played: Sequence[Answer] = ()           #: the script for rawchat, where the yardstick is the SDK's plain call
    look: Sequence[str] = ()                #: at fields that begin so, and no others
    also: Sequence[str] = ()                #: at these as well, of errors: `pickles`, `key shown`
    words: str = ""                         #: what the server says, and an error should tell
    better: str = ""
    ours: Mapping[str, Any] = {}


def dated(seconds: int) -> str:
    """An HTTP date so many seconds from NOW."""
    return email.utils.formatdate(NOW + seconds, usegmt=True)


def zipped(body: bytes, encoding: str = "gzip") -> bytes:
    """An answer whose body is packed."""
    packed = gzip.compress(body, mtime=0) if encoding == "gzip" else zlib.compress(body)
    return answer(packed, headers={"Content-Encoding": encoding})


def flushed(parts: Sequence[bytes]) -> list[bytes]:
    """`parts` in one gzip stream, each of them whole when it leaves."""
    packer = zlib.compressobj(wbits=31)
    packed = [packer.compress(part) + packer.flush(zlib.Z_SYNC_FLUSH) for part in parts]
    return [*packed[:-1], packed[-1] + packer.flush()]


def silence(connection: socket.socket) -> None:
    """A step: say nothing more until the client goes."""
    connection.settimeout(PATIENCE)
    connection.recv(1)


def drip(connection: socket.socket) -> None:
    """A step: a comment every 50 ms for a second, in chunks, unless the client goes before."""
    for _ in range(20):
        if select.select([connection], [], [], 0.05)[0]:
            return
        connection.sendall(b"3\r\n:\n\n\r\n")
