"""What is tried again, after how long; and what is not."""

import socket

from tests.server import CLOSE, RESET, answer, head, streamed

from .scenario import ANSWERED, CHAT, OK, STREAM, Scenario, call, dated, flushed, silence

NO = {"error": {"message": "not now", "type": "t", "code": "c"}}
SHORT = {"timeout": 0.2}


def cut(connection: socket.socket) -> None:
    """A step: the end of what is sent, in the middle of it."""
    connection.shutdown(socket.SHUT_WR)


def refused(status: int = 503, **headers: str) -> bytes:
    return answer(NO, status, {name.replace("_", "-"): value for name, value in headers.items()})


STATUSES = [
    Scenario(f"{status}, then an answer", "3 Retried: 408, 409, 429, >= 500", [refused(status), OK])
    for status in (408, 409, 429, 500, 502, 503, 504, 529, 599)
]

STATUSES += [
    Scenario(f"{status}, then an answer", "3 Not: other 4xx", [refused(status), OK])
    for status in (400, 401, 402, 403, 404, 405, 413, 422, 451)
]

WAITS = [
    Scenario(
        f"Retry-After: {value or 'empty'}",
        "3 Retry-After (seconds, float, or HTTP date)",
        [refused(Retry_After=value), OK],
    )
    for value in (
        "7",
        "0.25",
        "120",
        "1e1",
        "+3",
        "007",
        "5 ",
        "120.5",
        "3600",
        "1e999",
        "0",
        "-3",
        "nan",
        "inf",
        "-inf",
        "soon",
        "",
        "7 seconds",
        "1,5",
        dated(30),
        dated(3600),
        dated(-30),
        "Tue, 14 Nov 2023 22:13:50",
        "Tue, 14 Nov 2023 23:13:50 +0100",
        "Tue, 99 Nov 2023 22:13:50 GMT",
    )
]

WAITS += [
    Scenario("retry-after-ms: 1500", "3 retry-after-ms", [refused(retry_after_ms="1500"), OK]),
    Scenario(
        "retry-after-ms before Retry-After",
        "3 retry-after-ms",
        [refused(retry_after_ms="250", Retry_After="9"), OK],
    ),
    Scenario(
        "retry-after-ms is junk, Retry-After is not",
        "3 retry-after-ms",
        [refused(retry_after_ms="x", Retry_After="9"), OK],
    ),
    Scenario(
        "retry-after-ms: 0, and a Retry-After",
        "3 retry-after-ms",
        [refused(retry_after_ms="0", Retry_After="9"), OK],
    ),
    Scenario(
        "retry-after-ms: 120001", "3 over 120: no retry", [refused(retry_after_ms="120001"), OK]
    ),
    Scenario(
        "a Retry-After for each attempt",
        "3 wait",
        [refused(Retry_After="1"), refused(429, Retry_After="2"), OK],
    ),
]

SAID = [
    Scenario(
        "x-should-retry: true with a 400",
        "3 x-should-retry",
        [refused(400, x_should_retry="true"), OK],
    ),
    Scenario(
        "x-should-retry: false with a 500",
        "3 x-should-retry",
        [refused(500, x_should_retry="false"), OK],
    ),
    Scenario(
        "x-should-retry: TRUE with a 400",
        "3 x-should-retry exactly",
        [refused(400, x_should_retry="TRUE"), OK],
    ),
    Scenario(
        "x-should-retry: False with a 500",
        "3 x-should-retry exactly",
        [refused(500, x_should_retry="False"), OK],
    ),
    Scenario(
        "x-should-retry: true, Retry-After: 121",
        "3 even with x-should-retry: true",
        [refused(503, x_should_retry="true", Retry_After="121"), OK],
    ),
    Scenario(
        "x-should-retry: true with a 400, Retry-After: 4",
        "3 x-should-retry",
        [refused(400, x_should_retry="true", Retry_After="4"), OK],
    ),
    Scenario(
        "no quota, by code",
        "3 insufficient_quota",
        [answer({"error": {"message": "pay", "code": "insufficient_quota"}}, 429)],
        better="no wait brings quota back",
        ours={"requests": 1, "waits": []},
    ),
    Scenario(
        "no quota, by type",
        "3 insufficient_quota",
        [answer({"error": {"message": "pay", "type": "insufficient_quota"}}, 429)],
        better="no wait brings quota back",
        ours={"requests": 1, "waits": []},
    ),
]

COUNTS = [
    Scenario("500 for ever", "3 max_retries=2", [refused(500)]),
    Scenario("429 for ever", "3 max_retries=2", [refused(429)]),
    Scenario("max_retries=0", "3 max_retries", [refused(500), OK], client={"max_retries": 0}),
    Scenario("max_retries=1", "3 max_retries", [refused(500)], client={"max_retries": 1}),
    Scenario(
        "max_retries=7: the waits grow to 8 seconds",
        "3 wait min(0.5*2^n, 8)",
        [refused(500)],
        client={"max_retries": 7},
    ),
    Scenario("two different failures, then an answer", "3 Retried", [[RESET], refused(500), OK]),
    Scenario("a kept connection that is reset", "3 resets", [refused(500), [RESET], OK]),
]

