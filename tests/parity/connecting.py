"""Keys, connections and time: what holds for a client, not for one answer."""

import socket
import threading

from tests.server import answer, completion, streamed

from .scenario import ANSWERED, CHAT, KEY, OK, SENT, STREAM, UNSENT, Scenario, call, silence, zipped

GONE = threading.Event()
TWO = [KEY + "-one", KEY + "-two"]
WRONG = answer({"error": {"message": "who are you?"}}, 401)
REFUSED = "it is refused at once, by its position, and never shown"
KEYLESS = {
    name: value
    for name, value in {**SENT, **ANSWERED, "error": None}.items()
    if name != "request.authorization"
}
SECOND = {"authorization": f"Bearer {TWO[1]}"}
BUSY = answer({"error": {"message": "slower"}}, 429, {"Retry-After": "3"})


def leave(connection: socket.socket) -> None:
    """A step: close the connection, and tell when that has happened."""
    connection.shutdown(socket.SHUT_RDWR)
    GONE.set()


KEYS = [
    Scenario(
        "a key with blanks around it",
        "1 trimmed",
        client={"api_key": f" {KEY}\n"},
        also=("key shown",),
        better="it is trimmed",
        ours={**SENT, **ANSWERED, "waits": [], "error": None, "key shown": None},
    ),
    Scenario(
        "a key with a newline inside",
        "1 refused when the client is made",
        client={"api_key": "sk-\n" + KEY},
        also=("key shown",),
        words="position 4",
        better=REFUSED,
        ours={"waits": [], "error": "ConfigError", "tells": True, "key shown": False},
    ),
    Scenario(
        "a key that is not ASCII",
        "1 refused when the client is made",
        client={"api_key": f"{KEY}ü"},
        also=("key shown",),
        words="position 21",
        better=REFUSED,
        ours={"error": "ConfigError", "tells": True},
    ),
    Scenario(
        "no key, and the default base_url",
        "1 error when the client is made",
        client={"api_key": None, "base_url": None},
        words="OPENAI_API_KEY",
        better="it has its own class, under ConfigError",
        ours={"error": "MissingKeyError"},
    ),
    Scenario(
        "no key, and another base_url",
        "1 no key and another base_url",
        client={"api_key": None},
        better="a local server needs no key",
        ours=KEYLESS,
    ),
    Scenario(
        "an empty key, and another base_url",
        "10 api_key='' is no key",
        client={"api_key": ""},
        better="an empty key is none, and is not sent",
        ours=KEYLESS,
    ),
    Scenario(
        "a key from a function, asked before every attempt",
        "1 api_key may be a callable",
        [answer({}, 500), OK],
        client={"api_key": (TWO[:]).pop},
    ),
    Scenario(
        "a function that fails",
        "3 exceptions that do not come from the network pass at once",
        client={"api_key": lambda: [][0]},
    ),
    Scenario(
        "several keys, the first refused",
        "3 with several keys",
        [WRONG, OK],
        client={"api_key": TWO[0]},
        added={"api_key": TWO},
        better="the next key is tried, at once",
        ours={
            **ANSWERED,
            "requests": 2,
            "waits": [0],
            "changed.2": SECOND,
            "error": None,
            "status": None,
            "body": None,
        },
    ),
    Scenario(
        "several keys, the first over its limit",
        "3 with several keys",
        [BUSY, OK],
        client={"api_key": TWO[0]},
        added={"api_key": TWO},
        better="the next key is tried, at once",
        ours={"waits": [0], "changed.2": SECOND},
    ),
    Scenario(
        "a key over http:// to another machine",
        "1 an http:// base_url with a key",
        client={"base_url": "http://127.1.2.3.example/v1"},
        environ={"HTTP_PROXY": "{origin}"},
        better="it would travel unencrypted: refused unless allow_http=True",
        ours={**UNSENT, "error": "ConfigError"},
    ),
    Scenario(
        "a key over http:// to another machine, allowed",
        "1 an http:// base_url with a key",
        client={"base_url": "http://127.1.2.3.example/v1"},
        environ={"HTTP_PROXY": "{origin}"},
        added={"allow_http": True},
        look=("request.line", "request.auth", "text", "error"),
    ),
]

CONNECTIONS = [
    Scenario("three calls, one connection", "2 one pool per client", calls=[CHAT] * 3),
    Scenario(
        "three streams, one connection",
        "2 streams that end in [DONE] give their connection back",
        [streamed()],
        [STREAM] * 3,
        better="a stream that has been read gives its connection back",
        ours={"connections": 1},
    ),
    Scenario(
        "three streams with Content-Length",
        "2 streams that end in [DONE] give their connection back",
        [streamed(framing="length")],
        [STREAM] * 3,
        better="a stream that has been read gives its connection back",
        ours={"connections": 1},
    ),
    Scenario(
        "a stream left early, then a call",
        "5 frees the connection",
        [streamed(), OK],
        [call("stream", [], take=1), CHAT],
    ),
    Scenario(
        "an idle connection that the server closed",
        "2 replaced without an error",
        [[OK, leave], OK],
        [CHAT, call("await", GONE), CHAT],
    ),
    Scenario(
        "Connection: close",
        "2 connections",
        [answer(completion(), headers={"Connection": "close"})],
        [CHAT, CHAT],
    ),
    Scenario(
        "cookies",
        "2 no cookies are kept",
        [answer(completion(), headers={"Set-Cookie": "a=1; Path=/"}), OK],
        [CHAT, CHAT],
        better="no cookies are kept",
        ours={"changed.2": None},
    ),
    Scenario(
        "bytes that come unasked",
        "2 bytes that come unasked",
        [OK + answer(completion("evil")), OK],
        [CHAT, CHAT],
        better="they are never taken for the next answer",
        look=("call",),
        ours={f"call 2.{name}": value for name, value in ANSWERED.items()},
    ),
    Scenario(
        "a call after close()",
        "2 a call after close() is an error",
        calls=[CHAT, call("close"), CHAT],
        better="it is an error of ours",
        look=("call 3", "requests"),
        words="closed",
        ours={"call 3.error": "RawchatError"},
    ),
]

BOUND = "max_bytes= bounds what a server can fill memory with"
BOUNDS = [
    Scenario(
        "silence, and a deadline",
        "2 deadline=",
        [[silence]],
        client={"timeout": 0.2},
        added={"deadline": 0.3},
        better="deadline= bounds all attempts together",
        ours={"requests": 1, "connections": 1, "waits": [], "error": "DeadlineExceededError"},
    ),
    Scenario(
        "a body over max_bytes",
        "2 max_bytes",
        [answer(completion("a" * 5000))],
        added={"max_bytes": 4000},
        better=BOUND,
        words="4000",
        look=("error", "tells", "requests"),
        ours={"error": "APIResponseValidationError", "tells": True},
    ),
    Scenario(
        "a packed body over max_bytes",
        "2 the same for what gzip unpacks to",
        [zipped(answer(completion("a" * 100_000)).partition(b"\r\n\r\n")[2])],
        added={"max_bytes": 4000},
        better=BOUND,
        words="4000",
        look=("error", "tells", "requests"),
        ours={"error": "APIResponseValidationError", "tells": True},
    ),
    Scenario(
        "an event over max_bytes",
        "2 max_bytes",
        [streamed([b"data: " + b"a" * 5000 + b"\n\n"])],
        [STREAM],
        added={"max_bytes": 4000},
        better=BOUND,
        words="4000",
        look=("error", "tells", "requests"),
        ours={"error": "APIError", "tells": True},
    ),
]

SCENARIOS = [*KEYS, *CONNECTIONS, *BOUNDS]
