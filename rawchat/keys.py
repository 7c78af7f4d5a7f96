"""Keys: checked before anything else sees them, and hidden when they are shown."""

import itertools
import math
from collections.abc import Collection, Sequence
from typing import Any, Callable, Optional, Union

from . import backoff
from .errors import APIError, ConfigError, RateLimitError

ApiKey = Union[str, Sequence[str], Callable[[], str], None]


class Key(str):
    """A credential.  Its repr, which tracebacks and debuggers show, hides it."""

    def __repr__(self) -> str:
        return "Key('***')"


KeySource = Callable[[], Sequence[Key]]  # asked for the keys to use before every attempt


def key_source(given: ApiKey, where: str) -> Optional[KeySource]:
    """The Keyring of one key, of several, or of a function that gives one; None if there is none at all.

    `where` says where they come from, for the ConfigError about one that cannot be used.
    """
    if callable(given):
        return lambda: (validate_key(given(), "the API key that api_key() returned"),)
    several = [given] if isinstance(given, (str, bytes)) else list(given or ())
    keys = tuple(
        validate_key(key, where) for key in several if not isinstance(key, str) or key.strip()
    )
    return (lambda: keys) if keys else None


def validate_key(given: Any, where: str) -> Key:
    """`given` as a Key, blanks around it trimmed; raises ConfigError that names the position, never the key.

    A header holds visible ASCII (RFC 9110, 5.5); anything else would fail on the way, in a library that prints it.
    """
    if not isinstance(given, str):
        raise ConfigError(f"{where} is not a string but {type(given).__name__}")
    trimmed = given.strip()
    for at, character in enumerate(trimmed, 1):
        if not "!" <= character <= "~":
            raise ConfigError(
                f"{where} has U+{ord(character):04X} at position {at} of {len(trimmed)}: copy it again"
            )
    return Key(trimmed)


def redact_error(secrets: Collection[str], error: APIError) -> None:
    """Take `secrets` out of every field of `error`: servers echo keys.  Of `.partial` the answer itself stays."""
    error.args = redact(secrets, error.args)
    fields = {
        name: value if name == "partial" else redact(secrets, value)
        for name, value in error.__dict__.items()
    }
    error.__dict__.update(fields)
    if error.partial is not None:
        error.partial.headers = redact(secrets, error.partial.headers)
    if any(secret in repr(error.__cause__) for secret in filter(None, secrets)):
        error.__cause__ = None


def redact(secrets: Collection[str], value: Any) -> Any:
    """`value`, and all that it holds, with every one of `secrets` replaced by ***."""
    if isinstance(value, str):
        for secret in filter(None, secrets):
            value = value.replace(secret, "***")
        return value
    if isinstance(value, dict):
        return type(value)(
            {redact(secrets, name): redact(secrets, item) for name, item in value.items()}
        )
    if isinstance(value, (list, tuple)):
        return type(value)(redact(secrets, item) for item in value)
    return value


class KeyPool:
    """What a client knows of its keys: whose turn it is, and which of them rest.  Threads share it."""

    def __init__(
        self,
        keys: KeySource,
        clock: Callable[[], float],
        now: Callable[[], float],
        rotate_after: Optional[float] = None,
    ):
        """`rotate_after` is the seconds after which the next key's turn comes; None: it comes with every call."""
        self.keys, self.clock, self.now, self._rotate_after = keys, clock, now, rotate_after
        self.free: dict[
            tuple[Optional[str], int], float
        ] = {}  # when a key may be used again; inf: set aside
        self._calls, self._start = itertools.count(), clock() if rotate_after else 0.0

    def turn(self) -> int:
        """How often the turn has passed on, up to this call."""
        return (
            int((self.clock() - self._start) // self._rotate_after)
            if self._rotate_after
            else next(self._calls)
        )

    def choice(self, model: Optional[str] = None) -> "KeySelector":
        """The keys for one call of `model`: servers count for each model, so a key rests for that one only."""
        return KeySelector(self, model)


class KeySelector:
    """Which key each attempt of one call takes.  Of a single key there is nothing to choose, and it never rests."""

    def __init__(self, ring: KeyPool, model: Optional[str]):
        self._ring, self._model = ring, model
        self._order: list[int] = []  # positions; the key in use comes first
        self._refused: set[int] = set()  # in this call
        self._used = self._warned = False

    def next(self) -> Optional[Key]:
        """The key for the next attempt: the same one, unless it was refused or rests; None without any.

        If all rest before the first attempt, a RateLimitError that says when one is free; asked again, the key
        that is free first.
        """
        keys = self._ring.keys()
        if len(keys) < 2:
            return keys[0] if keys else None
        if not self._order:
            self._order = rotate(self._ring.turn() % len(keys), range(len(keys)))
        rests = self._rests()
        fresh = [at for at in self._order if at not in self._refused and rests[at] <= 0]
        first = fresh[0] if fresh else min(self._order, key=rests.__getitem__)
        if 0 < rests[first] < math.inf and not (self._used or self._warned):
            self._warned = True
            raise RateLimitError(
                f"all {len(keys)} keys rest; {self._name(first)} is free in {rests[first]:.3g} s",
                status_code=429,
                headers={"retry-after-ms": str(1000 * rests[first])},
            )
        self._order, self._used = rotate(first, self._order), True
        return keys[first]

    def failed(self, failure: APIError) -> Optional[float]:
        """Learn from a failed attempt: seconds until another key is free, 0 for at once; None if none will help."""
        if not self._used:  # no key was, or there is but one
            return None
        at = self._order[0]
        failure.key = self._name(at)
        if failure.status_code not in (401, 429):
            return None
        self._refused.add(at)
        self._ring.free[self._model, at] = self._ring.clock() + cooldown(failure, self._ring.now)
        rests = (
            self._rests()
        )  # of a key that was refused without a wish, nobody knows when it is free
        known = [other for other in self._order if 0 < rests[other] < math.inf]
        fresh = any(rests[other] == 0 for other in self._order if other not in self._refused)
        if known and not fresh:
            soonest = min(known, key=rests.__getitem__)
            failure.key += (
                f" (the first to be free is {self._name(soonest)}, in {rests[soonest]:.3g} s)"
            )
        return 0.0 if fresh else min((rests[other] for other in known if other != at), default=None)

    def _rests(self) -> dict[int, float]:
        """For each position the seconds until its key may be used; 0 for now."""
        clock, free = self._ring.clock(), self._ring.free
        return {at: max(0.0, free.get((self._model, at), -math.inf) - clock) for at in self._order}

    def _name(self, at: int) -> str:
        return f"key {at + 1} of {len(self._order)}"


def cooldown(failure: APIError, now: Callable[[], float]) -> float:
    """Seconds that a refused key rests: for ever after a 401 or without quota, else as long as the server asks."""
    if failure.status_code == 401 or "insufficient_quota" in (failure.code, failure.type):
        return math.inf
    wish = backoff.retry_after(failure.headers, now)
    return wish if 0 < wish < math.inf else 0.0


def rotate(first: int, order: Sequence[int]) -> list[int]:
    """`order`, going round, from `first` on.

    >>> rotate(2, [0, 1, 2, 3])
    [2, 3, 0, 1]
    """
    at = order.index(first)
    return [*order[at:], *order[:at]]
