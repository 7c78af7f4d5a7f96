"""Whose turn it is: so many a minute (`Pace`), and so many at once (`Seats`), first come, first served."""

import math
import threading
from collections import deque
from typing import Optional


class Pace:
    """So many units a minute, evenly: whoever comes is given the next free moment.  Arithmetic; the caller locks.

    Evenly, as a minute's worth in one burst would be twice the limit across the turn of a minute, and servers count
    in shorter windows as well.

    >>> pace = Pace(600)
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


class Seats:
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
