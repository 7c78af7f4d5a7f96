"""Twenty faults, each on a loopback part that has just that one: the doctor names the step and what to do."""

import errno
import socket
import sys
import threading
import time
import types
from typing import Any

import pytest

from rawchat.doctor import steps, tls

from ..server import answer, head
from ..test_tls_proxy import listening, plain_port
from .certificates import NAME
from .servers import KEY, Api, Clock, Proxy, Replying, closed_port, relay, silent_port

PAGE = b"<!doctype html><html><head><title>Sign in</title></head><body>Welcome</body></html>"


def expect(diagnosis: Any, step: str, code: int, cause: str, *words: str) -> None:
    """Exactly one step is reported, and its remedy holds these words."""
    assert diagnosis.found == [step], diagnosis.text
    assert diagnosis.code == code
    found = diagnosis.way[step]
    assert found["cause"] == cause
    for word in words:
        assert word in found["remedy"]


# ---- the healthy server


def test_a_healthy_server_has_no_finding(diagnose: Any) -> None:
    with Replying(Api()) as server:
        diagnosis = diagnose(server.url)
    assert (diagnosis.code, diagnosis.found) == (0, [])
    names = ["resolve", "connect", "HTTP", "clock", "authentication", "model"]
    assert [(name, diagnosis.way[name]["status"]) for name in names] == [
        (name, "ok") for name in names
    ]
    assert [request.method + " " + request.target for request in server.requests] == [
        "GET /v1/models",
        "POST /v1/chat/completions",
    ]


def test_a_healthy_server_behind_tls_and_a_proxy_has_no_finding(
    diagnose: Any, certificates: Any
) -> None:
    with Replying(Api(), certificates["good"]) as server, Proxy({NAME: server.port}) as proxy:
        environ = {"HTTPS_PROXY": proxy.url, "SSL_CERT_FILE": certificates.path}
        diagnosis = diagnose(f"https://{NAME}/v1", environ=environ)
    assert (diagnosis.code, diagnosis.found) == (0, [])
    assert diagnosis.way["TLS"]["detail"].startswith("TLSv1.")
    assert "issued by Example Root, Example, expires 2099-01-01" in diagnosis.way["TLS"]["detail"]
    settings = {setting["name"]: setting for setting in diagnosis.report["settings"]}
    assert settings["proxy"]["source"] == "HTTPS_PROXY"
    assert settings["CA bundle"] == {
        "name": "CA bundle",
        "value": certificates.path,
        "source": "SSL_CERT_FILE",
    }


def test_no_key_is_fine_where_none_is_needed(diagnose: Any) -> None:
    with Replying(Api(key="")) as server:
        diagnosis = diagnose(server.url, environ={"OPENAI_API_KEY": ""})
    assert (diagnosis.code, diagnosis.found) == (0, [])
    assert diagnosis.way["authentication"]["detail"] == "no key is needed"


# ---- the twenty faults


