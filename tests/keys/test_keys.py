"""Several keys: going round, set aside, at rest, by age, from many threads; and never shown."""

import logging
import pickle
import threading
from collections import Counter
from typing import Any

import pytest

import rawchat
from rawchat import errors
from rawchat.errors import APIStatusError, DeadlineExceededError, RateLimitError
from rawchat.keys.pool import KeyPool
from rawchat.wire import Request, Response

from ..conftest import Waits

row = pytest.mark.row
KEYS = ["sk-first-key", "sk-second-key", "sk-third-key"]


class World:
    """A server that answers each key from its own script (default 200), and the time, which passes only in `sleep`."""

    def __init__(self, **scripts: Any):
        self.time, self.waits, self.asked = 1000.0, Waits(), list[int]()
        self.scripts = {int(name[1:]): list(script) for name, script in scripts.items()}

    def __call__(self, request: Request) -> Response:
        key = KEYS.index(request.headers["Authorization"].partition(" ")[2]) + 1
        self.asked.append(key)
        status, headers = (self.scripts.get(key) or [(200, {})]).pop(0)
        return Response(
            status,
            headers,
            [b'{"choices": [{}]}' if status == 200 else b'{"error": {"message": "no"}}'],
        )

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.time += seconds

    def client(self, keys: Any = tuple(KEYS), **settings: Any) -> rawchat.Client:
        return rawchat.Client(
            list(keys),
            "http://localhost/v1",
            transport=self,
            sleep=self.sleep,
            environ={},
            clock=lambda: self.time,
            now=lambda: 0.0,
            random=lambda: 0.0,
            **settings,
        )


def busy(seconds: float, times: int = 1) -> list[Any]:
    return [(429, {"retry-after": str(seconds)})] * times


def test_calls_go_round() -> None:
    world = World()
    client = world.client()
    for _ in range(7):
        client.models()
    assert world.asked == [1, 2, 3, 1, 2, 3, 1]


GEMINI = b"""[{"error": {"code": 429, "message": "Quota exceeded", "status": "RESOURCE_EXHAUSTED", "details": [
    {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "39s"}]}}]"""


@row("3.7")
@pytest.mark.parametrize("body", [GEMINI, b'{"error": {"message": "Please try again in 39s."}}'])
def test_a_wait_that_only_the_body_asks_for_rests_a_key_too(body: bytes) -> None:
    world = World()

    def transport(request: Request) -> Response:
        response = world(request)
        if world.asked == [1]:
            return Response(429, {}, [body])
        return response

    client = rawchat.Client(
        KEYS[:2],
        "http://localhost/v1",
        transport=transport,
        sleep=world.sleep,
        environ={},
        clock=lambda: world.time,
    )
    for _ in range(3):
        client.models()
    assert world.asked == [1, 2, 2, 2]
    assert world.waits == [0]
    world.time += 39
    client.models()
    client.models()
    assert sorted(world.asked[4:]) == [1, 2]


@row("3.7")
def test_a_change_of_key_uses_up_a_retry() -> None:
    world = World(k1=busy(60, 3), k2=busy(60, 3))
    with pytest.raises(RateLimitError) as caught:
        world.client(max_retries=1).models()
    assert world.asked == [1, 2]
    assert caught.value.retries == 1


@row("3.7")
def test_a_401_sets_a_key_aside_for_good() -> None:
    world = World(k2=[(401, {})] * 9)
    client = world.client()
    for _ in range(5):
        client.models()
    assert world.asked == [1, 2, 3, 3, 1, 3]
    assert world.waits == [0]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"retry-after": "inf"},
        {"retry-after": "0"},
        {"retry-after": "-1"},
        {"retry-after": "nan"},
        {"retry-after-ms": "inf"},
    ],
)
def test_a_wish_that_is_none_rests_no_key(headers: dict[str, str]) -> None:
    world = World(k1=[(429, headers)], k2=[(429, headers)])
    client = world.client(KEYS[:2], max_retries=1)
    with pytest.raises(RateLimitError) as caught:
        client.models()
    assert caught.value.key == "key 2 of 2"  # nobody knows which is free first
    assert client.models() == client.models() == {"choices": [{}]}
    assert world.asked == [1, 2, 2, 1]
    assert world.waits == [0]
    world = World(k1=[(429, headers)])
    client = world.client(KEYS[:2])
    for _ in range(3):
        client.models()
    assert world.asked == [1, 2, 2, 1]


