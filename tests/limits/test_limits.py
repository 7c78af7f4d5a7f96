"""`limited`, `breaker`, and the next model: with a clock that the tests turn."""

import heapq
import json
import threading
from collections.abc import Iterator
from typing import Any, Callable, Optional

import pytest

import rawchat
from rawchat.errors import (
    APIConnectionError,
    APIError,
    APITimeoutError,
    BadRequestError,
    ConfigError,
    DeadlineExceededError,
    InternalServerError,
    RateLimitError,
)
from rawchat.limits import breaker, limited
from rawchat.limits.ratelimiter import FairSemaphore
from rawchat.wire import Request, Response

from ..conftest import Waits
from ..server import PATIENCE, answer, completion, serving, streamed

GET = Request("GET", "http://localhost/v1/models")


class Clock:
    """Simulated time for so many threads: when all of them sleep, it is the time at which the first one wakes."""

    def __init__(self, threads: int = 1):
        self.now, self._awake, self._lock = 1000.0, threads, threading.Lock()
        self._asleep: list[tuple[float, int, threading.Event]] = []
        self.waits = Waits()

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        alarm = threading.Event()
        with self._lock:
            heapq.heappush(self._asleep, (self.now + seconds, id(alarm), alarm))
            self._less()
        assert alarm.wait(PATIENCE * 6)

    def leave(self) -> None:
        """One thread less."""
        with self._lock:
            self._less()

    def _less(self) -> None:
        self._awake -= 1
        if not self._awake and self._asleep:
            self.now, _, alarm = heapq.heappop(self._asleep)
            self._awake += 1
            alarm.set()


def replying(
    clock: Clock, status: int = 200, headers: Optional[dict[str, str]] = None, body: bytes = b"{}"
) -> Any:
    """A transport that writes down when it was asked, in `.times`."""

    def transport(request: Request) -> Response:
        transport.times.append(clock.now)  # type: ignore[attr-defined]
        transport.requests.append(request)  # type: ignore[attr-defined]
        return Response(status, headers or {}, [body])

    transport.times, transport.requests = [], []  # type: ignore[attr-defined]
    return transport


def limit(transport: Any, clock: Clock, **settings: Any) -> Callable[[Request], Response]:
    return limited(transport, clock=clock, sleep=clock.sleep, now=lambda: 0.0, **settings)


def at_once(count: int, work: Callable[[], None]) -> None:
    threads = [threading.Thread(target=work, daemon=True) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE * 6)
        assert not thread.is_alive()


# ---- so many a minute


def test_600_a_minute_hold_to_two_percent_over_three_minutes_with_64_threads() -> None:
    clock = Clock(64)
    inner = replying(clock)
    transport = limit(inner, clock, requests_per_minute=600)

    def work() -> None:
        while clock.now < 1180:
            transport(GET).read()
        clock.leave()

    at_once(64, work)
    times = [time - 1000 for time in inner.times]
    assert abs(sum(time < 180 for time in times) - 1800) <= 36
    for start in range(0, 121, 7):  # in any minute, not only from the start
        assert abs(sum(start <= time < start + 60 for time in times) - 600) <= 12


def test_turns_are_even_and_idle_time_is_not_saved_up() -> None:
    clock = Clock()
    inner = replying(clock)
    transport = limit(inner, clock, requests_per_minute=60)
    for idle in (0, 0, 0, 100, 0):
        clock.now += idle
        transport(GET)
    assert inner.times == [1000, 1001, 1002, 1102, 1103]
    assert clock.waits == [1, 1, 1]


def test_tokens_are_estimated_and_put_right_by_the_usage() -> None:
    clock = Clock()
    body = (
        b'{"max_tokens": 900, "x": "' + b"x" * 373 + b'"}'
    )  # 400 bytes: 100 tokens, and 900 for the answer
    request = Request("POST", "http://localhost/v1/completions", body=body)
    for usage, second in (
        (b"{}", 1060),
        (b'{"usage": {"total_tokens": 250}}', 1015),
        (b'{"usage": {"total_tokens": 2000}}', 1120),
    ):
        clock.now = 1000.0
        inner = replying(clock, body=usage)
        transport = limit(inner, clock, tokens_per_minute=1000)
        transport(request).read()
        transport(request).read()
        assert inner.times == [1000, second]


def test_the_usage_of_a_stream_counts() -> None:
    clock = Clock()
    events = b'data: {"choices": [{"delta": {}}]}\n\ndata: {"choices": [], "usage": {"total_tokens": 500}}\n\n'
    inner = replying(clock, body=events + b"data: [DONE]\n\n")
    client = rawchat.Client(
        base_url="http://localhost/v1",
        transport=limit(inner, clock, tokens_per_minute=1000),
        environ={},
    )
    for _ in range(2):
        assert client.stream_chat("Hi").reply.usage == {"total_tokens": 500}
    assert inner.times == [1000, pytest.approx(1030)]


