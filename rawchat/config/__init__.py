"""Settings: arguments > environment > `.env` in the working directory > defaults.

They are read once, when a client is made, and never change afterwards.

    dotenv      the `.env` file, and which credentials go to a base_url that it names
    checks      checks of single values
    misnamed    a parameter of a body that is probably meant to be a setting
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Optional, Union

from ..errors import MissingKeyError
from ..keys import KeySource, key_source
from ..keys.credentials import refuse_unencrypted, unencrypted_error
from ..keys.redaction import redact_url
from ..urls import DEFAULT_BASE_URL, is_secure, network_settings, validate_base_url
from ..wire import MAX_BYTES, TIMEOUT
from ..wire.headers import parse_header_lines
from .checks import Timeout as Timeout
from .checks import check_count, check_seconds, check_timeout
from .dotenv import check_dotenv_credentials, read_dotenv

#: the model of a chat if none is given: small, cheap, available to every account
DEFAULT_CHAT_MODEL = "gpt-4o-mini"

#: ... and of a completion: the one model that OpenAI still serves at /v1/completions
DEFAULT_COMPLETION_MODEL = "gpt-3.5-turbo-instruct"

#: attempts after the first one: the SDK's default
DEFAULT_MAX_RETRIES = 2

# The environment variables of each setting; the first one that is set counts.
SETTING_VARIABLES = {
    "api_key": ("OPENAI_API_KEYS", "OPENAI_API_KEY"),
    "base_url": ("OPENAI_BASE_URL",),
    "model": ("OPENAI_MODEL", "MODEL_NAME"),
    "organization": ("OPENAI_ORG_ID",),
    "project": ("OPENAI_PROJECT_ID",),
}
DOTENV_NAMES = {variable for variables in SETTING_VARIABLES.values() for variable in variables}


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
    unencrypted: bool = False  #: base_url is http:// to another machine: it gets no credential

    def __repr__(self) -> str:
        # Without headers and parameters, which may hold secrets.
        return f"Config({redact_url(self.base_url)!r}, model={self.model!r})"


def load_config(
    arguments: Mapping[str, Any], environ: Mapping[str, str], folder: str = "."
) -> Config:
    """Return the Config for the `arguments` of a client; one that is None is looked up.

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
        keys=keys or tuple,  # which returns (): no key
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
