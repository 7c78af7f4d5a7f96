"""API keys: validate them, choose one for every attempt, and keep them out of everything that is shown.

With several keys, each call begins with the next one (or, with `rotate_after`, the next one after so many seconds).
`KeySelector.pick` chooses the key of an attempt, `KeySelector.report` records how the attempt failed: a key that
got a 401, or has no quota left, is never chosen again while another is available; one that got a 429 cools down for as
long as the server asked.
"""

import itertools
import json
import math
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Callable, Optional, Union
from urllib.parse import parse_qsl, quote, urlsplit

from . import backoff
from .errors import NO_QUOTA, APIError, ConfigError, RateLimitError
from .urls import redact_url, url_secrets
from .wire import MIN_SECRET_LENGTH, SECRET_HEADER, Request

ApiKey = Union[str, Sequence[str], Callable[[], str], None]

EMPTY: Mapping[str, Any] = {}

# A word in the name of a header or query parameter that makes its value a credential.
CREDENTIAL_NAME = re.compile(
    r"(?<!idempotency[-_])key|auth|token|secret|passw|cookie|credential|session|signature|jwt"
    r"|bearer|(?<![a-z])sig(?![a-z])",
    re.IGNORECASE,
)

# The form of a value that makes it a credential, whatever its name.
CREDENTIAL_VALUE = re.compile(
    r"\s*(?:bearer|basic|digest|negotiate|api-?key|token)\s+\S|\s*sk-\S", re.IGNORECASE
)

# What `errors.one_line` puts in place of the text that it cuts off.
ELLIPSIS = "…"

#: characters at the beginning of a secret that are hidden where a text is cut; half of a shorter secret
MIN_PREFIX_LENGTH = 8


# ---- validate


class Key(str):
    """A credential.  Its repr, which tracebacks and debuggers show, hides it."""

    def __repr__(self) -> str:
        return "Key('***')"


KeySource = Callable[[], Sequence[Key]]  # called before every attempt


def key_source(given: ApiKey, source: str) -> Optional[KeySource]:
    """Return a function that returns the keys to use; None if no key is given.

    `given` is one key, several, or a function that returns one.  `source` says where they come from, for the
    ConfigError about a key that cannot be used.
    """
    if callable(given):
        return lambda: (validate_key(given(), "the API key that api_key() returned"),)
    candidates: Sequence[Any] = given or ()
    if isinstance(given, (str, bytes)):
        candidates = [given]
    keys = []
    for candidate in candidates:
        is_blank = isinstance(candidate, str) and not candidate.strip()
        if not is_blank:
            keys.append(validate_key(candidate, source))
    if not keys:
        return None
    fixed = tuple(keys)
    return lambda: fixed


def validate_key(given: Any, source: str) -> Key:
    """Return `given` as a Key, without surrounding white space.

    Raises ConfigError that names the position of a character that no header can hold, and never shows the key.  A
    header holds visible ASCII (RFC 9110, 5.5); anything else would fail later, in a library that prints it.
    """
    if not isinstance(given, str):
        raise ConfigError(f"{source} must be a string, got {type(given).__name__}")
    trimmed = given.strip()
    for position, character in enumerate(trimmed, 1):
        if not "!" <= character <= "~":
            raise ConfigError(
                f"{source} has U+{ord(character):04X} at position {position} of {len(trimmed)}: copy it again"
            )
    return Key(trimmed)


# ---- no credential for a base_url from .env, and none over http:// to another machine


def refuse_credentials(headers: Mapping[str, Any], query: Mapping[str, Any], source: str) -> None:
    """Raise ConfigError if a header or query parameter holds a credential, for a base_url that comes from .env.

    Whoever wrote the .env of a folder must not receive the user's own credentials.  `source` says where they were
    given.
    """
    place = find_credential(headers, query)
    if place:
        raise dotenv_error(f"the key from {source} ({place})")