def test_an_estimate_is_never_more_than_a_minute() -> None:
    clock = Clock()
    inner = replying(clock)
    transport = limit(inner, clock, tokens_per_minute=10)
    for _ in range(2):
        transport(GET._replace(body=b"x" * 10**6))
    assert inner.times == [1000, 1060]


def test_a_limit_that_is_full_can_raise_at_once() -> None:
    clock = Clock()
    inner = replying(clock)
    client = rawchat.Client(
        base_url="http://localhost/v1",
        environ={},
        sleep=clock.sleep,
        transport=limit(inner, clock, requests_per_minute=60, on_full="raise"),
    )
    client.models()
    clock.now += 0.25
    with pytest.raises(RateLimitError, match=r"rate limit: next slot in 0\.75 s") as caught:
        client.models()
    assert (caught.value.status_code, caught.value.retries, clock.waits) == (None, 0, [])
    clock.now += 0.75
    client.models()
    assert inner.times == [1000, 1001]


def test_a_deadline_counts_the_wait() -> None:
    clock = Clock()
    inner = replying(clock)
    transport = limit(inner, clock, requests_per_minute=60)
    transport(GET)
    transport(GET._replace(deadline=1.5))
    with pytest.raises(DeadlineExceededError, match="no slot before the deadline"):
        transport(GET._replace(deadline=1.0))
    assert [request.deadline for request in inner.requests] == [None, 0.5]
    transport(GET)
    assert inner.times == [1000, 1001, 1002]  # whoever does not go takes no turn


