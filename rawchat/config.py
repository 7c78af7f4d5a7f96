"""Settings: arguments > environment > `.env` in the working directory > defaults.

They are read once, when a client is made, and never change afterwards.  The chapter has four parts: the Config and
how it is loaded, checks of single values, misspelt settings, and the `.env` file.
"""

import codecs
import math
import os
import re
import stat
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple, Optional, Union

from .errors import ConfigError, MissingKeyError
from .keys import (
    KeySource,
    dotenv_error,
    key_source,
    refuse_credentials,
    refuse_unencrypted,
    unencrypted_error,
)
from .urls import DEFAULT_BASE_URL, is_secure, network_settings, redact_url, validate_base_url
from .wire import MAX_BYTES, TIMEOUT, parse_header_lines

Timeout = Union[float, tuple[float, float], None]

#: the model of a chat if none is given: small, cheap, available to every account
DEFAULT_CHAT_MODEL = "gpt-4o-mini"

#: ... and of a completion: the one model that OpenAI still serves at /v1/completions
DEFAULT_COMPLETION_MODEL = "gpt-3.5-turbo-instruct"

#: attempts after the first one: the SDK's default
DEFAULT_MAX_RETRIES = 2

#: bytes of a .env file; no file of settings is larger
MAX_DOTENV_BYTES = 2**20

# The environment variables of each setting; the first one that is set counts.
SETTING_VARIABLES = {
    "api_key": ("OPENAI_API_KEYS", "OPENAI_API_KEY"),
    "base_url": ("OPENAI_BASE_URL",),
    "model": ("OPENAI_MODEL", "MODEL_NAME"),
    "organization": ("OPENAI_ORG_ID",),
    "project": ("OPENAI_PROJECT_ID",),
}
DOTENV_NAMES = {variable for variables in SETTING_VARIABLES.values() for variable in variables}

# The settings -> their names in other libraries, in lower case without underscores and a final s.
FOREIGN_NAMES = {
    "api_key": (
        "key token accesstoken bearer bearertoken accesskey secret apisecret auth "
        "authorization credential password apitoken secretkey openaikey openaiapikey "
        "authtoken"
    ),
    "base_url": (
        "url host endpoint apibase openaiapibase apiurl apiendpoint apihost azureendpoint "
        "endpointurl hostname server serverurl uri"
    ),
    "default_headers": "header extraheader",
    "default_query": "query extraquery",
    "organization": "org orgid organizationid",
    "max_retries": "retry numretrie retrycount",
    "timeout": "requesttimeout readtimeout connecttimeout",
    "transport": "httpclient session",
    "proxy": "proxie httpproxy httpsproxy",
    "ca_bundle": "verify verifyssl sslverify cacert",
}
ALIASES = {name: setting for setting, names in FOREIGN_NAMES.items() for name in names.split()}

# Body parameters with names close to a setting's; they are never refused.
BODY_PARAMETERS = {"mode", "model_id", "models", "project_id", "transforms", "user", "tokens"}

# Names under which a caller may try to pass a key or a base URL to one call, in lower case without separators.
CREDENTIAL_SETTINGS = {
    "apikey",
    "openaiapikey",
    "apitoken",
    "accesstoken",
    "authtoken",
    "bearertoken",
}
CREDENTIAL_SETTINGS |= {"bearer", "authorization", "password", "secret", "secretkey", "accesskey"}
CREDENTIAL_SETTINGS |= {"baseurl", "apibase", "openaiapibase", "openaibaseurl"}

#: similarity from which a name counts as a misspelling: four of five letters agree
SPELLING_CUTOFF = 0.8

KEY_OR_URL = re.compile(r"\s*(?:(?P<key>sk-\S|bearer\s+\S)|https?://)", re.IGNORECASE)


# ---- the settings of a client


