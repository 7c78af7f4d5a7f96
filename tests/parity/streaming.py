"""What comes back as server-sent events: whole, odd, wrong and cut."""
import threading

from tests.server import CLOSE, HELLO, RESET, answer, completion, delta, event, head, streamed

from .scenario import STREAM, Scenario, call, drip, flushed, silence

ID = {"x-request-id": "req_1"}
HEL = HELLO[:2]                 # a stream's beginning: "Hel"
DONE = event("[DONE]")
STOP = event(delta(finish="stop"))
WHOLE = b"".join(HELLO)
TOLD = {"error": {"message": "overloaded", "type": "server_error", "code": "busy", "param": None}}
CUT = "the caller learns that the answer is not whole, and .partial holds what came"
WHATWG = "read by the rules of the WHATWG"


def stream(name: str, row: str, *events: bytes, **more: object) -> Scenario:
    """A scenario of one streamed answer with these events, or these bytes."""
    return Scenario(name, row, [streamed(events, headers=ID)], [STREAM], **more)      # type: ignore[arg-type]


def gated(framing: str, packed: bool = False) -> Scenario:
    """Each event is held back until the one before it has been seen."""
    gates = [threading.Event() for _ in HELLO[:-1]]
    events = flushed(HELLO) if packed else HELLO
    steps = [step for pair in zip(events, gates) for step in pair] + [events[-1]]
    headers = {"Content-Encoding": "gzip"} if packed else {}
    return Scenario(f"each chunk as it arrives: {framing}{', gzip' if packed else ''}",
                    "5 a chunk is delivered the moment it arrives", [streamed(steps, framing, headers)],
                    [call("stream", [], gates=gates)], client={"timeout": 2})


PROMPT = [gated(framing, packed) for framing in ("chunked", "length", "close") for packed in (False, True)]

ENDS = [
    Scenario(f"line ends: {name}", "5 lines end in LF, CRLF or CR", [streamed([WHOLE.replace(b"\n", end)])], [STREAM])
    for name, end in (("CRLF", b"\r\n"), ("CR", b"\r"))]

ENDS += [
    stream("line ends: all three mixed", "5 mixed",
           HELLO[0].replace(b"\n", b"\r\n"), HELLO[1], HELLO[2].replace(b"\n", b"\r"), HELLO[3], DONE),
    stream("line ends: CR and LF of one line in two pieces", "5 cut at any byte",
           *[piece for e in HELLO for piece in (e[:-2] + b"\r", b"\n\r", b"\n")]),
    stream("every byte in a piece of its own", "5 cut at any byte",
           *[bytes([byte]) for byte in event(delta("Grüße 🎈")) + STOP + DONE]),
    stream("U+2028, U+0085 and VT in the text", "5 U+2028/U+0085/VT inside data are data",
           event(delta("a\u2028b\u0085c\vd".replace("\v", "\\v"))), STOP, DONE),
    stream("a BOM first", "5 a BOM is dropped", b"\xef\xbb\xbf" + WHOLE, better=WHATWG),
    stream("UTF-8 that is none", "5 invalid UTF-8 becomes U+FFFD", event(b'{"choices":[{"index":0,"delta":{"content":"caf\xe9"}}]}'),
           STOP, DONE, better=WHATWG)]

FIELDS = [
    stream("comments", "5 comments", b": hello\n\n", HELLO[0], b":\n", *HELLO[1:]),
    stream("retry:", "5 retry:", b"retry: 10\n\n", *HELLO, better=WHATWG),
    stream("retry: within an event", "5 retry:", b"retry: 10\n" + HELLO[0], *HELLO[1:]),
    stream("id: within an event", "5 id: lines", b"id: 7\n" + HELLO[0], *HELLO[1:]),
    stream("id: alone", "5 id: lines", HELLO[0], b"id: 7\n\n", *HELLO[1:], better=WHATWG),
    stream("an unknown field", "5 unknown fields", b"weather: fine\n" + HELLO[0], *HELLO[1:]),
    stream("empty data:", "5 empty data:", HELLO[0], b"data:\n\n", b"data: \n\n", *HELLO[1:], better=WHATWG),
    stream("event: alone", "5 empty data:", b"event: start\n\n", *HELLO, better=WHATWG),
    stream("event: ping without data", "5 event: ping", b"event: ping\n\n", *HELLO, better=WHATWG),
    stream("event: ping with JSON", "5 event: ping", b'event: ping\ndata: {"type": "ping"}\n\n', *HELLO,
           better="a ping is no chunk"),
    stream("event: message", "5 unknown fields", *[b"event: message\n" + e for e in HELLO]),
    stream("no blank after data:", "5 data:[DONE]", *[e.replace(b"data: ", b"data:") for e in HELLO]),
    stream("one event in two data lines", "5 events", b'data: {"choices":[{"index":0,\ndata: "delta":{"content":"Hi"}}]}\n\n',
           STOP, DONE)]

