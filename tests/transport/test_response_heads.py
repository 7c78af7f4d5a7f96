"""A Content-Length that is no number would leave the end of a body to the connection, which may stay open."""

import json
from typing import Optional

import pytest

import rawchat

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
