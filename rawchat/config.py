"""Where the settings come from: arguments > environment > `.env` in the working directory > defaults.

They are read when a client is made, once, and then never change.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Optional, Union

from . import dotenv
from .bounds import count, positive, timeouts
from .errors import ConfigError, MissingKeyError
from .headers import FOREIGN, SECRET, in_lines, refuse_credentials
from .keys import Keyring, keyring
from .urls import BASE_URL, base, network, private, without_keys
from .wire import MAX_BYTES, TIMEOUT

CHAT_MODEL = "gpt-4o-mini"  #: when nobody names a model: small, cheap, everywhere
COMPLETION_MODEL = (
    "gpt-3.5-turbo-instruct"  #: the one model that OpenAI still serves at /v1/completions
)
NAMES = {
    "api_key": ("OPENAI_API_KEYS", "OPENAI_API_KEY"),
    "base_url": ("OPENAI_BASE_URL",),
    "model": ("OPENAI_MODEL", "MODEL_NAME"),
    "organization": ("OPENAI_ORG_ID",),
    "project": ("OPENAI_PROJECT_ID",),
}
VARIABLES = {variable for variables in NAMES.values() for variable in variables}


class Config(NamedTuple):
    """Every setting of a client, checked; see `rawchat.Client` for what each means."""

    keys: Keyring  #: asked before every attempt
    base_url: str = BASE_URL
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
        return f"Config({without_keys(self.base_url)!r}, model={self.model!r})"


def load(given: Mapping[str, Any], environ: Mapping[str, str], folder: str = ".") -> Config:
    """The Config for the arguments `given` to a client; what is None there is looked up.

    Raises ConfigError, in one line that says which setting, from where, and never a key.
    """
    found, source = {}, {}
    for origin, values in (
        ("the arguments", given),
        ("the environment", _named(environ)),
        (".env", _named(dotenv.read(folder, VARIABLES))),
    ):
        for name, value in values.items():
            if value is not None and name not in found:
                found[name], source[name] = value, origin
    base_url = base(found.get("base_url", BASE_URL))
    keys = keyring(found.get("api_key") or (), f"the API key from {source.get('api_key')}")
    if keys is None and base_url == BASE_URL:
        raise MissingKeyError(
            "no API key: set OPENAI_API_KEY, pass api_key=, or set base_url to a server without one"
        )
    from_dotenv = source.get("base_url") == ".env"
    headers = _headers(found, environ)
    if from_dotenv and keys and source["api_key"] != ".env":
        raise ConfigError(FOREIGN.format(f"the key from {source['api_key']}"))
    if from_dotenv and environ.get("OPENAI_CUSTOM_HEADERS"):
        raise ConfigError(FOREIGN.format("the key from the environment (OPENAI_CUSTOM_HEADERS)"))
    if from_dotenv:
        refuse_credentials(
            found.get("default_headers") or {}, found.get("default_query") or {}, "the arguments"
        )
    secret = keys or any(
        value and SECRET.fullmatch(name) for layer in headers for name, value in layer.items()
    )
    if secret and not found.get("allow_http") and not private(base_url):
        raise ConfigError(
            f"{without_keys(base_url)} would carry the key unencrypted: use https://, or allow it with "
            "allow_http=True (--allow-http)"
        )
    return Config(
        keys or (lambda: ()),
        base_url,
        found.get("model"),
        headers,
        found.get("default_query") or {},
        found.get("params") or {},
        timeouts(found.get("timeout")),
        positive("deadline", found.get("deadline")),
        count("max_retries", found.get("max_retries", 2)),
        count("max_bytes", found.get("max_bytes", MAX_BYTES)),
        positive("rotate_after", found.get("rotate_after")),
        network(environ),
        from_dotenv,
    )


def _named(values: Mapping[str, str]) -> dict[str, Any]:
    """Our settings among environment variables; an empty one counts as not set."""
    found = {
        name: next((values[v] for v in variables if values.get(v)), None)
        for name, variables in NAMES.items()
    }
    keys = [key for key in values.get("OPENAI_API_KEYS", "").split(",") if key.strip()]
    return {**found, "api_key": keys or values.get("OPENAI_API_KEY") or None}


def _headers(
    found: Mapping[str, Any], environ: Mapping[str, str]
) -> tuple[Mapping[str, Optional[str]], ...]:
    """The layers of headers that settings add to every request; `default_headers` has the last word."""
    account = {
        "OpenAI-Organization": found.get("organization"),
        "OpenAI-Project": found.get("project"),
    }
    custom = in_lines(environ.get("OPENAI_CUSTOM_HEADERS", ""), "OPENAI_CUSTOM_HEADERS")
    return account, custom, found.get("default_headers") or {}
