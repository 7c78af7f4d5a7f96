"""Each setting, where it comes from, and what follows from it: the proxy and the CA bundle.

No setting is read here: the arguments, the environment and the `.env` are passed in.
"""

import base64
import ipaddress
import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Optional
from urllib.parse import unquote, urlsplit

PORTS = {"http": 80, "https": 443, "socks4": 1080, "socks4a": 1080, "socks5": 1080, "socks5h": 1080}

# The variables of each setting, in order of precedence.  RAWCHAT_… is the command line's, and comes before OPENAI_….
ENVIRONMENT = {
    "base_url": ("RAWCHAT_BASE_URL", "OPENAI_BASE_URL"),
    "api_key": ("OPENAI_API_KEYS", "OPENAI_API_KEY"),
    "model": ("RAWCHAT_MODEL", "OPENAI_MODEL", "MODEL_NAME"),
    "organization": ("OPENAI_ORG_ID",),
    "project": ("OPENAI_PROJECT_ID",),
}
OPTIONAL = ("organization", "project")  #: listed only if they are set
# In order of precedence, as for the transport.
CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR", "CURL_CA_BUNDLE")


class Setting(NamedTuple):
    """One line of the list of settings: nothing in it is secret."""

    name: str
    value: str
    source: str


class Proxy(NamedTuple):
    """A proxy, taken apart."""

    scheme: str
    host: str
    port: int
    user: str
    password: str
    source: str  #: the option or variable that names it

    @property
    def credentials(self) -> str:
        """Return the value of Proxy-Authorization (RFC 7617, 2), or '' without a user."""
        if not self.user:
            return ""
        pair = f"{self.user}:{self.password}".encode()
        return "Basic " + base64.b64encode(pair).decode("ascii")

    @property
    def shown(self) -> str:
        """Return the proxy's URL without its credentials."""
        user = "***@" if self.user else ""
        return f"{self.scheme}://{user}{add_brackets(self.host)}:{self.port}"


class Target(NamedTuple):
    """The target of base_url."""

    scheme: str
    host: str
    port: int

    @property
    def origin(self) -> str:
        """Return scheme, host and port, as a URL."""
        port = "" if self.port == PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{add_brackets(self.host)}{port}"


def add_brackets(host: str) -> str:
    """Return a host as a URL holds it: an IPv6 address in brackets (RFC 3986, 3.2.2)."""
    return f"[{host}]" if ":" in host else host


def collect(
    given: Mapping[str, Any],
    environ: Mapping[str, str],
    dotenv: Mapping[str, str],
    defaults: Mapping[str, str],
) -> list[Setting]:
    """Return base_url, api_key, model, organization and project with their sources.

    `given` holds the arguments, by the name of the setting.  An empty variable counts as not set.
    """
    listing = []
    for name, variables in ENVIRONMENT.items():
        value, source = _find(name, variables, given, environ, dotenv)
        if value is None:
            value, source = defaults.get(name), "default"
        if value is None and name in OPTIONAL:
            continue
        if name == "api_key":
            listing.append(Setting(name, _show_keys(value, source), source if value else "not set"))
        else:
            listing.append(Setting(name, value or "", source))
    return listing


def _find(
    name: str,
    variables: Sequence[str],
    given: Mapping[str, Any],
    environ: Mapping[str, str],
    dotenv: Mapping[str, str],
) -> tuple[Optional[str], str]:
    """Return the value of a setting and its source; None without one."""
    if given.get(name):
        return str(given[name]), str(given.get(f"{name}_source") or "argument")
    for variable in variables:
        if environ.get(variable):
            return environ[variable], variable
    for variable in variables:
        if dotenv.get(variable):
            return dotenv[variable], f".env ({variable})"
    return None, ""


def _show_keys(value: Optional[str], source: str) -> str:
    if not value:
        return "none"
    keys = [value]
    if "OPENAI_API_KEYS" in source:
        keys = [key for key in value.split(",") if key.strip()]
    return "; ".join(mask(key.strip()) for key in keys)


