"""Threads that work for an event loop: a job goes to one of them, and its outcome comes back as a future.

`concurrent.futures` does the same with a condition and two semaphores for each job, and asyncio wakes its loop with a
byte through a socket for each: 65 µs a job in place of 20, which matters where each of 128 calls at once takes 500.
"""

import asyncio
import collections
import threading
import weakref
from functools import partial
from queue import SimpleQueue
from typing import Any, Callable, Optional

from ..errors import RawchatError

#: Called in the loop's thread with a job's future, its result, and its exception if it raised one.
Settle = Callable[["asyncio.Future[Any]", Any, Optional[BaseException]], None]

#: The future, the function to call, the queue for its outcome, and what is called there.
Job = tuple["asyncio.Future[Any]", Callable[[], Any], "ResultQueue", Settle]

Outcome = tuple[Any, Optional[BaseException]]


class WorkerPool:
    """At most `max_workers` threads, started as they are needed.

    They end with `close`, or when nobody holds the pool any more.
    """

    def __init__(self, max_workers: int):
        """Raise ValueError if `max_workers` is less than 1."""
        if max_workers < 1:
            raise ValueError(f"max_concurrency must be at least 1, got {max_workers}")
        self._max_workers = max_workers
        # Both are counted in the loop's thread only.
        self._started = 0
        self._unfinished = 0
        self._jobs = SimpleQueue[Optional[Job]]()
        self._results: Optional[ResultQueue] = None
        self.close = weakref.finalize(self, stop_workers, self._jobs, max_workers)

    def submit(
        self, function: Callable[..., Any], *args: Any, **params: Any
    ) -> "asyncio.Future[Any]":
        """Call `function` in a thread, unless the future is cancelled before a thread is free.

        Raises RawchatError after `close`.
        """
        if not self.close.alive:
            raise RawchatError("this client is closed; make a new one")
        all_busy = self._unfinished >= self._started
        if all_busy and self._started < self._max_workers:
            threading.Thread(target=run_worker, args=[self._jobs], daemon=True).start()
            self._started += 1
        self._unfinished += 1
        loop = asyncio.get_running_loop()
        if not self._results or self._results.loop is not loop:
            self._results = ResultQueue(loop)
        future = loop.create_future()
        call = partial(function, *args, **params)
        self._jobs.put((future, call, self._results, self._settle))
        return future

    def _settle(
        self, future: "asyncio.Future[Any]", result: Any, error: Optional[BaseException]
    ) -> None:
        """Give a job's outcome to its future; runs in the loop's thread."""
        self._unfinished -= 1
        if future.cancelled():
            return
        if error:
            future.set_exception(error)
        else:
            future.set_result(result)


class ResultQueue:
    """The outcomes that wait for their event loop, which is woken once for all that have arrived by then."""

    def __init__(self, loop: asyncio.AbstractEventLoop):
        self.loop = loop
        self._waiting: collections.deque[tuple[Any, ...]] = collections.deque()
        self._woken = False

    def put(self, settle: Settle, *outcome: Any) -> None:
        """Let the loop call `settle(*outcome)`; any thread may call this."""
        self._waiting.append((settle, *outcome))
        if self._woken:
            return  # `_settle_all` has not begun, and will find this one too
        self._woken = True
        try:
            self.loop.call_soon_threadsafe(self._settle_all)
        except RuntimeError:
            # The loop is closed, so nobody waits any more, and the outcomes must not be kept alive.  The flag comes
            # first: a thread that puts something from here on clears it away itself.
            self._woken = False
            self._waiting.clear()

    def _settle_all(self) -> None:
        self._woken = False
        while self._waiting:
            settle, *outcome = self._waiting.popleft()
            settle(*outcome)


# ---- in a worker's thread


def run_worker(jobs: "SimpleQueue[Optional[Job]]") -> None:
    """Run jobs until there are no more to come."""
    while run_one_job(jobs):
        pass


def run_one_job(jobs: "SimpleQueue[Optional[Job]]") -> bool:
    """Wait for a job and run it; return False at the end.

    It has a frame of its own, so that a thread that waits for the next job holds nothing of the last one.
    """
    job = jobs.get()
    if job is None:
        return False
    future, function, results, settle = job
    outcome: Outcome = (None, None)
    if not future.cancelled():
        outcome = call(function)
    results.put(settle, future, *outcome)
    return True


def call(function: Callable[[], Any]) -> Outcome:
    """Return the result of `function` and None, or None and its exception."""
    try:
        return function(), None
    except StopIteration as error:
        # No future can carry a StopIteration: it would end the coroutine that awaits it (PEP 479).
        return None, RuntimeError(f"a job raised {error!r}")
    except BaseException as error:
        return None, error


def stop_workers(jobs: "SimpleQueue[Optional[Job]]", max_workers: int) -> None:
    """End the threads, once they have done what was submitted."""
    for _ in range(max_workers):
        jobs.put(None)