@pytest.mark.parametrize(
    "settings",
    [
        {"requests_per_minute": 0},
        {"tokens_per_minute": -1},
        {"concurrent": 0},
        {"on_full": "maybe"},
        {"requests_per_minute": float("nan")},
    ],
)
def test_limits_that_cannot_be(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        limited(replying(Clock()), **settings)


# ---- what the server says


@pytest.mark.parametrize(
    ("status", "headers", "waited"),
    [
        (
            200,
            {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1m2.5s"},
            [62.5],
        ),
        (200, {"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "20ms"}, [0.02]),
        (200, {"x-ratelimit-remaining-tokens": "1", "x-ratelimit-reset-tokens": "20ms"}, []),
        (200, {"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "soon"}, []),
        (429, {"retry-after": "7"}, [7]),
        (429, {}, []),
        (503, {"retry-after": "7"}, []),
    ],
)
def test_a_server_that_wants_nothing_more_is_left_alone(
    status: int, headers: dict[str, str], waited: list[float]
) -> None:
    clock = Clock()
    transport = limit(replying(clock, status, headers), clock)
    for _ in range(2):
        transport(GET).read()
    assert clock.waits == [pytest.approx(wait) for wait in waited]


def test_another_key_or_model_is_another_limit() -> None:
    clock = Clock()
    transport = limit(replying(clock, 429, {"retry-after": "7"}), clock)
    for request in (
        GET,
        GET._replace(model="b"),
        GET._replace(headers=rawchat.Headers({"Authorization": "Bearer x"})),
    ):
        transport(request)
    assert clock.waits == []
    transport(GET)
    assert clock.waits == [7]


def test_a_server_that_wants_nothing_for_an_hour_is_an_error_that_says_so() -> None:
    clock = Clock()
    headers = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1h"}
    transport = limit(replying(clock, 200, headers), clock)
    transport(GET)
    with pytest.raises(RateLimitError, match=r"in 3\.6e\+03 s|in 3600 s"):
        transport(GET)
    assert clock.waits == []


def test_those_who_wait_for_their_turn_hear_that_the_server_wants_nothing_more() -> None:
    clock = Clock()
    inner = replying(clock, 429, {"retry-after": "30"})
    first = Response(200, {}, [b"{}"])

    def sleep(seconds: float) -> None:
        if not nested:
            nested.append(True)
            transport(GET)  # while one waits from 1000 to 1001, another's turn comes at 1002: a 429
        clock.sleep(seconds)

    nested: list[bool] = []
    transport = limited(
        lambda request: inner(request) if inner.times or clock.now > 1000 else first,
        clock=clock,
        sleep=sleep,
        now=lambda: 0.0,
        requests_per_minute=60,
    )
    transport(GET)
    transport(GET)
    assert inner.times == [1002, 1032]


# ---- so many at once


def test_so_many_are_under_way_until_they_are_closed() -> None:
    clock, peak, inside, lock = Clock(), [0], [0], threading.Lock()

    def transport(request: Request) -> Response:
        with lock:
            inside[0] += 1
            peak[0] = max(peak[0], inside[0])
        return Response(200, {}, body())

    def body() -> Iterator[bytes]:
        yield b"{}"
        with lock:
            inside[0] -= 1

    bounded = limited(transport, concurrent=3)
    at_once(16, lambda: [bounded(GET).read() for _ in range(20)] and None)
    assert peak[0] <= 3
    assert clock.waits == []


@pytest.mark.parametrize("end", ["read", "close", "release"])
def test_a_seat_is_given_back_once(end: str) -> None:
    transport = limited(replying(Clock()), concurrent=1, on_full="raise")
    for _ in range(3):
        response = transport(GET)
        with pytest.raises(RateLimitError, match="all slots are in use"):
            transport(GET)
        getattr(response, end)()
        response.close()


def test_a_seat_is_given_back_by_an_attempt_that_fails() -> None:
    def broken(request: Request) -> Response:
        raise APIConnectionError("refused")

    transport = limited(broken, concurrent=1, on_full="raise")
    for _ in range(3):
        with pytest.raises(APIConnectionError, match="refused"):
            transport(GET)


def test_a_seat_is_waited_for_until_the_deadline() -> None:
    transport = limited(replying(Clock()), concurrent=1)
    first = transport(GET)
    with pytest.raises(DeadlineExceededError):
        transport(GET._replace(deadline=0.01))
    first.close()
    transport(GET).close()


def test_seats_go_to_whoever_waits_longest() -> None:
    slots, order = FairSemaphore(1), list[int]()
    assert slots.acquire()

    def work(number: int) -> None:
        assert slots.acquire(PATIENCE)
        order.append(number)
        slots.release()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for number, thread in enumerate(threads, 1):
        thread.start()
        while len(slots._queue) < number:  # until it stands in the queue
            pass
    slots.release()
    for thread in threads:
        thread.join(PATIENCE)
    assert order == list(range(8))


def test_who_gives_a_seat_back_does_not_overtake_those_who_wait() -> None:
    slots, out = FairSemaphore(1), threading.Event()
    slots.acquire()
    waiting = threading.Thread(target=lambda: slots.acquire(PATIENCE) and out.wait(PATIENCE))
    waiting.start()
    while not slots._queue:
        pass
    slots.release()
    assert not slots.acquire(0)
    out.set()
    waiting.join()


def test_a_wrapped_transport_keeps_its_base_url_and_is_closed_with_the_client() -> None:
    with serving(answer(completion()), streamed()) as server:
        inner = rawchat.transport.over_http(server.url)
        closed: list[bool] = []
        inner.close = lambda: closed.append(True)  # type: ignore[method-assign]
        with rawchat.Client(transport=breaker(limited(inner, concurrent=1)), environ={}) as client:
            assert client.chat("Hi").text == client.stream_chat("Hi").reply.text == "Hello"
        assert closed == [True]


# ---- the breaker


def test_a_breaker_fails_fast_and_lets_one_probe_through() -> None:
    clock, script = Clock(), [500, 503, 0, 500, 200, 500, 500, 200]

    def transport(request: Request) -> Response:
        asked.append(clock.now)
        status = script.pop(0)
        if not status:
            raise APITimeoutError("slow")
        return Response(status, {}, [b"{}"])

    asked: list[float] = []
    guarded = breaker(transport, failures=3, cooldown=30, clock=clock)
    for _ in range(2):
        guarded(GET)
    with pytest.raises(APITimeoutError):
        guarded(GET)
    for elapsed, left in ((0, "30"), (29, "1")):
        clock.now += elapsed
        with pytest.raises(
            APIConnectionError, match=f"circuit open after 3 failures; next attempt in {left} s"
        ):
            guarded(GET)
    clock.now += 1
    assert guarded(GET).status == 500  # the probe
    with pytest.raises(APIConnectionError, match="circuit open after 4"):
        guarded(GET)
    clock.now += 30
    assert [guarded(GET).status for _ in range(4)] == [200, 500, 500, 200]
    assert asked == [1000, 1000, 1000, 1030, 1060, 1060, 1060, 1060]


def test_only_one_probe_goes_at_a_time_also_one_that_never_returns() -> None:
    clock, inside, out = Clock(), threading.Event(), threading.Event()
    calls = []

    def transport(request: Request) -> Response:
        calls.append(request)
        if len(calls) == 2:
            inside.set()
            assert out.wait(PATIENCE)
        return Response(500, {}, [])

    guarded = breaker(transport, failures=1, cooldown=30, clock=clock)
    guarded(GET)
    clock.now += 30
    probe = threading.Thread(target=guarded, args=(GET,))
    probe.start()
    assert inside.wait(PATIENCE)
    with pytest.raises(APIConnectionError, match="circuit open"):
        guarded(GET)
    clock.now += 30
    guarded(GET)
    out.set()
    probe.join()
    assert len(calls) == 3


def test_what_a_breaker_refuses_is_not_retried_and_what_proves_nothing_does_not_count(
    waits: Waits,
) -> None:
    script: list[Any] = [
        DeadlineExceededError("late"),
        DeadlineExceededError("late"),
        404,
        429,
        500,
    ]

    def transport(request: Request) -> Response:
        entry = script.pop(0)
        if isinstance(entry, Exception):
            raise entry
        return Response(entry, {}, [b"{}"])

    client = rawchat.Client(
        base_url="http://localhost/v1",
        transport=breaker(transport, failures=1),
        sleep=waits,
        environ={},
        max_retries=0,
    )
    for _ in range(5):
        with pytest.raises(APIError):
            client.models()
    assert script == []
    patient = rawchat.Client(
        base_url="http://localhost/v1", transport=client.transport, sleep=waits, environ={}
    )
    with pytest.raises(APIConnectionError, match="circuit open") as caught:
        patient.models()
    assert (caught.value.retries, waits) == (0, [])


# ---- the next model


def by_model(**statuses: Any) -> Any:
    """A transport that answers each model with its status, or raises its error."""

    def transport(request: Request) -> Response:
        assert request.body
        model = json.loads(request.body)["model"]
        transport.asked.append(model)  # type: ignore[attr-defined]
        status = statuses.get(model, 200)
        if isinstance(status, Exception):
            raise status
        body = json.dumps(completion("Hello", model="of-the-server")).encode()
        return Response(status, {}, [body if status == 200 else b'{"error": {"message": "no"}}'])

    transport.asked = []  # type: ignore[attr-defined]
    return transport


@pytest.mark.parametrize("trouble", [429, 500, 503, 408, APITimeoutError("slow")])
def test_the_next_model_is_asked_when_retries_are_used_up(waits: Waits, trouble: Any) -> None:
    inner = by_model(a=trouble, b=trouble)
    client = rawchat.Client(
        base_url="http://localhost/v1",
        transport=inner,
        sleep=waits,
        environ={},
        max_retries=1,
        model=["a", "b", "c"],
    )
    reply = client.chat("Hi")
    assert (reply.text, reply.model, reply["model"]) == ("Hello", "c", "of-the-server")
    assert inner.asked == ["a", "a", "b", "b", "c"]
    assert len(waits) == 2
    assert client.complete("Hi", model=("c", "a")).model == "c"
    assert client.stream_chat("Hi", model=["b", "c"]).reply.model == "c"


@pytest.mark.parametrize(
    "trouble", [400, 401, 404, APIConnectionError("refused"), DeadlineExceededError("late")]
)
def test_what_is_not_the_models_fault_does_not_ask_another(waits: Waits, trouble: Any) -> None:
    inner = by_model(a=trouble)
    client = rawchat.Client(
        base_url="http://localhost/v1", transport=inner, sleep=waits, environ={}, max_retries=0
    )
    with pytest.raises(APIError):
        client.chat("Hi", model=["a", "b"])
    assert inner.asked == ["a"]


def test_the_last_models_error_is_the_one_raised(waits: Waits) -> None:
    inner = by_model(a=503, b=400)
    client = rawchat.Client(
        base_url="http://localhost/v1", transport=inner, sleep=waits, environ={}, max_retries=0
    )
    with pytest.raises(BadRequestError):
        client.chat("Hi", model=["a", "b"])
    with pytest.raises(InternalServerError):
        client.chat("Hi", model=["a"])
    assert inner.asked == ["a", "b", "a"]


def test_a_deadline_bounds_all_models() -> None:
    now = [0.0]
    inner = by_model(a=503)

    def slow(request: Request) -> Response:
        now[0] += 6
        return Response(503, {}, []) if inner(request).status == 503 else Response(200, {}, [b"{}"])

    client = rawchat.Client(
        base_url="http://localhost/v1",
        transport=slow,
        environ={},
        max_retries=0,
        deadline=5,
        clock=lambda: now[0],
    )
    with pytest.raises(DeadlineExceededError):
        client.chat("Hi", model=["a", "b"])
    assert inner.asked == ["a"]
