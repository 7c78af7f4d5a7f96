"""Read our settings from the `.env` file of the working directory, which belongs to other tools too."""

import codecs
import os
import re
import stat
from collections.abc import Collection, Mapping
from typing import Any, Optional

from ..errors import ConfigError
from ..keys import KeySource
from ..keys.credentials import dotenv_error, refuse_credentials

#: bytes of a .env file; no file of settings is larger
MAX_DOTENV_BYTES = 2**20

# The name at the start of a line, whatever follows it.
DOTENV_NAME = re.compile(r"\s*(?:export\s+)?(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?![\w.-])")

# A byte that is not UTF-8, decoded with "surrogateescape".
LONE_SURROGATE = re.compile("[\udc80-\udcff]")

DOTENV_LINE = re.compile(
    r"""\s* (?:export\s+)? (?P<name>[A-Za-z_][A-Za-z0-9_.]*) \s*=\s*(?=\S|\Z)
    (?: '(?P<single>[^']*)' | "(?P<double>(?:[^"\\]|\\.)*)" | (?P<bare>(?:[^\s'"\#](?:(?!\s\#).)*)?) )
    \s* (?:\#.*)? """,
    re.VERBOSE | re.DOTALL,
)

# Escapes in a value in double quotes.
ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}


def read_dotenv(folder: str, names: Collection[str]) -> dict[str, str]:
    """Return the settings in the `.env` of `folder` whose names are among `names`; {} if there is no such file.

    A folder named `.env` is ignored, and /dev/null, which containers mount over a `.env` to hide it, is empty.  Raises
    ConfigError for any other special file, one over MAX_DOTENV_BYTES, one that cannot be read, and a line of ours that
    `parse_dotenv` cannot parse.  Lines of other tools may be in any encoding.
    """
    try:
        data = read_regular_file(f"{folder}/.env")
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        return {}
    except OSError as error:
        raise ConfigError(f".env cannot be read: {error.strerror}") from None
    return parse_dotenv(decode_dotenv(data), names)


def decode_dotenv(data: bytes) -> str:
    """Return the text of a .env file: UTF-16 if its byte order mark says so, as PowerShell writes it, else UTF-8.

    Bytes that are not UTF-8 become lone surrogates, which `parse_dotenv` refuses in a value of ours.
    """
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16", "replace")
    return data.decode("utf-8-sig", "surrogateescape")


def read_regular_file(path: str) -> bytes:
    """Return the content of a file without ever blocking: opening a FIFO blocks until a writer opens it as well.

    The type is checked before the file is opened, because opening a device can have effects, and once more after, as
    the file may have been replaced.
    """
    if is_null_device(os.stat(path)):
        return b""
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)
    descriptor = os.open(path, flags)
    with open(descriptor, "rb") as file:
        is_null_device(os.fstat(descriptor))
        data = file.read(MAX_DOTENV_BYTES + 1)
    if len(data) > MAX_DOTENV_BYTES:
        raise ConfigError(f".env cannot be read: it is over {MAX_DOTENV_BYTES} bytes")
    return data


def is_null_device(status: os.stat_result) -> bool:
    """Return True for /dev/null, False for a regular file; raise IsADirectoryError or ConfigError for any other."""
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError
    if stat.S_ISCHR(status.st_mode) and os.path.samestat(status, os.stat(os.devnull)):
        return True
    if not stat.S_ISREG(status.st_mode):
        raise ConfigError(".env cannot be read: it is not a regular file")
    return False


def parse_dotenv(text: str, names: Collection[str], source: str = ".env") -> dict[str, str]:
    """Return the settings in `text` whose names are among `names`; all others are ignored.

    Comments, `export`, quotes ('literal', "with \\n escapes"), CRLF and a byte order mark are understood; nothing is
    interpolated.  A line that sets none of the names is ignored, whatever it is: the file may belong to another tool.
    Raises ConfigError with `source` and the number of a line of ours that cannot be parsed, and never with its text,
    which may be a key.

    >>> parse_dotenv("# mine\\nexport OPENAI_MODEL='gpt-4o'  # good\\nPATH=/bin", {"OPENAI_MODEL"})
    {'OPENAI_MODEL': 'gpt-4o'}
    """
    found = {}
    lines = re.split(r"\r\n|\r|\n", text.lstrip("\ufeff"))
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        start = DOTENV_NAME.match(line)
        if not start or start["name"] not in names:
            continue
        match = DOTENV_LINE.fullmatch(line)
        if not match:
            raise ConfigError(f"{source}, line {number}: not NAME=value (is a quote not closed?)")
        if LONE_SURROGATE.search(line):
            raise ConfigError(f"{source}, line {number}: not UTF-8 text")
        found[match["name"]] = dotenv_value(match)
    return found


def dotenv_value(match: "re.Match[str]") -> str:
    """Return the value of a matched line: escapes count in double quotes only."""
    if match["double"] is not None:
        return re.sub(r"\\(.)", unescape, match["double"])
    if match["single"] is not None:
        return match["single"]
    return match["bare"].rstrip()


def unescape(escape: "re.Match[str]") -> str:
    """Return the character of an escape: a control character, else the character itself."""
    return ESCAPES.get(escape[1], escape[1])


# ---- a base_url from .env


def check_dotenv_credentials(
    settings: Mapping[str, Any],
    sources: Mapping[str, str],
    keys: Optional[KeySource],
    environ: Mapping[str, str],
) -> None:
    """Raise ConfigError if a credential that is not from .env would be sent to a base_url that is."""
    if keys and sources["api_key"] != ".env":
        raise dotenv_error(f"the key from {sources['api_key']}")
    if environ.get("OPENAI_CUSTOM_HEADERS"):
        raise dotenv_error("the key from the environment (OPENAI_CUSTOM_HEADERS)")
    headers = settings.get("default_headers") or {}
    query = settings.get("default_query") or {}
    refuse_credentials(headers, query, "the arguments")
