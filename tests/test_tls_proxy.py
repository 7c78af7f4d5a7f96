"""An https:// proxy on loopback: its certificate is always verified, and TLS inside its TLS can be ended.

The certificates in tests/tls are for 127.0.0.1 and localhost, from a CA that nobody trusts but these tests.
"""
import contextlib
import pathlib
import select
import socket
import ssl
import time
from collections.abc import Iterator
from typing import Any

import pytest

import rawchat

from .server import HELLO, PATIENCE, Answer, Server, answer, completion, streamed

row = pytest.mark.row
TLS = pathlib.Path(__file__).parent / "tls"
CA = str(TLS / "ca.pem")


class SecureServer(Server):
    """A Server that speaks TLS."""

    def _serve(self, connection: socket.socket, number: int) -> None:
        with contextlib.suppress(OSError):      # also what a client that does not trust us makes of the handshake
            super()._serve(context().wrap_socket(connection, server_side=True), number)


class SecureProxy(Server):
    """A proxy that speaks TLS, and passes on what comes after CONNECT to another server, whatever name was asked for."""

    def __init__(self, port: int):
        super().__init__([])
        self.target, self.tunnels = port, 0

    def _serve(self, connection: socket.socket, number: int) -> None:
        with contextlib.suppress(OSError), context().wrap_socket(connection, server_side=True) as client:
            while not client.recv(65536).endswith(b"\r\n\r\n"):
                pass
            self.tunnels += 1
            client.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
            with socket.create_connection(("127.0.0.1", self.target)) as server:
                relay(client, server)


def context() -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(str(TLS / "server.pem"))
    return made


def relay(client: ssl.SSLSocket, server: socket.socket) -> None:
    """Pass bytes on in both directions until one side ends."""
    while True:
        ready = [client] if client.pending() else select.select([client, server], [], [], PATIENCE)[0]
        for source in ready:
            data = source.recv(65536)
            if not data:
                return
            (server if source is client else client).sendall(data)


@contextlib.contextmanager
def through_a_proxy(script: Answer, **settings: Any) -> Iterator[tuple[rawchat.Client, SecureProxy]]:
    """A client whose https:// target lies behind an https:// proxy."""
    with SecureServer([script]) as server, SecureProxy(server.port) as proxy:
        environ = {"HTTPS_PROXY": f"https://127.0.0.1:{proxy.port}", "SSL_CERT_FILE": CA}
        with rawchat.Client(api_key="sk-1", base_url=f"https://127.0.0.1:{server.port}/v1", max_retries=0,
                            environ=environ, **settings) as client:
            yield client, proxy


@row("1.9")
def test_an_https_proxy_is_verified_for_an_http_target() -> None:
    with SecureServer([answer(completion())]) as proxy:
        environ = {"HTTP_PROXY": f"https://127.0.0.1:{proxy.port}"}
        settings: dict[str, Any] = {"api_key": "sk-1", "base_url": "http://model.test/v1", "allow_http": True,
                                    "max_retries": 0}
        with pytest.raises(rawchat.APIConnectionError, match="certificate"):
            rawchat.Client(**settings, environ=environ).chat("Hi")
        assert not proxy.requests
        assert rawchat.Client(**settings, environ={**environ, "SSL_CERT_FILE": CA}).chat("Hi").text == "Hello"
        assert proxy.requests[0].target == "http://model.test/v1/chat/completions"


@row("1.9")
def test_tls_inside_tls_answers_and_a_stream_can_be_left_early() -> None:
    with through_a_proxy(streamed(HELLO[:2], end=False)) as (client, proxy):
        for _ in range(2):
            with client.stream_chat("Hi") as stream:
                next(stream)
        assert proxy.tunnels == 2
    with through_a_proxy(answer(completion())) as (client, proxy):
        assert client.chat("Hi").text == "Hello"


@row("1.9", "2.4")
def test_a_deadline_ends_tls_inside_tls() -> None:
    start = time.monotonic()
    with through_a_proxy(streamed(HELLO[:2], end=False), deadline=1.0) as (client, _), pytest.raises(
            rawchat.DeadlineExceededError):
        list(client.stream_chat("Hi"))
    assert time.monotonic() - start < PATIENCE      # else the end came from the server's patience
