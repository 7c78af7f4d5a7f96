"""The gate that `limits.limited` puts before a transport: a request enters when its turn comes, until it is closed."""

import contextlib
import math
import re
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Callable, Optional

from .. import backoff
from ..errors import DeadlineExceededError, RateLimitError
from ..wire import Request, Response


class Pacer:
    """So many units a minute, evenly: whoever comes is given the next free moment.  Arithmetic; the caller locks.

    Evenly, as a minute's worth in one burst would be twice the limit across the turn of a minute, and servers count
    in shorter windows as well.

    >>> pace = Pacer(600)
    >>> [pace.take(7.0, 1) for _ in range(3)]
    [7.0, 7.1, 7.199999999999999]
    """

    def __init__(self, per_minute: float):
        self.per_minute, self._free = per_minute, -math.inf

    def when(self, now: float) -> float:
        """The next free moment."""
        return max(self._free, now)

    def take(self, now: float, units: float) -> float:
        """The next free moment, taken: the one after it is later by what `units` cost."""
        at = self.when(now)
        self._free = at + units * 60 / self.per_minute
        return at

    def settle(self, units: float) -> None:
        """So many units more (or, negative, fewer) were used than had been taken."""
        self._free += units * 60 / self.per_minute


class FairSemaphore:
    """A semaphore that is fair: a seat that is given back goes to the one who waits longest, not to the quickest.

    threading.Semaphore lets a worker that ends one call and begins the next overtake all who wait.
    """

    def __init__(self, count: float):
        self._free, self._queue, self._lock = count, deque[threading.Event](), threading.Lock()

    def take(self, timeout: Optional[float] = None) -> bool:
        """Wait for a seat, for `timeout` seconds at most; False if there was none."""
        with self._lock:
            if self._free > 0:  # then nobody waits: see `give`
                self._free -= 1
                return True
            mine = threading.Event()
            self._queue.append(mine)
        seated = False
        try:
            seated = mine.wait(timeout)
        finally:
            if not seated:  # too late, or Ctrl-C
                self._leave(mine)
        return seated

    def give(self) -> None:
        """Give a seat back."""
        with self._lock:
            if self._queue:
                self._queue.popleft().set()
            else:
                self._free += 1

    def _leave(self, mine: threading.Event) -> None:
        """Wait no longer; a seat that came at the last moment goes to the next."""
        with self._lock:
            if mine in self._queue:
                self._queue.remove(mine)
                return
        self.give()


TAIL_BYTES = 4096  #: bytes at the end of an answer in which its usage is looked for


# Eight digits at most: of a larger count, which no model reaches, nobody could wait for the end.
TOTAL_TOKENS = re.compile(rb'"total_tokens"\s*:\s*(\d{1,8})(?!\d)')


MAX_TOKENS = re.compile(rb'"max_(?:completion_)?tokens"\s*:\s*(\d{1,8})(?!\d)')


class RateLimiter:
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
        self._requests, self._tokens = Pacer(requests_per_minute), Pacer(tokens_per_minute)
        self._seats, self._held, self._lock = (
            FairSemaphore(concurrent),
            dict[int, float](),
            threading.Lock(),
        )
        self._waits, self._clock, self._sleep, self._now = waits, clock, sleep, now

    def enter(self, request: Request, visit: contextlib.ExitStack) -> tuple[Request, float]:
        """Wait until `request` may go; the request with what its deadline leaves then, and its tokens, estimated."""
        end = math.inf if request.deadline is None else self._clock() + request.deadline
        if not self._seats.take(request.deadline if self._waits else 0):
            raise deadline_error(request) if self._waits else limit_error("all seats are taken")
        visit.callback(self._seats.give)
        cost = min(estimate_tokens(request.body or b""), self._tokens.per_minute)
        while True:  # while one waits for its turn, a server may say to hold on
            self._pause(self._hold(request), request, end, backoff.MAX_RETRY_AFTER)
            self._pause(self._turn(cost, request, end), request, end)
            if self._hold(request) <= 0:
                left = None if request.deadline is None else end - self._clock()
                return request._replace(deadline=left), cost

    def learn(self, request: Request, response: Response) -> None:
        """Take to heart what the server says of its own limit."""
        seconds = backoff.server_pause(response.status, response.headers, self._now)
        if seconds > 0:
            self._held[bucket_of(request)] = max(
                self._held.get(bucket_of(request), -math.inf), self._clock() + seconds
            )

    def until_closed(
        self, response: Response, cost: float, visit: contextlib.ExitStack
    ) -> Response:
        """`response`, with which the visit ends."""
        tail = bytearray()

        def settle() -> None:
            for used in TOTAL_TOKENS.findall(tail)[-1:]:
                with self._lock:
                    self._tokens.settle(int(used) - cost)

        if self._tokens.per_minute < math.inf:
            response.pieces = watch_tail(response.pieces, tail)
            visit.callback(settle)
        response.close, response.release = (
            chain(response.close, visit.close),
            chain(response.release, visit.close),
        )
        return response

    def _hold(self, request: Request) -> float:
        return self._held.get(bucket_of(request), -math.inf) - self._clock()

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
            raise limit_error(f"the next turn is in {seconds:.3g} s")
        if self._clock() + seconds >= end:
            raise deadline_error(request)


def bucket_of(request: Request) -> int:
    """Whom a server's limit is for: a key and a model.  A hash, as reporters of errors print variables."""
    return hash((request.headers.get("authorization"), request.model))


def estimate_tokens(body: bytes) -> float:
    """The tokens that a request may cost: a quarter of its bytes (OpenAI's rule for English) and its longest answer."""
    return len(body) / 4 + max(map(int, MAX_TOKENS.findall(body)), default=0)


def watch_tail(pieces: Iterable[bytes], tail: bytearray) -> Iterator[bytes]:
    """`pieces`; what passed last stays in `tail`."""
    for piece in pieces:
        tail += piece
        del tail[:-TAIL_BYTES]
        yield piece


def chain(do: Callable[[], None], then: Callable[[], None]) -> Callable[[], None]:
    """One after the other, whatever the first one raises."""

    def both() -> None:
        try:
            do()
        finally:
            then()

    return both


def limit_error(reason: str) -> RateLimitError:
    """Our own limit's error.  The server said nothing, so it has no status, and the client does not try again."""
    return RateLimitError(f"the limit is reached: {reason}", headers={"x-should-retry": "false"})


def deadline_error(request: Request) -> DeadlineExceededError:
    return DeadlineExceededError(
        f"the limit leaves no turn before the deadline ({request.summary})"
    )
