"""Choose the proxy for a URL: the one that was named explicitly, else that of the environment, unless NO_PROXY excepts it."""

import ipaddress
import re
from collections.abc import Mapping
from typing import Optional
from urllib.parse import urlsplit

from ..errors import ConfigError
from ..keys import Secret
from ..keys.credentials import find_credential
from ..urls import is_loopback, is_secure, origin

# The protocols that a proxy may speak; socks5h lets the proxy resolve names.
PROXY_SCHEMES = {"http", "https", "socks4", "socks4a", "socks5", "socks5h"}

# One label of a host name, underscores included, which some internal names have.
HOST_LABEL = re.compile(r"[\w-]+")

# A port in an entry of NO_PROXY; other digits than these, or more of them, are none.
PORT = re.compile(r"[0-9]{1,5}")

#: characters in one label of a host name (RFC 1035, 2.3.4)
MAX_LABEL_LENGTH = 63


def hide_passwords(settings: Mapping[str, str]) -> dict[str, str]:
    """Return the settings of `network_settings`; the repr of a proxy, which may hold a password, does not show it."""
    hidden = dict(settings)
    for name, value in settings.items():
        if name.endswith("_proxy") and name != "no_proxy":
            hidden[name] = Secret(value)
    return hidden


def proxies_for(
    url: str, settings: Mapping[str, str], explicit: Optional[str] = None
) -> dict[str, str]:
    """Return the proxy for `url` in the form that requests takes, {scheme: proxy}; {} for a direct connection.

    For the parameters see `find_proxy`.  Raises ConfigError for a proxy that cannot be used.
    """
    name, proxy = find_proxy(url, settings, explicit)
    if not proxy:
        return {}
    validate_proxy(proxy, name)
    return {urlsplit(url).scheme: proxy}


def find_proxy(
    url: str, settings: Mapping[str, str], explicit: Optional[str] = None
) -> tuple[str, str]:
    """Return the setting that names the proxy for `url`, and the proxy, "" for none.

    `explicit` is a proxy for every URL, "" for none; None takes the one in `settings`, which `network_settings`
    returned.  Requests to this machine never go through a proxy of the environment.
    """
    name, proxy = "proxy=", explicit or ""
    if explicit is None:
        parts = urlsplit(url)
        if is_loopback(parts.hostname or "") or bypasses_proxy(url, settings.get("no_proxy", "")):
            return "", ""
        name = f"{parts.scheme}_proxy"
        if name not in settings:
            name = "all_proxy"
        proxy = settings.get(name, "")
        name = name.upper()
    if not proxy:
        return name, ""
    scheme, has_scheme, rest = proxy.partition("://")
    if not has_scheme:
        return name, Secret(f"http://{proxy}")
    # Libraries compare schemes as they are written; they are case-insensitive (RFC 3986, 3.1).
    return name, Secret(f"{scheme.lower()}://{rest}")


def bypasses_proxy(url: str, no_proxy: str) -> bool:
    """Return True if NO_PROXY excepts the host of `url`.

    Its entries are separated by commas or blanks: `*` for all, a name (with its subdomains, with or without a leading
    dot), an address, or a network (10.0.0.0/8); IPv6 with or without brackets, and each of them with a port or without.

    >>> [bypasses_proxy("http://10.1.2.3:80/v1", text) for text in ("10.0.0.0/8", "10.1.2.3:81", "x, 10.1.2.3:80")]
    [True, False, True]
    """
    _, host, port = origin(url)
    entries = no_proxy.replace(",", " ").split()
    return any(entry_matches(entry.lower(), host.rstrip("."), port) for entry in entries)


def entry_matches(entry: str, host: str, port: Optional[int]) -> bool:
    """Return True if an entry of NO_PROXY names this host, and this port if it has one."""
    name, _, wanted_port = entry.rpartition(":")
    # An IPv6 address has colons of its own, and a port only after its bracket.
    has_port = PORT.fullmatch(wanted_port) and (":" not in name or name.endswith("]"))
    if has_port and int(wanted_port) != port:
        return False
    if not has_port:
        name = entry
    name = name.replace("[", "").replace("]", "")
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        suffix = name.lstrip("*").strip(".")
        return name == "*" or (bool(suffix) and f".{host}".endswith(f".{suffix}"))
    try:
        return name == "*" or address in ipaddress.ip_network(name, strict=False)
    except ValueError:
        return False


def validate_proxy(proxy: str, name: str) -> None:
    """Raise ConfigError if `proxy`, which the setting `name` gave, cannot be used.

    No part of it is shown, as it may hold a password.
    """
    if not is_usable(proxy):
        raise ConfigError(
            f"the proxy's URL ({name}) cannot be used: it has the form http://host:port or "
            "http://user:password@host:port (or https, socks5, socks5h), with special characters as %XX"
        )


def is_usable(proxy: str) -> bool:
    """Return True if `proxy` is the URL of a proxy."""
    try:
        parts = urlsplit(proxy)
        host, port = parts.hostname or "", parts.port
        # The host is sent as ASCII or IDNA.
        if not host.isascii():
            host.encode("idna")
    except ValueError:
        parts, host, port = urlsplit(""), "", None
    # A raw / or # in a password ends the authority, and the text before it would be taken for the host.
    has_raw_special = any(sign in proxy for sign in " \\#?") or "@" in parts.path
    return (
        is_host_name(host)
        and port != 0
        and parts.scheme in PROXY_SCHEMES
        and proxy.isprintable()
        and not has_raw_special
    )


def refuse_plain_proxy(url: str, headers: Mapping[str, str], proxy: str, name: str) -> None:
    """Raise ConfigError if a request to this machine would take a key over plain HTTP to a proxy on another one.

    For an http:// URL of another machine, `allow_http` has allowed or refused that before: the key crosses the network
    in any case.  `name` is the setting that gave the proxy.
    """
    scheme, host, _ = origin(url)
    if scheme != "http" or not is_loopback(host) or is_secure(proxy):
        return
    if find_credential(headers, {}, url):
        raise ConfigError(
            f"the proxy ({name}) is on another machine and would receive the key unencrypted: "
            "use an https:// proxy, or none for this machine"
        )


def is_host_name(host: str) -> bool:
    """Return True for an IPv6 address or a name made of labels."""
    if ":" in host:
        return True
    for label in host.rstrip(".").split("."):
        if len(label) > MAX_LABEL_LENGTH or not HOST_LABEL.fullmatch(label):
            return False
    return True
