"""Threads that work for an event loop: a job goes to one of them, and its outcome comes back as a future.

A thread ends when it has been idle for a while.  Calls are bounded in number and wait for their turn in order of
arrival.  Reads of a stream that is open, where the event loop cannot wait for it, are not bounded: a silent server holds
up no other call.

A few threads are started as calls come, and more when they are of use: while calls wait for a thread, the pool checks
every few milliseconds whether the process uses a whole core.  If it does, a further thread would only wait for the
interpreter's lock; a thousand of them wake each other all the time, which is a quarter of the CPU time of 4,000 streams.
If it does not, the threads wait for servers, and their number is doubled.

`concurrent.futures` does the same with a condition and two semaphores for each job, and wakes the loop for each outcome
(see `jobs`): 65 µs a job in place of 20, which matters where each of 128 calls at once takes 500.
"""

import asyncio
import collections
import contextlib
import os
import threading
import time
import weakref
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, Callable, Optional

from ..errors import RawchatError
from .jobs import Job, Outcome, ResultQueue, call

#: Seconds after which an idle thread ends.
IDLE_SECONDS = 10.0

#: Threads that are started as soon as calls come.
FIRST_THREADS = 16

#: Seconds between two looks at the calls that wait for a thread.
GROWTH_SECONDS = 0.005

#: The part of a core from which on more threads are of no use.
SATURATED = 0.8


class WorkerPool:
    """Threads, started as they are needed, of which at most `max_calls` make calls at the same time.

    They end when they are idle for long, with `close`, or when the pool is no longer referenced.  After a fork, the child
    starts threads of its own.
    """

    def __init__(self, max_calls: int):
        """Raise ValueError if `max_calls` is less than 1."""
        if max_calls < 1:
            raise ValueError(f"max_concurrency must be at least 1, got {max_calls}")
        self._max_calls = max_calls
        self._open()

    def _open(self) -> None:
        """Begin without threads."""
        self._threads = WorkerThreads(self._max_calls)
        self._results: Optional[ResultQueue] = None
        self._process = os.getpid()
        self.close = weakref.finalize(self, self._threads.stop)

    def submit(
        self, function: Callable[..., Any], *args: Any, **params: Any
    ) -> "asyncio.Future[Any]":
        """Make a call in a thread, when its turn comes, unless the future is cancelled before.

        Raises RawchatError after `close`.
        """
        return self._submit(True, partial(function, *args, **params))

    def submit_read(
        self, function: Callable[..., Any], *args: Any, **params: Any
    ) -> "asyncio.Future[Any]":
        """Read in a thread from a stream that is open; like `submit`, but at once, as the server may be silent for long."""
        return self._submit(False, partial(function, *args, **params))

    def _submit(self, is_call: bool, function: Callable[[], Any]) -> "asyncio.Future[Any]":
        if not self.close.alive:
            raise RawchatError("this client is closed; make a new one")
        if self._process != os.getpid():
            self._open()
        loop = asyncio.get_running_loop()
        # A loop in another thread may replace the attribute at any moment.
        results = self._results
        if not results or results.loop is not loop:
            results = ResultQueue(loop)
            self._results = results
        future = loop.create_future()
        self._threads.add(Job(future, function, results, is_call))
        return future


