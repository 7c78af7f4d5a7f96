"""The doctor on real proxies and on a real nginx: it names the step and the remedy.

Each test skips where its program is missing: see tests/transport/programs.
"""

import importlib.util
from collections.abc import Iterator
from typing import Any

import pytest

from ..server import Answer, Seen
from ..transport import programs
from ..transport.programs import (
    PASSWORD,
    TINYPROXY_PASSWORD,
    USER,
    Program,
    SocksServer,
    free_port,
)
from .servers import Api, Clock, Replying


def expect(diagnosis: Any, step: str, code: int, cause: str, *words: str) -> None:
    """The run failed at this step for this cause, and says these words."""
    found = diagnosis.way[step]
    assert (diagnosis.found, diagnosis.code, found["cause"]) == ([step], code, cause), found
    text = f"{found['detail']} -> {found['remedy']}"
    for word in words:
        assert word in text
    for secret in (PASSWORD, TINYPROXY_PASSWORD, "wrong-secret", "p%40ss"):
        assert secret not in diagnosis.text


def test_a_healthy_way_through_a_proxy(diagnose: Any, proxy: Program) -> None:
    with Replying(Api()) as server:
        diagnosis = diagnose(server.url, "--proxy", proxy.url, "--probe=chat,stream,n")
    assert (diagnosis.code, diagnosis.found) == (0, []), diagnosis.text
    statuses = {name: check["status"] for name, check in diagnosis.server.items()}
    assert statuses == {"chat": "ok", "stream": "ok", "n": "ok"}


def test_a_healthy_way_through_a_tunnel(diagnose: Any, proxy: Program, certificates: Any) -> None:
    with Replying(Api(), certificates["localhost"]) as server:
        url = f"https://localhost:{server.port}/v1"
        words = ["--proxy", proxy.url, "--cacert", certificates.path]
        diagnosis = diagnose(url, *words)
    assert (diagnosis.code, diagnosis.found) == (0, []), diagnosis.text


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_server_that_is_down_behind_a_proxy(diagnose: Any, proxy: Program, scheme: str) -> None:
    port = free_port()
    diagnosis = diagnose(f"{scheme}://127.0.0.1:{port}/v1", "--proxy", proxy.url)
    words = f"the proxy 127.0.0.1:{proxy.port} works, but cannot reach 127.0.0.1:{port}"
    expect(diagnosis, "proxy", 7, "proxy-upstream", words)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_host_that_the_proxy_denies(diagnose: Any, proxy: Program, scheme: str) -> None:
    words = ["--proxy", proxy.url, "--allow-http"]
    diagnosis = diagnose(f"{scheme}://denied.test/v1", *words)
    expect(diagnosis, "proxy", 7, "proxy-refuses", "does not allow denied.test", "NO_PROXY")


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("userinfo", ["", f"{USER}:wrong-secret@"])
def test_no_password_and_a_wrong_one(
    diagnose: Any, guarded: Program, scheme: str, userinfo: str
) -> None:
    way = f"http://{userinfo}127.0.0.1:{guarded.port}"
    diagnosis = diagnose(f"{scheme}://127.0.0.1:{free_port()}/v1", "--proxy", way)
    expect(diagnosis, "proxy", 7, "proxy-authentication", "wants a user and a password", "--proxy")


def test_the_right_password(diagnose: Any, guarded: Program) -> None:
    with Replying(Api()) as server:
        diagnosis = diagnose(server.url, environ={"RAWCHAT_PROXY": guarded.url_with_password})
    assert (diagnosis.code, diagnosis.found) == (0, []), diagnosis.text
    assert PASSWORD not in diagnosis.text


# ---- a proxy that inspects TLS


@pytest.fixture(scope="module")
def inspector() -> Iterator[tuple[Program, str]]:
    """mitmproxy, and the path of its CA certificate."""
    with programs.mitmproxy() as (program, bundle):
        yield program, bundle


def test_an_inspecting_proxy_is_recognised_by_its_issuer(
    diagnose: Any, inspector: tuple[Program, str], certificates: Any
) -> None:
    program, _ = inspector
    with Replying(Api(), certificates["localhost"]) as server:
        url = f"https://localhost:{server.port}/v1"
        diagnosis = diagnose(url, "--proxy", program.url, "--cacert", certificates.path)
        assert server.requests == []
    words = ["looks like mitmproxy, which inspects TLS", "SSL_CERT_FILE", "--cacert"]
    expect(diagnosis, "TLS", 7, "certificate-inspected", *words)


