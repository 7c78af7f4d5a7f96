"""For each cause of a failure: its exit code, and what to do about it.

The texts are `str.format` templates; the fields come from the step that failed: {host} and {port} of the server,
{place} where the step went (the proxy if there is one), {source} which setting named that place.
"""

from collections.abc import Mapping
from typing import Any

# Exit codes of the README's table.
USAGE = 2
NO_KEY = 3
REFUSED = 4
SERVER = 5
LIMIT = 6
NETWORK = 7

REMEDIES: dict[str, tuple[int, str]] = {
    # settings
    "settings": (USAGE, "correct the setting that the message names"),
    "no-key": (
        NO_KEY,
        "set OPENAI_API_KEY (or --key-file FILE), or name a server that needs no key with BASE_URL",
    ),
    "proxy-url": (
        USAGE,
        "correct {source}: http://USER:PASSWORD@HOST:PORT, with %XX for special characters in the password",
    ),
    "no-pysocks": (
        USAGE,
        "pip install 'rawchat[socks]' (PySocks), or name an HTTP proxy in {source}",
    ),
    "key-through-plain-proxy": (
        USAGE,
        "use an https:// base_url: over http:// the proxy of {source} would read the key",
    ),
    "ca-bundle": (
        USAGE,
        "{source} must name a file of PEM certificates that can be read; correct or unset it",
    ),
    # resolve
    "no-such-host": (
        NETWORK,
        "check the spelling of {place_host} in {source}; a name of a company network needs its VPN or DNS, and where "
        "only a proxy reaches the internet set HTTPS_PROXY",
    ),
    "resolver-silent": (
        NETWORK,
        "the name server does not answer: check the network connection and /etc/resolv.conf; in a container, its DNS "
        "settings",
    ),
    # connect
    "refused": (
        NETWORK,
        "nothing listens on {place}: start the server, or correct the port in {source}; from within a container, "
        "localhost is the container itself",
    ),
    "refused-other-family": (
        NETWORK,
        "the server listens on {other} only: use {other_url} as base_url, or make the server listen on both",
    ),
    "connect-timeout": (
        NETWORK,
        "{place} does not accept the connection: a firewall drops packets, the address is wrong, or the server is "
        "overloaded; where only a proxy reaches the internet set HTTPS_PROXY",
    ),
    "unreachable": (
        NETWORK,
        "there is no route to {place}: check the network connection, the VPN, and {source}",
    ),
    "ipv6-only": (
        NETWORK,
        "{place_host} has IPv6 addresses only and this machine has no IPv6 route: use a network with IPv6, a host name "
        "with an IPv4 address, or a proxy that has both",
    ),
    "connect-failed": (NETWORK, "check the address in {source}, and the firewall of this machine"),
    # proxy
    "proxy-down": (
        NETWORK,
        "the proxy {place} does not accept connections: start it, correct {source}, or go around it "
        "(NO_PROXY={host}, or --proxy '')",
    ),
    "proxy-authentication": (
        NETWORK,
        "the proxy {place} wants a user and a password: put them into {source} as http://USER:PASSWORD@HOST:PORT, with "
        "%XX for special characters",
    ),
    "proxy-upstream": (
        NETWORK,
        "the proxy {place} works, but cannot reach {host}:{port}: check host and port in base_url, or ask the proxy's "
        "administrator whether they are allowed; NO_PROXY={host} goes around it",
    ),
    "proxy-refuses": (
        NETWORK,
        "the proxy {place} does not allow {host}:{port}: ask its administrator, or go around it with NO_PROXY={host}",
    ),
    "proxy-silent": (
        NETWORK,
        "the proxy {place} does not answer: it is overloaded, or {source} names another service",
    ),
    "proxy-no-http": (
        NETWORK,
        "what listens on {place} is not an HTTP proxy: correct host, port or scheme in {source}",
    ),
    "proxy-no-tls": (
        NETWORK,
        "the proxy {place} does not speak TLS: begin its URL in {source} with http://, for https:// servers too",
    ),
    "proxy-certificate": (
        NETWORK,
        "the certificate of the proxy {place} is not trusted: name its CA with --cacert FILE or SSL_CERT_FILE, or begin "
        "its URL in {source} with http:// if it speaks plain HTTP",
    ),
    # TLS
    "plain-on-tls-port": (
        NETWORK,
        "{place} speaks plain HTTP, not TLS: use {http_url} as base_url (with a key for another machine, "
        "--allow-http too), or the port on which it serves https",
    ),
    "certificate-expired": (
        NETWORK,
        "the server's administrator must renew the certificate; if it should still be valid, check this machine's "
        "clock",
    ),
    "certificate-not-yet-valid": (
        NETWORK,
        "check this machine's clock: it may be behind; else the server's certificate is not in use yet",
    ),
    "certificate-clock": (
        NETWORK,
        "set this machine's clock: by the server's time the certificate is valid",
    ),
    "certificate-self-signed": (
        NETWORK,
        "if you trust this server, save its certificate as a PEM file and set SSL_CERT_FILE to it (or --cacert FILE)",
    ),
    "certificate-wrong-host": (
        NETWORK,
        "use a host name of the certificate in base_url ({names}), or have {host} added to the certificate",
    ),
    "certificate-unknown-ca": (
        NETWORK,
        "a private certificate authority signed it ({issuer}): get its CA certificate as a PEM file and set "
        "SSL_CERT_FILE to it (or --cacert FILE)",
    ),
    "certificate-system": (
        NETWORK,
        "the operating system trusts it, rawchat's bundle does not: set SSL_CERT_FILE={system_bundle} (or --cacert system)",
    ),
    "certificate-inspected": (
        NETWORK,
        "a proxy inspects TLS here ({inspector}): get the CA certificate of {inspector} as a PEM file from your "
        "administrator and set SSL_CERT_FILE to it (or --cacert FILE)",
    ),
    "certificate-refused": (
        NETWORK,
        "the certificate does not fit its purpose: tell the server's administrator",
    ),
    "certificate-not-strict": (
        NETWORK,
        "Python 3.13 and later demand what RFC 5280 says of a certificate and its authority, and this one lacks it: "
        "have the certificate (for an inspecting proxy, its CA) issued anew; Python 3.12 and earlier accept it",
    ),
    "tls-closed": (
        NETWORK,
        "the server, or a firewall between, ends TLS connections to {host}: check that {place} serves https, and ask "
        "whether the firewall allows {host}",
    ),
    "tls-silent": (
        NETWORK,
        "{place} accepts connections but does not speak TLS: check the port in {source}",
    ),
    "tls-failed": (
        NETWORK,
        "server and this Python ({openssl}) agree on no TLS version or cipher: update the older of the two",
    ),
    # HTTP
    "http-silent": (
        NETWORK,
        "{place} accepts connections but does not answer: the server hangs or is still starting, or another service "
        "has this port",
    ),
    "tls-on-plain-port": (NETWORK, "{place} speaks TLS: use {https_url} as base_url"),
    "no-http": (
        NETWORK,
        "what listens on {place} does not speak HTTP: check host and port in {source}",
    ),
    "not-found": (
        REFUSED,
        "check the path of base_url: for most servers it ends in /v1",
    ),
    "not-found-try": (REFUSED, "the API is at {suggestion}: use that as base_url"),
    "web-page": (
        SERVER,
        "base_url leads to a web page, not to an API: for most servers the API's URL ends in /v1; a page of a proxy or "
        "of a login means that the network wants you to log in first",
    ),
    "web-page-try": (
        SERVER,
        "base_url leads to a web page; the API is at {suggestion}: use that as base_url",
    ),
    "redirect": (
        REFUSED,
        "use {location} as base_url if you trust it: rawchat does not follow it with a key",
    ),
    "server-error": (
        SERVER,
        "the server, or the gateway in front of it, fails: look at its log, or try again later",
    ),
    "rate-limited": (LIMIT, "wait, or look at the limits and the billing of the account"),
    "refused-request": (REFUSED, "see what the server says; check base_url"),
    "not-json": (
        SERVER,
        "what answers is not an OpenAI-compatible API: check host, port and path of base_url",
    ),
    # authentication
    "key-refused": (
        NO_KEY,
        "check the key from {key_source}: it is mistyped, revoked, or of another service than {host}",
    ),
    "key-missing": (NO_KEY, "the server wants a key: set OPENAI_API_KEY (or --key-file FILE)"),
    "key-unknown-to-litellm": (
        NO_KEY,
        "check the key from {key_source}: without a database, LiteLLM knows its master_key alone",
    ),
    "forbidden": (
        NO_KEY,
        "the key is known but may not do that: check its permissions, its project or organization, and whether the "
        "service is available in your country",
    ),
    "blocked": (
        NO_KEY,
        "a firewall or gateway in front of the server refuses: ask its administrator to allow you",
    ),
    # model
    "no-such-model": (REFUSED, "name a model that the server has with -m or OPENAI_MODEL{close}"),
    "model-failed": (
        REFUSED,
        "see what the server says about the model; -m or OPENAI_MODEL names another one",
    ),
    "model-silent": (
        NETWORK,
        "the server works, but the model does not answer in time: it is still loading, or busy; try again, or give it "
        "longer with --timeout SECONDS",
    ),
    # clock
    "clock": (
        0,
        "set this machine's clock, best by NTP: certificates and signed requests fail when it is wrong",
    ),
}


class Missing(dict[str, Any]):
    """Fields of a template; one that is missing is shown as itself."""

    def __missing__(self, name: str) -> str:
        return name


def remedy(cause: str, fields: Mapping[str, Any]) -> str:
    """Return what to do about `cause`."""
    _, text = REMEDIES[cause]
    return text.format_map(Missing(fields))


def exit_code(cause: str) -> int:
    """Return the exit code of `cause`, as in the README's table."""
    code, _ = REMEDIES[cause]
    return code
