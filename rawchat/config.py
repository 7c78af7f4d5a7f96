"""Where the settings come from: arguments > environment > `.env` in the working directory > defaults.

They are read when a client is made, once, and then never change.
"""

import math
import os
import re
import stat
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Optional, Union

from .errors import ConfigError, MissingKeyError
from .keys import KeySource, key_source
from .urls import DEFAULT_BASE_URL, is_secure, network_settings, redact_url, validate_base_url
from .wire import FOREIGN, MAX_BYTES, SECRET_HEADER, TIMEOUT, parse_header_lines, refuse_credentials

DOTENV_LINE = re.compile(
    r"""\s* (?:export\s+)? (?P<name>[A-Za-z_][A-Za-z0-9_.]*) \s*=\s*(?=\S|\Z)
    (?: '(?P<single>[^']*)' | "(?P<double>(?:[^"\\]|\\.)*)" | (?P<bare>(?:[^\s'"\#](?:(?!\s\#).)*)?) )
    \s* (?:\#.*)? """,
    re.VERBOSE | re.DOTALL,
)


MAX_DOTENV_BYTES = 2**20  #: more than any file of settings has


ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}


def read_dotenv(folder: str, names: Iterable[str]) -> dict[str, str]:
    """Return the settings in the `.env` of `folder` whose names are among `names`; {} without one.

    A folder of that name is none, and /dev/null, which containers put over a `.env` to hide it, is an empty one.
    Raises ConfigError for any other special file, one over MAX_BYTES, or one that cannot be read; and as `parse` does.
    """
    try:
        return parse_dotenv(content(f"{folder}/.env").decode("utf-8-sig"), names)
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
        data = file.read(MAX_DOTENV_BYTES + 1)
    if len(data) > MAX_DOTENV_BYTES:
        raise ConfigError(f".env cannot be read: it is over {MAX_DOTENV_BYTES} bytes")
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