@pytest.mark.parametrize("variable", ["RAWCHAT_CACERT", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"])
def test_an_inspecting_proxy_that_is_trusted_is_named(
    diagnose: Any, inspector: tuple[Program, str], certificates: Any, variable: str
) -> None:
    program, bundle = inspector
    with Replying(Api(), certificates["localhost"]) as server:
        url = f"https://localhost:{server.port}/v1"
        diagnosis = diagnose(url, "--proxy", program.url, environ={variable: bundle})
    assert (diagnosis.code, diagnosis.found) == (0, []), diagnosis.text
    assert "mitmproxy inspects the connection, and is trusted" in diagnosis.way["TLS"]["detail"]


# ---- SOCKS


@pytest.mark.skipif(importlib.util.find_spec("socks") is None, reason="PySocks is not installed")
def test_socks(diagnose: Any) -> None:
    with Replying(Api()) as server, SocksServer({"model.test": server.port}, True) as proxy:
        place = f"127.0.0.1:{proxy.port}"
        url = "http://model.test/v1"
        words = ["--allow-http", "--proxy"]
        diagnosis = diagnose(url, *words, f"socks5h://{USER}:p%40ss-word-1@{place}")
        assert (diagnosis.code, diagnosis.found) == (0, []), diagnosis.text
        diagnosis = diagnose(url, *words, f"socks5h://{USER}:wrong-secret@{place}")
        expect(diagnosis, "proxy", 7, "proxy-authentication", "wants a user and a password")
        diagnosis = diagnose(
            f"http://127.0.0.1:{free_port()}/v1", *words, f"socks5h://{USER}:p%40ss-word-1@{place}"
        )
        expect(diagnosis, "proxy", 7, "proxy-upstream", "works, but cannot reach")


# ---- nginx in front of the server


class Paced(Api):
    """An API whose streams take their time, by the doctor's clock; the longer the answer, the longer."""

    def __call__(self, seen: Seen) -> Answer:
        steps = super().__call__(seen)
        if isinstance(steps, bytes):
            return steps
        seconds = seen.json["max_tokens"] / 1000
        paced: list[Any] = []
        for step in steps:
            paced += [step, lambda sock: self.clock.advance(seconds)]
        return paced


def test_nginx_that_compresses_streams_is_named(diagnose: Any) -> None:
    """nginx collects what it compresses, while buffering is on; without compression it passes small events on."""
    clock = Clock()
    settings = "gzip on; gzip_min_length 1; gzip_proxied any; gzip_types text/event-stream;"
    with (
        Replying(Paced(clock=clock)) as server,
        programs.nginx(server.port, "proxy_buffering on;", settings) as front,
    ):
        diagnosis = diagnose(f"{front.url}/v1", "--probe=stream", clock=clock)
    stream = diagnosis.server["stream"]
    assert stream["status"] == "differs", diagnosis.text
    assert "held back" in stream["detail"]
    assert "it is compressed (gzip)" in stream["remedy"]


def test_nginx_that_passes_everything_on_is_no_finding(diagnose: Any) -> None:
    with (
        Replying(Api()) as server,
        programs.nginx(server.port, "proxy_buffering off;") as front,
    ):
        diagnosis = diagnose(f"{front.url}/v1", "--probe")
    found = {name for name, check in diagnosis.server.items() if check["status"] != "ok"}
    assert (diagnosis.code, diagnosis.found, found) == (0, [], set()), diagnosis.text


def test_nginx_whose_server_is_down(diagnose: Any) -> None:
    with programs.nginx(free_port()) as front:
        diagnosis = diagnose(f"{front.url}/v1")
    expect(diagnosis, "HTTP", 5, "server-error", "502 Bad Gateway", "the gateway in front of it")


def test_nginx_that_gave_up_waiting(diagnose: Any) -> None:
    def hang(seen: Seen) -> Answer:
        return [lambda sock: sock.recv(1)]

    with (
        Replying(hang) as server,
        programs.nginx(server.port, "proxy_read_timeout 100ms;") as front,
    ):
        diagnosis = diagnose(f"{front.url}/v1")
    expect(diagnosis, "HTTP", 5, "server-error", "504 Gateway Time-out")
