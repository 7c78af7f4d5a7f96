"""An https:// proxy on loopback: it is verified, and TLS inside TLS ends when it is told to.

tls/ca.pem is the certificate of a test authority for 127.0.0.1 and localhost, tls/loopback.pem the same with its private key.
"""

import contextlib
import pathlib
import socket
import ssl
import threading
from collections.abc import Iterator
from typing import Any, Optional

import pytest

import rawchat
from rawchat.errors import (
    APIConnectionError,
    APITimeoutError,
    ConfigError,
    DeadlineExceededError,
)
from rawchat.transport import over_http

from .server import answer, completion, delta, event, head

row = pytest.mark.row

TLS = pathlib.Path(__file__).parent / "tls"
CA, PEM = str(TLS / "ca.pem"), str(TLS / "loopback.pem")


def read_head(sock: Any) -> bytes:
    """Return what `sock` receives, up to the blank line that ends a head."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = sock.recv(65536)
        if not piece:
            return data
        data += piece
    return data


def copy(source: Any, target: Any) -> None:
    """Pass bytes on until one side closes."""
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_RDWR)


class Listener:
    """Answers TLS connections: a server with `reply`, or a proxy that tunnels a CONNECT."""

    def __init__(self, reply: bytes) -> None:
        self.reply, self.heads = reply, list[bytes]()
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(PEM)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.ended = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                plain, _ = self.listener.accept()
                threading.Thread(target=self._serve, args=[plain], daemon=True).start()

    def _serve(self, plain: socket.socket) -> None:
        with (
            contextlib.suppress(OSError),
            self.context.wrap_socket(plain, server_side=True) as sock,
        ):
            seen = read_head(sock)
            self.heads.append(seen)
            if seen.startswith(b"CONNECT "):
                host, port = seen.split()[1].decode().rsplit(":", 1)
                with socket.create_connection((host, int(port))) as target:
                    sock.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                    relay(sock, target)
                return
            sock.sendall(self.reply)
            while sock.recv(65536):  # silent from here on, until the other side closes
                pass
        self.ended.set()


def relay(sock: ssl.SSLSocket, target: socket.socket) -> None:
    """Pass bytes on both ways until one side closes."""
    back = threading.Thread(target=copy, args=[target, sock], daemon=True)
    back.start()
    copy(sock, target)
    back.join(5)


@contextlib.contextmanager
def listening(reply: bytes = b"") -> Iterator[Listener]:
    listener = Listener(reply)
    yield listener
    listener.listener.close()


def client_of(
    base_url: str, environ: dict[str, str], proxy: Optional[str] = None, **settings: Any
) -> rawchat.Client:
    return rawchat.Client(
        "sk-very-secret",
        transport=over_http(base_url, environ=environ, proxy=proxy),
        allow_http=True,
        environ={},
        max_retries=0,
        **settings,
    )


def test_an_https_proxy_is_verified_on_the_way_to_an_http_url() -> None:
    with listening(answer(completion())) as proxy:
        environ = {"HTTP_PROXY": f"https://127.0.0.1:{proxy.port}"}
        with pytest.raises(APIConnectionError, match=r"(?i)certificate"):
            client_of("http://192.0.2.1/v1", environ).chat("Hi")
        assert proxy.heads == []  # nothing went out, so no key
        assert (
            client_of("http://192.0.2.1/v1", {**environ, "SSL_CERT_FILE": CA}).chat("Hi").text
            == "Hello"
        )
        assert b"sk-very-secret" in proxy.heads[0]
        with pytest.raises(ConfigError, match="no such CA bundle"):
            client_of("http://192.0.2.1/v1", {**environ, "SSL_CERT_FILE": "/nowhere.pem"})


@pytest.mark.parametrize("deadline", [None, 1.0])
def test_a_stream_through_tls_inside_tls_ends_early(deadline: float) -> None:
    # with a length, as a body that ends with its connection leaves none to be shut down
    begun = head(200, {"Content-Type": "text/event-stream", "Content-Length": "100000"}) + event(
        delta("Hel")
    )
    with listening(begun) as server, listening() as proxy:
        url = f"https://127.0.0.1:{server.port}/v1"
        # By name, here and below, as urllib3 1.26.5 cannot verify a proxy that is named by its address.
        way = f"https://localhost:{proxy.port}"
        client = client_of(url, {"SSL_CERT_FILE": CA}, proxy=way, deadline=deadline)
        stream = client.stream_chat("Hi")
        if deadline:
            with pytest.raises(DeadlineExceededError):
                list(stream)
        else:
            texts = stream.texts()  # held, as its end would close the stream before `close` does
            assert next(texts) == "Hel"
            stream.close()
        assert server.ended.wait(10)
        assert proxy.heads[0].startswith(b"CONNECT ")


@contextlib.contextmanager
def plain_port() -> Iterator[tuple[int, list[socket.socket]]]:
    """A port that speaks plain HTTP, as Squid answers a handshake, and the connections to it."""
    accepted: list[socket.socket] = []

    def refuse() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                accepted.append(connection)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=refuse, daemon=True).start()
        yield listener.getsockname()[1], accepted
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
    for connection in accepted:
        connection.close()


@row("12.6")
@pytest.mark.parametrize("target", ["http", "https"])
def test_a_proxy_that_does_not_speak_tls_is_named_and_asked_once(target: str) -> None:
    """encode/httpx#951, #897 and #2272: most proxies speak plain HTTP to the client, for https:// servers too."""
    with plain_port() as (port, accepted):
        client = rawchat.Client(
            base_url=f"{target}://model.test/v1",
            proxy=f"https://localhost:{port}",
            environ={},
            sleep=lambda seconds: None,
        )
        with pytest.raises(APIConnectionError) as caught:
            client.chat("Hi")
        assert len(accepted) == 1
    assert str(caught.value).startswith(f"proxy localhost:{port}: ")
    assert "the proxy does not speak TLS: begin its URL with http://" in caught.value.hint


@row("12.6")
@pytest.mark.parametrize("target", ["http", "https"])
def test_a_proxy_that_answers_no_handshake_is_named(target: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:  # as Tinyproxy, which waits for a line
        port = listener.getsockname()[1]
        client = rawchat.Client(
            base_url=f"{target}://model.test/v1",
            proxy=f"https://localhost:{port}",
            environ={},
            max_retries=0,
            timeout=(0.1, 0.1),
        )
        with pytest.raises(APITimeoutError) as caught:
            client.chat("Hi")
    assert str(caught.value).startswith(f"proxy localhost:{port}: ")
    assert "the proxy may not speak TLS: begin its URL with http://" in caught.value.hint


@row("12.6")
@pytest.mark.parametrize("target", ["http", "https"])
def test_a_proxy_whose_certificate_is_not_trusted_is_named_and_asked_once(target: str) -> None:
    with listening() as proxy:
        client = rawchat.Client(
            base_url=f"{target}://model.test/v1",
            proxy=f"https://localhost:{proxy.port}",
            environ={},
            sleep=lambda seconds: None,
        )
        with pytest.raises(APIConnectionError, match=r"(?i)certificate") as caught:
            client.chat("Hi")
    assert (caught.value.retries, caught.value.retryable) == (0, False)
    assert "ca_bundle=" in caught.value.hint