class Config(NamedTuple):
    """Every setting of a client, validated; `rawchat.Client` documents each of them."""

    keys: KeySource  #: called before every attempt
    base_url: str = DEFAULT_BASE_URL
    model: Union[str, Sequence[str], None] = None
    headers: tuple[Mapping[str, Optional[str]], ...] = ()  #: layers over the built-in ones
    query: Mapping[str, Any] = {}
    params: Mapping[str, Any] = {}
    timeout: tuple[float, float] = TIMEOUT
    deadline: Optional[float] = None
    max_retries: int = DEFAULT_MAX_RETRIES
    max_bytes: int = MAX_BYTES
    rotate_after: Optional[float] = None
    network: Mapping[str, str] = {}  #: proxies and CA bundle of the environment, for the transport
    proxy: Optional[str] = None  #: for every request; "" for none; None: as `network` says
    ca_bundle: Optional[str] = None  #: certificates to trust; None: as `network` says
    from_dotenv: bool = False  #: base_url comes from .env: no other credential is sent to it
    unencrypted: bool = (
        False  #: base_url is http:// to another machine: no credential is sent to it
    )

    def __repr__(self) -> str:
        # Without headers and parameters, which may hold secrets.
        return f"Config({redact_url(self.base_url)!r}, model={self.model!r})"


def load_config(
    arguments: Mapping[str, Any], environ: Mapping[str, str], folder: str = "."
) -> Config:
    """Return the Config for the `arguments` of a client; what is None there is looked up.

    `environ` holds the environment variables, `folder` the `.env` file.  Raises ConfigError, in one line that names
    the setting and its source, and never shows a key.
    """
    settings, sources = merge_sources(arguments, environ, folder)
    base_url = validate_base_url(settings.get("base_url", DEFAULT_BASE_URL))
    keys = key_source(settings.get("api_key") or (), f"the API key from {sources.get('api_key')}")
    if keys is None and base_url == DEFAULT_BASE_URL:
        raise MissingKeyError(
            "no API key: set OPENAI_API_KEY, pass api_key=, or set base_url to a server without one"
        )
    headers = header_layers(settings, environ)
    from_dotenv = sources.get("base_url") == ".env"
    if from_dotenv:
        check_dotenv_credentials(settings, sources, keys, environ)
    query = settings.get("default_query") or {}
    unencrypted = not settings.get("allow_http") and not is_secure(base_url)
    if unencrypted:
        if keys is not None:
            raise unencrypted_error(base_url)
        for layer in headers:
            refuse_unencrypted(base_url, layer, query)
    return Config(
        keys=keys or no_keys,
        base_url=base_url,
        model=settings.get("model"),
        headers=headers,
        query=query,
        params=settings.get("params") or {},
        timeout=check_timeout(settings.get("timeout")),
        deadline=check_seconds("deadline", settings.get("deadline")),
        max_retries=check_count("max_retries", settings.get("max_retries", DEFAULT_MAX_RETRIES)),
        max_bytes=check_count("max_bytes", settings.get("max_bytes", MAX_BYTES)),
        rotate_after=check_seconds("rotate_after", settings.get("rotate_after")),
        network=network_settings(environ),
        proxy=settings.get("proxy"),
        ca_bundle=settings.get("ca_bundle"),
        from_dotenv=from_dotenv,
        unencrypted=unencrypted,
    )


