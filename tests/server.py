"""A scripted server on loopback: it plays exact bytes from a raw socket and writes down what it was sent.

    with Server([answer({"ok": True})]) as server:
        rawchat.Client(base_url=server.url, environ={}).models()
    server.requests[0].target == "/v1/models"

A script is a list of answers, one for each request in the order they come, whatever connection they come on; the last
one is played again for all further requests.  An answer is bytes, or a list of steps: bytes to send, a function to
call with the socket, a threading.Event to wait for, CLOSE or RESET.
"""

import contextlib
import json
import socket
import struct
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any, Callable, NamedTuple, Optional, TypeVar, Union

CLOSE, RESET = "close", "reset"
PATIENCE = 10  # seconds until a test that would hang fails
Step = Union[bytes, str, threading.Event, Callable[[socket.socket], Any]]
Answer = Union[bytes, Sequence[Step]]
ListenerType = TypeVar("ListenerType", bound="Listener")


class Seen(NamedTuple):
    """A request as it came: `headers` by their names in lower case, `connection` counted from 0."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    connection: int
    head: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Listener:
    """A listening socket on loopback, with a thread that runs `serve` for each connection."""

    def __init__(self) -> None:
        self.connections = 0
        self._open: list[socket.socket] = []

    def __enter__(self: ListenerType) -> ListenerType:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = int(self._listener.getsockname()[1])
        self.origin = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(
                socket.SHUT_RDWR
            )  # wakes `accept`, which close alone leaves waiting for ever
        self._listener.close()
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._open.append(connection)
                number, self.connections = self.connections, self.connections + 1
                threading.Thread(target=self.serve, args=(connection, number), daemon=True).start()

    def wait_until_closed(self, number: int) -> None:
        """Wait until our side of a connection is closed; they are counted from 0."""
        end = time.monotonic() + PATIENCE
        while self._open[number].fileno() >= 0 and time.monotonic() < end:
            time.sleep(0.001)

    def serve(self, connection: socket.socket, number: int) -> None:
        """Serve one connection; they are counted from 0."""
        raise NotImplementedError


class Server(Listener):
    """Answers each request with the next answer of its script."""

    def __init__(self, script: Sequence[Answer]):
        super().__init__()
        self.script, self.requests = list(script), list[Seen]()
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        return self.origin + "/v1"

    def serve(self, connection: socket.socket, number: int) -> None:
        with contextlib.suppress(OSError), connection, connection.makefile("rb") as reader:
            while True:
                seen = read_request(reader, number)
                if seen is None:
                    return
                with self._lock:
                    self.requests.append(seen)
                    steps = self.script[min(len(self.requests), len(self.script)) - 1]
                if not play(connection, [steps] if isinstance(steps, bytes) else steps):
                    return


def read_request(reader: Any, number: int) -> Optional[Seen]:
    lines = []
    for line in iter(reader.readline, b""):
        lines.append(line)
        if line in (b"\r\n", b"\n"):
            break
    else:
        return None
    method, target, _ = lines[0].decode("latin-1").split(" ", 2)
    fields = (line.decode("latin-1").partition(":") for line in lines[1:-1])
    headers = {name.lower(): value.strip() for name, _, value in fields}
    body = reader.read(int(headers.get("content-length", 0)))
    return Seen(method, target, headers, body, number, b"".join(lines))


def play(connection: socket.socket, steps: Sequence[Step]) -> bool:
    """Play one answer; False if it closed the connection."""
    for step in steps:
        if isinstance(step, bytes):
            connection.sendall(step)
        elif isinstance(step, threading.Event):
            assert step.wait(PATIENCE), "the client never came so far"
        elif callable(step):
            step(connection)
        else:
            if step == RESET:  # an RST instead of a FIN
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            else:
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()
            return False
    return True


def head(status: int = 200, headers: Optional[dict[str, str]] = None, **fields: Any) -> bytes:
    """A status line and headers, with the blank line; names in `fields` have _ for -."""
    every = {
        **(headers or {}),
        **{name.replace("_", "-"): str(value) for name, value in fields.items()},
    }
    lines = [
        f"HTTP/1.1 {status} Whatever",
        *(f"{name}: {value}" for name, value in every.items()),
        "",
        "",
    ]
    return "\r\n".join(lines).encode("latin-1")


def answer(
    payload: Any = None, status: int = 200, headers: Optional[dict[str, str]] = None
) -> bytes:
    """A plain answer: `payload` as JSON, or bytes as they are."""
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    fields = {
        "Content-Type": "application/json",
        **(headers or {}),
        "Content-Length": str(len(body)),
    }
    return head(status, fields) + body


def completion(text: str = "Hello", **fields: Any) -> dict[str, Any]:
    """What /chat/completions answers."""
    message = {"role": "assistant", "content": text}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        **fields,
    }


def delta(
    content: Any = None, finish: Optional[str] = None, index: int = 0, **fields: Any
) -> dict[str, Any]:
    """A chunk with one choice: `content` is its text, or its whole delta."""
    change = (
        content if isinstance(content, dict) else {} if content is None else {"content": content}
    )
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        "choices": [{"index": index, "delta": change, "finish_reason": finish}],
        **fields,
    }


def event(payload: Any) -> bytes:
    """One event: a payload as JSON, or its text or bytes as they are."""
    data = payload if isinstance(payload, (str, bytes)) else json.dumps(payload, ensure_ascii=False)
    return b"data: " + (data.encode() if isinstance(data, str) else data) + b"\n\n"


HELLO = [
    event(delta({"role": "assistant", "content": ""})),
    event(delta("Hel")),
    event(delta("lo")),
    event(delta(finish="stop")),
    event("[DONE]"),
]


def streamed(
    events: Sequence[Step] = tuple(HELLO),
    framing: str = "chunked",
    headers: Optional[dict[str, str]] = None,
    end: bool = True,
) -> list[Step]:
    """A streamed answer, in steps: `framing` is chunked, length or close; without `end` the body stays open."""
    fields = {"Content-Type": "text/event-stream", **(headers or {})}
    if framing == "chunked":
        body: list[Step] = [
            b"%x\r\n%s\r\n" % (len(e), e) if isinstance(e, bytes) else e for e in events
        ]
        return [
            head(200, {**fields, "Transfer-Encoding": "chunked"}),
            *body,
            *([b"0\r\n\r\n"] if end else []),
        ]
    if framing == "length":
        length = sum(len(e) for e in events if isinstance(e, bytes))
        return [head(200, {**fields, "Content-Length": str(length + (not end))}), *events]
    return [head(200, {**fields, "Connection": "close"}), *events, *([CLOSE] if end else [])]


def streamed_text(text: str, finish: str = "stop") -> list[Step]:
    """A stream of `text`, three characters at a time."""
    parts = [event(delta(text[at : at + 3])) for at in range(0, len(text), 3)]
    return streamed([*parts, event(delta(finish=finish)), event("[DONE]")])


@contextlib.contextmanager
def serving(*script: Answer) -> Iterator[Server]:
    """`with serving(answer(...), answer(...)) as server`."""
    with Server(script) as server:
        yield server
