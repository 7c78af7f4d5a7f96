"""Keys: checked before anything else sees them, and hidden when they are shown."""

from collections.abc import Collection, Sequence
from typing import Any, Callable, Optional, Union

from .errors import APIError, ConfigError

ApiKey = Union[str, Sequence[str], Callable[[], str], None]


class Key(str):
    """A credential.  Its repr, which tracebacks and debuggers show, hides it."""

    def __repr__(self) -> str:
        return "Key('***')"


Keyring = Callable[[], Sequence[Key]]  # asked for the keys to use before every attempt


def keyring(given: ApiKey, where: str) -> Optional[Keyring]:
    """The Keyring of one key, of several, or of a function that gives one; None if there is none at all.

    `where` says where they come from, for the ConfigError about one that cannot be used.
    """
    if callable(given):
        return lambda: (checked(given(), "the API key that api_key() returned"),)
    several = [given] if isinstance(given, (str, bytes)) else list(given or ())
    keys = tuple(checked(key, where) for key in several if not isinstance(key, str) or key.strip())
    return (lambda: keys) if keys else None


def checked(given: Any, where: str) -> Key:
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


def hide(secrets: Collection[str], error: APIError) -> None:
    """Take `secrets` out of every field of `error`: servers echo keys.  Of `.partial` the answer itself stays."""
    error.args = without(secrets, error.args)
    fields = {
        name: value if name == "partial" else without(secrets, value)
        for name, value in error.__dict__.items()
    }
    error.__dict__.update(fields)
    if error.partial is not None:
        error.partial.headers = without(secrets, error.partial.headers)
    if any(secret in repr(error.__cause__) for secret in filter(None, secrets)):
        error.__cause__ = None


def without(secrets: Collection[str], value: Any) -> Any:
    """`value`, and all that it holds, with every one of `secrets` replaced by ***."""
    if isinstance(value, str):
        for secret in filter(None, secrets):
            value = value.replace(secret, "***")
        return value
    if isinstance(value, dict):
        return type(value)(
            {without(secrets, name): without(secrets, item) for name, item in value.items()}
        )
    if isinstance(value, (list, tuple)):
        return type(value)(without(secrets, item) for item in value)
    return value