def mask(key: str) -> str:
    """Return all of a key that is shown: its length, and its last two characters if enough others are left.

    >>> mask("sk-0123456789abcdef")
    '19 characters, ends in …ef'
    """
    shown = f"{len(key)} characters"
    if len(key) >= 12:
        shown += f", ends in …{key[-2:]}"
    return shown


def target_of(base_url: str) -> Target:
    """Return scheme, host and port of a base_url that has been checked."""
    parts = urlsplit(base_url)
    return Target(parts.scheme, parts.hostname or "", parts.port or PORTS[parts.scheme])


def is_loopback(host: str) -> bool:
    """Return whether `host` is this machine (RFC 6761, 6.3)."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def proxy_setting(
    scheme: str,
    host: str,
    chosen: str,
    explicit: Optional[str],
    environ: Mapping[str, str],
    source: str = "argument",
) -> Setting:
    """Return the line about the proxy: which one, and why; or why none.

    `chosen` is the proxy that rawchat uses, '' for none; `explicit` is that of an option, None if it was not given,
    and `source` says whether the argument or its variable gave it.
    """
    if explicit is not None:
        if explicit:
            return Setting("proxy", _shown_proxy(chosen), source)
        return Setting("proxy", "none", source)
    variables = _proxy_variables(scheme, environ)
    if not variables:
        return Setting("proxy", "none", f"{scheme.upper()}_PROXY and ALL_PROXY are not set")
    if chosen:
        return Setting("proxy", _shown_proxy(chosen), variables[0])
    if is_loopback(host):
        return Setting("proxy", "none", f"{variables[0]} is set, but {host} is this machine")
    return Setting("proxy", "none", f"{variables[0]} is set, but NO_PROXY excludes {host}")


def _proxy_variables(scheme: str, environ: Mapping[str, str]) -> list[str]:
    """Return the variables that name a proxy for this scheme, the one that counts first: as in curl, lower case wins."""
    names = (f"{scheme}_proxy", f"{scheme}_proxy".upper(), "all_proxy", "ALL_PROXY")
    return [name for name in names if environ.get(name)]


def _shown_proxy(url: str) -> str:
    try:
        return parse_proxy(url, "").shown
    except ValueError:
        return "a URL that cannot be read"


def parse_proxy(url: str, source: str) -> Proxy:
    """Return the parts of a proxy's URL.

    Raises ValueError, which shows no part of the URL, as it may hold a password.
    """
    text = url if "://" in url else f"http://{url}"
    authority = text.partition("://")[2]
    credentials, at, place = authority.rpartition("@")  # a password may hold any character
    try:
        parts = urlsplit(f"{text.partition('://')[0]}://{place}")
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ValueError("not a URL") from None
    scheme = parts.scheme.lower()
    if scheme not in PORTS or not host:
        raise ValueError("not a URL of http, https, socks4 or socks5")
    user, _, password = credentials.partition(":") if at else ("", "", "")
    return Proxy(scheme, host, port or PORTS[scheme], unquote(user), unquote(password), source)


def ca_setting(
    given: Optional[str], environ: Mapping[str, str], default: str, source: str = "argument"
) -> Setting:
    """Return the line about the file or folder of certificates that are trusted; `given` is that of an option."""
    if given:
        return Setting("CA bundle", given, source)
    for variable in CA_VARIABLES:
        for name in (variable.lower(), variable):
            if not environ.get(name):
                continue
            value = environ[name]
            if variable == "SSL_CERT_DIR":
                value = first_folder(value)
            return Setting("CA bundle", value, name)
    return Setting("CA bundle", default, "default")


def first_folder(paths: str) -> str:
    """Return the first folder that exists in the list of SSL_CERT_DIR; the first of all if none does.

    >>> first_folder(os.pathsep.join(["missing", "absent"]))
    'missing'
    """
    folders = paths.split(os.pathsep)
    for folder in folders:
        if os.path.isdir(folder):
            return folder
    return folders[0]