def refuse_unencrypted(
    base_url: str, headers: Mapping[str, Any], query: Mapping[str, Any] = EMPTY
) -> None:
    """Raise ConfigError if a header or query parameter holds a credential, for an http:// URL of another machine.

    The query of `base_url` counts too.
    """
    place = find_credential(headers, query, base_url)
    if place:
        raise unencrypted_error(base_url, place)


def unencrypted_error(base_url: str, place: str = "") -> ConfigError:
    """Return the error about a credential that would be sent to `base_url` unencrypted.

    place      where the credential stands, if it is not the key itself
    """
    credential = f"a key ({place})" if place else "the key"
    # Without the query: a credential may stand in it under any name.
    shown = redact_url(base_url.partition("?")[0])
    return ConfigError(
        f"{shown} would carry {credential} unencrypted: use https://, or allow it with "
        "allow_http=True (--allow-http)"
    )


def find_credential(headers: Mapping[str, Any], query: Mapping[str, Any], url: str = "") -> str:
    """Return which header or query parameter holds a credential, in words for a message; "" if none does.

    The query of `url` counts too.
    """
    for name, value in headers.items():
        if is_credential(name, value):
            return f"header {name!r}"
    for name, value in [*query.items(), *parse_qsl(urlsplit(url).query)]:
        if is_credential(name, value):
            return f"query parameter {name!r}"
    return ""


def dotenv_error(credential: str) -> ConfigError:
    """Return the error about a credential that would be sent to a base_url from .env."""
    return ConfigError(
        f"base_url comes from .env, {credential}: a .env file must not send your key elsewhere; "
        "put both into .env, or set both yourself"
    )


def is_credential(name: str, value: Any) -> bool:
    """Return True if a header or query parameter carries a credential; None and "" carry none.

    This is wider than wire.SECRET_HEADER, which decides what is hidden.  A false positive here costs one clear error,
    a false negative a key.
    """
    if value is None or value == "":
        return False
    if isinstance(value, (list, tuple)):
        return any(is_credential(name, item) for item in value)
    if CREDENTIAL_NAME.search(str(name)):
        return True
    return CREDENTIAL_VALUE.match(str(value)) is not None


# ---- redact


def request_secrets(request: Request) -> list[str]:
    """Return all credentials of `request`, in its headers and its URL, in every form in which a server may echo them.

    The longest come first, so that a secret that begins with another one is hidden whole.
    """
    return secret_forms([*header_secrets(request.headers), *url_secrets(request.url)])


def header_secrets(headers: Mapping[str, Optional[str]]) -> list[str]:
    """Return the values of those `headers` that carry a credential, with their scheme and without it.

    The name may match wire.SECRET_HEADER, or name or value `is_credential`, which is wider: a value that is hidden
    needlessly does no harm.
    """
    found = []
    for name, value in headers.items():
        if not value or not (SECRET_HEADER.fullmatch(name) or is_credential(name, value)):
            continue
        found.append(value.split(" ", 1)[-1])
        # "Authorization: Bearer ***" shows the scheme.
        if not name.lower().endswith("authorization"):
            found.append(value)
    return found


def secret_forms(credentials: Iterable[str]) -> list[str]:
    """Return `credentials` as they are, percent-encoded and as JSON writes them, the longest first.

    Values shorter than MIN_SECRET_LENGTH are left out: a word like them may stand in any message.
    """
    forms = set()
    for secret in credentials:
        if len(secret) >= MIN_SECRET_LENGTH:
            in_json = json.dumps(secret)[1:-1]
            forms |= {secret, quote(secret, safe=""), in_json, in_json.replace("/", "\\/")}
    return sorted(forms, key=len, reverse=True)


