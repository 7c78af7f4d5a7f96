"""The sockets: each step of the way to a server on its own, so that the one which fails can be named.

This is the only file of the doctor that touches the network in stage 1.  It uses the standard library alone; the
rest of rawchat takes the same steps inside urllib3, where they cannot be told apart.
"""

import contextlib
import errno
import http.client
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Optional

from .certificate import Certificate, parse

MAX_BODY = 2**20  #: bytes that are read of one response
Address = tuple[
    Any, ...
]  #: what getaddrinfo gives: family, type, protocol, canonical name, address

# OpenSSL's verify codes (x509_vfy.h) that say what to do.
VERIFY_CAUSES = {
    9: "certificate-not-yet-valid",
    10: "certificate-expired",
    18: "certificate-self-signed",
    19: "certificate-unknown-ca",
    20: "certificate-unknown-ca",
    21: "certificate-unknown-ca",
    62: "certificate-wrong-host",
    64: "certificate-wrong-host",
}
NOT_TLS = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE", "UNKNOWN_PROTOCOL")
UNREACHABLE = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EADDRNOTAVAIL)


class StepError(Exception):
    """A step failed.  `cause` is a name in `remedies`; `fields` are the words that its text needs."""

    def __init__(self, cause: str, detail: str, **fields: Any):
        super().__init__(detail)
        self.cause, self.detail, self.fields = cause, detail, fields


class Secured(NamedTuple):
    """A socket under TLS, and what the handshake showed."""

    sock: ssl.SSLSocket
    version: str
    certificate: Certificate


class Answer(NamedTuple):
    """One HTTP response; names of headers in small letters."""

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
    """Tell whether something accepts TCP connections there."""
    try:
        connect(resolve(host, port), timeout).close()
    except StepError:
        return False
    return True


def tunnel(sock: socket.socket, host: str, port: int, credentials: str, timeout: float) -> None:
    """Ask an HTTP proxy for a tunnel (CONNECT: RFC 9110, 9.3.6).

    `credentials` is the value of Proxy-Authorization, or ''.
    """
    place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    lines = [f"CONNECT {place} HTTP/1.1", f"Host: {place}"]
    if credentials:
        lines.append(f"Proxy-Authorization: {credentials}")
    try:
        sock.sendall("\r\n".join([*lines, "", ""]).encode("latin-1"))
        with cut_off(sock, timeout):
            head = _read_head(sock)
    except (TimeoutError, socket.timeout):
        raise StepError("proxy-silent", f"no answer to CONNECT for {timeout:g} s") from None
    except OSError as error:
        raise StepError("proxy-no-http", describe(error)) from None
    status = _status_of(head)
    if status is None:
        raise StepError("proxy-no-http", f"not an HTTP answer: {head[:40]!r}")
    if not 200 <= status < 300:
        reason = head.split(b"\r\n")[0].decode("latin-1").partition(" ")[2]
        raise StepError(proxy_cause(status), f"the proxy answered {reason}", status=status)


def proxy_cause(status: int) -> str:
    """Return the cause that a proxy's status stands for."""
    if status == 407:
        return "proxy-authentication"
    if status in (502, 503, 504):
        return "proxy-upstream"
    return "proxy-refuses"


def _read_head(sock: socket.socket) -> bytes:
    """Return the bytes up to the blank line; one at a time, as what follows it belongs to TLS."""
    head = b""
    while not head.endswith(b"\r\n\r\n") and len(head) < 65536:
        byte = sock.recv(1)
        if not byte:
            break
        head += byte
    return head


def _status_of(head: bytes) -> Optional[int]:
    parts = head.split(b" ", 2)
    if head.startswith(b"HTTP/") and len(parts) > 1 and parts[1][:3].isdigit():
        return int(parts[1][:3])
    return None


def connect_socks(proxy: Mapping[str, Any], host: str, port: int, timeout: float) -> socket.socket:
    """Return a connection to `host` through a SOCKS proxy; `proxy` holds scheme, host, port, user, password.

    Raises StepError, with cause `no-pysocks` where PySocks is not installed.
    """
    try:
        import socks  # type: ignore[import-untyped,unused-ignore]
    except ImportError:
        raise StepError("no-pysocks", f"{proxy['scheme']} needs PySocks") from None
    kinds = {"socks4": socks.SOCKS4, "socks4a": socks.SOCKS4}
    sock = socks.socksocket()
    remote = proxy["scheme"] in ("socks5h", "socks4a")  # the proxy resolves the name
    kind = kinds.get(proxy["scheme"], socks.SOCKS5)
    sock.set_proxy(kind, proxy["host"], proxy["port"], remote, proxy["user"], proxy["password"])
    sock.settimeout(timeout)
    try:
        sock.connect((host, port))
    except socks.ProxyConnectionError as error:
        raise StepError("refused", describe(error)) from None
    except socks.SOCKS5AuthError as error:
        raise StepError("proxy-authentication", describe(error)) from None
    except OSError as error:
        raise StepError("proxy-upstream", describe(error)) from None
    connected: socket.socket = sock
    return connected


