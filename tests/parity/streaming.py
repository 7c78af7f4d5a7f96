"""What comes back as server-sent events: whole, odd, wrong and cut."""

import threading
from collections.abc import Sequence
from typing import Any

from tests.server import CLOSE, HELLO, RESET, Step, answer, completion, delta, event, head, streamed

from .scenario import STREAM, Scenario, call, drip, failed, flushed, silence

ID = {"x-request-id": "req_1"}
HEL = HELLO[:2]  # a stream's beginning: "Hel"
DONE = event("[DONE]")
STOP = event(delta(finish="stop"))
WHOLE = b"".join(HELLO)
TOLD = {"error": {"message": "overloaded", "type": "server_error", "code": "busy", "param": None}}
CUT = "the caller learns that the answer is not whole, and .partial holds what came"
EMPTY = "no answer is an error"
WHATWG = "it is read by the rules of the WHATWG"
INTERRUPTED = failed("StreamInterruptedError", partial="Hel")
UNTOLD = {
    name: INTERRUPTED[name] for name in ("status", "request id", "partial")
}  # what the SDK's APIError lacks
ALL_READ = {"chunks": 4, "text": "Hello", "error": None}


def stream(name: str, row: str, *events: bytes, **more: Any) -> Scenario:
    """A scenario of one streamed answer with these events, or these bytes."""
    return Scenario(name, row, [streamed(events, headers=ID)], [STREAM], **more)


def gated(framing: str, packed: bool = False) -> Scenario:
    """Each event is held back until the one before it has been seen."""
    gates = [threading.Event() for _ in HELLO[:-1]]
    events = flushed(HELLO) if packed else HELLO
    steps = [step for pair in zip(events, gates) for step in pair] + [events[-1]]
    headers = {"Content-Encoding": "gzip"} if packed else {}
    return Scenario(
        f"each chunk as it arrives: {framing}{', gzip' if packed else ''}",
        "5 a chunk is delivered the moment it arrives",
        [streamed(steps, framing, headers)],
        [call("stream", [], gates=gates)],
        client={"timeout": 2},
    )


PROMPT = [
    gated(framing, packed) for framing in ("chunked", "length", "close") for packed in (False, True)
]

ENDS = [
    Scenario(
        f"line ends: {name}",
        "5 lines end in LF, CRLF or CR",
        [streamed([WHOLE.replace(b"\n", end)])],
        [STREAM],
    )
    for name, end in (("CRLF", b"\r\n"), ("CR", b"\r"))
]

ENDS += [
    stream(
        "line ends: all three mixed",
        "5 mixed",
        HELLO[0].replace(b"\n", b"\r\n"),
        HELLO[1],
        HELLO[2].replace(b"\n", b"\r"),
        HELLO[3],
        DONE,
    ),
    stream(
        "line ends: CR and LF of one line in two pieces",
        "5 cut at any byte",
        *[piece for e in HELLO for piece in (e[:-2] + b"\r", b"\n\r", b"\n")],
    ),
    stream(
        "every byte in a piece of its own",
        "5 cut at any byte",
        *[bytes([byte]) for byte in event(delta("Grüße 🎈")) + STOP + DONE],
    ),
    stream(
        "U+2028, U+0085 and VT in the text",
        "5 U+2028/U+0085/VT inside data are data",
        event(delta("a\u2028b\u0085c\vd".replace("\v", "\\v"))),
        STOP,
        DONE,
    ),
    stream(
        "a BOM first",
        "5 a BOM is dropped",
        b"\xef\xbb\xbf" + WHOLE,
        better=WHATWG,
        ours={"chunks": 4},
    ),
    stream(
        "UTF-8 that is none",
        "5 invalid UTF-8 becomes U+FFFD",
        event(b'{"choices":[{"index":0,"delta":{"content":"caf\xe9"}}]}'),
        STOP,
        DONE,
        better=WHATWG,
        ours={"chunks": 2, "text": "caf\ufffd", "error": None},
    ),
]