def redact_error(secrets: Collection[str], error: APIError) -> None:
    """Replace `secrets` in every field of `error`, as servers echo keys; the text of `.partial` stays."""
    error.args = redact(secrets, error.args)
    for name, value in list(vars(error).items()):
        if name != "partial":
            setattr(error, name, redact(secrets, value))
    if error.partial is not None:
        error.partial.headers = redact(secrets, error.partial.headers)
    cause = repr(error.__cause__)
    if redact(secrets, cause) != cause:
        error.__cause__ = None


def redact(secrets: Collection[str], value: Any) -> Any:
    """Return `value` with every one of `secrets` replaced by ***, in texts and in all that containers hold.

    A message is cut before it arrives here: what an ellipsis left of a secret is replaced too.
    """
    if isinstance(value, str):
        for secret in secrets:
            if secret:
                value = value.replace(secret, "***")
        if ELLIPSIS in value:
            return redact_cut(secrets, value)
        return value
    if isinstance(value, dict):
        items = {redact(secrets, name): redact(secrets, item) for name, item in value.items()}
        return type(value)(items)
    if isinstance(value, (list, tuple)):
        return type(value)(redact(secrets, item) for item in value)
    return value


def redact_cut(secrets: Collection[str], text: str) -> str:
    """Return `text` with the beginning of a secret replaced by *** wherever it stands before an ellipsis."""
    parts = text.split(ELLIPSIS)
    for index, part in enumerate(parts[:-1]):
        length = max((prefix_length(secret, part) for secret in secrets), default=0)
        if length:
            parts[index] = part[:-length] + "***"
    return ELLIPSIS.join(parts)


def prefix_length(secret: str, text: str) -> int:
    """Return how much of the beginning of `secret` the end of `text` shows; 0 if it is too little to matter."""
    shortest = max(1, min(MIN_PREFIX_LENGTH, (len(secret) + 1) // 2))
    for length in range(min(len(secret), len(text)), shortest - 1, -1):
        if text.endswith(secret[:length]):
            return length
    return 0


# ---- choose


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
        """Keep a key from being chosen for `model` for so many seconds."""
        self._cooldown_until[model, index] = self._clock() + seconds

    def cooldown(self, model: Optional[str], index: int) -> float:
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
        self._refused: set[int] = set()  # indices, in this call

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
        cooldowns = self._cooldowns()
        available = self._available(cooldowns)
        chosen = available[0] if available else min(cooldowns, key=cooldowns.__getitem__)
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
        self._refused.add(used)
        self._pool.cool_down(self._model, used, cooldown_seconds(failure, self._pool.now))
        cooldowns = self._cooldowns()
        if self._available(cooldowns):
            return 0.0
        # A key that was refused without a Retry-After has no cooldown: nobody knows when it is available.
        known = {index: left for index, left in cooldowns.items() if 0 < left < math.inf}
        if known:
            first = min(known, key=known.__getitem__)
            failure.key += f" (next available: {self._name(first)}, in {known[first]:.3g} s)"
        known.pop(used, None)
        return min(known.values(), default=None)

    def _cooldowns(self) -> dict[int, float]:
        """Return the cooldown of every key, from the one in use on, going round."""
        first = self._index or 0
        indices = [*range(first, self._count), *range(first)]
        return {index: self._pool.cooldown(self._model, index) for index in indices}

    def _available(self, cooldowns: Mapping[int, float]) -> list[int]:
        """Return the keys that can be used now, in order."""
        found = []
        for index, left in cooldowns.items():
            if left == 0 and index not in self._refused:
                found.append(index)
        return found

    def _name(self, index: int) -> str:
        return f"key {index + 1} of {self._count}"


def cooldown_seconds(failure: APIError, now: Callable[[], float]) -> float:
    """Return for how long a refused key cools down.

    For ever after a 401 or without quota, else as long as the server asked; 0 if it did not.
    """
    if failure.status_code == 401 or NO_QUOTA in (failure.code, failure.type):
        return math.inf
    seconds = backoff.retry_after(failure.headers, now)
    return seconds if 0 < seconds < math.inf else 0.0