ENDINGS = [
    stream("[DONE], then more", "5 what follows is ignored", *HELLO, event(delta("never"))),
    stream("[DONE], then bytes that are no event", "5 what follows is ignored", *HELLO, b"\xff\xfe garbage"),
    stream("[DONE] with blanks around it", "5 extra blanks", *HELLO[:-1], b"data:   [DONE]  \n\n", better="it is an end"),
    stream("[DONE] and something", "10 [DONE] is matched as a prefix", *HELLO[:-1], event("[DONE] bye")),
    stream("[DONE] without its blank line", "5 a last event without its blank line", *HELLO[:-1], b"data: [DONE]\n"),
    stream("[DONE] without any line end", "5 a last event without its blank line", *HELLO[:-1], b"data: [DONE]"),
    stream("no [DONE], but finished", "5 every choice finished", *HELLO[:-1]),
    stream("no [DONE], finished, the last event without its blank line", "5 a last event without its blank line",
           *HELLO[:-2], HELLO[-2].rstrip(b"\n"), better="a whole event counts"),
    stream("[DONE], but not finished", "5 [DONE] seen: complete", *HEL, DONE),
    stream("no [DONE], not finished", "5 the end without [DONE]", *HEL, better=CUT),
    stream("no [DONE], one of two choices finished", "5 every choice finished", *HELLO[:-1],
           event(delta("more", index=1)), better=CUT),
    stream("half an event at the end", "5 a last event without its blank line", *HEL, event(delta("lost"))[:30], better=CUT),
    stream("nothing but [DONE]", "5 an empty stream raises", DONE, better="no answer is an error"),
    stream("nothing", "5 an empty stream raises", better="no answer is an error"),
    stream("nothing but comments", "5 an empty stream raises", b": one\n\n", b": two\n\n", better="no answer is an error")]

CUTS = [
    Scenario("cut: chunked", "5 cut chunked body", [[*streamed(HEL, end=False), CLOSE]], [STREAM], better=CUT),
    Scenario("cut: Content-Length", "5 Whole events that arrived before the cut are delivered first",
             [[*streamed(HEL, "length", end=False), CLOSE]], [STREAM], better=CUT),
    Scenario("cut: close-delimited", "5 the end without [DONE]", [streamed(HEL, "close")], [STREAM], better=CUT),
    Scenario("cut: gzip", "5 cut gzip",
             [streamed(flushed([*HEL, DONE])[:2], headers={"Content-Encoding": "gzip"})], [STREAM], better=CUT),
    Scenario("cut: a bad chunk size", "5 bad chunk size", [[*streamed(HEL, end=False), b"zz\r\n", CLOSE]], [STREAM], better=CUT),
    Scenario("cut: a negative chunk size", "5 negative chunk size", [[*streamed(HEL, end=False), b"-5\r\n", CLOSE]], [STREAM],
             better=CUT),
    Scenario("cut: before the first event", "5 cut", [[*streamed([], end=False), CLOSE]], [STREAM], better=CUT),
    Scenario("cut: finished, but for [DONE]", "5 every choice finished: complete",
             [[*streamed(HELLO[:-1], end=False), CLOSE]], [STREAM], better="the answer is whole: nothing is wrong with it"),
    Scenario("silence", "5 silence", [[*streamed(HEL, end=False), silence]], [STREAM], client={"timeout": 0.2}, better=CUT),
    Scenario("silence after the headers", "5 silence", [[*streamed([], end=False), silence]], [STREAM],
             client={"timeout": 0.2}, better=CUT),
    Scenario("an open end after [DONE]", "2 a server that leaves the socket open", [streamed(HELLO, end=False)], [STREAM])]

