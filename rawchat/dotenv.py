"""The few lines of a `.env` file, as a dict; `os.environ` is neither read nor changed."""
import re
from collections.abc import Iterable

from .errors import ConfigError

LINE = re.compile(r"""\s* (?:export\s+)? (?P<name>[A-Za-z_][A-Za-z0-9_.]*) \s*=\s*(?=\S|\Z)
    (?: '(?P<single>[^']*)' | "(?P<double>(?:[^"\\]|\\.)*)" | (?P<bare>(?:[^\s'"\#](?:(?!\s\#).)*)?) )
    \s* (?:\#.*)? """, re.VERBOSE | re.DOTALL)
ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}


def read(folder: str, names: Iterable[str]) -> dict[str, str]:
    """The settings in the `.env` of `folder` whose names are among `names`; {} without one.  Raises as `parse` does."""
    try:
        with open(f"{folder}/.env", encoding="utf-8-sig", newline="") as file:
            return parse(file.read(), names)
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        return {}
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigError(f".env cannot be read: {reason}") from None


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
            raise ConfigError(f"{where}, line {number}: not NAME=value (a quote that does not close?)")
        if match["name"] in names:
            found[match["name"]] = _value(match)
    return found


def _value(match: "re.Match[str]") -> str:
    if match["double"] is not None:
        return re.sub(r"\\(.)", lambda escape: ESCAPES.get(escape[1], escape[1]), match["double"])
    return match["single"] if match["single"] is not None else match["bare"].rstrip()