class WorkerThreads:
    """The threads of a pool and the jobs that wait for them.  The threads hold this, and not the pool.

    It has no lock: a thread that is interrupted while it holds one lets a thousand others run into it.  What is counted
    is the length of a deque, and to append and to pop are atomic.
    """

    def __init__(self, max_calls: int):
        self._jobs = SimpleQueue[Optional[Job]]()  # each with a thread that takes it now
        self._waiting = collections.deque[Job]()  # calls whose turn has not come
        self._free_calls = collections.deque([None] * max_calls)
        self._alive = collections.deque[None]()
        self._idle = collections.deque[None]()
        self._delayed = collections.deque[Job]()  # jobs that wait for a thread
        self._n_finished = 0
        self._stopped = False

    def add(self, job: Job) -> None:
        """Give a job to a thread; let a call wait if there are as many as there may be."""
        if job.is_call:
            self._waiting.append(job)
            self._begin_calls()
        else:
            self._assign(job)

    def next_job(self) -> Optional[Job]:
        """Wait for a job for the current thread; None if it shall end."""
        try:
            return self._jobs.get(timeout=IDLE_SECONDS)
        except Empty:
            pass
        if take(self._idle):
            take(self._alive)
            return None
        # In the meantime a job has come, and counts on this thread.
        return self._jobs.get()

    def finish(self, job: Job) -> None:
        """Take note that the current thread has done `job`, and is free for another one."""
        self._n_finished += 1
        self._idle.append(None)
        self._take_up_delayed()
        if job.is_call:
            self._free_calls.append(None)
            self._begin_calls()
        if self._stopped:
            self.stop()

    def stop(self) -> None:
        """End the threads, once they have done what was submitted."""
        self._stopped = True
        while take(self._idle):
            self._jobs.put(None)

    def _begin_calls(self) -> None:
        """Give calls that wait to threads, as many as there may be."""
        # Asked again after each step: another thread may have freed a call, or taken one, in between.
        while self._waiting and take(self._free_calls):
            try:
                job = self._waiting.popleft()
            except IndexError:
                self._free_calls.append(None)
            else:
                self._assign(job)

    def _assign(self, job: Job) -> None:
        """Give a job to an idle thread, or to a new one, now or when it is of use."""
        if take(self._idle):
            self._jobs.put(job)
        elif job.is_call and len(self._alive) >= FIRST_THREADS:
            self._delay(job)
            self._watch_growth(job.results)
        else:
            self._start_thread(job)

    def _delay(self, job: Job) -> None:
        """Let a job wait until a thread is idle or is started for it; it holds up no other job."""
        self._delayed.append(job)
        self._take_up_delayed()

    def _take_up_delayed(self) -> None:
        """Give delayed jobs to idle threads, as many as there are."""
        while self._delayed and take(self._idle):
            try:
                job = self._delayed.popleft()
            except IndexError:
                self._idle.append(None)
            else:
                self._jobs.put(job)

    def _watch_growth(self, results: ResultQueue) -> None:
        """Let the loop of a delayed job call `_grow` soon, unless it will do so anyway.

        Each loop does so for itself, as another one may end or be busy.
        """
        if not results.grows_threads:
            results.grows_threads = True
            # Closed: nothing waits for the job any more.
            with contextlib.suppress(RuntimeError):
                results.loop.call_soon_threadsafe(self._schedule_growth, results)

    def _schedule_growth(self, results: ResultQueue) -> None:
        results.loop.call_later(
            GROWTH_SECONDS,
            self._grow,
            results,
            time.monotonic(),
            time.process_time(),
            self._n_finished,
        )

    def _grow(self, results: ResultQueue, since: float, cpu: float, n_finished: int) -> None:
        """Double the threads if jobs wait for one, and the process has used less than a core `since` then."""
        results.grows_threads = False
        if not self._delayed:
            return
        share = (time.process_time() - cpu) / (time.monotonic() - since)
        if share < SATURATED or self._n_finished == n_finished:
            with contextlib.suppress(IndexError):  # no more are delayed
                for _ in range(max(1, len(self._alive))):
                    self._start_thread(self._delayed.popleft())
        if self._delayed:
            self._watch_growth(results)

    def _start_thread(self, job: Job) -> None:
        """Start a thread for `job`; raise RuntimeError if it cannot be started and there is no other one."""
        try:
            threading.Thread(target=run_worker, args=[self], daemon=True).start()
        except RuntimeError:
            # A limit on threads or on memory: the job waits for one of those that there are.
            if not self._alive:
                self._free_calls.extend([None] * job.is_call)
                raise
            self._delay(job)
        else:
            self._alive.append(None)
            self._jobs.put(job)


def take(tokens: "collections.deque[None]") -> bool:
    """Remove one of `tokens`; return False if there is none."""
    try:
        tokens.pop()
    except IndexError:
        return False
    return True


# ---- in a worker's thread


def run_worker(threads: WorkerThreads) -> None:
    """Run jobs until there are no more to come."""
    while run_one_job(threads):
        pass


def run_one_job(threads: WorkerThreads) -> bool:
    """Wait for a job and run it; return False at the end.

    It has a frame of its own, so that a thread that waits for the next job holds nothing of the last one.
    """
    job = threads.next_job()
    if job is None:
        return False
    outcome: Outcome = (None, None)
    if not job.future.cancelled():
        outcome = call(job.function)
    # First this: the caller that awaits the outcome may have another job, and this thread is free for it.
    threads.finish(job)
    job.results.put(job.future, *outcome)
    return True
