"""rawchat through real proxies on loopback: Squid, Tinyproxy, mitmproxy, and SOCKS.

Each test skips where its program is missing: see `programs`.
"""

import importlib.util
import re
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

import rawchat
from rawchat.errors import APIConnectionError

from ..server import HELLO, answer, completion, serving, streamed
from ..test_tls_proxy import CA, listening
from . import programs
from .programs import PASSWORD, TINYPROXY_PASSWORD, USER, Program, SocksServer, free_port

row = pytest.mark.row

KEY = "sk-very-secret-key"


def client_of(base_url: str, **settings: Any) -> rawchat.Client:
    settings = {"environ": {}, "allow_http": True, "sleep": lambda seconds: None, **settings}
    return rawchat.Client(KEY, base_url, **settings)


def fail(base_url: str, **settings: Any) -> APIConnectionError:
    with pytest.raises(APIConnectionError) as caught:
        client_of(base_url, **settings).chat("Hi")
    shown = f"{caught.value!r} {caught.value.__dict__!r} {caught.value.__cause__!r}"
    for secret in (KEY, PASSWORD, TINYPROXY_PASSWORD, "p%40ss-word-1"):
        assert secret not in shown
    return caught.value


# ---- Squid and Tinyproxy


def test_an_answer_comes_through(proxy: Program) -> None:
    with serving(answer(completion())) as server:
        assert client_of(server.url, proxy=proxy.url).chat("Hi").text == "Hello"
        assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"
        assert "via" in server.requests[0].headers


def test_a_stream_comes_through_piece_by_piece(proxy: Program) -> None:
    first_arrived = threading.Event()
    steps = [*HELLO[:2], first_arrived, *HELLO[2:]]
    with (
        serving(streamed(steps)) as server,
        client_of(server.url, proxy=proxy.url).stream_chat("Hi") as stream,
    ):
        texts = stream.texts()
        assert next(texts) == "Hel"
        first_arrived.set()
        assert list(texts) == ["lo"]


def test_tls_goes_through_a_tunnel(proxy: Program) -> None:
    with listening(answer(completion())) as server:
        client = client_of(f"https://localhost:{server.port}/v1", proxy=proxy.url, ca_bundle=CA)
        assert client.chat("Hi").text == "Hello"


@row("12.4")
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_server_that_is_down_is_the_proxys_report(proxy: Program, scheme: str) -> None:
    port = free_port()
    error = fail(f"{scheme}://127.0.0.1:{port}/v1", proxy=proxy.url, max_retries=1)
    assert str(error).startswith(f"proxy 127.0.0.1:{proxy.port}: 50")
    assert error.retries == 1
    assert error.hint.endswith("python -m rawchat.doctor shows which step fails")


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_host_that_the_proxy_denies(proxy: Program, scheme: str) -> None:
    error = fail(f"{scheme}://denied.test/v1", proxy=proxy.url, max_retries=0)
    assert str(error).startswith(f"proxy 127.0.0.1:{proxy.port}: 403 ")


@row("12.4")
@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("userinfo", ["", f"{USER}:wrong-secret@"])
def test_no_password_and_a_wrong_one(guarded: Program, scheme: str, userinfo: str) -> None:
    way = f"http://{userinfo}127.0.0.1:{guarded.port}"
    error = fail(f"{scheme}://127.0.0.1:{free_port()}/v1", proxy=way)
    # Tinyproxy answers 401 to a wrong password.
    assert re.match(f"proxy 127.0.0.1:{guarded.port}: 40[17] ", str(error))
    assert "the proxy wants user and password" in error.hint
    assert "wrong-secret" not in str(error)
    assert error.retries == 0


@row("12.4")
def test_the_right_password(guarded: Program) -> None:
    with serving(answer(completion())) as server:
        client = client_of(server.url, proxy=guarded.url_with_password)
        assert client.chat("Hi").text == "Hello"
        assert "proxy-authorization" not in server.requests[0].headers
    with listening(answer(completion())) as tls_server:
        url = f"https://localhost:{tls_server.port}/v1"
        client = client_of(url, proxy=guarded.url_with_password, ca_bundle=CA)
        assert client.chat("Hi").text == "Hello"


def test_the_password_is_hidden_where_the_server_is_down(guarded: Program) -> None:
    url = f"http://127.0.0.1:{free_port()}/v1"
    error = fail(url, proxy=guarded.url_with_password, max_retries=0)
    assert str(error).startswith(f"proxy 127.0.0.1:{guarded.port}: 50")


@row("12.1")
def test_a_proxy_of_the_environment_serves_names_elsewhere_and_not_this_machine() -> None:
    with programs.squid() as proxy, serving(*[answer(completion())] * 2) as server:
        environ = {"HTTP_PROXY": proxy.url, "NO_PROXY": "other.test"}
        away = client_of(f"http://model.test:{server.port}/v1", environ=environ)
        assert away.chat("Hi").text == "Hello"
        assert client_of(server.url, environ=environ).chat("Hi").text == "Hello"
        assert ["via" in request.headers for request in server.requests] == [True, False]


# ---- a proxy that inspects TLS


@pytest.fixture(scope="module")
def inspector() -> Iterator[tuple[Program, str]]:
    """mitmproxy, and the path of its CA certificate."""
    with programs.mitmproxy() as (program, bundle):
        yield program, bundle


