"""Connections through a SOCKS proxy.  Importing this needs PySocks: `pip install "rawchat[socks]"`."""

import urllib3
from urllib3.contrib.socks import SOCKSConnection, SOCKSHTTPSConnection

from .connection import (
    AutoClosingPool,
    AutoClosingTLSPool,
    DeadlineConnection,
    DeadlineTLSConnection,
)


class SocksConnection(DeadlineConnection, SOCKSConnection):
    """A connection through a SOCKS proxy."""


class SocksTLSConnection(DeadlineTLSConnection, SOCKSHTTPSConnection):
    """The same over TLS."""


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