BROKEN = [
    Scenario(
        "refused for ever", "3 connect errors", client={"base_url": "http://127.0.0.1:{dead}/v1"}
    ),
    Scenario("reset before the answer", "3 resets", [[RESET], OK]),
    Scenario("reset before the answer, for ever", "3 resets", [[RESET]]),
    Scenario("closed before the answer", "3 resets", [[CLOSE], OK]),
    Scenario("reset in the headers", "3 resets", [[b"HTTP/1.1 200 OK\r\nContent-", RESET], OK]),
    Scenario(
        "closed in the headers",
        "3 resets",
        [[b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n", CLOSE], OK],
    ),
    Scenario("not HTTP", "3 connect errors", [[b"SSH-2.0-OpenSSH_9.6\r\n", CLOSE], OK]),
    Scenario("silence before the answer", "3 timeouts", [[silence], OK], client=SHORT),
    Scenario("silence for ever", "3 timeouts", [[silence]], client=SHORT),
    Scenario(
        "timeout= of the call",
        "2 per call timeout=",
        [[silence]],
        [call("chat", [], timeout=0.2)],
        client={"timeout": 60},
    ),
    Scenario("silence in the body", "3 timeouts", [[OK[:-5], silence], OK], client=SHORT),
    Scenario(
        "body cut before its Content-Length",
        "3 a non-streamed body that was cut",
        [[OK[:-5], cut, CLOSE], OK],
    ),
    Scenario(
        "body cut before its Content-Length, for ever",
        "3 a non-streamed body that was cut",
        [[OK[:-5], cut, CLOSE]],
    ),
    Scenario(
        "chunked body cut",
        "3 a non-streamed body that was cut",
        [[head(200, {"Transfer-Encoding": "chunked"}), b'9\r\n{"choices\r\n', CLOSE], OK],
    ),
    Scenario("body reset", "3 a non-streamed body that was cut", [[OK[:-5], RESET], OK]),
    Scenario(
        "gzip body cut",
        "3 a non-streamed body that was cut",
        [
            [
                head(200, {"Content-Encoding": "gzip", "Content-Length": "900"}),
                flushed([OK])[0],
                cut,
                CLOSE,
            ],
            OK,
        ],
    ),
    Scenario(
        "a chunk size that is none",
        "3 a non-streamed body that was cut",
        [[head(200, {"Transfer-Encoding": "chunked"}), b"zz\r\n", CLOSE], OK],
    ),
    Scenario(
        "close-delimited body cut",
        "4 a cut close-delimited body is retried",
        [
            [
                head(200, {"Content-Type": "application/json"}),
                OK.partition(b"\r\n\r\n")[2][:-5],
                CLOSE,
            ],
            OK,
        ],
        better="a cut answer is asked for again",
        ours={"requests": 2, "connections": 2, "waits": [0.4375], "error": None, **ANSWERED},
    ),
    Scenario("error body cut", "3 a body that was cut", [[refused(500)[:-5], cut, CLOSE], OK]),
    Scenario(
        "error body cut, of a status that is not retried",
        "3 a body that was cut",
        [[refused(400)[:-5], cut, CLOSE], OK],
        better="the status is known, and asking again cannot change it",
        ours={
            "requests": 1,
            "connections": 1,
            "waits": [],
            "error": "BadRequestError",
            "status": 400,
            "body": "",
            "reply": None,
            "text": None,
        },
    ),
]

STREAMED = [
    Scenario(
        "stream: 500, then good",
        "3 streams are retried until good headers have arrived",
        [refused(500), streamed()],
        [STREAM],
        better="the error's body is read, and its connection serves the next attempt",
        ours={"connections": 1},
    ),
    Scenario(
        "stream: reset, then good",
        "3 streams are retried until good headers have arrived",
        [[RESET], streamed()],
        [STREAM],
    ),
    Scenario(
        "stream: silence, then good",
        "3 streams are retried until good headers have arrived",
        [[silence], streamed()],
        [STREAM],
        client=SHORT,
    ),
    Scenario(
        "stream: 401",
        "3 streams are retried until good headers have arrived",
        [refused(401)],
        [STREAM],
    ),
    Scenario(
        "two calls, each with its own retries",
        "3 max_retries",
        [refused(500), OK, refused(500), OK],
        [CHAT, CHAT],
    ),
]

SCENARIOS = [*STATUSES, *WAITS, *SAID, *COUNTS, *BROKEN, *STREAMED]
