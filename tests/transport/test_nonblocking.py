"""A body that is read without waiting gives, piece by piece, what one gives that is waited for."""

import contextlib
import json
import math
import socket
import types
from collections.abc import Iterator
from typing import Any

import pytest
import urllib3

from rawchat import transport
from rawchat.deadline import Deadline
from rawchat.errors import APIConnectionError, APIResponseValidationError, APITimeoutError
from rawchat.stream import NO_CHUNK, Stream
from rawchat.transport.connection import ResponseEnd
from rawchat.transport.fast_responses import FastHTTPResponse
from rawchat.wire import NOTHING_YET, Request, Response
from rawchat.wire.nonblocking import AFTER_DONE, NonblockingBody

from ..server import HELLO, PATIENCE, completion, event, head
from ..test_recorded import PAIRS, played, recorded

HEAD = head(200, Content_Type="text/event-stream", Transfer_Encoding="chunked")
REQUEST = Request("POST", "http://host/v1/chat/completions")
END = b"0\r\n\r\n"


class Peer:
    """The server's end of a connection, and the response that the client's end has begun to read."""

    def __init__(self, start: bytes):
        self.sock, ours = socket.socketpair()
        self.sock.sendall(start)
        self.below = FastHTTPResponse(ours, method="POST")
        self.below.begin()
        headers = dict(self.below.headers)
        raw = urllib3.HTTPResponse(
            self.below,
            headers,
            self.below.status,
            preload_content=False,
            original_response=self.below,
        )
        deadline = Deadline(None, "here")
        pieces = transport.iter_body(types.SimpleNamespace(raw=raw), REQUEST, deadline)  # type: ignore[arg-type]
        exchange: Any = types.SimpleNamespace(deadline=deadline, sock=ours, read_timeout=5.0)
        self.end = ResponseEnd(raw, pieces, exchange)
        self.response = Response(200, headers, pieces, self.end.close, self.end.release)
        self.response.request = REQUEST
        self.response.set_read_timeout = self.end.set_read_timeout
        self.response.has_arrived = self.end.has_arrived
        self.client_sock = ours
        body = self.end.set_nonblocking()
        assert body
        self.body: NonblockingBody = body

    def send(self, data: bytes) -> None:
        """Send bytes and let the client take them."""
        self.sock.sendall(data)
        self.body.receive()


@contextlib.contextmanager
def connected(start: bytes = HEAD) -> Iterator[Peer]:
    peer = Peer(start)
    with peer.sock, peer.client_sock, contextlib.closing(peer.below):
        yield peer


