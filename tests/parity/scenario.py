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

VERSION = "3.52.0"  #: the openai-python that rawchat is compared with
NOW = 1_700_000_000  #: what time it is in every scenario: Tue, 14 Nov 2023 22:13:20 GMT
KEY = "sk-parity-abcdefghij"
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
    row: str  #: section and key words in the description of the behaviour
    script: Sequence[Answer] = (
        OK,
    )  #: one answer for each request, the last one again for all further ones
    calls: Sequence[Call] = (CHAT,)  #: on one client, one after the other
    client: Mapping[
        str, Any
    ] = {}  #: its settings, over base_url, api_key and a timeout; None leaves one out
    environ: Mapping[str, str] = {}
    files: Mapping[str, str] = {}  #: what is in the working directory
    added: Mapping[str, Any] = {}  #: settings for rawchat alone
    played: Sequence[
        Answer
    ] = ()  #: the script for rawchat, where the yardstick is the SDK's plain call
    look: Sequence[str] = ()  #: at fields that begin so, and no others
    also: Sequence[str] = ()  #: at these as well, of errors: `pickles`, `key shown`
    words: str = ""  #: what the server says, and an error should tell
    better: str = ""
    ours: Mapping[str, Any] = {}


def without_nulls(value: Any) -> Any:
    """`value` without the nulls in its objects: the SDK makes some of its own, and nobody can tell them from absent."""
    if isinstance(value, dict):
        return {name: without_nulls(item) for name, item in value.items() if item is not None}
    return [without_nulls(item) for item in value] if isinstance(value, list) else value


def untitled(node: Any) -> Any:
    """A schema without the titles that pydantic alone writes, and with `required` in alphabetical order: fields with
    a default come last in a dataclass."""
    if isinstance(node, list):
        return [untitled(item) for item in node]
    if not isinstance(node, dict):
        return node
    kept = {
        name: untitled(item)
        for name, item in node.items()
        if name != "title" or isinstance(item, dict)
    }
    return (
        {**kept, "required": sorted(kept["required"])}
        if isinstance(kept.get("required"), list)
        else kept
    )


#: what is seen of a chat that goes well, and of one that is not even sent
ANSWERED = {"reply": without_nulls(completion()), "text": "Hello"}
SENT = {
    "requests": 1,
    "connections": 1,
    "request.line": "POST /v1/chat/completions",
    "request.body": {"model": "m", "messages": HI},
    "request.accept": "application/json",
    "request.accept-encoding": "gzip, deflate",
    "request.authorization": f"Bearer {KEY}",
    "request.content-type": "application/json",
    "request.content-length": 57,
    "request.user-agent": "its own",
}
ORDINARY = {**SENT, **ANSWERED, "waits": []}
UNSENT = {**dict.fromkeys([*SENT, *ANSWERED]), "requests": 0, "connections": 0}


def failed(error: str, body: Any = None, status: int = 200, **fields: Any) -> dict[str, Any]:
    """What is seen of an answer that is turned into an error."""
    facts = {"error": error, "status": status, "request id": "req_1", **fields}
    return facts if body is None else {**facts, "body": body}


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
