"""How much goes out, and whether anything does: `limited` and `breaker`, around any transport.

    Client(transport=breaker(limited(over_http(), requests_per_minute=600, concurrent=32)))

Every attempt counts, retries too.  What a server says of limits of its own (x-ratelimit-*, Retry-After) is obeyed.
"""

import contextlib
import functools
import math
import threading
import time
from typing import Callable, Optional

from ..errors import APIConnectionError, ConfigError, DeadlineExceededError
from ..wire import Request, Response, Transport
from .ratelimiter import RateLimiter


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
    """`transport`, for which every request waits its turn: first come, first served, evenly over the minute.

    `concurrent` bounds those under way, each until its Response is closed.  Tokens are estimated, and put right
    when the answer tells its usage.  Raises RateLimitError instead of waiting if `on_full` is "raise", or if the
    server's own limit lasts over two minutes; DeadlineExceededError if the wait would outlive the deadline.
    """
    if on_full not in ("wait", "raise"):
        raise ConfigError(f'on_full is "wait" or "raise": {on_full!r}')
    requests, tokens, seats = (
        math.inf if limit is None else limit
        for limit in (requests_per_minute, tokens_per_minute, concurrent)
    )
    if not min(requests, tokens, seats) > 0:
        raise ConfigError(f"a limit is more than 0: {min(requests, tokens, seats)!r}")
    gate = RateLimiter(requests, tokens, seats, on_full == "wait", clock, sleep, now)

    @functools.wraps(transport, assigned=())
    def taking_turns(request: Request) -> Response:
        with contextlib.ExitStack() as visit:  # what is to be done, once, when the request is over
            request, cost = gate.enter(request, visit)
            response = transport(request)
            gate.learn(request, response)
            return gate.until_closed(response, cost, visit.pop_all())

    return taking_turns


def breaker(
    transport: Transport,
    failures: int = 5,
    rest: float = 30.0,
    clock: Callable[[], float] = time.monotonic,
) -> Transport:
    """`transport`, which is not asked while its server is down: an APIConnectionError says so at once.

    Down is after so many `failures` in a row: no answer, or a 5xx.  Then one request goes through every `rest`
    seconds, to see; the first answer lets all through again.
    """
    state = CircuitBreaker(failures, rest, clock)

    @functools.wraps(transport, assigned=())
    def failing_fast(request: Request) -> Response:
        state.admit(request)
        try:
            response = transport(request)
        except DeadlineExceededError:
            raise  # the caller's own bound proves nothing about the server
        except APIConnectionError:
            state.note(down=True)
            raise
        state.note(down=response.status >= 500)
        return response

    return failing_fast


class CircuitBreaker:
    """How a server fares: failures in a row, and when to look after it again."""

    def __init__(self, failures: int, rest: float, clock: Callable[[], float]):
        self._most, self._rest, self._clock, self._lock = failures, rest, clock, threading.Lock()
        self._row, self._next = 0, -math.inf

    def admit(self, request: Request) -> None:
        """Raise APIConnectionError if the server is down and has been looked after lately."""
        with self._lock:
            if self._row < self._most:
                return
            left = self._next - self._clock()
            if left > 0:
                raise APIConnectionError(
                    f"not asked: the last {self._row} attempts failed; the next goes out in {left:.3g} s "
                    f"({request.summary})",
                    headers={"x-should-retry": "false"},
                )
            self._next = (
                self._clock() + self._rest
            )  # this one looks; if it never returns, the next one does

    def note(self, down: bool) -> None:
        """Learn how an attempt went."""
        with self._lock:
            self._row = self._row + 1 if down else 0
            self._next = self._clock() + self._rest
