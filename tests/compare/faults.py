"""What servers and networks do wrong, each as a script, with what a client should make of it."""

import socket
import time
from collections.abc import Sequence
from typing import Any, NamedTuple, Optional

from tests.server import CLOSE, RESET, Answer, answer, completion, delta, event, head, streamed

from .drivers import KEY

TEXT = "Hello"
USAGE = {"prompt_tokens": 8, "completion_tokens": 1, "total_tokens": 9}
GOOD = answer(completion(TEXT, usage=USAGE))
BODY = b'{"choices": [{"index": 0, "message": {"role": "assistant", "content": "Hel'
START, HEL, LO, END, DONE = (
    event(delta({"role": "assistant", "content": ""})),
    event(delta("Hel")),
    event(delta("lo")),
    event(delta(finish="stop")),
    event("[DONE]"),
)


class Fault(NamedTuple):
    """A script of responses, and the right outcome.

    text            the answer that should arrive; None if an exception that the client documents should be raised
    most_requests   more than these are a fault of the client
    most_seconds    so is a longer time
    hides_key       the text of the exception must not hold the key
    """

    name: str
    script: Sequence[Answer]
    stream: bool = False
    text: Optional[str] = TEXT
    most_requests: int = 9
    most_seconds: float = 60.0
    hides_key: bool = False


def failed(
    status: int, message: str, headers: Optional[dict[str, str]] = None, **fields: Any
) -> bytes:
    """Return an error response in OpenAI's form."""
    return answer({"error": {"message": message, **fields}}, status, headers)


def drip(connection: socket.socket) -> None:
    """Send a body of which a blank arrives every half second, for half a minute."""
    connection.sendall(head(200, {"Content-Type": "application/json", "Content-Length": "1000"}))
    for _ in range(60):
        connection.sendall(b" ")
        time.sleep(0.5)


FAULTS = [
    Fault("503, then an answer", [failed(503, "busy"), GOOD]),
    Fault(
        "429 with Retry-After, then an answer", [failed(429, "slow", {"Retry-After": "1"}), GOOD]
    ),
    Fault(
        "429 because the quota is used up: asked once",
        [failed(429, "pay", code="insufficient_quota")],
        text=None,
        most_requests=1,
    ),
    Fault("connection closed before the response, then an answer", [[CLOSE], GOOD]),
    Fault("body cut off, then an answer", [[head(200, content_length=500) + BODY, CLOSE], GOOD]),
    Fault(
        "body without a length cut off, then an answer",
        [[head(200, connection="close") + BODY, CLOSE], GOOD],
    ),
    Fault(
        "200 with the web page of a login",
        [answer(b"<html>Sign in</html>", headers={"Content-Type": "text/html"})],
        text=None,
    ),
    Fault("200 with an error in the body", [failed(200, "out of memory")], text=None),
    Fault(
        "200 without any choice", [answer({**completion(usage=USAGE), "choices": []})], text=None
    ),
    Fault(
        "an error that repeats the key",
        [failed(401, f"no such key: {KEY}")],
        text=None,
        hides_key=True,
    ),
    Fault(
        "a body that drips, and a limit of 8 s for the call", [[drip]], text=None, most_seconds=14
    ),
    Fault(
        "503, then a stream",
        [failed(503, "busy"), streamed([START, HEL, LO, END, DONE])],
        stream=True,
    ),
    Fault("a stream that ends early", [streamed([START, HEL], "close")], stream=True, text=None),
    Fault(
        "a stream whose connection is reset",
        [[*streamed([START, HEL], end=False), RESET]],
        stream=True,
        text=None,
    ),
    Fault(
        "an error in the middle of a stream",
        [streamed([START, HEL, event({"error": {"message": "out of memory"}}), DONE])],
        stream=True,
        text=None,
    ),
    Fault(
        "a stream with CRLF and a byte order mark",
        [
            streamed(
                [b"\xef\xbb\xbf" + b"".join([START, HEL, LO, END, DONE]).replace(b"\n", b"\r\n")]
            )
        ],
        stream=True,
    ),
    Fault(
        "a stream with comments, pings and empty events",
        [
            streamed(
                [
                    b": ping\n\n",
                    START,
                    HEL,
                    b"event: ping\ndata: {}\n\n",
                    event("null"),
                    LO,
                    END,
                    DONE,
                ]
            )
        ],
        stream=True,
    ),
    Fault("JSON in place of a stream", [GOOD], stream=True),
]