def secure(sock: socket.socket, host: str, ca_bundle: str, timeout: float) -> Secured:
    """Return `sock` under TLS, its certificate verified as rawchat does.

    `ca_bundle` is a file or a folder of certificates; '' is the operating system's store.
    """
    try:
        context = trust(ca_bundle)
    except (OSError, ssl.SSLError) as error:
        raise StepError("ca-bundle", f"{ca_bundle}: {describe(error)}") from None
    return _handshake(sock, host, context, timeout)


def trust(ca_bundle: str) -> ssl.SSLContext:
    """Return the TLS settings that trust the certificates of a file, of a folder, or of the system ('')."""
    import os.path

    if not ca_bundle:
        return ssl.create_default_context()
    if os.path.isdir(ca_bundle):
        return ssl.create_default_context(capath=ca_bundle)
    return ssl.create_default_context(cafile=ca_bundle)


def _handshake(sock: socket.socket, host: str, context: ssl.SSLContext, timeout: float) -> Secured:
    """Return `sock` under TLS; a handshake that fails closes it."""
    try:
        secured = context.wrap_socket(sock, server_hostname=host, do_handshake_on_connect=False)
    except (OSError, ValueError) as error:
        raise StepError("tls-closed", f"{describe(error)} before the TLS handshake") from None
    try:
        with cut_off(secured, timeout):
            secured.do_handshake()
    except OSError as error:
        secured.close()
        raise _handshake_error(error, timeout) from None
    der = secured.getpeercert(True) or b""
    return Secured(secured, secured.version() or "TLS", parse(der))


def _handshake_error(error: OSError, timeout: float) -> StepError:
    """Return the step's error for one of `ssl` or of the socket."""
    if isinstance(error, ssl.SSLCertVerificationError):
        cause = VERIFY_CAUSES.get(error.verify_code, "certificate-refused")
        return StepError(cause, error.verify_message or str(error))
    if isinstance(error, (TimeoutError, socket.timeout)):
        return StepError("tls-silent", f"no answer to the TLS handshake for {timeout:g} s")
    if isinstance(error, ssl.SSLEOFError):
        return StepError("tls-closed", "the connection was closed during the TLS handshake")
    if isinstance(error, ssl.SSLError):
        reason = str(error.reason or error)
        cause = "plain-on-tls-port" if reason in NOT_TLS else "tls-failed"
        return StepError(cause, readable(reason))
    return StepError("tls-closed", f"{describe(error)} during the TLS handshake")


def inspect(sock: socket.socket, host: str, timeout: float) -> Secured:
    """Return `sock` under TLS without verification, to look at a certificate that is not trusted.

    Nothing secret may be sent over it.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return _handshake(sock, host, context, timeout)


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
        raise StepError("no-http", f"the answer is not HTTP: {line[:40]!r}") from None
    except http.client.HTTPException as error:
        raise StepError("no-http", f"the answer is broken: {type(error).__name__}") from None
    except (OSError, ValueError) as error:
        raise StepError("no-http", describe(error)) from None
    finally:
        response.close()
    headers = {name.lower(): value for name, value in response.getheaders()}
    return Answer(response.status, headers, body)


@contextlib.contextmanager
def cut_off(sock: socket.socket, seconds: float) -> Iterator[None]:
    """Bound a block that reads from `sock`: a server that drips bytes never runs into a socket's timeout.

    Raises TimeoutError if the time was over.
    """
    over = threading.Event()

    def shut_down() -> None:
        over.set()
        with contextlib.suppress(OSError):
            socket.socket.shutdown(sock, socket.SHUT_RDWR)

    timer = threading.Timer(seconds, shut_down)
    timer.daemon = True
    sock.settimeout(seconds)
    timer.start()
    try:
        yield
    except (OSError, ValueError, http.client.HTTPException):
        if over.is_set():
            raise TimeoutError from None
        raise
    finally:
        timer.cancel()
    if over.is_set():
        raise TimeoutError


def describe(error: BaseException) -> str:
    """Return an error of the system in its own words, on one line."""
    if isinstance(error, (TimeoutError, socket.timeout)):
        return "timed out"
    words = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(words).split())


def readable(reason: str) -> str:
    """Return OpenSSL's name of an error in words: WRONG_VERSION_NUMBER -> wrong version number."""
    return reason.replace("_", " ").lower()