FIELDS = [
    stream("comments", "5 comments", b": hello\n\n", HELLO[0], b":\n", *HELLO[1:]),
    stream("retry:", "5 retry:", b"retry: 10\n\n", *HELLO, better=WHATWG, ours=ALL_READ),
    stream("retry: within an event", "5 retry:", b"retry: 10\n" + HELLO[0], *HELLO[1:]),
    stream("id: within an event", "5 id: lines", b"id: 7\n" + HELLO[0], *HELLO[1:]),
    stream(
        "id: alone", "5 id: lines", HELLO[0], b"id: 7\n\n", *HELLO[1:], better=WHATWG, ours=ALL_READ
    ),
    stream("an unknown field", "5 unknown fields", b"weather: fine\n" + HELLO[0], *HELLO[1:]),
    stream(
        "empty data:",
        "5 empty data:",
        HELLO[0],
        b"data:\n\n",
        b"data: \n\n",
        *HELLO[1:],
        better=WHATWG,
        ours=ALL_READ,
    ),
    stream(
        "event: alone", "5 empty data:", b"event: start\n\n", *HELLO, better=WHATWG, ours=ALL_READ
    ),
    stream(
        "event: ping without data",
        "5 event: ping",
        b"event: ping\n\n",
        *HELLO,
        better=WHATWG,
        ours=ALL_READ,
    ),
    stream(
        "event: ping with JSON",
        "5 event: ping",
        b'event: ping\ndata: {"type": "ping"}\n\n',
        *HELLO,
        better="a ping is no chunk",
        ours={"chunks": 4},
    ),
    stream("event: message", "5 unknown fields", *[b"event: message\n" + e for e in HELLO]),
    stream(
        "no blank after data:", "5 data:[DONE]", *[e.replace(b"data: ", b"data:") for e in HELLO]
    ),
    stream(
        "one event in two data lines",
        "5 events",
        b'data: {"choices":[{"index":0,\ndata: "delta":{"content":"Hi"}}]}\n\n',
        STOP,
        DONE,
    ),
]

ENDINGS = [
    stream("[DONE], then more", "5 what follows is ignored", *HELLO, event(delta("never"))),
    stream(
        "[DONE], then bytes that are no event",
        "5 what follows is ignored",
        *HELLO,
        b"\xff\xfe garbage",
    ),
    stream(
        "[DONE] with blanks around it",
        "5 extra blanks",
        *HELLO[:-1],
        b"data:   [DONE]  \n\n",
        better="it is an end",
        ours={"error": None},
    ),
    stream(
        "[DONE] and something", "10 [DONE] is matched as a prefix", *HELLO[:-1], event("[DONE] bye")
    ),
    stream(
        "[DONE] without its blank line",
        "5 a last event without its blank line",
        *HELLO[:-1],
        b"data: [DONE]\n",
    ),
    stream(
        "[DONE] without any line end",
        "5 a last event without its blank line",
        *HELLO[:-1],
        b"data: [DONE]",
    ),
    stream("no [DONE], but finished", "5 every choice finished", *HELLO[:-1]),
    stream(
        "no [DONE], finished, the last event without its blank line",
        "5 a last event without its blank line",
        *HELLO[:-2],
        HELLO[-2].rstrip(b"\n"),
        better="a whole event counts",
        ours={"chunks": 4},
    ),
    stream("[DONE], but not finished", "5 [DONE] seen: complete", *HEL, DONE),
    stream(
        "no [DONE], not finished", "5 the end without [DONE]", *HEL, better=CUT, ours=INTERRUPTED
    ),
    stream(
        "no [DONE], one of two choices finished",
        "5 every choice finished",
        *HELLO[:-1],
        event(delta({"role": "assistant"}, index=1)),
        better=CUT,
        ours={**INTERRUPTED, "partial": "Hello"},
    ),
    stream(
        "half an event at the end",
        "5 a last event without its blank line",
        *HEL,
        event(delta("lost"))[:30],
        better=CUT,
        ours=INTERRUPTED,
    ),
    stream(
        "nothing but [DONE]",
        "5 an empty stream raises",
        DONE,
        better=EMPTY,
        ours=failed("APIResponseValidationError", partial=""),
    ),
    stream(
        "nothing", "5 an empty stream raises", better=EMPTY, ours={**INTERRUPTED, "partial": ""}
    ),
    stream(
        "nothing but comments",
        "5 an empty stream raises",
        b": one\n\n",
        b": two\n\n",
        better=EMPTY,
        ours={**INTERRUPTED, "partial": ""},
    ),
]