def parse_dotenv(text: str, names: Iterable[str], where: str = ".env") -> dict[str, str]:
    """The settings in `text` whose names are among `names`; the rest is nobody's business.

    Knows comments, `export`, quotes ('as it is', "with \\n escapes"), CRLF and a byte order mark; interpolates
    nothing.  Raises ConfigError with the number of a line that it cannot read, and never with its text: that
    may be a key.

    >>> parse_dotenv("# mine\\nexport OPENAI_MODEL='gpt-4o'  # good\\nPATH=/bin", {"OPENAI_MODEL"})
    {'OPENAI_MODEL': 'gpt-4o'}
    """
    found = {}
    for number, line in enumerate(re.split(r"\r\n|\r|\n", text.lstrip("\ufeff")), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = DOTENV_LINE.fullmatch(line)
        if not match:
            raise ConfigError(
                f"{where}, line {number}: not NAME=value (a quote that does not close?)"
            )
        if match["name"] in names:
            found[match["name"]] = dotenv_value(match)
    return found


def dotenv_value(match: "re.Match[str]") -> str:
    if match["double"] is not None:
        return re.sub(r"\\(.)", lambda escape: ESCAPES.get(escape[1], escape[1]), match["double"])
    return match["single"] if match["single"] is not None else match["bare"].rstrip()


# Body parameters whose names come near to a setting of the client; they are never refused.
PARAMETERS = {"mode", "model_id", "models", "project_id", "transforms", "user", "tokens"}


# What other libraries call the client's settings.
ALIASES = {
    "key": "api_key",
    "token": "api_key",
    "apitoken": "api_key",
    "secretkey": "api_key",
    "openaikey": "api_key",
    "openaiapikey": "api_key",
    "authtoken": "api_key",
    "url": "base_url",
    "host": "base_url",
    "endpoint": "base_url",
    "apibase": "base_url",
    "openaiapibase": "base_url",
    "apiurl": "base_url",
    "header": "default_headers",
    "query": "default_query",
    "org": "organization",
    "retry": "max_retries",
    "requesttimeout": "timeout",
    "httpclient": "transport",
}


KEY_OR_URL = re.compile(r"\s*(?:(?P<key>sk-\S|bearer\s+\S)|https?://)", re.IGNORECASE)


class MisnamedError(TypeError):
    """A parameter is probably a setting."""


Timeout = Union[float, tuple[float, float], None]


def check_timeout(given: Timeout) -> tuple[float, float]:
    """Seconds to connect and seconds for each read, from one number, a pair, or None: 5 and 600."""
    pair = (
        TIMEOUT if given is None else given if isinstance(given, (tuple, list)) else (given, given)
    )
    if len(pair) != 2:
        raise ConfigError("timeout is seconds, or a pair (connect, read)")
    connect, read = (check_seconds("timeout", seconds) for seconds in pair)
    return connect or TIMEOUT[0], read or TIMEOUT[1]


def check_seconds(name: str, value: Any) -> Optional[float]:
    """`value` as seconds, more than 0; None stays None."""
    numeric = isinstance(value, (int, float)) and not isinstance(value, bool)
    if value is not None and not (numeric and 0 < value < math.inf):
        raise ConfigError(f"{name} is seconds, more than 0: {value!r}")
    return None if value is None else float(value)


def check_count(name: str, value: Any) -> int:
    """`value` as a whole number, 0 or more."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ConfigError(f"{name} is a whole number, 0 or more: {value!r}")
    return value


def check_mapping(name: str, value: Any) -> Mapping[str, Any]:
    """`value`, {} for None; raises TypeError, as of an argument of a call."""
    if not isinstance(value, (Mapping, type(None))):
        raise TypeError(f"{name} is a dict, not {type(value).__name__}")
    return value or {}


def parameters(given: Mapping[str, Any], settings: Collection[str]) -> None:
    """Check that none of the body parameters `given` to a client is a misspelt setting, a key, or a URL.

    A misspelt setting would go to the server in every body, api_key with its key, and would have no effect here.
    Raises TypeError that names the setting that was probably meant, and never the value.
    """
    for name, value in given.items():
        meant = meant_by(name, settings)
        if meant:
            raise MisnamedError(
                f"{name}= is no setting of the client; did you mean {meant}=? "
                f"(if the server wants it, use extra_body={{{name!r}: ...}} in each call)"
            )
        looks = (
            KEY_OR_URL.match(value) if isinstance(value, str) and name not in PARAMETERS else None
        )
        if looks:
            kind, setting = ("an API key", "api_key") if looks["key"] else ("a URL", "base_url")
            raise MisnamedError(
                f"{name}= is no setting of the client, and its value looks like {kind}; did you mean "
                f"{setting}=? (if the server wants it, use extra_body={{{name!r}: ...}} in each call)"
            )


def meant_by(name: str, settings: Collection[str]) -> Optional[str]:
    """Return the setting that `name` was probably meant to be, or None for a body parameter.

    Case, underscores and a plural do not count; beyond that, four of five letters have to agree.

    >>> meant_by("apiKeys", ["api_key", "base_url"]), meant_by("base_ulr", ["api_key", "base_url"])
    ('api_key', 'base_url')
    >>> meant_by("temperature", ["timeout", "transport"])
    """
    if name in PARAMETERS:
        return None
    import difflib  # here, not above: few clients have parameters

    bare = {setting.replace("_", "").rstrip("s"): setting for setting in settings}
    letters = name.replace("_", "").replace("-", "").lower().rstrip("s")
    near = difflib.get_close_matches(letters, bare, 1, 0.8)
    return bare[near[0]] if near else ALIASES.get(letters)


def no_credentials(given: Mapping[str, Any]) -> None:
    """Check that no body parameter of a call is named like the client's api_key or base_url; raises TypeError."""
    for name in given:
        if name.replace("_", "").replace("-", "").lower() in ("apikey", "openaiapikey", "baseurl"):
            raise MisnamedError(
                f"{name}= is a setting of the client, not of a call: nothing was sent "
                f"(if the server wants it, use extra_body={{{name!r}: ...}})"
            )


DEFAULT_CHAT_MODEL = "gpt-4o-mini"  #: when nobody names a model: small, cheap, everywhere


DEFAULT_COMPLETION_MODEL = (
    "gpt-3.5-turbo-instruct"  #: the one model that OpenAI still serves at /v1/completions
)


SETTING_VARIABLES = {
    "api_key": ("OPENAI_API_KEYS", "OPENAI_API_KEY"),
    "base_url": ("OPENAI_BASE_URL",),
    "model": ("OPENAI_MODEL", "MODEL_NAME"),
    "organization": ("OPENAI_ORG_ID",),
    "project": ("OPENAI_PROJECT_ID",),
}


DOTENV_NAMES = {variable for variables in SETTING_VARIABLES.values() for variable in variables}


class Config(NamedTuple):
    """Every setting of a client, checked; see `rawchat.Client` for what each means."""

    keys: KeySource  #: asked before every attempt
    base_url: str = DEFAULT_BASE_URL
    model: Union[str, Sequence[str], None] = None
    headers: tuple[
        Mapping[str, Optional[str]], ...
    ] = ()  #: layers over the built-in ones; later ones win
    query: Mapping[str, Any] = {}
    params: Mapping[str, Any] = {}
    timeout: tuple[float, float] = TIMEOUT
    deadline: Optional[float] = None
    max_retries: int = 2
    max_bytes: int = MAX_BYTES
    rotate_after: Optional[float] = None
    network: Mapping[str, str] = {}  #: proxies and CA bundle, for the transport
    from_dotenv: bool = False  #: base_url comes from .env: no other credential goes there

    def __repr__(self) -> str:  # headers and parameters may hold secrets
        return f"Config({redact_url(self.base_url)!r}, model={self.model!r})"


def load_config(given: Mapping[str, Any], environ: Mapping[str, str], folder: str = ".") -> Config:
    """The Config for the arguments `given` to a client; what is None there is looked up.

    Raises ConfigError, in one line that says which setting, from where, and never a key.
    """
    found, source = {}, {}
    for origin, values in (
        ("the arguments", given),
        ("the environment", from_environ(environ)),
        (".env", from_environ(read_dotenv(folder, DOTENV_NAMES))),
    ):
        for name, value in values.items():
            if value is not None and name not in found:
                found[name], source[name] = value, origin
    base_url = validate_base_url(found.get("base_url", DEFAULT_BASE_URL))
    keys = key_source(found.get("api_key") or (), f"the API key from {source.get('api_key')}")
    if keys is None and base_url == DEFAULT_BASE_URL:
        raise MissingKeyError(
            "no API key: set OPENAI_API_KEY, pass api_key=, or set base_url to a server without one"
        )
    from_dotenv = source.get("base_url") == ".env"
    headers = header_layers(found, environ)
    if from_dotenv and keys and source["api_key"] != ".env":
        raise ConfigError(FOREIGN.format(f"the key from {source['api_key']}"))
    if from_dotenv and environ.get("OPENAI_CUSTOM_HEADERS"):
        raise ConfigError(FOREIGN.format("the key from the environment (OPENAI_CUSTOM_HEADERS)"))
    if from_dotenv:
        refuse_credentials(
            found.get("default_headers") or {}, found.get("default_query") or {}, "the arguments"
        )
    secret = keys or any(
        value and SECRET_HEADER.fullmatch(name)
        for layer in headers
        for name, value in layer.items()
    )
    if secret and not found.get("allow_http") and not is_secure(base_url):
        raise ConfigError(
            f"{redact_url(base_url)} would carry the key unencrypted: use https://, or allow it with "
            "allow_http=True (--allow-http)"
        )
    return Config(
        keys or (lambda: ()),
        base_url,
        found.get("model"),
        headers,
        found.get("default_query") or {},
        found.get("params") or {},
        check_timeout(found.get("timeout")),
        check_seconds("deadline", found.get("deadline")),
        check_count("max_retries", found.get("max_retries", 2)),
        check_count("max_bytes", found.get("max_bytes", MAX_BYTES)),
        check_seconds("rotate_after", found.get("rotate_after")),
        network_settings(environ),
        from_dotenv,
    )


def from_environ(values: Mapping[str, str]) -> dict[str, Any]:
    """Our settings among environment variables; an empty one counts as not set."""
    found = {
        name: next((values[v] for v in variables if values.get(v)), None)
        for name, variables in SETTING_VARIABLES.items()
    }
    keys = [key for key in values.get("OPENAI_API_KEYS", "").split(",") if key.strip()]
    return {**found, "api_key": keys or values.get("OPENAI_API_KEY") or None}


def header_layers(
    found: Mapping[str, Any], environ: Mapping[str, str]
) -> tuple[Mapping[str, Optional[str]], ...]:
    """The layers of headers that settings add to every request; `default_headers` has the last word."""
    account = {
        "OpenAI-Organization": found.get("organization"),
        "OpenAI-Project": found.get("project"),
    }
    custom = parse_header_lines(environ.get("OPENAI_CUSTOM_HEADERS", ""), "OPENAI_CUSTOM_HEADERS")
    return account, custom, found.get("default_headers") or {}
