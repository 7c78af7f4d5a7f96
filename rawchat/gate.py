"""The gate that `limits.limited` puts before a transport: a request enters when its turn comes, until it is closed."""

import contextlib
import math
import re
import threading
from collections.abc import Iterable, Iterator
from typing import Callable

from . import backoff, budget
from .errors import DeadlineExceededError, RateLimitError
from .turns import Pace, Seats
from .wire import Request, Response

TAIL = 4096  #: bytes at the end of an answer in which its usage is looked for
# Eight digits at most: of a larger count, which no model reaches, nobody could wait for the end.
USED = re.compile(rb'"total_tokens"\s*:\s*(\d{1,8})(?!\d)')
MOST = re.compile(rb'"max_(?:completion_)?tokens"\s*:\s*(\d{1,8})(?!\d)')


class Gate:
    """What `limited` keeps: the paces, the seats, and until when a server wants nothing more from whom."""

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
        self._requests, self._tokens = Pace(requests_per_minute), Pace(tokens_per_minute)
        self._seats, self._held, self._lock = (
            Seats(concurrent),
            dict[int, float](),
            threading.Lock(),
        )
        self._waits, self._clock, self._sleep, self._now = waits, clock, sleep, now

    def enter(self, request: Request, visit: contextlib.ExitStack) -> tuple[Request, float]:
        """Wait until `request` may go; the request with what its deadline leaves then, and its tokens, estimated."""
        end = math.inf if request.deadline is None else self._clock() + request.deadline
        if not self._seats.take(request.deadline if self._waits else 0):
            raise too_late(request) if self._waits else full("all seats are taken")
        visit.callback(self._seats.give)
        cost = min(estimate(request.body or b""), self._tokens.per_minute)
        while True:  # while one waits for its turn, a server may say to hold on
            self._pause(self._hold(request), request, end, backoff.PATIENCE)
            self._pause(self._turn(cost, request, end), request, end)
            if self._hold(request) <= 0:
                left = None if request.deadline is None else end - self._clock()
                return request._replace(deadline=left), cost

    def learn(self, request: Request, response: Response) -> None:
        """Take to heart what the server says of its own limit."""
        seconds = budget.hold(response.status, response.headers, self._now)
        if seconds > 0:
            self._held[lane(request)] = max(
                self._held.get(lane(request), -math.inf), self._clock() + seconds
            )

    def until_closed(
        self, response: Response, cost: float, visit: contextlib.ExitStack
    ) -> Response:
        """`response`, with which the visit ends."""
        tail = bytearray()

        def settle() -> None:
            for used in USED.findall(tail)[-1:]:
                with self._lock:
                    self._tokens.settle(int(used) - cost)

        if self._tokens.per_minute < math.inf:
            response.pieces = watched(response.pieces, tail)
            visit.callback(settle)
        response.close, response.finish = (
            first(response.close, visit.close),
            first(response.finish, visit.close),
        )
        return response

    def _hold(self, request: Request) -> float:
        return self._held.get(lane(request), -math.inf) - self._clock()

    def _turn(self, cost: float, request: Request, end: float) -> float:
        """Take the next turn; the seconds until then."""
        with self._lock:
            now = self._clock()
            at = max(self._requests.when(now), self._tokens.when(now))
            self._check(at - now, request, end)
            self._requests.take(at, 1)
            self._tokens.take(at, cost)
            return at - now

    def _pause(
        self, seconds: float, request: Request, end: float, longest: float = math.inf
    ) -> None:
        if seconds > 0:
            self._check(seconds, request, end, longest)
            self._sleep(seconds)

    def _check(
        self, seconds: float, request: Request, end: float, longest: float = math.inf
    ) -> None:
        """Raise if a wait of so many seconds is not to be."""
        if seconds > longest or (seconds > 0 and not self._waits):
            raise full(f"the next turn is in {seconds:.3g} s")
        if self._clock() + seconds >= end:
            raise too_late(request)


def lane(request: Request) -> int:
    """Whom a server's limit is for: a key and a model.  A hash, as reporters of errors print variables."""
    return hash((request.headers.get("authorization"), request.model))


def estimate(body: bytes) -> float:
    """The tokens that a request may cost: a quarter of its bytes (OpenAI's rule for English) and its longest answer."""
    return len(body) / 4 + max(map(int, MOST.findall(body)), default=0)


def watched(pieces: Iterable[bytes], tail: bytearray) -> Iterator[bytes]:
    """`pieces`; what passed last stays in `tail`."""
    for piece in pieces:
        tail += piece
        del tail[:-TAIL]
        yield piece


def first(do: Callable[[], None], then: Callable[[], None]) -> Callable[[], None]:
    """One after the other, whatever the first one raises."""

    def both() -> None:
        try:
            do()
        finally:
            then()

    return both


def full(reason: str) -> RateLimitError:
    """Our own limit's error.  The server said nothing, so it has no status, and the client does not try again."""
    return RateLimitError(f"the limit is reached: {reason}", headers={"x-should-retry": "false"})


def too_late(request: Request) -> DeadlineExceededError:
    return DeadlineExceededError(f"the limit leaves no turn before the deadline ({request.where})")