ERRORS = [
    stream(f"error in the stream: {name}", "5 error in an event", *HEL, wrong, words=words, better=why)
    for name, wrong, words, why in (
        ("an object", event(TOLD), "overloaded", ".partial holds what came"),
        ("a string", event({"error": "model crashed"}), "model crashed", "what the server said is kept"),
        ("vLLM's", event({"object": "error", "message": "no memory", "code": 500}), "no memory", "it is seen to be one"),
        ("event: error with JSON", b"event: error\n" + event(TOLD), "overloaded", ".partial holds what came"),
        ("event: error with flat JSON", b'event: error\ndata: {"message":"boom","code":3}\n\n', "boom", "it is seen to be one"),
        ("event: error with text", b"event: error\ndata: boom and gone\n\n", "boom and gone", "it is seen to be one"),
        ("event: error without data", b"event: error\ndata:\n\n", "", "it is seen to be one"))]

ERRORS += [
    stream("error in the stream, first thing", "5 error in an event", event(TOLD), words="overloaded",
           better=".partial is there, and empty"),
    stream("an event that is not JSON", "5 bad JSON in an event", *HEL, event("oops <html>"), words="oops",
           better="an error of ours, with an excerpt"),
    stream("an event that is cut JSON", "5 bad JSON in an event", *HEL, event('{"choices":[{"ind'), words='{"choices"',
           better="an error of ours, with an excerpt"),
    stream("an event of deep JSON", "5 never RecursionError", *HEL, event(b"[" * 100_000), words="not JSON",
           better="an error of ours")]

ERRORS += [
    stream(f"an event that is {name}", "5 An event that is null, a list, a number", HELLO[0], event(payload), *HELLO[1:],
           better="it is passed over")
    for name, payload in (("null", "null"), ("a list", "[]"), ("a number", "42"), ("a string", '"text"'),
                          ("true", "true"))]

ERRORS += [
    stream(f"a chunk with {name}", "5 choices: null, a choice null, a delta that is a string",
           HELLO[0], event(payload), *HELLO[1:], better="it is passed over")
    for name, payload in (
        ("choices that are text", '{"choices":"text"}'),
        ("a choice that is null", '{"choices":[null]}'), ("a choice that is text", '{"choices":["text"]}'),
        ("a delta that is null", '{"choices":[{"index":0,"delta":null}]}'),
        ("a delta that is text", '{"choices":[{"index":0,"delta":"text"}]}'))]

ERRORS += [
    stream(f"a chunk with {name}", "5 choices: null", HELLO[0], event(payload), *HELLO[1:])
    for name, payload in (("choices that are null", '{"choices":null}'), ("no choices", '{"id":"x"}'),
                          ("empty choices", '{"choices":[]}'), ("unknown fields", '{"choices":[],"new":{"a":1}}'))]

INSTEAD = [
    Scenario("JSON instead of events", "5 200 with a JSON body instead of SSE", [answer(completion())], [STREAM],
             better="it is delivered as one chunk"),
    Scenario("JSON instead of events, called events", "5 200 with a JSON body instead of SSE",
             [streamed([answer(completion()).partition(b"\r\n\r\n")[2]])], [STREAM], better="it is delivered as one chunk"),
    Scenario("an error as JSON instead of events", "5 an error body raises", [answer(TOLD, headers=ID)], [STREAM],
             words="overloaded", better="an error is an error"),
    Scenario("a web page instead of events", "5 HTML raises", [answer(b"<html>Login</html>", headers={"Content-Type": "text/html"})],
             [STREAM], words="base_url", better="an error that says so, with a hint at base_url"),
    Scenario("an empty body instead of events", "5 an empty stream raises", [answer(b"")], [STREAM],
             better="no answer is an error"),
    Scenario("events under another type", "5 events", [streamed(headers={"Content-Type": "text/plain"})], [STREAM]),
    Scenario("204 instead of events", "5 an empty stream raises", [head(204)], [STREAM], better="no answer is an error"),
    Scenario("leaving the loop early", "5 leaving the loop early", [streamed(HELLO)], [call("stream", [], take=2)]),
    Scenario("reset before the events", "3 streams are retried until good headers", [[RESET], streamed()], [STREAM]),
    Scenario("comments for ever, and a deadline", "2 deadline=", [[*streamed([], end=False), drip]], [STREAM],
             added={"deadline": 0.3}, better="deadline= bounds the whole stream; the SDK waits until the server ends it")]

SCENARIOS = [*PROMPT, *ENDS, *FIELDS, *ENDINGS, *CUTS, *ERRORS, *INSTEAD]
