"""Headers, Request, Response."""

from collections.abc import Iterator

import pytest

import rawchat
from rawchat.errors import APIResponseValidationError
from rawchat.wire import Ending, Headers, Request, Response

row = pytest.mark.row


@row("1.4")
def test_headers_are_merged_without_regard_to_case_and_none_removes() -> None:
    headers = Headers({"Accept": "a", "X-One": "1"}, {"ACCEPT": "b"}, {"x-one": None, "x-two": "2"})
    assert headers == {"ACCEPT": "b", "x-two": "2"}
    assert headers["accept"] == headers.get("Accept") == "b"
    assert "X-TWO" in headers
    assert "x-one" not in headers
    assert headers.get("x-one", "none") == "none"


@row("4.5")
def test_secrets_do_not_show_in_a_repr() -> None:
    request = Request(
        "POST",
        "https://h/v1",
        Headers(
            {
                "Authorization": "Bearer sk-secret-1",
                "X-Auth-Token": "sk-secret-2",
                "X-RateLimit-Limit-Tokens": "60000",
            }
        ),
    )
    assert "sk-secret" not in repr(request)
    assert "60000" in repr(request)
    assert request.headers.secrets == ["sk-secret-1", "sk-secret-2"]


@pytest.mark.parametrize(
    "name", ["X-Session", "x-session-id", "X-Amz-Signature", "X-JWT", "Cookie", "X-Credentials"]
)
def test_a_header_that_holds_a_credential_does_not_show_in_a_repr(name: str) -> None:
    assert "hunter2" not in repr(Headers({name: "hunter2"}))


def test_a_message_names_a_request_without_its_query() -> None:
    assert Request("GET", "https://h/v1/models?key=secret").summary == "GET https://h/v1/models"


def test_read_joins_the_pieces_and_closes() -> None:
    closed = []
    response = Response(200, {}, [b"a", b"b"], close=lambda: closed.append(1))
    assert response.read() == b"ab"
    assert closed == [1]


@row("2.8")
def test_read_stops_at_its_bound() -> None:
    read = []

    def endless():
        while True:
            read.append(1)
            yield b"x" * 10

    with pytest.raises(APIResponseValidationError, match="over 100 bytes; raise max_bytes"):
        Response(200, {}, endless()).read(100)
    assert len(read) == 11


def test_a_tap_sees_every_piece_and_one_end() -> None:
    seen: list[object] = []
    closed: list[str] = []
    response = Response(200, {}, [b"a", b"b"], close=lambda: closed.append("closed"))
    assert response.tap(seen.append, seen.append) is response
    assert response.read() == b"ab"
    response.close()
    assert seen == [b"a", b"b", Ending(error=None, exhausted=True, released=False)]
    assert closed == ["closed", "closed"]


def test_a_tap_reports_a_response_that_is_left_early_or_released() -> None:
    ends: list[Ending] = []
    left = Response(200, {}, [b"a", b"b"]).tap(on_end=ends.append)
    next(iter(left.pieces))
    left.close()
    released = Response(200, {}, [b"a", b"b"]).tap(on_end=ends.append)
    released.release()
    released.close()
    assert ends == [Ending(None, False, False), Ending(None, False, True)]


def test_a_tap_reports_what_broke_the_body_and_passes_it_on() -> None:
    ends: list[Ending] = []
    broken = rawchat.APIConnectionError("reset")

    def pieces() -> Iterator[bytes]:
        yield b"a"
        raise broken

    response = Response(200, {}, pieces()).tap(on_end=ends.append)
    with pytest.raises(rawchat.APIConnectionError):
        response.read()
    assert ends == [Ending(broken, False, False)]


def test_taps_nest_and_each_sees_what_it_wraps() -> None:
    order: list[str] = []
    response = Response(200, {}, [b"a"], close=lambda: order.append("closed"))
    response.tap(lambda piece: order.append("inner"), lambda ending: order.append("inner end"))
    response.tap(lambda piece: order.append("outer"), lambda ending: order.append("outer end"))
    response.read()
    assert order == ["inner", "outer", "closed", "inner end", "outer end"]
