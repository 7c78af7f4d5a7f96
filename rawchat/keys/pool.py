"""Choose one of several API keys for every attempt.

Each call begins with the next key (or, with `rotate_after`, the next one after that many seconds).  `KeySelector.pick`
chooses the key of an attempt, `KeySelector.report` records how the attempt failed: a key that got a 401, or has no
quota left, is never chosen again while another is available; one that got a 429 cools down for as long as the server
asked.  A change of key is an attempt as any other: it uses up one of the retries, but does not wait.
"""

import itertools
import math
from collections.abc import Iterator
from typing import Callable, Optional

from .. import backoff
from ..errors import NO_QUOTA, APIError, RateLimitError
from . import Key, KeySource


class KeyPool:
    """The keys of a client and their cooldowns.  Threads share it."""

    def __init__(
        self,
        keys: KeySource,
        clock: Callable[[], float],
        now: Callable[[], float],
        rotate_after: Optional[float] = None,
    ):
        """Start with the first key of `keys`.

        clock         monotonic seconds, for cooldowns and `rotate_after`
        now           seconds since 1970, for a Retry-After that is a date
        rotate_after  seconds after which calls begin with the next key; None: every call does
        """
        self.keys = keys
        self.now = now
        self._clock = clock
        self._rotate_after = rotate_after
        self._call_count = itertools.count()
        self._start = 0.0 if rotate_after is None else clock()
        # (model, index of a key) -> when it is available again; infinity for a key that was refused for good.
        # A server counts for each model, so a key cools down for one model only.
        self._cooldown_until: dict[tuple[Optional[str], int], float] = {}

    def selector(self, model: Optional[str] = None) -> "KeySelector":
        """Return the choice of keys for one call of `model`."""
        return KeySelector(self, model)

    def next_index(self, count: int) -> int:
        """Return the index of the key, one of `count`, with which a call begins."""
        if self._rotate_after is None:
            return next(self._call_count) % count
        periods = (self._clock() - self._start) // self._rotate_after
        return int(periods) % count

    def cool_down(self, model: Optional[str], index: int, seconds: float) -> None:
        """Keep a key from being chosen for `model` for a number of seconds."""
        self._cooldown_until[model, index] = self._clock() + seconds

    def seconds_left(self, model: Optional[str], index: int) -> float:
        """Return the seconds until a key is available for `model`; 0 if it is available now."""
        until = self._cooldown_until.get((model, index), -math.inf)
        return max(0.0, until - self._clock())


class KeySelector:
    """The choice of a key for each attempt of one call.  A single key is always chosen."""

    def __init__(self, pool: KeyPool, model: Optional[str]):
        self._pool = pool
        self._model = model
        self._count = 0
        self._index: Optional[int] = None  # of the key in use
        self._picked = False
        self._raised = False
        self._failed_keys: set[int] = set()  # indices, in this call

    def pick(self) -> Optional[Key]:
        """Return the key for the next attempt; None if there is none.

        It is the key of the attempt before, unless that was refused or is cooling down; then the next available
        one.  If all keys are cooling down before the first attempt, raises RateLimitError that says how long to wait;
        when called again, returns the key that is available first.
        """
        keys = self._pool.keys()
        self._count = len(keys)
        if not keys:
            return None
        if len(keys) == 1:
            return keys[0]
        if self._index is None:
            self._index = self._pool.next_index(len(keys))
        seconds = 0.0
        chosen = self._next_available()
        if chosen is None:
            cooldowns = self._cooldowns()
            chosen = min(cooldowns, key=cooldowns.__getitem__)
            seconds = cooldowns[chosen]
        if 0 < seconds < math.inf and not self._picked and not self._raised:
            self._raised = True
            raise RateLimitError(
                f"all {len(keys)} API keys are rate-limited; {self._name(chosen)} is available in {seconds:.3g} s",
                status_code=429,
                headers={"retry-after-ms": str(1000 * seconds)},
            )
        self._index = chosen
        self._picked = True
        return keys[chosen]

    def report(self, failure: APIError) -> Optional[float]:
        """Record a failed attempt; return the seconds until another key is available.

        0 means now, None that no other key will help.  Sets `failure.key`.
        """
        if self._index is None or not self._picked:
            return None
        used = self._index
        failure.key = self._name(used)
        if failure.status_code not in (401, 429):
            return None
        self._failed_keys.add(used)
        self._pool.cool_down(self._model, used, cooldown_seconds(failure, self._pool.now))
        if self._next_available() is not None:
            return 0.0
        cooldowns = self._cooldowns()
        # A key that was refused without a Retry-After has no cooldown: it is not known when it is available.
        known = {index: left for index, left in cooldowns.items() if 0 < left < math.inf}
        if known:
            first = min(known, key=known.__getitem__)
            failure.key += f" (next available: {self._name(first)}, in {known[first]:.3g} s)"
        known.pop(used, None)
        return min(known.values(), default=None)

    def _next_available(self) -> Optional[int]:
        """Return the first key that can be used now, starting with the one in use; None if there is none.

        It looks at no more keys than needed: a call with a thousand keys takes no longer than one with two.
        """
        for index in self._round():
            if index in self._failed_keys:
                continue
            if self._pool.seconds_left(self._model, index) == 0:
                return index
        return None

    def _cooldowns(self) -> dict[int, float]:
        """Return the cooldown of every key, starting with the one in use."""
        return {index: self._pool.seconds_left(self._model, index) for index in self._round()}

    def _round(self) -> Iterator[int]:
        """Return the indices of all keys, starting with the one in use."""
        first = self._index or 0
        return itertools.chain(range(first, self._count), range(first))

    def _name(self, index: int) -> str:
        return f"key {index + 1} of {self._count}"


def cooldown_seconds(failure: APIError, now: Callable[[], float]) -> float:
    """Return for how long a refused key cools down.

    For ever after a 401 or without quota, else as long as the server asked, in a header or in the body; 0 if it did not.
    """
    if failure.status_code == 401 or NO_QUOTA in (failure.code, failure.type):
        return math.inf
    return backoff.requested_delay(failure, now)
