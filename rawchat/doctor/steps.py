"""The sockets: each step to a server on its own, so that the one that fails can be named.

Together with `sockets`, `proxies` and `tls` this is all of the doctor that touches the network in stage 1.  It uses the
standard library alone; the rest of rawchat takes the same steps inside urllib3, where they cannot be told apart.
"""

import errno
import http.client
import socket
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from .proxies import connect_socks as connect_socks
from .proxies import tunnel as tunnel
from .sockets import StepError, cut_off, describe, shown_bytes
from .tls import inspect as inspect
from .tls import secure as secure

MAX_BODY = 2**20  #: bytes that are read of one response
#: What getaddrinfo returns: family, type, protocol, canonical name, address.
Address = tuple[Any, ...]

UNREACHABLE = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EADDRNOTAVAIL)


class Answer(NamedTuple):
    """One HTTP response; names of headers in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def resolve(host: str, port: int) -> list[Address]:
    """Return the addresses of a name, in the order in which the system would try them."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        again = error.errno == getattr(socket, "EAI_AGAIN", None)
        cause = "resolver-silent" if again else "no-such-host"
        raise StepError(cause, f"{host}: {error.strerror or error}") from None
    except UnicodeError:
        raise StepError("no-such-host", f"{host}: not a host name") from None
    return list(dict.fromkeys(found))


def connect(addresses: Sequence[Address], timeout: float) -> socket.socket:
    """Return a TCP connection to the first address that accepts one.

    Raises StepError for the last failure; `fields["tried"]` says how each address failed.
    """
    tried = []
    causes = []
    for family, kind, protocol, _, address in addresses:
        try:
            return connect_to(family, kind, protocol, address, timeout)
        except OSError as error:
            causes.append(_connect_cause(error))
            tried.append(f"{address[0]}: {describe(error)}")
    cause = causes[-1] if causes else "no-such-host"
    if "refused" in causes:
        cause = "refused"
    only_ipv6 = bool(addresses) and all(each[0] == socket.AF_INET6 for each in addresses)
    if only_ipv6 and cause == "unreachable":
        cause = "ipv6-only"
    raise StepError(cause, "; ".join(tried), tried=tried)


def connect_to(
    family: int, kind: int, protocol: int, address: Any, timeout: float
) -> socket.socket:
    """Return a TCP connection to one address; raises OSError."""
    sock = socket.socket(family, kind, protocol)
    try:
        sock.settimeout(timeout)
        sock.connect(address)
    except BaseException:
        sock.close()
        raise
    return sock


def _connect_cause(error: OSError) -> str:
    if isinstance(error, (TimeoutError, socket.timeout)):
        return "connect-timeout"
    if isinstance(error, ConnectionRefusedError):
        return "refused"
    if error.errno in UNREACHABLE:
        return "unreachable"
    return "connect-failed"


def accepts(host: str, port: int, timeout: float) -> bool:
    """Return whether something accepts TCP connections there."""
    try:
        connect(resolve(host, port), timeout).close()
    except StepError:
        return False
    return True


def exchange(sock: socket.socket, request: bytes, timeout: float) -> Answer:
    """Send one request and return its whole response, which may take `timeout` seconds."""
    method = request.split(b" ", 1)[0].decode()
    response = http.client.HTTPResponse(sock, method=method)
    try:
        with cut_off(sock, timeout):
            sock.sendall(request)
            response.begin()
            body = response.read(MAX_BODY)
    except (TimeoutError, socket.timeout):
        raise StepError("http-silent", f"connected, but no answer for {timeout:g} s") from None
    except http.client.RemoteDisconnected:
        raise StepError("no-http", "the connection was closed without an answer") from None
    except http.client.BadStatusLine as error:
        line = str(getattr(error, "line", "")).encode("latin-1", "replace")
        if line[:1] in (b"\x15", b"\x16"):  # a TLS alert or handshake record (RFC 8446, 5.1)
            raise StepError("tls-on-plain-port", "the answer is TLS, not HTTP") from None
        raise StepError("no-http", f"the answer is not HTTP: {shown_bytes(line)}") from None
    except http.client.HTTPException as error:
        raise StepError("no-http", f"the answer is broken: {type(error).__name__}") from None
    except (OSError, ValueError) as error:
        raise StepError("no-http", describe(error)) from None
    finally:
        response.close()
    headers = {name.lower(): value for name, value in response.getheaders()}
    return Answer(response.status, headers, body)