def chunked(data: bytes, size: int = 2**16) -> bytes:
    """Return `data` in chunks of at most `size` bytes, with the last one."""
    parts = [data[at : at + size] for at in range(0, len(data), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + END


def take(stream: Stream) -> list[str]:
    """Return the data of the chunks that have arrived."""
    # At the end of the stream, this ends too.
    return [chunk.data for chunk in iter(stream._chunks.__next__, NO_CHUNK)]


def read_all(peer: Peer, data: bytes, size: int, choices: int = 1) -> tuple[list[str], Stream]:
    """Play `data` in pieces of `size` bytes; return the data of all chunks, and the stream at its end."""
    stream = Stream(peer.response, choices=choices)
    taken = take(stream)
    for at in range(0, len(data), size):
        if not stream._closed:
            peer.send(data[at : at + size])
            taken += take(stream)
    return taken, stream


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize(("size", "chunk"), [(1, 7), (3, 2**16), (4096, 1)])
def test_a_recorded_stream_is_the_same_without_waiting(name: str, size: int, chunk: int) -> None:
    body = b"".join(played(recorded(f"{name}.stream")).pieces)
    waited = Stream(played(recorded(f"{name}.stream")))
    expected = [chunk.data for chunk in waited]
    with connected() as peer:
        taken, stream = read_all(peer, chunked(body, chunk), size, waited._n_choices)
        assert taken == expected
        assert stream.reply == waited.reply


@pytest.mark.parametrize("at", range(1, 12))
def test_the_bytes_behind_the_headers_are_not_lost(at: int) -> None:
    data = chunked(b"".join(HELLO))
    with connected(HEAD + data[:at]) as peer:
        _, stream = read_all(peer, data[at:], 5)
        assert stream.reply.text == "Hello"


def test_while_nothing_has_arrived_the_stream_says_so_and_does_not_wait() -> None:
    with connected() as peer:
        stream = Stream(peer.response)
        assert take(stream) == take(stream) == []
        peer.send(chunked(HELLO[1])[:-5])
        assert len(take(stream)) == 1
        assert take(stream) == []
        assert stream._count == 1


def test_a_piece_that_was_not_asked_for_is_not_followed_by_another_one() -> None:
    with connected() as peer:
        peer.send(b"1\r\n")
        peer.sock.sendall(b"x\r\n")
        assert not peer.body.receive()
        pieces = iter(peer.response.pieces)
        assert next(pieces) is NOTHING_YET
        assert peer.body.receive()
        assert next(pieces) == b"x"


def test_a_byte_order_mark_may_arrive_in_pieces() -> None:
    with connected() as peer:
        taken, stream = read_all(peer, chunked(b"\xef\xbb\xbf" + b"".join(HELLO), 1), 1)
        assert (len(taken), stream.reply.text) == (4, "Hello")


def test_a_plain_reply_in_the_place_of_a_stream() -> None:
    with connected() as peer:
        taken, stream = read_all(peer, chunked(json.dumps(completion("Hi")).encode()), 9)
        assert (len(taken), stream.reply.text) == (1, "Hi")


def test_a_plain_reply_without_an_end_is_not_collected_for_ever() -> None:
    with connected() as peer:
        stream = Stream(peer.response, limit=1000)
        peer.send(b"3e8\r\n" + b"{".ljust(1000) + b"\r\n")
        assert take(stream) == []
        peer.send(b"1\r\nx\r\n")
        with pytest.raises(APIResponseValidationError, match="over 1000 bytes"):
            take(stream)


@pytest.mark.parametrize("data", [b"5\r\ndata:", b"5\r", b""])
def test_a_body_that_breaks_is_an_error_with_what_came(data: bytes) -> None:
    with connected() as peer:
        stream = Stream(peer.response)
        peer.send(chunked(HELLO[1])[:-5])
        assert len(take(stream)) == 1
        peer.send(data)
        assert take(stream) == []
        peer.sock.close()
        peer.body.receive()
        with pytest.raises(APIConnectionError) as caught:
            take(stream)
        assert caught.value.partial.text == "Hel"


def test_a_timeout_is_the_error_of_a_read_that_waited() -> None:
    with connected() as peer:
        stream = Stream(peer.response)
        assert take(stream) == []
        peer.body.time_out()
        assert not peer.body.receive()  # or a loop would ask again and again
        with pytest.raises(APITimeoutError, match="timed out") as caught:
            take(stream)
        assert caught.value.partial.text == ""


# ---- the end


def test_a_stream_that_is_complete_leaves_its_connection_open() -> None:
    with connected() as peer:
        _, stream = read_all(peer, chunked(b"".join(HELLO)), 2**16)
        assert stream.reply.text == "Hello"
        assert peer.below.isclosed()
        peer.sock.settimeout(PATIENCE)
        peer.client_sock.settimeout(PATIENCE)
        peer.client_sock.sendall(b"next")  # not shut down
        assert peer.sock.recv(4) == b"next"


@pytest.mark.parametrize("trailer", [END, b"0\r\nX-Sum: 1\r\n\r\n"])
def test_an_end_that_comes_after_done_is_waited_for(trailer: bytes) -> None:
    with connected() as peer:
        _, stream = read_all(peer, chunked(b"".join(HELLO))[:-5] + trailer[:4], 2**16)
        assert take(stream) == []
        assert not stream._closed
        assert 0 < peer.body.timeout <= AFTER_DONE
        peer.sock.sendall(trailer[4:])
        assert take(stream) == []
        assert stream.reply.text == "Hello"
        peer.client_sock.settimeout(PATIENCE)
        peer.client_sock.sendall(b"next")
        assert peer.sock.recv(4) == b"next"


def test_an_end_that_does_not_come_in_time_closes_the_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with connected() as peer:
        _, stream = read_all(peer, chunked(b"".join(HELLO))[:-5], 2**16)
        assert not stream._closed
        monkeypatch.setattr("rawchat.sse.pieces.time.monotonic", lambda: math.inf)
        peer.send(chunked(b": more")[:-5])
        assert take(stream) == []
        assert stream.reply.text == "Hello"
        peer.sock.settimeout(PATIENCE)
        assert peer.sock.recv(1) == b""


def test_what_is_not_chunked_or_is_compressed_is_waited_for() -> None:
    for fields in (
        {"Content-Length": "5"},
        {"Connection": "close"},
        {"Transfer-Encoding": "chunked", "Content-Encoding": "gzip"},
    ):
        ours, theirs = socket.socketpair()
        with ours, theirs:
            theirs.sendall(head(200, fields))
            with contextlib.closing(FastHTTPResponse(ours, method="POST")) as below:
                below.begin()
                assert below.set_nonblocking(ours, 5.0) is None
                assert ours.gettimeout() is None
                assert below.nonblocking_body is None


def test_a_wrapper_sees_the_bytes_and_not_the_waiting() -> None:
    seen: list[bytes] = []
    endings: list[Any] = []
    with connected() as peer:
        peer.response.tap(seen.append, endings.append)
        taken, _ = read_all(peer, chunked(b"".join(HELLO)), 10)
        assert len(taken) == 4
    assert b"".join(seen) == b"".join(HELLO)
    assert b"" not in seen
    (ending,) = endings
    assert (ending.error, ending.released) == (None, True)


def test_events_of_other_kinds_pass_by() -> None:
    ping = b": ping\n\n" + event("").replace(b"data", b"event: ping\ndata")
    with connected() as peer:
        taken, stream = read_all(peer, chunked(ping.join(HELLO)), 4)
        assert (len(taken), stream.reply.text) == (4, "Hello")
