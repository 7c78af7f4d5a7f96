"""Ask for many rows at once: a pool of worker threads, which pauses as one when the server's rate limit is reached.

`run_rows` is a plain function from an iterator of rows to an iterator of results, made for `mapPartitions` of Dask,
Spark or Ray.  There, each partition has workers and limits of its own: divide the rate by the number that run at once.

The workers take a row from one queue and put its result into another; a row is read from the input only when a worker
is free, so memory does not grow with the rows.  A 429 (rate limit) costs time and not the row: all workers pause, and
then the row is asked for again.
"""

import contextlib
import math
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from queue import Empty, SimpleQueue
from typing import Any, Callable, Optional, Union

from .. import backoff
from ..client import Client
from ..errors import NO_QUOTA, APIStatusError, AuthenticationError, RateLimitError
from ..reply import Reply, read_reply
from ..wire import Response
from .rows import Row, error_line, success_line

MAX_WAIT = 1.0  #: seconds of one wait for a result
DEFAULT_WORKERS = 16  #: rows under way at the same time

INITIAL_PAUSE = (
    1.0  #: seconds of the first pause after a 429; each one soon after it is twice as long
)
MAX_PAUSE = 60.0  #: ... up to this, unless the server asks for more; also how soon "soon after" is
MAX_SERVER_PAUSE = 3600.0  #: a server that asks for a longer pause is not asked again
MAX_PAUSES = 10  #: pauses in a row without any reply: about six minutes
MAX_ATTEMPTS = 30  #: of one row that gets a 429 while others are answered


def run_rows(
    rows: Iterable[Union[str, Mapping[str, Any]]],
    workers: int = DEFAULT_WORKERS,
    client: Optional[Client] = None,
    rpm: Optional[float] = None,
    tpm: Optional[float] = None,
    **settings: Any,
) -> Iterator[dict[str, Any]]:
    """Ask for every row, and yield the results in the order in which they are ready.

    rows            texts, or mappings as described at `rows.Row`
    workers         rows under way at the same time
    client          the Client to use; default: one made from `settings`, which are those of Client
    rpm, tpm        requests and tokens per minute of that client; default: no limit

    A result is a line of OpenAI's Batch format.  No row raises: what goes wrong with it is its result.  Rows are read
    only as workers become free.  It works in any thread.
    """
    numbered = (Row(number, row) for number, row in enumerate(rows, 1))
    if client is not None:
        yield from ask_rows(numbered, workers, client)
        return
    with make_client(rpm, tpm, **settings) as own:
        yield from ask_rows(numbered, workers, own)


def make_client(
    rpm: Optional[float] = None, tpm: Optional[float] = None, **settings: Any
) -> Client:
    """Return a Client that keeps within these requests and tokens per minute.

    Without limits of ours it still obeys those that the server reports, for all workers together.
    """
    from ..limits import limited

    client = Client(**settings)
    transport = limited(client.transport, requests_per_minute=rpm, tokens_per_minute=tpm)
    return Client(**{**settings, "transport": transport})


# ---- what the workers share


