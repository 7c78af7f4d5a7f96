"""A Content-Length that is no number would leave the end of a body to the connection, which may stay open."""

import io
import itertools
import json
from typing import Any, Optional

import pytest

import rawchat
from rawchat.transport.fast_responses import FastHTTPResponse
from rawchat.transport.responses import StrictHTTPResponse

from ..server import completion, serving

BODY = completion()


def chat(*lengths: str) -> Optional[str]:
    """Return the text of a reply with these Content-Length headers, from a server that keeps the connection open."""
    payload = json.dumps(BODY).encode()
    head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
    for length in lengths:
        head += f"Content-Length: {length.format(len(payload))}\r\n"
    with serving(head.encode() + b"\r\n" + payload) as server:
        client = rawchat.Client(base_url=server.url, environ={}, max_retries=0, timeout=5.0)
        return client.chat("Hi").text


@pytest.mark.parametrize("lengths", [["{}"], ["{0}, {0}"], ["{}", "{}"], ["", "{}"], ["{},"]])
def test_the_same_length_twice_counts_once(lengths: list[str]) -> None:
    assert chat(*lengths) == "Hello"


@pytest.mark.parametrize(
    "lengths", [["abc"], ["-5"], ["+5"], ["0x10"], ["5, 6"], ["5", "6"], ["1.0"]]
)
def test_a_length_that_is_no_number_is_an_error_at_once(lengths: list[str]) -> None:
    with pytest.raises(rawchat.APIConnectionError, match="invalid Content-Length: "):
        chat(*lengths)


def final(text: str) -> bytes:
    """Return a whole response whose connection stays open."""
    payload = json.dumps(completion(text)).encode()
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(payload)}\r\n\r\n"
    return head.encode() + payload


@pytest.mark.parametrize("status", [100, 102, 103, 199])
def test_an_interim_response_is_not_taken_for_the_final_one(status: int) -> None:
    interim = f"HTTP/1.1 {status} Wait\r\nLink: </x>\r\n\r\n".encode()
    with serving(interim * 3 + final("first"), final("second")) as server:
        client = rawchat.Client(base_url=server.url, environ={}, max_retries=0)
        assert client.chat("1").text == "first"
        # the final response to the first request does not answer the second
        assert client.chat("2").text == "second"
    assert server.connections == 1


def test_a_server_that_switches_protocols_is_an_error() -> None:
    with serving(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n" + final("no")) as server:
        client = rawchat.Client(base_url=server.url, environ={}, max_retries=0)
        with pytest.raises(rawchat.APIConnectionError, match="101: the server switches"):
            client.chat("1")


@pytest.mark.parametrize(
    ("flood", "problem"),
    [
        (b"HTTP/1.1 103 Early Hints\r\n\r\n" * 1001, "over 1000 interim responses"),
        (
            b"HTTP/1.1 103 Early Hints\r\n" + b"Link: </x>\r\n" * 102,
            "over 100 headers in an interim",
        ),
    ],
)
def test_endless_interim_responses_are_an_error(flood: bytes, problem: str) -> None:
    with serving(flood) as server:
        client = rawchat.Client(base_url=server.url, environ={}, max_retries=0)
        with pytest.raises(rawchat.APIConnectionError, match=problem):
            client.chat("1")


@pytest.mark.parametrize("response_class", [StrictHTTPResponse, FastHTTPResponse])
@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r\r\n"])
def test_each_line_end_gives_the_same_headers(response_class: Any, line_end: bytes) -> None:
    """Some servers write their lines with CRLF to a file that makes CRLF of each LF."""

    class Sock:
        def makefile(self, mode: str) -> io.BufferedReader:
            return io.BufferedReader(io.BytesIO(head + b"\r\n\r\n{}"))  # type: ignore[arg-type]

    lines = [b"HTTP/1.1 200 OK", b"X-A: 1", b" 2", b"Content-Length: 6", b"", b""]
    head = line_end.join(lines)
    response = response_class(Sock(), method="POST")
    response.begin()
    assert [(name, value.split()) for name, value in response.headers.items()] == [
        ("X-A", ["1", "2"]),
        ("Content-Length", ["6"]),
    ]
    assert response.read() == b"\r\n\r\n{}"


LENGTHS = ["", "Content-Length: 6", "Content-Length: 0", "Content-Length: -1", "Content-Length: x"]
CODINGS = [
    "",
    "Transfer-Encoding: chunked",
    "transfer-encoding: CHUNKED",
    "Transfer-Encoding: gzip",
]
CONNECTIONS = ["", "Connection: close", "Connection: Keep-Alive", "Keep-Alive: timeout=5"]


def read_head(response_class: Any, head: str, method: str) -> Any:
    """Return all that a class reads of a head, or the exception that it raises, as a text."""

    class Sock:
        def makefile(self, mode: str) -> io.BufferedReader:
            return io.BufferedReader(io.BytesIO(head.encode("latin-1") + b"\r\n\r\n{}    "))  # type: ignore[arg-type]

    response = response_class(Sock(), method=method)
    try:
        response.begin()
    except Exception as error:
        return repr(error)
    fields = ("status", "reason", "version", "chunked", "length", "will_close")
    return [*(getattr(response, name) for name in fields), response.headers.items()]


@pytest.mark.parametrize("method", ["POST", "HEAD"])
@pytest.mark.parametrize(
    "status_line",
    [
        "HTTP/1.1 200 OK",
        "HTTP/1.0 200 OK",
        "HTTP/1.1 204",
        "HTTP/1.1 304 Not Modified",
        "HTTP/2.0 200 OK",
        "HTTP/0.9 200 OK",
        "HTTP/1.1 500  Two blanks ",
    ],
)
def test_a_head_is_read_as_by_http_client(status_line: str, method: str) -> None:
    """Whatever its fields: `fast_responses` has a reader of its own."""
    for fields in itertools.product(LENGTHS, CODINGS, CONNECTIONS):
        head = "\r\n".join([status_line, "X: \xe9  ", *filter(None, fields), "Y:", "Z: 1", " 2"])
        expected = read_head(StrictHTTPResponse, head, method)
        assert read_head(FastHTTPResponse, head, method) == expected, head


@pytest.mark.parametrize("count", [99, 100])
def test_as_many_headers_are_read_as_by_http_client(count: int) -> None:
    head = "\r\n".join(["HTTP/1.1 200 OK", *[f"X-{number}: 1" for number in range(count)]])
    expected = read_head(StrictHTTPResponse, head, "POST")
    assert read_head(FastHTTPResponse, head, "POST") == expected
    assert isinstance(expected, str) is (count > 99)