def cut(name: str, row: str, steps: Sequence[Step], **ours: Any) -> Scenario:
    """A scenario of one streamed answer that breaks off."""
    return Scenario(
        f"cut: {name}", row, [[*steps, CLOSE]], [STREAM], better=CUT, ours={**INTERRUPTED, **ours}
    )


def silent(name: str, events: Sequence[bytes], partial: str) -> Scenario:
    return Scenario(
        name,
        "5 silence",
        [[*streamed(events, headers=ID, end=False), silence]],
        [STREAM],
        client={"timeout": 0.2},
        better=CUT,
        ours=failed("StreamTimeoutError", partial=partial),
    )


CUTS = [
    cut("chunked", "5 cut chunked body", streamed(HEL, headers=ID, end=False)),
    cut(
        "Content-Length",
        "5 Whole events that arrived before the cut are delivered first",
        streamed(HEL, "length", ID, end=False),
    ),
    cut("close-delimited", "5 the end without [DONE]", streamed(HEL, "close", ID)[:-1]),
    cut(
        "gzip",
        "5 cut gzip",
        streamed(flushed([*HEL, DONE])[:2], headers={**ID, "Content-Encoding": "gzip"}),
    ),
    cut("a bad chunk size", "5 bad chunk size", [*streamed(HEL, headers=ID, end=False), b"zz\r\n"]),
    cut(
        "a negative chunk size",
        "5 negative chunk size",
        [*streamed(HEL, headers=ID, end=False), b"-5\r\n"],
    ),
    cut(
        "before the first event",
        "5 cut chunked body",
        streamed([], headers=ID, end=False),
        partial="",
    ),
    Scenario(
        "cut: reset",
        "5 reset",
        [[*streamed([], headers=ID, end=False), RESET]],
        [STREAM],
        better=CUT,
        ours={**INTERRUPTED, "partial": ""},
    ),
    Scenario(
        "cut: finished, but for [DONE]",
        "5 every choice finished: complete",
        [[*streamed(HELLO[:-1], end=False), CLOSE]],
        [STREAM],
        better="the answer is whole: nothing is wrong with it",
        ours={"error": None},
    ),
    silent("silence", HEL, "Hel"),
    silent("silence after the headers", [], ""),
    Scenario(
        "an open end after [DONE]",
        "2 a server that leaves the socket open",
        [streamed(HELLO, end=False)],
        [STREAM],
    ),
]

SEEN = "it is seen to be an error"
ERRORS = [
    stream(
        f"error in the stream: {name}",
        "5 error in an event",
        *HEL,
        wrong,
        words=words,
        better=why,
        ours={**UNTOLD, **more},
    )
    for name, wrong, words, why, more in (
        ("an object", event(TOLD), "overloaded", ".partial holds what came", {}),
        (
            "a string",
            event({"error": "model crashed"}),
            "model crashed",
            "what the server said is kept",
            {"tells": True},
        ),
        (
            "vLLM's",
            event({"object": "error", "message": "no memory"}),
            "no memory",
            SEEN,
            {
                "chunks": 2,
                "error": "APIError",
                "tells": True,
                "body": {"object": "error", "message": "no memory"},
            },
        ),
        (
            "event: error with JSON",
            b"event: error\n" + event(TOLD),
            "overloaded",
            ".partial holds what came",
            {},
        ),
        (
            "event: error with flat JSON",
            b'event: error\ndata: {"message":"boom","code":3}\n\n',
            "boom",
            SEEN,
            {
                "chunks": 2,
                "error": "APIError",
                "tells": True,
                "code": "3",
                "body": {"message": "boom", "code": 3},
            },
        ),
        (
            "event: error with text",
            b"event: error\ndata: boom and gone\n\n",
            "boom and gone",
            SEEN,
            {"error": "APIError", "tells": True, "body": "boom and gone"},
        ),
        (
            "event: error without data",
            b"event: error\ndata:\n\n",
            "",
            SEEN,
            {"error": "APIError", "body": ""},
        ),
    )
]

ERRORS += [
    stream(
        "error in the stream, first thing",
        "5 error in an event",
        event(TOLD),
        words="overloaded",
        better=".partial is there, and empty",
        ours={**UNTOLD, "partial": ""},
    )
]

