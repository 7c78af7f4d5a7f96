"""Header fields: found without regard to case, merged in layers, checked before they go out, secrets hidden."""

import re
import sys
from collections.abc import Mapping
from typing import Any, Optional
from urllib.parse import quote

from .errors import ConfigError
from .version import __version__

NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # a token (RFC 9110, 5.6.2)
UNSENDABLE = re.compile(r"[^\t\x20-\x7e\x80-\xff]")  # in a value, which is Latin-1 (5.5)
SECRET = re.compile(
    r".*(auth|authorization|key|token|secret|password|cookie)", re.IGNORECASE
)  # a name's end
# What makes a header or a query parameter a credential: a word anywhere in its name, or the form of its value.
CREDENTIAL_NAME = re.compile(
    r"(?<!idempotency[-_])key|auth|token|secret|passw|cookie|credential|session|signature|jwt"
    r"|bearer|(?<![a-z])sig(?![a-z])",
    re.IGNORECASE,
)
CREDENTIAL_VALUE = re.compile(
    r"\s*(?:bearer|basic|digest|negotiate|api-?key|token)\s+\S|\s*sk-\S", re.IGNORECASE
)
FOREIGN = (
    "base_url comes from .env, {}: a .env file must not send your key elsewhere; "
    "put both into .env, or set both yourself"
)


class Headers(dict[str, str]):
    """Header fields, found by name without regard to case (RFC 9110, 5.1); secrets do not show in its repr.

    >>> Headers({"Accept": "*/*", "X-A": "1"}, {"accept": "text/plain", "x-a": None})
    {'accept': 'text/plain'}
    """

    def __init__(self, *layers: Mapping[str, Optional[str]]):
        super().__init__()
        spelled: dict[str, str] = {}  # every name in small letters -> as it stands here
        for layer in layers:  # later layers win; None removes
            for name, value in layer.items():
                small = name.lower()
                if small in spelled:
                    del self[spelled.pop(small)]
                if value is not None:
                    self[name], spelled[small] = value, name

    def _spelling(self, name: str) -> str:
        if dict.__contains__(self, name):
            return name
        small = name.lower()
        for own in self:
            if own.lower() == small:
                return own
        return name

    def __getitem__(self, name: str) -> str:
        return super().__getitem__(self._spelling(name))

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and super().__contains__(self._spelling(name))

    def get(self, name: str, default: Any = None) -> Any:
        """The value of `name`, or `default`."""
        return super().get(self._spelling(name), default)

    def __repr__(self) -> str:
        return repr(
            {name: "***" if SECRET.fullmatch(name) else value for name, value in self.items()}
        )

    @property
    def secrets(self) -> list[str]:
        """The credentials, to be kept out of errors; what is shorter than any real key is left to be a word."""
        values = [value.split(" ", 1)[-1] for name, value in self.items() if SECRET.fullmatch(name)]
        return [
            form for value in values if len(value) >= 5 for form in {value, quote(value, safe="")}
        ]


def is_credential(name: str, value: Any) -> bool:
    """Return whether a header or query parameter carries a credential; a value of None carries nothing.

    This is wider than SECRET, which decides what is hidden: here a wrong yes costs one clear error, a wrong no a key.
    """
    if value is None:
        return False
    return bool(CREDENTIAL_NAME.search(str(name)) or CREDENTIAL_VALUE.match(str(value)))


def refuse_credentials(headers: Mapping[str, Any], query: Mapping[str, Any], where: str) -> None:
    """Raise ConfigError if a header or query parameter holds a credential, for a base_url that comes from .env.

    Whoever writes the .env of a folder must not receive what its user gives elsewhere.  `where` says where that was.
    """
    for kind, values in (("header", headers), ("query parameter", query)):
        for name, value in values.items():
            if is_credential(name, value):
                raise ConfigError(FOREIGN.format(f"the key from {where} ({kind} {name!r})"))


def checked(headers: Headers) -> Headers:
    """`headers` if they can be sent; else a ConfigError that names the header and the place, never the value."""
    for name, value in headers.items():
        if not isinstance(value, str):
            raise ConfigError(
                f"header {name!r}: the value is not a string but {type(value).__name__}"
            )
        if not NAME.fullmatch(name):
            raise ConfigError(f"not a header name: {name!r}")
        bad = UNSENDABLE.search(value)
        if bad:
            raise ConfigError(
                f"header {name!r}: U+{ord(bad[0]):04X} at position {bad.start() + 1} cannot be sent"
            )
    return headers


def fixed(body: bool) -> dict[str, str]:
    """The headers that every request has, with or without a body; a stream accepts JSON too: what the SDK sends."""
    headers = {
        "Accept": "application/json",
        "Accept-Encoding": "gzip, deflate",
        "User-Agent": f"rawchat/{__version__} Python/{sys.version_info[0]}.{sys.version_info[1]}",
    }
    return {**headers, "Content-Type": "application/json"} if body else headers


def in_lines(text: str, what: str) -> dict[str, str]:
    """The headers in the lines of `text`, each 'Name: value'; raises ConfigError that says of `what`."""
    lines = [line for line in text.splitlines() if line.strip()]
    if not all(":" in line for line in lines):
        raise ConfigError(f"{what}: every line must be 'Name: value'")
    return {
        name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)
    }
