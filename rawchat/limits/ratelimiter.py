"""The rate limiter of `limits.limited`: requests and tokens per minute, concurrency, and the server's own limits.

A request passes three stages in `RateLimiter.acquire`: it takes a slot of the FairSemaphore (concurrency), waits out
the pause that the server asked for, and takes the next free moment of both Pacers (requests and tokens).  When its
response ends, the slot is given back and the estimated tokens are corrected by the reported usage.
"""

import contextlib
import math
import re
import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import Callable, Optional

from .. import backoff
from ..errors import DeadlineExceededError, RateLimitError
from ..wire import Request, Response

TAIL_BYTES = 4096  #: bytes at the end of a response that are searched for its usage

# At most eight digits: no wait could be long enough for a larger count, and no model reaches one.
TOTAL_TOKENS = re.compile(rb'"total_tokens"\s*:\s*(\d{1,8})(?!\d)')
MAX_TOKENS = re.compile(rb'"max_(?:completion_)?tokens"\s*:\s*(\d{1,8})(?!\d)')

BYTES_PER_TOKEN = 4  #: OpenAI's rule of thumb for English

# The units in x-ratelimit-reset-…, in seconds.
UNIT_SECONDS = {"ms": 0.001, "s": 1.0, "": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}

# ---- the parts


class Pacer:
    """Spread units evenly over the minute: each caller gets the next free moment.  The caller holds a lock.

    A minute's worth in one burst would be twice the limit across two minutes, and servers count in shorter windows
    as well.

    >>> pacer = Pacer(600)
    >>> [pacer.take(7.0, 1) for _ in range(3)]
    [7.0, 7.1, 7.199999999999999]
    """

    def __init__(self, per_minute: float):
        self.per_minute = per_minute
        self._next_free = -math.inf

    def next_free(self, now: float) -> float:
        """Return the next free moment."""
        return max(self._next_free, now)

    def take(self, now: float, units: float) -> float:
        """Take the next free moment and return it; `units` decide when the one after it comes."""
        at = self.next_free(now)
        self._next_free = at + units * 60 / self.per_minute
        return at

    def correct(self, units: float) -> None:
        """Count `units` more than were taken, or fewer if negative."""
        self._next_free += units * 60 / self.per_minute


class FairSemaphore:
    """A semaphore that serves waiters in order of arrival.

    With threading.Semaphore, a worker that ends one call and begins the next overtakes all that wait.
    """

    def __init__(self, count: float):
        self._free = count
        # An ordered set: a waiter whose time is over leaves it without a search.
        self._queue = OrderedDict[threading.Event, None]()
        self._lock = threading.Lock()

    def acquire(self, timeout: Optional[float] = None) -> bool:
        """Wait for a slot for at most `timeout` seconds (None: without a bound); return whether one was acquired."""
        with self._lock:
            # A free slot means that no thread waits: `release` hands slots to waiters first.
            if self._free > 0:
                self._free -= 1
                return True
            ticket = threading.Event()
            self._queue[ticket] = None
        acquired = False
        try:
            acquired = ticket.wait(timeout)
        finally:
            # A timeout, or Ctrl-C.
            if not acquired:
                self._abandon(ticket)
        return acquired

    def release(self) -> None:
        """Give a slot to the first waiter, or back to the semaphore."""
        with self._lock:
            if self._queue:
                ticket, _ = self._queue.popitem(last=False)
                ticket.set()
            else:
                self._free += 1

    def _abandon(self, ticket: threading.Event) -> None:
        """Stop waiting; pass on a slot that was granted at the last moment."""
        with self._lock:
            if ticket in self._queue:
                del self._queue[ticket]
                return
        self.release()


# ---- the limiter