def test_keys_without_a_wish_are_tried_again_after_a_wait() -> None:
    world = World(k1=[(429, {})], k2=[(429, {})])
    assert world.client(KEYS[:2]).models().retries == 2
    assert world.waits == [0, 1.0]  # the second one is the usual backoff


def test_keys_set_aside_are_never_said_to_be_free() -> None:
    world = World(k1=[(401, {})] * 9, k2=[(401, {})] * 9)
    client = world.client(KEYS[:2])
    for key in (2, 2):
        with pytest.raises(errors.AuthenticationError) as caught:
            client.models()
        assert "inf" not in str(caught.value)
        assert caught.value.key == f"key {key} of 2"
    assert world.waits == [0]  # the second call asks at once: no wait would free a key


def test_a_key_is_free_at_the_moment_that_the_server_named() -> None:
    world = World(k1=busy(30))
    client = world.client(KEYS[:2])
    client.models()
    world.time += 30
    client.models()
    client.models()
    assert sorted(world.asked[2:]) == [1, 2]  # at the very moment


@row("3.7")
@pytest.mark.parametrize("field", ["code", "type"])
def test_a_key_without_quota_is_set_aside_too(field: str) -> None:
    world = World()
    ring = KeyPool(lambda: tuple(map(rawchat.keys.Key, KEYS)), lambda: world.time, lambda: 0.0)
    choice = ring.selector()
    assert choice.pick() == KEYS[0]
    assert (
        choice.report(RateLimitError("no", status_code=429, **{field: "insufficient_quota"})) == 0
    )
    world.time += 1e9
    assert [ring.selector().pick() for _ in range(3)] == [KEYS[1], KEYS[2], KEYS[1]]


def test_with_all_keys_set_aside_one_is_still_asked() -> None:
    """It may have been put right since."""
    world = World(k1=[(401, {})], k2=[(401, {})])
    client = world.client(KEYS[:2])
    with pytest.raises(errors.AuthenticationError):
        client.models()
    assert client.models() == {"choices": [{}]}
    assert world.asked == [1, 2, 2]


@row("3.7")
def test_a_429_rests_a_key_for_exactly_as_long_as_the_server_asks() -> None:
    world = World(k1=busy(30))
    client = world.client(KEYS[:2])
    client.models()
    for _ in range(3):
        client.models()
    assert world.asked == [1, 2, 2, 2, 2]
    world.time += 29.9
    client.models()
    client.models()
    assert world.asked[5:] == [2, 2]
    world.time += 0.1
    client.models()
    client.models()
    assert sorted(world.asked[7:]) == [1, 2]
    assert world.waits == [0]


@row("3.7", "10.8")
def test_when_all_rest_the_shortest_wait_wins() -> None:
    world = World(k1=busy(20), k2=busy(5), k3=busy(300))
    assert world.client(max_retries=3).models().retries == 3
    assert world.asked == [1, 2, 3, 2]
    assert world.waits == [0, 0, 5.0]


def test_a_401_waits_for_a_key_that_rests() -> None:
    world = World(k1=busy(20), k2=[(401, {})])
    world.client(KEYS[:2]).models()
    assert (world.asked, world.waits) == ([1, 2, 1], [0, 20.0])


def test_a_call_that_finds_all_keys_at_rest_waits_for_the_first_and_sends_nothing_before() -> None:
    world = World(k1=busy(50), k2=busy(40))
    client = world.client(KEYS[:2], max_retries=1)
    with pytest.raises(
        RateLimitError, match=r"; key 2 of 2 \(next available: key 2 of 2, in 40 s\);"
    ):
        client.models()
    world.time += 10
    client.models()
    assert (world.asked, world.waits) == ([1, 2, 2], [0, 30.0])


