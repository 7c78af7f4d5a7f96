"""Headers: one mapping for requests and responses, in layers, without regard to case; validated, and shown without secrets."""

import re
from collections.abc import Mapping
from typing import Any, Optional
from urllib.parse import quote

from ..errors import ConfigError

#: a header or URL value shorter than this is a word, not a secret: no real key is so short
MIN_SECRET_LENGTH = 5

# A token (RFC 9110, 5.6.2).
HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")

# A character that a header's value, which is Latin-1, cannot hold (RFC 9110, 5.5).
INVALID_HEADER_VALUE = re.compile(r"[^\t\x20-\x7e\x80-\xff]")

# A word in the name of a header or query parameter that makes its value a credential.  Tokens in the plural are counted.
CREDENTIAL_NAME = re.compile(
    r"(?<!idempotency[-_])key|auth|token(?!s)|secret|passw|cookie|credential|session|signature|jwt"
    r"|bearer|(?<![a-z])sig(?![a-z])",
    re.IGNORECASE,
)

# The form of a value that makes it a credential, whatever its name.
CREDENTIAL_VALUE = re.compile(
    r"\s*(?:bearer|basic|digest|negotiate|api-?key|token)\s+\S|\s*sk-\S", re.IGNORECASE
)

# The end of the name of a header of a response whose value is never shown.
SECRET_HEADER = re.compile(
    r".*(auth|authorization|key|token|secret|password|cookie|credentials?|session|session-id"
    r"|signature|jwt|bearer)",
    re.IGNORECASE,
)


class Headers(dict[str, str]):
    """Header fields, found by name without regard to case (RFC 9110, 5.1); secrets are hidden in its repr.

    Each mapping given is a layer over those before it; a value of None removes the header.

    >>> Headers({"Accept": "*/*", "X-A": "1"}, {"accept": "text/plain", "x-a": None})
    {'accept': 'text/plain'}
    """

    def __init__(self, *layers: Mapping[str, Optional[str]]):
        super().__init__()
        spellings: dict[str, str] = {}  # each name in lower case -> the spelling in use
        for layer in layers:
            for name, value in layer.items():
                lowered = name.lower()
                if lowered in spellings:
                    del self[spellings.pop(lowered)]
                if value is not None:
                    self[name] = value
                    spellings[lowered] = name

    def _spelling(self, name: str) -> str:
        """Return `name` as it is spelled here; `name` itself if it is missing."""
        if dict.__contains__(self, name):
            return name
        lowered = name.lower()
        for spelling in self:
            if spelling.lower() == lowered:
                return spelling
        return name

    def __getitem__(self, name: str) -> str:
        return super().__getitem__(self._spelling(name))

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and super().__contains__(self._spelling(name))

    def get(self, name: str, default: Any = None) -> Any:
        """Return the value of `name`, or `default`."""
        return super().get(self._spelling(name), default)

    def __repr__(self) -> str:
        shown = {}
        for name, value in self.items():
            shown[name] = "***" if is_credential(name, value) else value
        return repr(shown)

    @property
    def secrets(self) -> list[str]:
        """Return the credentials in these headers, plain and percent-encoded, to be kept out of errors.

        A value shorter than MIN_SECRET_LENGTH is left out: a word like it may stand in any message.
        """
        found = []
        for name, value in self.items():
            if not SECRET_HEADER.fullmatch(name):
                continue
            credential = value.split(" ", 1)[-1]  # without the scheme: "Bearer sk-..."
            if len(credential) >= MIN_SECRET_LENGTH:
                found += sorted({credential, quote(credential, safe="")})
        return found


def is_credential(name: str, value: Any) -> bool:
    """Return True if a header or query parameter carries a credential; None and "" carry none.

    This is wider than SECRET_HEADER: it decides what is hidden of a request, and what may go to a server that a .env names.
    A false positive costs one clear error, a false negative a key.
    """
    if value is None or value == "":
        return False
    if isinstance(value, (list, tuple)):
        return any(is_credential(name, item) for item in value)
    if CREDENTIAL_NAME.search(str(name)):
        return True
    return CREDENTIAL_VALUE.match(str(value)) is not None


def validate_headers(headers: Headers) -> Headers:
    """Return `headers` if they can be sent.

    Raises ConfigError that names the header and the position, never the value.
    """
    for name, value in headers.items():
        if not isinstance(value, str):
            kind = type(value).__name__
            raise ConfigError(f"header {name!r}: the value must be a string, got {kind}")
        if not HEADER_NAME.fullmatch(name):
            raise ConfigError(f"not a header name: {name!r}")
        invalid = INVALID_HEADER_VALUE.search(value)
        if invalid:
            position = invalid.start() + 1
            raise ConfigError(
                f"header {name!r}: U+{ord(invalid[0]):04X} at position {position} cannot be sent"
            )
    return headers


def parse_header_lines(text: str, source: str) -> dict[str, str]:
    """Return the headers in the lines of `text`, each 'Name: value'.

    Raises ConfigError that names `source`, never the text: it may hold a key.
    """
    headers = {}
    for line in text.splitlines():
        if not line.strip():
            continue
        header = split_header_line(line)
        if header is None:
            raise ConfigError(f"{source}: every line must be 'Name: value'")
        name, value = header
        headers[name] = value
    return headers


def split_header_line(line: str) -> Optional[tuple[str, str]]:
    """Return the name and the value in a line 'Name: value', or None for another line."""
    name, colon, value = line.partition(":")
    return (name.strip(), value.strip()) if colon else None