def merge_sources(
    arguments: Mapping[str, Any], environ: Mapping[str, str], folder: str
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return every setting that is given anywhere, and the source of each, for messages."""
    layers = [
        ("the arguments", arguments),
        ("the environment", from_environ(environ)),
        (".env", from_environ(read_dotenv(folder, DOTENV_NAMES))),
    ]
    settings: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for source, values in layers:
        for name, value in values.items():
            if value is not None and name not in settings:
                settings[name] = value
                sources[name] = source
    return settings, sources


def from_environ(environ: Mapping[str, str]) -> dict[str, Any]:
    """Return the settings among environment variables; an empty variable counts as not set."""
    found: dict[str, Any] = {}
    for name, variables in SETTING_VARIABLES.items():
        values = [environ[variable] for variable in variables if environ.get(variable)]
        if values:
            found[name] = values[0]
    keys = [key for key in environ.get("OPENAI_API_KEYS", "").split(",") if key.strip()]
    found["api_key"] = keys or environ.get("OPENAI_API_KEY") or None
    return found


def no_keys() -> Sequence[Any]:
    """Return the keys of a client without one."""
    return ()


def header_layers(
    settings: Mapping[str, Any], environ: Mapping[str, str]
) -> tuple[Mapping[str, Optional[str]], ...]:
    """Return the layers of headers that settings add to every request; `default_headers` overrides the others."""
    account = {
        "OpenAI-Organization": settings.get("organization"),
        "OpenAI-Project": settings.get("project"),
    }
    custom = parse_header_lines(environ.get("OPENAI_CUSTOM_HEADERS", ""), "OPENAI_CUSTOM_HEADERS")
    return account, custom, settings.get("default_headers") or {}


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


# ---- checks of single values


def check_timeout(given: Timeout) -> tuple[float, float]:
    """Return (connect, read) in seconds, from one number, a pair, or None for the default.

    Raises ConfigError for anything that is not a positive number; a None in a pair stands for its default.
    """
    if given is None:
        return TIMEOUT
    pair = given if isinstance(given, (tuple, list)) else (given, given)
    if len(pair) != 2:
        raise ConfigError("timeout must be a number of seconds, or a pair (connect, read)")
    connect = check_seconds("timeout", pair[0])
    read = check_seconds("timeout", pair[1])
    return connect or TIMEOUT[0], read or TIMEOUT[1]


def check_seconds(name: str, value: Any) -> Optional[float]:
    """Return `value` as a positive number of seconds; None stays None.  Raises ConfigError."""
    if value is None:
        return None
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not 0 < value < math.inf:
        raise ConfigError(f"{name} must be a positive number of seconds, got {value!r}")
    return float(value)


def check_count(name: str, value: Any) -> int:
    """Return `value` if it is a non-negative integer.  Raises ConfigError."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ConfigError(f"{name} must be a non-negative integer, got {value!r}")
    return value


def check_mapping(name: str, value: Any) -> Mapping[str, Any]:
    """Return `value` if it is a mapping; {} for None.  Raises TypeError, as it is an argument of a call."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise TypeError(f"{name} must be a dict, got {type(value).__name__}")
    return value


# ---- misspelt settings


class MisnamedError(TypeError):
    """A body parameter is probably meant to be a setting."""


def check_params(params: Mapping[str, Any], settings: Collection[str]) -> None:
    """Raise MisnamedError if one of the body parameters given to a client is a misspelt setting, a key, or a URL.

    A misspelt setting would be sent in every body, api_key with its key, and would have no effect here.  The message
    names the setting that was probably meant, and never shows the value.
    """
    for name, value in params.items():
        if name == "extra_body":
            raise MisnamedError(
                "extra_body= is not a setting of the client: pass its entries as parameters of the client, "
                "or extra_body= in each call"
            )
        advice = f"(if the server wants it, use extra_body={{{name!r}: ...}} in each call)"
        meant = closest_setting(name, settings)
        if meant:
            raise MisnamedError(
                f"{name}= is not a setting of the client; did you mean {meant}=? {advice}"
            )
        if name in BODY_PARAMETERS or not isinstance(value, str):
            continue
        match = KEY_OR_URL.match(value)
        if match is None:
            continue
        kind, meant = ("an API key", "api_key") if match["key"] else ("a URL", "base_url")
        raise MisnamedError(
            f"{name}= is not a setting of the client, and its value looks like {kind}; "
            f"did you mean {meant}=? {advice}"
        )


def closest_setting(name: str, settings: Collection[str]) -> Optional[str]:
    """Return the setting that `name` was probably meant to be, or None for a body parameter.

    Case, underscores and a plural do not count; beyond that, four of five letters have to agree.

    >>> closest_setting("apiKeys", ["api_key", "base_url"]), closest_setting("base_ulr", ["api_key", "base_url"])
    ('api_key', 'base_url')
    >>> closest_setting("temperature", ["timeout", "transport"])
    """
    if name in BODY_PARAMETERS:
        return None
    import difflib  # here, not above: few clients have parameters

    settings_by_letters = {setting.replace("_", "").rstrip("s"): setting for setting in settings}
    letters = name.replace("_", "").replace("-", "").lower().rstrip("s")
    matches = difflib.get_close_matches(letters, settings_by_letters, 1, SPELLING_CUTOFF)
    if matches:
        return settings_by_letters[matches[0]]
    return ALIASES.get(letters)


def check_call_params(params: Mapping[str, Any]) -> None:
    """Raise MisnamedError if a body parameter of a call is named like a key or a base URL."""
    for name in params:
        if name.replace("_", "").replace("-", "").lower() in CREDENTIAL_SETTINGS:
            raise MisnamedError(
                f"{name}= is a setting of the client, not of a call: nothing was sent "
                f"(if the server wants it, use extra_body={{{name!r}: ...}})"
            )


# ---- the .env file

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