def test_01_no_such_host(diagnose: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    diagnosis = diagnose("https://api.openai.invalid/v1")
    words = "check the spelling of api.openai.invalid in base_url"
    expect(diagnosis, "resolve", 7, "no-such-host", words, "HTTPS_PROXY")


def test_02_port_closed(diagnose: Any) -> None:
    with closed_port() as port:
        diagnosis = diagnose(f"http://127.0.0.1:{port}/v1")
    expect(
        diagnosis, "connect", 7, "refused", f"nothing listens on 127.0.0.1:{port}: start the server"
    )


@pytest.mark.skipif(
    sys.platform != "linux", reason="only Linux ignores a connection where the queue is full"
)
def test_03_a_listener_that_never_accepts_and_has_no_room(diagnose: Any) -> None:
    with silent_port(full=True) as port:
        diagnosis = diagnose(f"http://127.0.0.1:{port}/v1", "--timeout", "0.2")
    expect(
        diagnosis,
        "connect",
        7,
        "connect-timeout",
        f"127.0.0.1:{port} does not accept the connection",
        "firewall",
    )


def test_03_a_listener_that_never_accepts(diagnose: Any) -> None:
    with silent_port(full=False) as port:
        diagnosis = diagnose(f"http://127.0.0.1:{port}/v1", "--timeout", "0.2")
    expect(
        diagnosis,
        "HTTP",
        7,
        "http-silent",
        f"127.0.0.1:{port} accepts connections but does not answer",
    )


def test_04_proxy_down(diagnose: Any) -> None:
    with closed_port() as port:
        environ = {"HTTPS_PROXY": f"http://127.0.0.1:{port}"}
        diagnosis = diagnose(f"https://{NAME}/v1", environ=environ)
    expect(
        diagnosis,
        "connect",
        7,
        "proxy-down",
        f"the proxy 127.0.0.1:{port}",
        "HTTPS_PROXY",
        f"NO_PROXY={NAME}",
    )


def test_04_proxy_without_tls_under_an_https_url(diagnose: Any) -> None:
    """encode/httpx#951 and #2272: most proxies speak plain HTTP to the client, for servers with https:// too."""
    with plain_port() as (plain, _), silent_port(full=False) as silent:
        for port in (plain, silent):
            words = ["--proxy", f"https://127.0.0.1:{port}", "--timeout", "1"]
            diagnosis = diagnose("https://model.test/v1", *words)
            step = diagnosis.way["proxy"]
            assert (diagnosis.found, step["cause"]) == (["proxy"], "proxy-no-tls")
            assert f"the proxy 127.0.0.1:{port} does not speak TLS" in step["remedy"]
            assert "in --proxy with http://" in step["remedy"]


def test_04_proxy_whose_certificate_is_not_trusted(diagnose: Any) -> None:
    with listening() as proxy:
        diagnosis = diagnose("https://model.test/v1", "--proxy", f"https://127.0.0.1:{proxy.port}")
    step = diagnosis.way["proxy"]
    assert (diagnosis.found, step["cause"]) == (["proxy"], "proxy-certificate")
    assert "--cacert FILE" in step["remedy"]


def test_05_proxy_wants_a_password(diagnose: Any) -> None:
    with Proxy({}, credentials="Basic dTpw") as proxy:
        diagnosis = diagnose(f"https://{NAME}/v1", environ={"HTTPS_PROXY": proxy.url})
    expect(
        diagnosis, "proxy", 7, "proxy-authentication", "a user and a password", "HTTPS_PROXY", "%XX"
    )


def test_06_proxy_cannot_reach_the_server(diagnose: Any) -> None:
    with Proxy({}) as proxy:
        diagnosis = diagnose(f"https://{NAME}/v1", environ={"HTTPS_PROXY": proxy.url})
    expect(diagnosis, "proxy", 7, "proxy-upstream", "works, but cannot reach api.example.test:443")


def test_07_plain_http_on_a_tls_port(diagnose: Any) -> None:
    with Replying(Api()) as server:
        diagnosis = diagnose(server.url.replace("http:", "https:"), "--timeout", "0.3")
    expect(diagnosis, "TLS", 7, "plain-on-tls-port", f"use {server.url} as base_url")
    assert all("authorization" not in request.headers for request in server.requests)


def test_07_plain_http_on_a_tls_port_that_answers_at_once(diagnose: Any) -> None:
    def refuse(sock: socket.socket) -> None:
        sock.recv(65536)
        sock.sendall(answer({"error": "bad request"}, 400))

    with Proxy({}, whole=refuse) as server:
        diagnosis = diagnose(server.url.replace("http:", "https:") + "/v1")
    expect(diagnosis, "TLS", 7, "plain-on-tls-port", f"use {server.url}/v1 as base_url")


def test_08_tls_on_a_plain_port(diagnose: Any, certificates: Any) -> None:
    with Replying(Api(), certificates["good"]) as server:
        diagnosis = diagnose(server.url.replace("https:", "http:"))
    expect(diagnosis, "HTTP", 7, "tls-on-plain-port", f"use {server.url} as base_url")
    assert all(KEY.encode() not in request.head for request in server.requests)


@pytest.mark.parametrize(
    ("kind", "cause", "words"),
    [
        ("expired", "certificate-expired", "must renew the certificate"),
        (
            "self-signed",
            "certificate-self-signed",
            "save its certificate as a PEM file and set SSL_CERT_FILE",
        ),
        ("wrong-host", "certificate-wrong-host", "(other.example.test)"),
        ("inspected", "certificate-inspected", "the CA certificate of mitmproxy"),
        ("unknown", "certificate-unknown-ca", "(Corp Root, Example)"),
        pytest.param(
            "not-strict",
            "certificate-not-strict",
            "have the certificate",
            marks=pytest.mark.skipif(sys.version_info < (3, 13), reason="Python 3.13 is so strict"),
        ),
    ],
)
def test_09_to_12_certificates(
    diagnose: Any, certificates: Any, kind: str, cause: str, words: str
) -> None:
    with Replying(Api(), certificates[kind]) as server, Proxy({NAME: server.port}) as proxy:
        environ = {"HTTPS_PROXY": proxy.url, "SSL_CERT_FILE": certificates.path}
        diagnosis = diagnose(f"https://{NAME}/v1", environ=environ)
    expect(diagnosis, "TLS", 7, cause, words)
    assert server.requests == [] or cause == "certificate-expired"
    assert all("authorization" not in request.headers for request in server.requests)


def test_12_an_inspecting_proxy_that_is_trusted_is_named(
    diagnose: Any, certificates: Any, tmp_path: Any
) -> None:
    context = certificates["inspected"]
    trusted = str(certificates.folder / "inspector" / "ca.pem")
    with Replying(Api(), context) as server, Proxy({NAME: server.port}) as proxy:
        environ = {"HTTPS_PROXY": proxy.url, "SSL_CERT_FILE": trusted}
        diagnosis = diagnose(f"https://{NAME}/v1", environ=environ)
    assert (diagnosis.code, diagnosis.found) == (0, [])
    assert "mitmproxy inspects the connection" in diagnosis.way["TLS"]["detail"]


def test_13_key_refused(diagnose: Any) -> None:
    with Replying(Api(key="sk-another")) as server:
        diagnosis = diagnose(server.url)
    expect(diagnosis, "authentication", 3, "key-refused", "check the key from OPENAI_API_KEY")


def test_13_key_missing(diagnose: Any) -> None:
    with Replying(Api()) as server:
        diagnosis = diagnose(server.url, environ={"OPENAI_API_KEY": ""})
    expect(diagnosis, "authentication", 3, "key-missing", "set OPENAI_API_KEY")


def test_14_forbidden(diagnose: Any) -> None:
    refusal = answer({"error": {"message": "Country, region, or territory not supported"}}, 403)
    with Replying(lambda seen: refusal) as server:
        diagnosis = diagnose(server.url)
    expect(diagnosis, "authentication", 3, "forbidden", "permissions", "country")


def test_14_blocked_by_a_firewall(diagnose: Any) -> None:
    with Replying(lambda seen: answer(PAGE, 403, {"Content-Type": "text/html"})) as server:
        diagnosis = diagnose(server.url)
    expect(diagnosis, "authentication", 3, "blocked", "a firewall or gateway")


def test_15_wrong_path(diagnose: Any) -> None:
    with Replying(Api()) as server:
        diagnosis = diagnose(server.origin)
    expect(diagnosis, "HTTP", 4, "not-found-try", f"the API is at {server.url}")


def test_15_no_api_at_all(diagnose: Any) -> None:
    with Replying(lambda seen: answer({"detail": "Not Found"}, 404)) as server:
        diagnosis = diagnose(server.url)
    expect(diagnosis, "HTTP", 4, "not-found", "it ends in /v1")


def test_16_web_page(diagnose: Any) -> None:
    with Replying(lambda seen: answer(PAGE, 200, {"Content-Type": "text/html"})) as server:
        diagnosis = diagnose(server.url)
    expect(diagnosis, "HTTP", 5, "web-page", "a web page, not to an API")
    assert "a web page (Sign in)" in diagnosis.way["HTTP"]["detail"]


def test_17_wrong_model(diagnose: Any) -> None:
    with Replying(Api()) as server:
        diagnosis = diagnose(server.url, "-m", "m-2")
    expect(diagnosis, "model", 4, "no-such-model", "name a model that the server has", ": m-1")


def test_17_a_model_that_answers_unlisted_is_fine(diagnose: Any) -> None:
    api = Api("models-missing")
    with Replying(api) as server:
        diagnosis = diagnose(server.url)
    assert (diagnosis.code, diagnosis.found) == (0, [])
    assert diagnosis.way["model"]["detail"] == "m-1 answers (the server has no list)"


def test_17_a_model_that_does_not_answer(diagnose: Any) -> None:
    with Replying(Api()) as server:
        diagnosis = diagnose(server.url, "-m", "loading", "--timeout", "0.3")
    expect(diagnosis, "model", 7, "model-silent", "still loading", "--timeout SECONDS")


def test_17_a_model_has_more_time_than_a_step(diagnose: Any) -> None:
    bounds = []

    def exchange(sock: Any, request: bytes, timeout: float) -> Any:
        bounds.append((request.split(b" ")[1], timeout))
        return steps.exchange(sock, request, timeout)

    network = types.SimpleNamespace(**{**vars(steps), "exchange": exchange})
    with Replying(Api("models-missing")) as server:
        diagnosis = diagnose(server.url, network=network)
    assert diagnosis.code == 0
    assert bounds == [
        (b"/v1/models", 10.0),
        (b"/v1/chat/completions", 10.0),
        (b"/v1/chat/completions", 60.0),
    ]


def test_18_a_server_that_buffers_streams(diagnose: Any) -> None:
    clock = Clock()
    with Replying(Api("stream-buffered", clock)) as server:
        diagnosis = diagnose(server.url, "--probe=stream", clock=clock)
    assert (diagnosis.code, diagnosis.found) == (0, [])
    check = diagnosis.server["stream"]
    assert check["status"] == "differs"
    assert (
        check["detail"] == "held back: all 24 events came at once after 2.0 s, and 24 after 6.0 s"
    )
    assert "set `proxy_buffering off`" in check["remedy"]


@pytest.mark.parametrize(("off", "words"), [(-3 * 86400, "3 days behind"), (7200, "2 h ahead of")])
def test_19_clock_off(diagnose: Any, off: float, words: str) -> None:
    with Replying(Api(date=1_800_000_000)) as server:
        diagnosis = diagnose(server.url, now=lambda: 1_800_000_000 + off)
    expect(diagnosis, "clock", 0, "clock", "set this machine's clock")
    assert diagnosis.way["clock"]["detail"] == f"this machine's clock is {words} the server's"


def test_19_clock_off_so_far_that_the_certificate_is_not_valid_yet(
    diagnose: Any, certificates: Any
) -> None:
    in_2095 = 3_945_000_000
    api = Api(date=in_2095)
    with Replying(api, certificates["early"]) as server, Proxy({NAME: server.port}) as proxy:
        environ = {"HTTPS_PROXY": proxy.url, "SSL_CERT_FILE": certificates.path}
        diagnosis = diagnose(f"https://{NAME}/v1", environ=environ)
    expect(diagnosis, "TLS", 7, "certificate-clock", "set this machine's clock")
    assert "the server's clock says 2095-01-04" in diagnosis.way["TLS"]["detail"]
    assert all("authorization" not in request.headers for request in server.requests)


def has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no ::1")
def test_20_a_server_that_listens_on_ipv6_only(diagnose: Any) -> None:
    with Replying(Api(), host="::1") as server:
        diagnosis = diagnose(f"http://127.0.0.1:{server.port}/v1")
        expect(diagnosis, "connect", 7, "refused-other-family", f"use {server.url} as base_url")
        assert diagnose(server.url).found == []


def test_20_a_host_with_ipv6_only_where_there_is_no_route(
    diagnose: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def resolve(*_: Any, **__: Any) -> Any:
        return [(socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("2001:db8::1", 443, 0, 0))]

    def unreachable(*_: Any) -> Any:
        raise OSError(errno.ENETUNREACH, "Network is unreachable")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr(steps, "connect_to", unreachable)
    diagnosis = diagnose("https://six.example.test/v1")
    expect(
        diagnosis,
        "connect",
        7,
        "ipv6-only",
        "has IPv6 addresses only and this machine has no IPv6 route",
    )


# ---- more of the kind


@pytest.mark.parametrize(
    ("response", "cause", "code"),
    [
        (answer({"error": "overloaded"}, 503), "server-error", 5),
        (answer({"error": {"message": "slow down"}}, 429), "rate-limited", 6),
        (answer(b"pong", 200), "not-json", 5),
        (head(302, Location="https://login.example.test/", Content_Length=0), "redirect", 4),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "no-http", 7),
    ],
)
def test_other_answers(diagnose: Any, response: bytes, cause: str, code: int) -> None:
    with Replying(lambda seen: response) as server:
        diagnosis = diagnose(server.url)
    expect(diagnosis, "HTTP", code, cause)


def test_a_ca_bundle_that_is_none(diagnose: Any, certificates: Any, tmp_path: Any) -> None:
    bundle = tmp_path / "bundle.pem"
    bundle.write_text("not a certificate")
    with Replying(Api(), certificates["good"]) as server:
        url = f"https://127.0.0.1:{server.port}/v1"
        diagnosis = diagnose(url, environ={"SSL_CERT_FILE": str(bundle)})
    expect(diagnosis, "TLS", 2, "ca-bundle", "SSL_CERT_FILE must name a file of PEM certificates")


def test_a_proxy_for_plain_http_receives_the_whole_request(diagnose: Any) -> None:
    with Replying(Api()) as server:
        diagnosis = diagnose(
            "http://localhost:1/v1", "--proxy", f"http://u:p%40ss@127.0.0.1:{server.port}"
        )
    assert server.requests[0].target == "http://localhost:1/v1/models"
    assert server.requests[0].headers["proxy-authorization"] == "Basic dTpwQHNz"
    assert "p%40ss" not in diagnosis.text
    assert "p@ss" not in diagnosis.text


def test_loopback_ignores_a_proxy_of_the_environment(diagnose: Any) -> None:
    with Replying(Api()) as server, closed_port() as port:
        diagnosis = diagnose(server.url, environ={"HTTP_PROXY": f"http://127.0.0.1:{port}"})
    assert diagnosis.found == []
    settings = {setting["name"]: setting for setting in diagnosis.report["settings"]}
    assert settings["proxy"]["source"] == "HTTP_PROXY is set, but 127.0.0.1 is this machine"


def test_a_key_is_not_sent_through_a_plain_proxy_elsewhere(diagnose: Any) -> None:
    diagnosis = diagnose("http://localhost:1/v1", "--proxy", "http://proxy.example.test:3128")
    expect(diagnosis, "settings", 2, "key-through-plain-proxy", "https://")


def test_no_key_for_openai(diagnose: Any) -> None:
    diagnosis = diagnose(environ={"OPENAI_API_KEY": ""})
    expect(diagnosis, "settings", 3, "no-key", "set OPENAI_API_KEY")


def test_a_setting_that_cannot_be_used_is_shown_without_it(diagnose: Any) -> None:
    diagnosis = diagnose("sk-not-a-url")
    expect(diagnosis, "settings", 2, "settings")
    assert "sk-not" not in diagnosis.text


def test_the_time_of_a_dripping_server_is_bounded(diagnose: Any) -> None:
    def drip(sock: socket.socket) -> None:
        end = time.monotonic() + 10
        while time.monotonic() < end:
            sock.sendall(b"x")
            time.sleep(0.02)

    with Replying(lambda seen: [b"HTTP/1.1 200 OK\r\nX: ", drip]) as server:
        diagnosis = diagnose(server.url, "--timeout", "0.3")
    expect(diagnosis, "HTTP", 7, "http-silent")


@pytest.mark.parametrize("url", ["http://u:secret@proxy:port", "ftp://u:secret@proxy"])
def test_a_proxy_that_is_no_url(diagnose: Any, url: str) -> None:
    for argv, environ, source in (
        (["--proxy", url], {}, "--proxy"),
        ([], {"HTTPS_PROXY": url}, "HTTPS_PROXY"),
    ):
        diagnosis = diagnose(f"https://{NAME}/v1", *argv, environ=environ)
        expect(
            diagnosis,
            "settings",
            2,
            "proxy-url",
            f"correct {source}: http://USER:PASSWORD@HOST:PORT",
        )
        assert "secret" not in diagnosis.text


def test_secrets_in_headers_and_in_the_url_are_not_shown(diagnose: Any) -> None:
    refusal = answer({"error": "no token-1 or token-2"}, 401)
    with Replying(lambda seen: refusal) as server:
        diagnosis = diagnose(
            f"{server.url}?api-key=token-1", environ={"OPENAI_CUSTOM_HEADERS": "api-key: token-2"}
        )
    expect(diagnosis, "authentication", 3, "key-refused")
    assert "no *** or ***" in diagnosis.text
    assert "token-" not in diagnosis.text


def test_the_store_of_the_system(diagnose: Any, certificates: Any) -> None:
    with Replying(Api(), certificates["good"]) as server, Proxy({NAME: server.port}) as proxy:
        environ = {"HTTPS_PROXY": proxy.url, "SSL_CERT_FILE": certificates.path}
        diagnosis = diagnose(f"https://{NAME}/v1", "--cacert", "system", environ=environ)
    settings = {setting["name"]: setting for setting in diagnosis.report["settings"]}
    assert settings["CA bundle"]["source"] == "argument: system"
    assert diagnosis.found == ["TLS"]


def test_a_named_proxy_serves_this_machine_in_both_stages(diagnose: Any) -> None:
    api = Api()
    with Replying(api) as server, Replying(api) as proxy:
        diagnosis = diagnose(server.url, "--proxy", proxy.origin, "--probe=models")
    assert diagnosis.code == 0
    assert server.requests == []
    assert proxy.requests[-1].target == f"{server.url}/models"


def test_without_pysocks_it_says_what_to_install(
    diagnose: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "socks", None)
    with silent_port(full=False) as port:
        diagnosis = diagnose(f"https://{NAME}/v1", "--proxy", f"socks5h://127.0.0.1:{port}")
    expect(diagnosis, "proxy", 2, "no-pysocks", "pip install 'rawchat[socks]'")


def socks_server(port: int, reply: int = 0, seen: Any = None) -> Any:
    """A SOCKS5 proxy (RFC 1928) that connects whatever name it is given to `port`, or answers with an error."""

    def serve(sock: socket.socket) -> None:
        sock.recv(64)
        sock.sendall(b"\5\0")  # no authentication
        request = sock.recv(256)
        if seen is not None:
            seen.append(request)
        sock.sendall(b"\5" + bytes([reply]) + b"\0\1\0\0\0\0\0\0")
        if reply == 0:
            with socket.create_connection(("127.0.0.1", port)) as server:
                threading.Thread(target=relay, args=(server, sock), daemon=True).start()
                relay(sock, server)

    return Proxy({}, whole=serve)


def test_socks(diagnose: Any, certificates: Any) -> None:
    pytest.importorskip("socks", reason="PySocks is not installed")
    seen: list[bytes] = []
    with (
        Replying(Api(), certificates["good"]) as server,
        socks_server(server.port, 0, seen) as proxy,
    ):
        argv = ["--proxy", f"socks5h://127.0.0.1:{proxy.port}", "--cacert", certificates.path]
        diagnosis = diagnose(f"https://{NAME}/v1", *argv)
    assert (diagnosis.code, diagnosis.found) == (0, [])
    assert any(NAME.encode() in request for request in seen)  # the proxy resolves the name
    with socks_server(0, reply=5) as proxy:
        diagnosis = diagnose(f"https://{NAME}/v1", "--proxy", f"socks5h://127.0.0.1:{proxy.port}")
    expect(diagnosis, "proxy", 7, "proxy-upstream", "works, but cannot reach api.example.test:443")


def test_socks_from_a_variable(diagnose: Any, certificates: Any) -> None:
    pytest.importorskip("socks", reason="PySocks is not installed")
    with Replying(Api(), certificates["good"]) as server, socks_server(server.port) as proxy:
        url = f"socks5h://127.0.0.1:{proxy.port}"
        environ = {"ALL_PROXY": url, "CURL_CA_BUNDLE": certificates.path}
        diagnosis = diagnose(f"https://{NAME}/v1", "--probe=models", environ=environ)
    assert (diagnosis.code, diagnosis.found) == (0, [])
    assert diagnosis.server["models"]["status"] == "ok"
    settings = {setting["name"]: setting for setting in diagnosis.report["settings"]}
    assert settings["proxy"] == {"name": "proxy", "value": url, "source": "ALL_PROXY"}


def test_a_model_that_is_not_listed_but_known_is_not_asked(diagnose: Any) -> None:
    api = Api()

    def reply(seen: Any) -> Any:
        return answer({"id": "m-2"}) if seen.target == "/v1/models/m-2" else api(seen)

    with Replying(reply) as server:
        diagnosis = diagnose(server.url, "-m", "m-2")
    assert (diagnosis.code, diagnosis.found) == (0, [])
    assert diagnosis.way["model"]["detail"] == "m-2 is known to the server"
    assert all(request.json == {} for request in server.requests if request.body)


def test_a_certificate_that_only_the_system_trusts(
    diagnose: Any, certificates: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    trust = tls.trust

    def with_system(ca_bundle: str) -> Any:
        return trust(ca_bundle or str(certificates.folder / "unknown" / "ca.pem"))

    monkeypatch.setattr(tls, "trust", with_system)
    with Replying(Api(), certificates["unknown"]) as server, Proxy({NAME: server.port}) as proxy:
        environ = {"HTTPS_PROXY": proxy.url, "SSL_CERT_FILE": certificates.path}
        diagnosis = diagnose(f"https://{NAME}/v1", environ=environ)
    expect(
        diagnosis,
        "TLS",
        7,
        "certificate-system",
        "the operating system trusts it",
        "set SSL_CERT_FILE=/",
    )


def test_litellm_without_a_database_does_not_know_the_key(diagnose: Any) -> None:
    """It answers 400, not 401, as seen with LiteLLM 1.x."""
    error = {
        "message": "No connected db.",
        "type": "no_db_connection",
        "param": None,
        "code": "400",
    }
    with Replying(lambda seen: answer({"error": error}, 400)) as server:
        diagnosis = diagnose(server.url)
    expect(diagnosis, "authentication", 3, "key-unknown-to-litellm", "its master_key alone")
    assert "OPENAI_API_KEY" in diagnosis.way["authentication"]["remedy"]
