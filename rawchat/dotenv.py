"""The few lines of a `.env` file, as a dict; `os.environ` is neither read nor changed."""

import os
import re
import stat
from collections.abc import Iterable

from .errors import ConfigError

LINE = re.compile(
    r"""\s* (?:export\s+)? (?P<name>[A-Za-z_][A-Za-z0-9_.]*) \s*=\s*(?=\S|\Z)
    (?: '(?P<single>[^']*)' | "(?P<double>(?:[^"\\]|\\.)*)" | (?P<bare>(?:[^\s'"\#](?:(?!\s\#).)*)?) )
    \s* (?:\#.*)? """,
    re.VERBOSE | re.DOTALL,
)
MAX_BYTES = 2**20  #: more than any file of settings has
ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}


def read(folder: str, names: Iterable[str]) -> dict[str, str]:
    """Return the settings in the `.env` of `folder` whose names are among `names`; {} without one.

    A folder of that name is none, and /dev/null, which containers put over a `.env` to hide it, is an empty one.
    Raises ConfigError for any other special file, one over MAX_BYTES, or one that cannot be read; and as `parse` does.
    """
    try:
        return parse(content(f"{folder}/.env").decode("utf-8-sig"), names)
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        return {}
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigError(f".env cannot be read: {reason}") from None


def content(path: str) -> bytes:
    """Return what the file at `path` holds, without ever waiting: a FIFO holds up whoever opens it until one writes.

    The mode is looked at once before, because opening a device can have effects, and once after, as it may
    have changed.
    """
    if is_null(os.stat(path)):
        return b""
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0))
    with open(handle, "rb") as file:
        is_null(os.fstat(handle))
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise ConfigError(f".env cannot be read: it is over {MAX_BYTES} bytes")
    return data


def is_null(status: os.stat_result) -> bool:
    """Return whether a file is /dev/null; raise for anything else that is not a regular file."""
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError
    if stat.S_ISCHR(status.st_mode) and os.path.samestat(status, os.stat(os.devnull)):
        return True
    if not stat.S_ISREG(status.st_mode):
        raise ConfigError(".env cannot be read: it is not a regular file")
    return False


def parse(text: str, names: Iterable[str], where: str = ".env") -> dict[str, str]:
    """The settings in `text` whose names are among `names`; the rest is nobody's business.

    Knows comments, `export`, quotes ('as it is', "with \\n escapes"), CRLF and a byte order mark; interpolates
    nothing.  Raises ConfigError with the number of a line that it cannot read, and never with its text: that
    may be a key.

    >>> parse("# mine\\nexport OPENAI_MODEL='gpt-4o'  # good\\nPATH=/bin", {"OPENAI_MODEL"})
    {'OPENAI_MODEL': 'gpt-4o'}
    """
    found = {}
    for number, line in enumerate(re.split(r"\r\n|\r|\n", text.lstrip("\ufeff")), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = LINE.fullmatch(line)
        if not match:
            raise ConfigError(
                f"{where}, line {number}: not NAME=value (a quote that does not close?)"
            )
        if match["name"] in names:
            found[match["name"]] = _value(match)
    return found


def _value(match: "re.Match[str]") -> str:
    if match["double"] is not None:
        return re.sub(r"\\(.)", lambda escape: ESCAPES.get(escape[1], escape[1]), match["double"])
    return match["single"] if match["single"] is not None else match["bare"].rstrip()
