"""Limit what goes out: `limited` and `breaker` wrap any transport.

    Client(transport=breaker(limited(over_http(), requests_per_minute=600, concurrent=32)))

Every attempt counts, retries included.  `limited` also obeys the limits that a server reports about itself
(x-ratelimit-* and Retry-After).  Its rate limiter is in `ratelimiter`; the circuit breaker is below.
"""

import contextlib
import functools
import math
import threading
import time
from typing import Callable, Optional

from ..errors import APIConnectionError, CircuitOpenError, ConfigError, DeadlineExceededError
from ..wire import Request, Response, Transport
from .ratelimiter import RateLimiter

# ---- rate limits


def limited(
    transport: Transport,
    requests_per_minute: Optional[float] = None,
    tokens_per_minute: Optional[float] = None,
    concurrent: Optional[int] = None,
    on_full: str = "wait",
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] = time.sleep,
    now: Callable[[], float] = time.time,
) -> Transport:
    """Return a transport that keeps `transport` within limits: requests wait in order of arrival.

    requests_per_minute     sent evenly over the minute; default no limit
    tokens_per_minute       estimated before the request, corrected by the usage in the response; default no limit
    concurrent              requests under way, each until its Response is closed; default no limit
    on_full                 "wait" (default), or "raise" RateLimitError instead of waiting
    clock, sleep, now       monotonic seconds, a wait, seconds since 1970

    Raises ConfigError for a limit that is not positive.  The transport raises RateLimitError if it would have to wait
    with `on_full="raise"`, or for more than `backoff.MAX_RETRY_AFTER` seconds for the server's own limit; and
    DeadlineExceededError if the wait would outlive the request's deadline.
    """
    if on_full not in ("wait", "raise"):
        raise ConfigError(f'on_full must be "wait" or "raise", got {on_full!r}')
    limiter = RateLimiter(
        check_limit(requests_per_minute),
        check_limit(tokens_per_minute),
        check_limit(concurrent),
        on_full == "wait",
        clock,
        sleep,
        now,
    )

    @functools.wraps(transport, assigned=())
    def send_between_pauses(request: Request) -> Response:
        if limiter.pause_left(request) > 0:
            with contextlib.ExitStack() as cleanup:
                request, _ = limiter.acquire(request, cleanup)
        response = transport(request)
        limiter.observe(request, response)
        return response

    @functools.wraps(transport, assigned=())
    def send_within_limits(request: Request) -> Response:
        with contextlib.ExitStack() as cleanup:
            request, cost = limiter.acquire(request, cleanup)
            response = transport(request)
            limiter.observe(request, response)
            # From here on the end of the response runs the cleanup.
            return limiter.release_on_close(response, cost, cleanup.pop_all())

    # Without limits of our own there is nothing to count: this saves about 60 µs a call.
    if requests_per_minute is None and tokens_per_minute is None and concurrent is None:
        return send_between_pauses
    return send_within_limits


def check_limit(limit: Optional[float]) -> float:
    """Return `limit`, or infinity for None; raise ConfigError if it is not greater than 0."""
    if limit is None:
        return math.inf
    if not limit > 0:
        raise ConfigError(f"limits must be greater than 0, got {limit!r}")
    return limit


# ---- circuit breaker


def breaker(
    transport: Transport,
    failures: int = 5,
    cooldown: float = 30.0,
    clock: Callable[[], float] = time.monotonic,
) -> Transport:
    """Return a transport that fails at once while the server behind `transport` is down.

    The circuit opens after `failures` failed attempts in a row; an attempt fails without a response or with a 5xx.
    While it is open, one request is let through every `cooldown` seconds, and the others raise CircuitOpenError,
    which is not retried.  The first good response closes the circuit.
    """
    circuit = CircuitBreaker(failures, cooldown, clock)

    @functools.wraps(transport, assigned=())
    def send_or_fail_fast(request: Request) -> Response:
        circuit.check(request)
        try:
            response = transport(request)
        except DeadlineExceededError:
            # The caller's own bound proves nothing about the server.
            raise
        except APIConnectionError:
            circuit.record(failed=True)
            raise
        circuit.record(failed=response.status >= 500)
        return response

    return send_or_fail_fast


class CircuitBreaker:
    """Circuit-breaker state: failures in a row, and when the next attempt may go out."""

    def __init__(self, failures: int, cooldown: float, clock: Callable[[], float]):
        self._max_failures = failures
        self._cooldown = cooldown
        self._clock = clock
        self._lock = threading.Lock()
        self._failures_in_row = 0
        self._next_attempt_at = -math.inf

    def check(self, request: Request) -> None:
        """Raise CircuitOpenError if the circuit is open and no attempt is due."""
        with self._lock:
            if self._failures_in_row < self._max_failures:
                return
            seconds = self._next_attempt_at - self._clock()
            if seconds > 0:
                raise CircuitOpenError(
                    f"circuit open after {self._failures_in_row} failures; "
                    f"next attempt in {seconds:.3g} s ({request.summary})",
                )
            # This request is the probe.  If it never returns, the next one is.
            self._next_attempt_at = self._clock() + self._cooldown

    def record(self, failed: bool) -> None:
        """Record the outcome of an attempt."""
        with self._lock:
            if failed:
                self._failures_in_row += 1
            else:
                self._failures_in_row = 0
            self._next_attempt_at = self._clock() + self._cooldown