ERRORS += [
    stream(
        f"an event that is {name}",
        "5 bad JSON in an event",
        *HEL,
        event(data),
        words=words,
        better="it is an error of ours, with an excerpt",
        ours={**UNTOLD, "error": "APIResponseValidationError", "tells": True},
    )
    for name, data, words in (
        ("not JSON", "oops <html>", "oops"),
        ("cut JSON", '{"choices":[{"ind', '{"choices"'),
        ("deep JSON", b"[" * 100_000, "not JSON"),
    )
]

ERRORS += [
    stream(
        f"an event that is {data}",
        "5 An event that is null, a list, a number",
        HELLO[0],
        event(data),
        *HELLO[1:],
        better="it is passed over",
        ours=ALL_READ,
    )
    for data in ("null", "[]", "42", '"text"', "true")
]

ERRORS += [
    stream(
        f"a chunk that is {data}",
        "5 choices: null, a choice null, a delta that is a string",
        HELLO[0],
        event(data),
        *HELLO[1:],
        better="nothing in it can be read, and what follows can",
        ours={**ALL_READ, "chunks": 5},
    )
    for data in (
        '{"choices":"text"}',
        '{"choices":[null]}',
        '{"choices":["text"]}',
        '{"choices":[{"index":0,"delta":null}]}',
        '{"choices":[{"index":0,"delta":"text"}]}',
    )
]

ERRORS += [
    stream(f"a chunk that is {data}", "5 choices: null", HELLO[0], event(data), *HELLO[1:])
    for data in ('{"choices":null}', '{"id":"x"}', '{"choices":[]}', '{"choices":[],"new":{"a":1}}')
]

INSTEAD = [
    Scenario(
        "JSON instead of events",
        "5 200 with a JSON body instead of SSE",
        [answer(completion())],
        [STREAM],
        better="it is delivered as one chunk",
        ours={"chunks": 1, "text": "Hello"},
    ),
    Scenario(
        "JSON instead of events, called events",
        "5 200 with a JSON body instead of SSE",
        [answer(completion(), headers={"Content-Type": "text/event-stream"})],
        [STREAM],
        better="it is delivered as one chunk",
        ours={"chunks": 1, "text": "Hello"},
    ),
    Scenario(
        "an error as JSON instead of events",
        "5 an error body raises",
        [answer(TOLD, headers=ID)],
        [STREAM],
        words="overloaded",
        better="an error is an error",
        ours=failed(
            "APIResponseValidationError",
            TOLD["error"],
            tells=True,
            partial="",
            type="server_error",
            code="busy",
        ),
    ),
    Scenario(
        "a web page instead of events",
        "5 HTML raises",
        [answer(b"<html>Login</html>", headers={"Content-Type": "text/html", **ID})],
        [STREAM],
        words="base_url",
        better="it is an error, and says so, with a hint at base_url",
        ours=failed("APIResponseValidationError", "<html>Login</html>", tells=True, partial=""),
    ),
    Scenario(
        "an empty body instead of events",
        "5 an empty stream raises",
        [answer(b"", headers=ID)],
        [STREAM],
        better=EMPTY,
        ours={**INTERRUPTED, "partial": ""},
    ),
    Scenario(
        "204 instead of events",
        "5 an empty stream raises",
        [head(204, ID)],
        [STREAM],
        better=EMPTY,
        ours={**INTERRUPTED, "status": 204, "partial": ""},
    ),
    Scenario(
        "events under another type",
        "5 events",
        [streamed(headers={"Content-Type": "text/plain"})],
        [STREAM],
    ),
    Scenario(
        "leaving the loop early",
        "5 leaving the loop early",
        [streamed(HELLO)],
        [call("stream", [], take=2)],
    ),
    Scenario(
        "comments for ever, and a deadline",
        "2 deadline=",
        [[*streamed([], end=False), drip, CLOSE]],
        [STREAM],
        added={"deadline": 0.3},
        better="deadline= bounds the whole stream; the SDK waits until the server ends it",
        ours={"error": "DeadlineExceededError", "status": 200, "partial": ""},
    ),
]

SCENARIOS = [*PROMPT, *ENDS, *FIELDS, *ENDINGS, *CUTS, *ERRORS, *INSTEAD]
