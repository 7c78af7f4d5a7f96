"""Keys, connections and time: what holds for a client, not for one answer."""
import socket
import threading

from tests.server import answer, completion, streamed

from .scenario import CHAT, KEY, OK, STREAM, Scenario, call, silence, zipped

GONE = threading.Event()
TWO = [KEY + "-one", KEY + "-two"]
WRONG = answer({"error": {"message": "who are you?"}}, 401)
BUSY = answer({"error": {"message": "slower"}}, 429, {"Retry-After": "3"})


def leave(connection: socket.socket) -> None:
    """A step: close the connection, and tell when that has happened."""
    connection.shutdown(socket.SHUT_RDWR)
    GONE.set()


KEYS = [
    Scenario("a key with blanks around it", "1 trimmed", client={"api_key": f" {KEY}\n"}, also=("key shown",),
             better="it is trimmed"),
    Scenario("a key with a newline inside", "1 refused when the client is made", client={"api_key": "sk-\n" + KEY},
             also=("key shown",), words="position 4", better="it is refused at once, by its position, and never shown"),
    Scenario("a key that is not ASCII", "1 refused when the client is made", client={"api_key": f"{KEY}ü"},
             also=("key shown",), words="position 21", better="it is refused at once, by its position, and never shown"),
    Scenario("no key, and the default base_url", "1 error when the client is made",
             client={"api_key": None, "base_url": None}, words="OPENAI_API_KEY", better="its own class, under ConfigError"),
    Scenario("no key, and another base_url", "1 no key and another base_url", client={"api_key": None},
             better="a local server needs no key"),
    Scenario("an empty key, and another base_url", "10 api_key='' is no key", client={"api_key": ""},
             better="an empty key is none, and is not sent"),
    Scenario("a key from a function, asked before every attempt", "1 api_key may be a callable",
             [answer({}, 500), OK], client={"api_key": (TWO[:]).pop}),
    Scenario("a function that fails", "3 exceptions that do not come from the network pass at once",
             client={"api_key": lambda: [][0]}),
    Scenario("several keys, the first refused", "3 with several keys", [WRONG, OK], client={"api_key": TWO[0]},
             added={"api_key": TWO}, better="the next key is tried, at once"),
    Scenario("several keys, the first over its limit", "3 with several keys", [BUSY, OK], client={"api_key": TWO[0]},
             added={"api_key": TWO}, better="the next key is tried, at once"),
    Scenario("a key over http:// to another machine", "1 an http:// base_url with a key",
             client={"base_url": "http://127.1.2.3.example/v1"}, environ={"HTTP_PROXY": "{origin}"},
             better="it would travel unencrypted: refused unless allow_http=True"),
    Scenario("a key over http:// to another machine, allowed", "1 an http:// base_url with a key",
             client={"base_url": "http://127.1.2.3.example/v1"}, environ={"HTTP_PROXY": "{origin}"},
             added={"allow_http": True}, look=("request.line", "request.auth", "text", "error"))]

CONNECTIONS = [
    Scenario("three calls, one connection", "2 one pool per client", calls=[CHAT] * 3),
    Scenario("three streams, one connection", "2 streams that end in [DONE] give their connection back", [streamed()],
             [STREAM] * 3, better="a stream that has been read gives its connection back", ours={"connections": 1}),
    Scenario("three streams with Content-Length", "2 streams that end in [DONE] give their connection back",
             [streamed(framing="length")], [STREAM] * 3),
    Scenario("a stream left early, then a call", "5 frees the connection", [streamed(), OK],
             [call("stream", [], take=1), CHAT]),
    Scenario("an idle connection that the server closed", "2 replaced without an error", [[OK, leave], OK],
             [CHAT, call("await", GONE), CHAT]),
    Scenario("Connection: close", "2 connections", [answer(completion(), headers={"Connection": "close"})], [CHAT, CHAT]),
    Scenario("cookies", "2 no cookies are kept", [answer(completion(), headers={"Set-Cookie": "a=1; Path=/"}), OK], [CHAT, CHAT],
             better="no cookies are kept"),
    Scenario("bytes that come unasked", "2 bytes that come unasked", [OK + answer(completion("evil")), OK], [CHAT, CHAT],
             better="they are never taken for the next answer"),
    Scenario("a call after close()", "2 a call after close() is an error", calls=[CHAT, call("close"), CHAT],
             better="an error that says so", look=("call 3", "requests"))]

BOUNDS = [
    Scenario("silence, and a deadline", "2 deadline=", [[silence]], client={"timeout": 0.2}, added={"deadline": 0.3},
             better="deadline= bounds all attempts together"),
    Scenario("a body over max_bytes", "2 max_bytes", [answer(completion("a" * 5000))], added={"max_bytes": 4000},
             better="max_bytes= bounds what a server can fill memory with", words="4000", look=("error", "tells", "requests")),
    Scenario("a packed body over max_bytes", "2 the same for what gzip unpacks to",
             [zipped(answer(completion("a" * 100_000)).partition(b"\r\n\r\n")[2])], added={"max_bytes": 4000},
             better="max_bytes= bounds what a server can fill memory with", words="4000", look=("error", "tells", "requests")),
    Scenario("an event over max_bytes", "2 max_bytes", [streamed([b"data: " + b"a" * 5000 + b"\n\n"])], [STREAM],
             added={"max_bytes": 4000}, better="max_bytes= bounds what a server can fill memory with", words="4000",
             look=("error", "tells", "requests"))]

SCENARIOS = [*KEYS, *CONNECTIONS, *BOUNDS]
