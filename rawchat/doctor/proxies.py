"""A connection through a proxy: CONNECT, and SOCKS by PySocks."""

import socket
from collections.abc import Mapping
from typing import Any, Optional

from .sockets import StepError, cut_off, describe, shown_bytes


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
        raise StepError("proxy-no-http", f"not an HTTP answer: {shown_bytes(head)}")
    if not 200 <= status < 300:
        reason = head.split(b"\r\n")[0].decode("latin-1").partition(" ")[2]
        raise StepError(proxy_cause(status), f"the proxy answered {reason}", status=status)


def proxy_cause(status: int) -> str:
    """Return the cause that a proxy's status stands for."""
    # Tinyproxy answers 401 to a wrong password.
    if status in (401, 407):
        return "proxy-authentication"
    if status >= 500:
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
    except OSError as error:
        # PySocks wraps its own errors, too.
        cause = getattr(error, "socket_err", None) or error
        if isinstance(cause, socks.SOCKS5AuthError):
            raise StepError("proxy-authentication", describe(cause)) from None
        raise StepError("proxy-upstream", describe(cause)) from None
    connected: socket.socket = sock
    return connected
