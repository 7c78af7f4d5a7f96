"""Connections through a SOCKS proxy.  Importing this needs PySocks: `pip install "rawchat[socks]"`.

urllib3 has its socket made by PySocks, which returns it when the proxy has agreed.  A proxy that sends a byte now and then
could draw that out for ever, so `negotiate` lets the connection watch the socket before.
"""

import socket
from typing import Any, Optional, Union

import socks  # type: ignore[import-untyped]
import urllib3
from urllib3.contrib.socks import SOCKSConnection, SOCKSHTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

from .connection import (
    AutoClosingPool,
    AutoClosingTLSPool,
    DeadlineConnection,
    DeadlineTLSConnection,
)


class SocksConnection(DeadlineConnection, SOCKSConnection):
    """A connection through a SOCKS proxy."""

    def _new_conn(self) -> socket.socket:
        return connect_through(self)


class SocksTLSConnection(DeadlineTLSConnection, SOCKSHTTPSConnection):
    """The same over TLS."""

    def _new_conn(self) -> socket.socket:
        return connect_through(self)


class SocksPool(AutoClosingPool):
    """A pool of connections through a SOCKS proxy."""

    ConnectionCls = SocksConnection


class SocksTLSPool(AutoClosingTLSPool):
    """The same for connections over TLS."""

    ConnectionCls = SocksTLSConnection


SOCKS_POOL_CLASSES: dict[str, type[urllib3.HTTPConnectionPool]] = {
    "http": SocksPool,
    "https": SocksTLSPool,
}


def connect_through(connection: Union[SocksConnection, SocksTLSConnection]) -> socket.socket:
    """Return a socket that is connected through the proxy.

    Raises urllib3's ConnectTimeoutError, and its NewConnectionError for any other failure.
    """
    try:
        return negotiate(connection)
    except OSError as error:
        cause = getattr(error, "socket_err", None) or error
        kind: Any = NewConnectionError
        if isinstance(cause, socket.timeout):
            kind = ConnectTimeoutError
        raise kind(connection, f"no connection through the SOCKS proxy: {cause}") from error


def negotiate(connection: Union[SocksConnection, SocksTLSConnection]) -> socket.socket:
    """Return a socket for which the proxy has agreed; the proxy's addresses are tried in turn.

    Raises OSError, of which PySocks' errors are a kind.
    """
    options: Any = connection._socks_options
    host = options["proxy_host"].strip("[]")
    port = options["proxy_port"]
    failure: Optional[OSError] = None
    for family, kind, protocol, _, _ in socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM):
        sock: socket.socket = socks.socksocket(family, kind, protocol)
        try:
            for option in connection.socket_options or ():
                sock.setsockopt(*option)
            if isinstance(connection.timeout, (int, float)):
                sock.settimeout(connection.timeout)
            sock.set_proxy(  # type: ignore[attr-defined]
                options["socks_version"],
                host,
                port,
                options["rdns"],
                options["username"],
                options["password"],
            )
            connection.watch(sock)
            sock.connect((connection.host.strip("[]"), connection.port))
            return sock
        except OSError as error:
            failure = error
            sock.close()
    raise failure or OSError(f"the proxy {host} has no address")