class Run:
    """The state that the workers of one run share: whether to stop, and until when to pause.

    halts           end the run when the server refuses the key, or its quota is used up; default: such rows are results
    on_pause        called with the seconds of each pause
    clock, wait     monotonic seconds; a wait that `stop` ends (default: stop.wait)
    """

    def __init__(
        self,
        halts: bool = False,
        on_pause: Optional[Callable[[float], object]] = None,
        clock: Callable[[], float] = time.monotonic,
        wait: Optional[Callable[[float], object]] = None,
        now: Callable[[], float] = time.time,
    ):
        self.stop = threading.Event()  #: set: no other row is started
        self.error: Optional[APIStatusError] = None  #: why the run ended early
        self._halts = halts
        self._on_pause = on_pause
        self._clock = clock
        self._wait = wait or self.stop.wait
        self._now = now
        self._lock = threading.Lock()
        self._paused_until = -math.inf
        self._pauses = 0  # so far, to recognise requests that were under way when one began
        self._pauses_without_reply = 0
        self._next_pause = INITIAL_PAUSE

    def wait_for_pause(self) -> int:
        """Wait until requests may go out, or the run stops; return the number of pauses so far."""
        while True:
            with self._lock:
                pauses = self._pauses
                seconds = self._paused_until - self._clock()
            if seconds <= 0 or self.stop.is_set():
                return pauses
            self._wait(seconds)

    def pause(self, error: RateLimitError, pauses: int) -> bool:
        """Let all workers pause after a 429; return False if no pause helps.

        `pauses` is what `wait_for_pause` returned before the request: if another pause has begun since, that one
        counts for this request too.
        """
        with self._lock:
            if pauses != self._pauses:
                return True
            seconds = self._pause_seconds(error)
            if self._pauses_without_reply >= MAX_PAUSES or seconds > MAX_SERVER_PAUSE:
                return False
            self._pauses += 1
            self._pauses_without_reply += 1
            self._paused_until = self._clock() + seconds
        if self._on_pause:
            self._on_pause(seconds)
        return True

    def record_reply(self) -> None:
        """Record that the server has answered."""
        with self._lock:
            self._pauses_without_reply = 0

    def halt(self, error: APIStatusError) -> bool:
        """End the run because of `error`; return False if this run continues in any case."""
        if not self._halts:
            return False
        with self._lock:
            self.error = self.error or error
        self.stop.set()
        return True

    def _pause_seconds(self, error: RateLimitError) -> float:
        """Return the seconds to pause: what the server asks for, or our own exponential delay."""
        if self._clock() - self._paused_until > MAX_PAUSE:
            self._next_pause = INITIAL_PAUSE
        own = self._next_pause
        self._next_pause = min(own * 2, MAX_PAUSE)
        wished = backoff.retry_after(error.headers, self._now)
        if 0 < wished < math.inf:
            return wished
        return own


# ---- the workers


def ask_rows(
    rows: Iterator[Row], workers: int, client: Client, run: Optional[Run] = None
) -> Iterator[dict[str, Any]]:
    """Yield the results of `rows`; a worker gets the next row as soon as its last one is done.

    When `run` stops, no other row is read, and those under way are finished.
    """
    shared = run or Run()
    todo = SimpleQueue[Optional[Row]]()
    done = SimpleQueue[Optional[dict[str, Any]]]()

    def work() -> None:
        for row in iter(todo.get, None):
            done.put(ask_row(client, row, shared))

    under_way = 0
    try:
        for row in islice(rows, workers):
            threading.Thread(target=work, daemon=True).start()
            todo.put(row)
            under_way += 1
        while under_way:
            result = next_of(done)
            under_way -= 1
            if not shared.stop.is_set():
                for row in islice(rows, 1):
                    todo.put(row)
                    under_way += 1
            if result is not None:
                yield result
    finally:
        for _ in range(workers):
            todo.put(None)


def next_of(done: "SimpleQueue[Optional[dict[str, Any]]]") -> Optional[dict[str, Any]]:
    """Wait for the next result.

    Windows notes a Ctrl-C only between two waits, so none is long.
    """
    while True:
        with contextlib.suppress(Empty):
            return done.get(timeout=MAX_WAIT)


def ask_row(client: Client, row: Row, run: Run) -> Optional[dict[str, Any]]:
    """Return the result of one row, whatever goes wrong with it; None if the run ended before it was asked for."""

    def read(response: Response) -> Reply:
        return read_reply(response, client.config.max_bytes)

    for _ in range(MAX_ATTEMPTS):
        pauses = run.wait_for_pause()
        if run.stop.is_set():
            return None
        try:
            reply = client.send(row.request(client.config), read)
        except Exception as error:
            # One row must not end the others.
            failure = error
        else:
            run.record_reply()
            return success_line(row, reply)
        limit = rate_limit_in(failure)
        if ends_run(failure) or (limit and not run.pause(limit, pauses)):
            refusal = limit or failure
            if isinstance(refusal, APIStatusError) and run.halt(refusal):
                return None
            break
        if limit is None:
            break
    return error_line(row, failure)


def rate_limit_in(error: Exception) -> Optional[RateLimitError]:
    """Return the 429 that `error` is, or that left no time for another attempt before the deadline."""
    for candidate in (error, error.__cause__):
        if isinstance(candidate, RateLimitError) and not is_out_of_quota(candidate):
            return candidate
    return None


def is_out_of_quota(error: Exception) -> bool:
    """Return whether the account has no quota left: a 429 that no wait can fix."""
    return isinstance(error, RateLimitError) and NO_QUOTA in (error.code, error.type)


def ends_run(error: Exception) -> bool:
    """Return whether every other row would fail alike: the key is refused, or the quota is used up."""
    return isinstance(error, AuthenticationError) or is_out_of_quota(error)