class RateLimiter:
    """The state behind one `limited` transport: two pacers, a semaphore, and the pauses that servers asked for."""

    def __init__(
        self,
        requests_per_minute: float,
        tokens_per_minute: float,
        concurrent: float,
        waits: bool,
        clock: Callable[[], float],
        sleep: Callable[[float], object],
        now: Callable[[], float],
    ):
        self._requests = Pacer(requests_per_minute)
        self._tokens = Pacer(tokens_per_minute)
        self._slots = FairSemaphore(concurrent)
        self._paused_until = dict[int, float]()
        self._lock = threading.Lock()
        self._waits = waits
        self._clock = clock
        self._sleep = sleep
        self._now = now

    def pause_left(self, request: Request) -> float:
        """Return the seconds for which the server wants no more requests of this bucket."""
        if not self._paused_until:
            return -math.inf
        return self._paused_until.get(bucket_of(request), -math.inf) - self._clock()

    def acquire(self, request: Request, cleanup: contextlib.ExitStack) -> tuple[Request, float]:
        """Wait until `request` may go out; return it with its remaining deadline, and its estimated tokens.

        `cleanup` receives what must run when the request is over.
        """
        end = math.inf
        if request.deadline is not None:
            end = self._clock() + request.deadline
        self._acquire_slot(request)
        cleanup.callback(self._slots.release)
        cost = min(estimate_tokens(request.excerpt), self._tokens.per_minute)
        # While a request waits for its moment, another one's response may bring a pause for both.
        while True:
            self._wait_for_server(request, end)
            self._wait_for_pacers(cost, request, end)
            if self.pause_left(request) <= 0:
                break
        if request.deadline is not None:
            request = request._replace(deadline=end - self._clock())
        return request, cost

    def observe(self, request: Request, response: Response) -> None:
        """Record the server's rate-limit headers."""
        seconds = server_pause(response.status, response.headers, self._now)
        if seconds > 0:
            bucket = bucket_of(request)
            until = self._paused_until.get(bucket, -math.inf)
            self._paused_until[bucket] = max(until, self._clock() + seconds)

    def release_on_close(
        self, response: Response, cost: float, cleanup: contextlib.ExitStack
    ) -> Response:
        """Return `response`, whose end corrects the tokens and runs `cleanup`."""
        if math.isinf(self._tokens.per_minute):
            return response.tap(on_end=lambda ending: cleanup.close())
        tail = bytearray()

        def keep_tail(piece: bytes) -> None:
            tail.extend(piece)
            del tail[:-TAIL_BYTES]

        def correct_tokens() -> None:
            counts = TOTAL_TOKENS.findall(tail)
            if counts:
                with self._lock:
                    self._tokens.correct(int(counts[-1]) - cost)

        cleanup.callback(correct_tokens)
        return response.tap(keep_tail, lambda ending: cleanup.close())

    def _acquire_slot(self, request: Request) -> None:
        """Take a slot of the semaphore; raise RateLimitError or DeadlineExceededError if none is free in time."""
        if not self._waits:
            if not self._slots.acquire(timeout=0):
                raise limit_error("all slots are in use")
        elif not self._slots.acquire(request.deadline):
            raise deadline_error(request)

    def _wait_for_server(self, request: Request, end: float) -> None:
        """Wait out the server's pause; raise if it is too long."""
        seconds = self.pause_left(request)
        if seconds > backoff.MAX_RETRY_AFTER:
            raise limit_error(f"next slot in {seconds:.3g} s")
        self._check_wait(seconds, request, end)
        if seconds > 0:
            self._sleep(seconds)

    def _wait_for_pacers(self, cost: float, request: Request, end: float) -> None:
        """Take the next moment that is free in both pacers, and wait for it."""
        with self._lock:
            now = self._clock()
            at = max(self._requests.next_free(now), self._tokens.next_free(now))
            # Checked before the moment is taken: a request that does not go out costs nothing.
            self._check_wait(at - now, request, end)
            self._requests.take(at, 1)
            self._tokens.take(at, cost)
        if at > now:
            self._sleep(at - now)

    def _check_wait(self, seconds: float, request: Request, end: float) -> None:
        """Raise if a wait of these seconds is not allowed, or ends after the deadline."""
        if seconds > 0 and not self._waits:
            raise limit_error(f"next slot in {seconds:.3g} s")
        if self._clock() + max(seconds, 0) >= end:
            raise deadline_error(request)


# ---- what the limiter computes with


def bucket_of(request: Request) -> int:
    """Return the rate-limit bucket of a request: its key and model, as a hash.

    A hash, because reporters of errors print variables, and a key must not be among them.
    """
    return hash((request.headers.get("authorization"), request.model))


def estimate_tokens(body: bytes) -> float:
    """Return the tokens that a request may use: a quarter of its bytes, and its largest max_tokens."""
    longest_answer = max(map(int, MAX_TOKENS.findall(body)), default=0)
    return len(body) / BYTES_PER_TOKEN + longest_answer


def limit_error(reason: str) -> RateLimitError:
    """Return the error of our own limit.  It has no status, as the server sent nothing, and is not retried."""
    return RateLimitError(f"rate limit: {reason}")


def deadline_error(request: Request) -> DeadlineExceededError:
    """Return the error of a wait that would outlive the deadline."""
    return DeadlineExceededError(f"rate limit: no slot before the deadline ({request.summary})")


# ---- the server's own limit


def server_pause(status: int, headers: Mapping[str, str], now: Callable[[], float]) -> float:
    """Return the seconds for which a server wants no more requests; 0 if it has no such wish.

    It is the longest of Retry-After, after a 429, and the time until an exhausted budget is renewed.

    >>> server_pause(200, {"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "1m2.5s"}, float)
    62.5
    """
    pauses = [0.0]
    for budget in ("requests", "tokens"):
        if headers.get(f"x-ratelimit-remaining-{budget}") == "0":
            pauses.append(parse_duration(headers.get(f"x-ratelimit-reset-{budget}", "")))
    if status == 429:
        pauses.append(backoff.retry_after(headers, now))
    return max(pause for pause in pauses if 0 <= pause < math.inf)


def parse_duration(text: str) -> float:
    """Return the seconds of a duration as OpenAI writes it, 6m0s or 20ms; a bare number is seconds."""
    seconds = 0.0
    for number, unit in re.findall(r"(\d+(?:\.\d+)?)(ms|[smhd]|)", text):
        seconds += float(number) * UNIT_SECONDS[unit]
    return seconds
