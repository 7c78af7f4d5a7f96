"""API keys: validate them when a client is made, and put one into the headers of every attempt.

They come from api_key=, else from OPENAI_API_KEYS or OPENAI_API_KEY (see `config`).  `Client.send` adds one just before
it hands the request to the transport, and only for the origin of base_url; every error passes `redact_error`.

pool          with several keys: choose one for every attempt, and let a rate-limited one cool down.  A change of key
              uses up one of the retries
credentials   never send one unencrypted to another machine, nor to a base_url from another person's .env
redaction     replace them in errors, and in all else that is shown
"""

from collections.abc import Sequence
from typing import Any, Callable, Optional, Union

from ..errors import ConfigError
from ..wire import Headers, Request

ApiKey = Union[str, Sequence[str], Callable[[], str], None]


class Secret(str):
    """A text that holds a credential.  Its repr, which tracebacks and debuggers show, hides it."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}('***')"


class Key(Secret):
    """An API key."""


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


def authorize(request: Request, key: Optional[Key]) -> Request:
    """Return `request` with the key, unless the caller gave, or forbade, an Authorization header."""
    if not key or not request.send_key:
        return request
    headers = Headers(request.headers, {"Authorization": f"Bearer {key}"})
    return request._replace(headers=headers)