@pytest.mark.parametrize(
    ("settings", "kind"),
    [
        ({"max_retries": 0}, RateLimitError),
        ({}, RateLimitError),
        ({"deadline": 60}, DeadlineExceededError),
    ],
)
def test_or_the_error_says_when(settings: dict[str, Any], kind: type[Exception]) -> None:
    seconds = 100 if settings else 300
    world = World(k1=busy(seconds), k2=busy(seconds + 1))
    client = world.client(KEYS[:2], **{"max_retries": 1, **settings})
    for _ in range(2):
        with pytest.raises((RateLimitError, DeadlineExceededError)):
            client.models()
    with pytest.raises(
        kind, match=rf"all 2 API keys are rate-limited; key 1 of 2 is available in {seconds} s"
    ):
        client.models()
    assert world.asked == [1, 2]


def test_an_error_after_all_keys_says_which_is_free_when() -> None:
    world = World(k1=busy(300), k2=busy(400))
    with pytest.raises(
        RateLimitError, match=r"key 2 of 2 \(next available: key 1 of 2, in 300 s\)"
    ) as caught:
        world.client(KEYS[:2]).models()
    assert caught.value.key.startswith("key 2 of 2")


def test_a_key_rests_for_one_model_only() -> None:
    world = World(k1=busy(30))
    client = world.client(KEYS[:2])
    for model in "aaabb":
        client.complete("x", model=model)
    assert world.asked == [1, 2, 2, 2, 2, 1]


def test_rotate_after_changes_keys_by_age() -> None:
    world = World()
    client = world.client(rotate_after=60)
    for seconds in (0, 59, 1, 30, 29, 1, 60, 180):
        world.time += seconds
        client.models()
    assert world.asked == [1, 1, 2, 2, 2, 3, 1, 1]
    assert (
        pickle.loads(pickle.dumps(rawchat.Client("sk-1", rotate_after=9))).config.rotate_after == 9
    )
    with pytest.raises(
        rawchat.ConfigError, match="rotate_after must be a positive number of seconds"
    ):
        world.client(rotate_after=0)


@row("1.11")
def test_a_single_key_never_rests() -> None:
    world = World(k1=[*busy(300), (401, {})])
    client = world.client(KEYS[:1])
    for kind in (RateLimitError, errors.AuthenticationError):
        with pytest.raises(kind) as caught:
            client.models()
        assert caught.value.key == ""  # type: ignore[attr-defined]
    assert client.models() == {"choices": [{}]}
    assert world.waits == []


def test_threads_share_the_ring_evenly_and_leave_a_bad_key() -> None:
    world = World(k3=[(401, {})] * 1000)
    client = world.client(max_retries=3)
    gate = threading.Barrier(16)

    def work() -> None:
        gate.wait()
        for _ in range(50):
            client.models()

    threads = [threading.Thread(target=work) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    asked = Counter(world.asked)
    assert asked[1] + asked[2] == 800
    assert min(asked[1], asked[2]) > 200
    assert asked[3] <= 16  # each thread may have been on its way to it


@row("4.5", "8.5")
def test_keys_are_named_by_position_and_never_shown(caplog: pytest.LogCaptureFixture) -> None:
    world = World(k1=[(401, {})] * 9, k2=busy(300), k3=[(500, {"x-echo": KEYS[2]})] * 9)
    with caplog.at_level(logging.DEBUG), pytest.raises(APIStatusError) as caught:
        world.client(max_retries=3).models()
    assert caught.value.key == "key 3 of 3"
    shown = [str(caught.value), repr(caught.value.__dict__), *caplog.messages]
    assert not [text for text in shown for key in KEYS if key in text]
    assert not [key for key in KEYS if key.encode() in pickle.dumps(caught.value)]
