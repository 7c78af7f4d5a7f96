"""Threads that work for an event loop: a job goes to one of them, what came of it comes back as a future.

`concurrent.futures` does the same with a condition and two semaphores for each job: 65 µs beside 20, which is felt
where a call, of 128 at once, takes 500.
"""
import asyncio
import contextlib
import threading
import weakref
from functools import partial
from queue import SimpleQueue
from typing import Any, Callable, Optional

from .errors import RawchatError

Job = tuple["asyncio.Future[Any]", Callable[[], Any], Callable[["asyncio.Future[Any]", Any, Any], None]]


class Threads:
    """At most `most` of them, started as they are needed; they end with `close`, or when nobody holds this any more."""

    def __init__(self, most: int):
        if most < 1:
            raise ValueError("there is at least one thread")
        self._most, self._started, self._under_way = most, 0, 0         # counted in the loop's thread only
        self._jobs = SimpleQueue[Optional[Job]]()
        self.close = weakref.finalize(self, end, self._jobs, most)

    def submit(self, function: Callable[..., Any], *args: Any, **params: Any) -> "asyncio.Future[Any]":
        """Have `function` called in a thread.  If the future is cancelled before its turn comes, it is not called."""
        if not self.close.alive:
            raise RawchatError("this client is closed; make a new one")
        if self._under_way >= self._started < self._most:
            threading.Thread(target=work, args=[self._jobs], daemon=True).start()
            self._started += 1
        self._under_way += 1
        future = asyncio.get_running_loop().create_future()
        self._jobs.put((future, partial(function, *args, **params), self._settle))
        return future

    def _settle(self, future: "asyncio.Future[Any]", answer: Any, error: Optional[BaseException]) -> None:
        """Hand over what came of a job; runs in the loop's thread."""
        self._under_way -= 1
        if future.cancelled():
            return
        if error:
            future.set_exception(error)
        else:
            future.set_result(answer)


def work(jobs: "SimpleQueue[Optional[Job]]") -> None:
    """One thread's life."""
    for future, function, settle in iter(jobs.get, None):
        outcome = (None, None) if future.cancelled() else called(function)
        with contextlib.suppress(RuntimeError):         # the loop is closed: nobody waits any more
            future.get_loop().call_soon_threadsafe(settle, future, *outcome)
        del future, function, settle, outcome           # a thread that rests holds nothing


def called(function: Callable[[], Any]) -> tuple[Any, Optional[BaseException]]:
    """The answer of `function`, or its exception."""
    try:
        return function(), None
    except StopIteration as error:          # which no future can carry: it would end whoever awaits it (PEP 479)
        return None, RuntimeError(f"a job raised {error!r}")
    except BaseException as error:
        return None, error


def end(jobs: "SimpleQueue[Optional[Job]]", most: int) -> None:
    """Let as many threads as there may be end, once what is under way is done."""
    for _ in range(most):
        jobs.put(None)
