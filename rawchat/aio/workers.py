"""Threads that work for an event loop: a job goes to one of them, what came of it comes back as a future.

`concurrent.futures` does the same with a condition and two semaphores for each job, and asyncio wakes its loop by a
byte through a socket for each: 65 µs beside 20, which is felt where a call, of 128 at once, takes 500.
"""

import asyncio
import collections
import threading
import weakref
from functools import partial
from queue import SimpleQueue
from typing import Any, Callable, Optional

from ..errors import RawchatError

Settle = Callable[["asyncio.Future[Any]", Any, Optional[BaseException]], None]


Job = tuple["asyncio.Future[Any]", Callable[[], Any], "ResultQueue", Settle]


class WorkerPool:
    """At most `most` of them, started as they are needed; they end with `close`, or when nobody holds this any more."""

    def __init__(self, most: int):
        if most < 1:
            raise ValueError("there is at least one thread")
        self._most, self._started, self._under_way = most, 0, 0  # counted in the loop's thread only
        self._jobs = SimpleQueue[Optional[Job]]()
        self._landing: Optional[ResultQueue] = None
        self.close = weakref.finalize(self, stop_workers, self._jobs, most)

    def submit(
        self, function: Callable[..., Any], *args: Any, **params: Any
    ) -> "asyncio.Future[Any]":
        """Have `function` called in a thread.  If the future is cancelled before its turn comes, it is not called."""
        if not self.close.alive:
            raise RawchatError("this client is closed; make a new one")
        if self._under_way >= self._started < self._most:
            threading.Thread(target=run_worker, args=[self._jobs], daemon=True).start()
            self._started += 1
        self._under_way += 1
        loop = asyncio.get_running_loop()
        if not self._landing or self._landing.loop is not loop:
            self._landing = ResultQueue(loop)
        future = loop.create_future()
        self._jobs.put((future, partial(function, *args, **params), self._landing, self._settle))
        return future

    def _settle(
        self, future: "asyncio.Future[Any]", answer: Any, error: Optional[BaseException]
    ) -> None:
        """Hand over what came of a job; runs in the loop's thread."""
        self._under_way -= 1
        if future.cancelled():
            return
        if error:
            future.set_exception(error)
        else:
            future.set_result(answer)


class ResultQueue:
    """Where what came of jobs waits for its event loop, which is woken once for all that has come by then."""

    def __init__(self, loop: asyncio.AbstractEventLoop):
        self.loop = loop
        self._landed: collections.deque[tuple[Any, ...]] = collections.deque()
        self._woken = False

    def put(self, settle: Settle, *outcome: Any) -> None:
        """Have `settle(*outcome)` called by the loop, from any thread."""
        self._landed.append((settle, *outcome))
        if not self._woken:  # else `_settle` has not begun, and will find this one too
            self._woken = True
            try:
                self.loop.call_soon_threadsafe(self._settle)
            except (
                RuntimeError
            ):  # the loop is closed: nobody waits any more, and what came must not stay
                self._woken = False  # first: who puts something from here on clears it away himself
                self._landed.clear()

    def _settle(self) -> None:
        self._woken = False
        while self._landed:
            settle, *outcome = self._landed.popleft()
            settle(*outcome)


def run_worker(jobs: "SimpleQueue[Optional[Job]]") -> None:
    """One thread's life."""
    while run_one_job(jobs):
        pass


def run_one_job(jobs: "SimpleQueue[Optional[Job]]") -> bool:
    """Do one job, in a frame of its own: a thread that waits for the next one holds nothing.  False is the end."""
    job = jobs.get()
    if job is None:
        return False
    future, function, landing, settle = job
    outcome = (None, None) if future.cancelled() else call(function)
    landing.put(settle, future, *outcome)
    return True


def call(function: Callable[[], Any]) -> tuple[Any, Optional[BaseException]]:
    """The answer of `function`, or its exception."""
    try:
        return function(), None
    except (
        StopIteration
    ) as error:  # which no future can carry: it would end whoever awaits it (PEP 479)
        return None, RuntimeError(f"a job raised {error!r}")
    except BaseException as error:
        return None, error


def stop_workers(jobs: "SimpleQueue[Optional[Job]]", most: int) -> None:
    """Let as many threads as there may be end, once what is under way is done."""
    for _ in range(most):
        jobs.put(None)
