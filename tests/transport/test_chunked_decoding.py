"""Chunks are taken off wherever the bytes are cut, at once, and nonsense is refused after what came before it."""

from collections.abc import Iterator
from http.client import HTTPException

import pytest

from rawchat.transport.fast_responses import MAX_SIZE_LINE, MAX_TRAILER, decode_chunked

from ..test_stream import cut

WHOLE = b'5\r\nHello\r\n00a;x="y"\r\n, \r\nworld!\r\n0\r\n\r\n'


@pytest.mark.parametrize(
    "end", [b"\r\n", b"X-Trailer: a\r\nX-Other: b\r\n\r\n", b"", b"X-Trailer: a\r\n"]
)
def test_cut_anywhere(end: bytes) -> None:
    for pieces in cut(WHOLE[:-2] + end):
        assert b"".join(decode_chunked(pieces)) == b"Hello, \r\nworld!", pieces
        assert b"" not in list(decode_chunked(pieces))


def test_what_has_come_is_given_before_more_is_read_and_nothing_is_read_after_the_end() -> None:
    taken = []

    def pieces() -> Iterator[bytes]:
        for piece in (b"3\r\nab", b"c\r\n2\r\nd", b"e\r\n0\r\n\r\n", b"never"):
            taken.append(piece)
            yield piece

    body = decode_chunked(pieces())
    assert [(next(body), len(taken)) for _ in range(3)] == [(b"ab", 1), (b"cd", 2), (b"e", 3)]
    assert list(body) == []
    assert len(taken) == 3


@pytest.mark.parametrize("end", [b"\r\n", b"X-Trailer: a\r\nX-Other: b\r\n\r\n"])
def test_a_trailer_is_read_to_its_end_and_no_further(end: bytes) -> None:
    for pieces in cut(WHOLE[:-2] + end):
        left = iter([*pieces, b"next"])
        assert b"".join(decode_chunked(left)) == b"Hello, \r\nworld!"
        assert b"".join(left)[-4:] == b"next", pieces


def test_an_endless_trailer_is_an_error_after_what_came_whole() -> None:
    line = b"X-Trailer: " + b"a" * 1000 + b"\r\n"
    left = iter([WHOLE[:-2], *[line] * 1000])
    body = decode_chunked(left)
    assert next(body) == b"Hello, \r\nworld!"
    with pytest.raises(HTTPException, match="trailer"):
        next(body)
    assert (1000 - len(list(left))) * len(line) <= MAX_TRAILER + len(line)


@pytest.mark.parametrize(
    "broken", [b"", b"5", b"5\r\n", b"5\r\nHel", b"5\r\nHello", b"5\r\nHello\r\n"]
)
def test_a_body_that_breaks_off(broken: bytes) -> None:
    with pytest.raises(HTTPException, match="closed before the response was complete"):
        list(decode_chunked([broken]))


@pytest.mark.parametrize(
    "size",
    [b"-5", b"+5", b"5_0", b"0x5", b"", b"five", b"5 5", b"\xff", b"5" * (MAX_SIZE_LINE + 1)],
)
def test_nonsense_for_a_size_comes_after_what_was_whole(size: bytes) -> None:
    body = decode_chunked([b"2\r\nab\r\n" + size, b"\r\nHello\r\n"])
    assert next(body) == b"ab"
    with pytest.raises(HTTPException, match="invalid chunk size"):
        next(body)


def test_thousands_of_chunks_at_once_are_one_piece() -> None:
    assert list(decode_chunked([b"1\r\nx\r\n" * 5000 + b"0\r\n\r\n"])) == [b"x" * 5000]
