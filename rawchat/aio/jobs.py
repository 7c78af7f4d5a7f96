"""A job for a worker's thread, and the way its outcome comes back to the event loop as the result of a future.

asyncio wakes its loop with a byte through a socket for each outcome; here it is woken once for all that have arrived.
"""

import asyncio
import collections
from typing import Any, Callable, NamedTuple, Optional

Outcome = tuple[Any, Optional[BaseException]]


class Job(NamedTuple):
    """A function to call in a thread, and where its outcome goes."""

    future: "asyncio.Future[Any]"
    function: Callable[[], Any]
    results: "ResultQueue"
    is_call: bool  #: True if it counts for the bound on calls


class ResultQueue:
    """The outcomes that wait for their event loop, which is woken once for all that have arrived by then."""

    def __init__(self, loop: asyncio.AbstractEventLoop):
        self.loop = loop
        self._waiting: collections.deque[tuple[Any, ...]] = collections.deque()
        self._woken = False
        self.grows_threads = False  #: True while the loop is about to start threads

    def put(self, future: "asyncio.Future[Any]", *outcome: Any) -> None:
        """Give a future its result, or its exception, in the thread of the loop; any thread may call this."""
        self._waiting.append((future, *outcome))
        if self._woken:
            return  # `_settle_all` has not begun, and will find this one too
        self._woken = True
        try:
            self.loop.call_soon_threadsafe(self._settle_all)
        except RuntimeError:
            # The loop is closed, so nothing waits any more, and the outcomes must not be kept alive.  The flag comes
            # first: a thread that puts something from here on clears it away itself.
            self._woken = False
            self._waiting.clear()

    def _settle_all(self) -> None:
        self._woken = False
        while self._waiting:
            settle(*self._waiting.popleft())


def settle(future: "asyncio.Future[Any]", result: Any, error: Optional[BaseException]) -> None:
    """Give an outcome to its future, unless that was cancelled."""
    if future.cancelled():
        return
    if error:
        future.set_exception(error)
    else:
        future.set_result(result)


def call(function: Callable[[], Any]) -> Outcome:
    """Return the result of `function` and None, or None and its exception."""
    try:
        return function(), None
    except StopIteration as error:
        # No future can carry a StopIteration: it would end the coroutine that awaits it (PEP 479).
        return None, RuntimeError(f"a job raised {error!r}")
    except BaseException as error:
        return None, error