@row("12.6")
def test_an_inspecting_proxy_is_refused_without_its_ca(inspector: tuple[Program, str]) -> None:
    program, _ = inspector
    with listening(answer(completion())) as server:
        url = f"https://localhost:{server.port}/v1"
        error = fail(url, proxy=program.url, ca_bundle=CA)
        # The key has not left this machine: the server has seen no request.
        assert not any(server.heads)
    assert "certificate" in str(error)
    assert "ca_bundle=" in error.hint
    assert error.retries == 0


@row("12.5")
@pytest.mark.parametrize("variable", ["", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "CURL_CA_BUNDLE"])
def test_an_inspecting_proxy_is_used_with_its_ca(
    inspector: tuple[Program, str], variable: str
) -> None:
    program, bundle = inspector
    settings: dict[str, Any] = {"ca_bundle": bundle}
    if variable:
        settings = {"environ": {variable: bundle}}
    with listening(answer(completion())) as server:
        url = f"https://localhost:{server.port}/v1"
        client = client_of(url, proxy=program.url, **settings)
        assert client.chat("Hi").text == "Hello"
        assert server.heads[0].startswith(b"POST /v1/chat/completions ")


def test_the_command_line_takes_the_ca_of_an_inspecting_proxy(
    inspector: tuple[Program, str], run: Any
) -> None:
    program, bundle = inspector
    with listening(answer(completion())) as server:
        url = f"https://localhost:{server.port}/v1"
        words = ["--base-url", url, "--proxy", program.url, "--no-stream", "Hi"]
        done = run("--cacert", bundle, *words)
        assert (done.code, done.out) == (0, b"Hello\n")
        done = run(*words)
        assert done.code == 7
        assert "certificate" in done.err


def test_an_inspecting_proxy_whose_server_is_down(inspector: tuple[Program, str]) -> None:
    program, _ = inspector
    error = fail(f"http://127.0.0.1:{free_port()}/v1", proxy=program.url, max_retries=0)
    assert str(error).startswith(f"proxy 127.0.0.1:{program.port}: 502 ")


# ---- SOCKS

needs_pysocks = pytest.mark.skipif(
    importlib.util.find_spec("socks") is None, reason="PySocks is not installed"
)


@row("12.3")
@needs_pysocks
@pytest.mark.parametrize("password", [False, True])
def test_socks_with_the_name_resolved_by_the_proxy(password: bool) -> None:
    with (
        serving(answer(completion())) as server,
        SocksServer({"model.test": server.port}, password) as proxy,
    ):
        userinfo = f"{USER}:p%40ss-word-1@" if password else ""
        environ = {"ALL_PROXY": f"socks5h://{userinfo}127.0.0.1:{proxy.port}"}
        assert client_of("http://model.test/v1", environ=environ).chat("Hi").text == "Hello"
        assert proxy.hosts == ["model.test"]


@row("12.3")
@needs_pysocks
def test_socks_with_the_name_resolved_here_and_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.getaddrinfo

    def resolve(host: Any, *rest: Any, **options: Any) -> Any:
        return real("127.0.0.1" if host == "localhost" else host, *rest, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with listening(answer(completion())) as server, SocksServer({}) as proxy:
        url = f"https://localhost:{server.port}/v1"
        way = f"socks5://127.0.0.1:{proxy.port}"
        assert client_of(url, proxy=way, ca_bundle=CA).chat("Hi").text == "Hello"
        assert proxy.hosts == ["127.0.0.1"]


@needs_pysocks
def test_a_stream_through_socks_comes_piece_by_piece() -> None:
    first_arrived = threading.Event()
    steps = [*HELLO[:2], first_arrived, *HELLO[2:]]
    with serving(streamed(steps)) as server, SocksServer({"model.test": server.port}) as proxy:
        way = f"socks5h://127.0.0.1:{proxy.port}"
        with client_of("http://model.test/v1", proxy=way).stream_chat("Hi") as stream:
            texts = stream.texts()
            assert next(texts) == "Hel"
            first_arrived.set()
            assert list(texts) == ["lo"]


@needs_pysocks
@pytest.mark.parametrize("userinfo", ["", f"{USER}:wrong-secret@"])
def test_a_socks_proxy_that_refuses_the_password_is_named(userinfo: str) -> None:
    with SocksServer({}, password=True) as proxy:
        way = f"socks5h://{userinfo}127.0.0.1:{proxy.port}"
        error = fail("https://model.test/v1", proxy=way)
        assert str(error).startswith(f"proxy 127.0.0.1:{proxy.port}: ")
        assert (
            f"wants user and password: socks5h://user:password@127.0.0.1:{proxy.port}" in error.hint
        )
        assert error.retries == 0
        assert "wrong-secret" not in f"{error!r} {error.__cause__!r}"


@needs_pysocks
def test_a_socks_proxy_that_does_not_reach_the_server_is_named() -> None:
    with SocksServer({"model.test": free_port()}) as proxy:
        way = f"socks5h://127.0.0.1:{proxy.port}"
        error = fail("https://model.test/v1", proxy=way, max_retries=0)
        assert str(error).startswith(f"proxy 127.0.0.1:{proxy.port}: ")
        assert "Connection refused" in str(error)


@row("12.4")
@pytest.mark.parametrize("target", ["http", "https"])
@needs_pysocks
def test_a_socks_proxy_that_is_down_is_named(target: str) -> None:
    way = f"socks5h://127.0.0.1:{free_port()}"
    error = fail(f"{target}://model.test/v1", proxy=way, max_retries=0)
    assert str(error).startswith(f"proxy {way.partition('//')[2]}: ")
