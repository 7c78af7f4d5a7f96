"""Retries as arithmetic: nobody waits."""

import email.utils
from typing import Optional

import pytest

from rawchat import backoff
from rawchat.errors import APIConnectionError, APIError, APIStatusError

row = pytest.mark.row
NOW = 1_700_000_000.0


def delay(
    status: Optional[int] = 503,
    code: Optional[str] = None,
    retries: int = 0,
    random: float = 0.0,
    **headers: str,
) -> Optional[float]:
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    error_class: type[APIError] = APIConnectionError if status is None else APIStatusError
    failure = error_class("no", status_code=status, headers=fields, code=code, retries=retries)
    return backoff.retry_delay(failure, backoff.Runtime(random=lambda: random, now=lambda: NOW))


@row("3.1")
@pytest.mark.parametrize("status", [None, 408, 409, 429, 500, 502, 503, 529, 599])
def test_what_may_pass_is_retried(status: Optional[int]) -> None:
    assert delay(status) == 0.5


@row("3.1")
@pytest.mark.parametrize("status", [200, 301, 400, 401, 403, 404, 413, 422])
def test_what_will_not_pass_is_not(status: int) -> None:
    assert delay(status) is None


@row("3.1")
def test_x_should_retry_overrules_but_only_spelled_exactly() -> None:
    assert delay(400, x_should_retry="true") == 0.5
    assert delay(503, x_should_retry="false") is None
    assert delay(400, x_should_retry="True") is None
    assert delay(503, x_should_retry="no") == 0.5


@row("3.4")
def test_an_empty_purse_is_not_retried() -> None:
    assert delay(429, code="insufficient_quota") is None
    assert delay(429, code="rate_limit_exceeded") == 0.5


@row("3.2")
def test_the_own_wait_doubles_up_to_eight_seconds_less_up_to_a_quarter() -> None:
    assert [delay(retries=n) for n in range(7)] == [0.5, 1, 2, 4, 8, 8, 8]
    assert [delay(retries=n, random=1.0) for n in range(3)] == [0.375, 0.75, 1.5]
    assert delay(retries=10_000) == 8


@row("3.2")
@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry_after": "7"}, 7),
        ({"retry_after": "0.25"}, 0.25),
        ({"retry_after": " 3 "}, 3),
        ({"retry_after": "120"}, 120),
        ({"retry_after_ms": "1500"}, 1.5),
        ({"retry_after_ms": "1500", "retry_after": "9"}, 1.5),
        ({"retry_after_ms": "junk", "retry_after": "9"}, 9),
        ({"retry_after": email.utils.formatdate(NOW + 30, usegmt=True)}, 30),
    ],
)
def test_the_servers_wish_is_used_as_it_stands(headers: dict[str, str], seconds: float) -> None:
    assert delay(random=1.0, **headers) == seconds


@row("3.2")
@pytest.mark.parametrize(
    "wish",
    [
        "0",
        "-3",
        "nan",
        "inf",
        "-inf",
        "junk",
        "",
        "12 apples",
        "Mon, 99 Foo 2020 99:99:99 GMT",
        email.utils.formatdate(NOW - 30, usegmt=True),
    ],
)
def test_a_wish_that_makes_no_sense_leaves_the_own_wait(wish: str) -> None:
    assert delay(retry_after=wish) == 0.5


@row("3.2")
@pytest.mark.parametrize(
    "wish", ["121", "1e9", "1e999", email.utils.formatdate(NOW + 1000, usegmt=True)]
)
def test_a_server_that_asks_for_too_long_is_not_asked_again(wish: str) -> None:
    assert delay(retry_after=wish) is None
    assert delay(retry_after=wish, x_should_retry="true") is None
