"""The way to the server: proxies, exceptions from them, certificates, and what an error says about each."""

import base64
import contextlib
import contextvars
import pathlib
import socket
import threading
from typing import Any

import pytest

import rawchat
from rawchat.deadline import CancelToken, cancel_token, shutdown_socket
from rawchat.errors import APIConnectionError, ConfigError
from rawchat.transport import over_http, system_certificates
from rawchat.transport.proxies import bypasses_proxy, proxies_for

from ..doctor.servers import Proxy
from ..server import CLOSE, PATIENCE, Listener, answer, completion, serving
from ..test_tls_proxy import CA, listening

row = pytest.mark.row

KEY = "sk-very-secret-key"
NO_SLEEP = {"sleep": lambda seconds: None}


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def fail(base_url: str, **settings: Any) -> APIConnectionError:
    settings = {"environ": {}, "allow_http": True, **NO_SLEEP, **settings}
    with pytest.raises(APIConnectionError) as caught:
        rawchat.Client(KEY, base_url, **settings).chat("Hi")
    assert KEY not in str(caught.value)
    return caught.value


@row("12.1")
@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.8.8.8", "[::1]", "localhost", "a.localhost", "LOCALHOST."]
)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_this_machine_is_never_reached_through_a_proxy_of_the_environment(
    host: str, scheme: str
) -> None:
    settings = {"all_proxy": "http://p:1", "http_proxy": "http://p:1", "https_proxy": "http://p:1"}
    assert proxies_for(f"{scheme}://{host}:80/v1", settings) == {}
    assert proxies_for(f"{scheme}://{host}:80/v1", settings, "q:2") == {scheme: "http://q:2"}
    assert proxies_for(f"{scheme}://model.test/v1", settings, "") == {}


@row("12.1")
def test_an_explicit_proxy_serves_this_machine_too() -> None:
    with serving(answer(completion())) as proxy:
        client = rawchat.Client(KEY, "http://localhost:1/v1", environ={}, proxy=proxy.origin)
        assert client.chat("Hi").text == "Hello"
    assert proxy.requests[0].target == "http://localhost:1/v1/chat/completions"


@row("12.1")
def test_a_key_for_this_machine_never_goes_to_a_plain_proxy_elsewhere() -> None:
    client = rawchat.Client(KEY, "http://127.0.0.1:1/v1", environ={}, proxy="http://192.0.2.1:3128")
    with pytest.raises(ConfigError, match="another machine and would receive the key unencrypted"):
        client.chat("Hi")


@row("12.1")
def test_a_key_for_this_machine_is_not_shown_to_a_proxy_of_the_environment() -> None:
    with serving(answer(completion())) as proxy:
        environ = {"HTTP_PROXY": proxy.origin, "ALL_PROXY": proxy.origin}
        client = rawchat.Client(
            KEY, f"http://localhost:{closed_port()}/v1", environ=environ, max_retries=0
        )
        with pytest.raises(APIConnectionError, match="localhost"):
            client.chat("Hi")
        assert proxy.requests == []


@row("12.1")
@pytest.mark.parametrize(
    "settings",
    [
        {"default_headers": {"X-Session": KEY}},
        {"default_headers": {"X-Foo": f"Bearer {KEY}"}},
        {"default_query": {"api-key": KEY}},
        {"base_url": f"http://127.0.0.1:1/v1?api-key={KEY}"},
    ],
)
def test_no_other_credential_for_this_machine_goes_to_a_plain_proxy_elsewhere(
    settings: dict[str, Any],
) -> None:
    settings = {"base_url": "http://127.0.0.1:1/v1", **settings}
    client = rawchat.Client(environ={}, proxy="http://192.0.2.1:3128", **settings)
    with pytest.raises(ConfigError, match="another machine and would receive the key unencrypted"):
        client.chat("Hi", timeout=0.1)


@row("12.2")
@pytest.mark.parametrize(
    ("entry", "url", "matches"),
    [
        ("*", "https://h.test", True),
        ("h.test", "https://h.test", True),
        ("H.TEST", "https://h.test", True),
        ("test", "https://h.test", True),
        (".test", "https://h.test", True),
        ("*.test", "https://h.test", True),
        ("est", "https://h.test", False),
        ("h.test:443", "https://h.test", True),
        ("h.test:444", "https://h.test", False),
        ("h.test:8080", "https://h.test:8080", True),
        ("10.0.0.0/8", "http://10.1.2.3", True),
        ("10.0.0.0/8", "http://11.1.2.3", False),
        ("10.0.0.0/8", "http://h.test", False),
        ("10.1.2.3", "http://10.1.2.3:8000", True),
        ("10.1.2.3:8000", "http://10.1.2.3:8000", True),
        ("10.1.2.3:8001", "http://10.1.2.3:8000", False),
        ("fd00::1", "http://[fd00::1]:8000", True),
        ("[fd00::1]", "http://[fd00::1]:8000", True),
        ("[fd00::1]:8000", "http://[fd00::1]:8000", True),
        ("[fd00::1]:8001", "http://[fd00::1]:8000", False),
        ("fd00::/8", "http://[fd12::1]", True),
        ("[fd00::]/8", "http://[fd12::1]", True),
        ("nonsense/99", "http://10.1.2.3", False),
        ("", "https://h.test", False),
        (".", "https://h.test", False),
    ],
)
def test_what_no_proxy_excepts(entry: str, url: str, matches: bool) -> None:
    assert bypasses_proxy(url, f"other.example, {entry}") is matches


@row("12.4")
@pytest.mark.parametrize(
    ("password", "sent"),
    [
        ("p%40ss%23w%3A", b"p@ss#w:"),
        ("%E2%82%AC", "\u20ac".encode()),
        ("%FF", b"\xff"),
        ("a@b", b"a@b"),
    ],
)
def test_credentials_of_a_proxy_hold_any_character(password: str, sent: bytes) -> None:
    with serving(answer(completion())) as proxy:
        way = f"http://dom%5Cann:{password}@127.0.0.1:{proxy.port}"
        rawchat.Client(base_url="http://model.test/v1", environ={}, proxy=way).chat("Hi")
    expected = "Basic " + base64.b64encode(b"dom\\ann:" + sent).decode()
    assert proxy.requests[0].headers["proxy-authorization"] == expected


@row("12.4")
@pytest.mark.parametrize("target", ["http", "https"])
def test_a_407_is_the_proxys_and_is_not_retried(target: str) -> None:
    with serving(answer(b"", 407)) as proxy:
        error = fail(f"{target}://model.test/v1", proxy=f"http://me:hunter2@127.0.0.1:{proxy.port}")
        assert len(proxy.requests) == 1
    assert str(error).startswith(f"proxy 127.0.0.1:{proxy.port}: 407 ")
    assert "user and password" in error.hint
    assert "hunter2" not in str(error)


@row("12.4")
@pytest.mark.parametrize("status", [407, 403])
@pytest.mark.parametrize("userinfo", ["me:hunt%40er2", "hunt%40er2"])
def test_a_proxy_that_echoes_its_password_is_not_quoted(status: int, userinfo: str) -> None:
    decoded = userinfo.replace("%40", "@")
    if ":" not in decoded:
        decoded += ":"
    encoded = base64.b64encode(decoded.encode()).decode()
    line = f"HTTP/1.1 {status} no hunt@er2 hunt%40er2 {encoded}\r\n\r\n".encode()
    with serving([line, CLOSE]) as proxy:
        way = f"http://{userinfo}@127.0.0.1:{proxy.port}"
        error = fail("https://model.test/v1", proxy=way, max_retries=0)
    assert f"{status} no *** *** ***" in str(error)
    shown = f"{error!r} {error.__dict__!r} {error.__cause__!r}"
    assert not [form for form in ("hunt@er2", "hunt%40er2", encoded) if form in shown]


@row("12.4")
@pytest.mark.parametrize("status", [502, 503])
def test_a_proxy_that_makes_no_tunnel_is_named(status: int) -> None:
    with serving(answer(b"", status)) as proxy:
        error = fail("https://model.test/v1", proxy=proxy.origin, max_retries=0)
    assert str(error).startswith(f"proxy 127.0.0.1:{proxy.port}: {status} ")


@row("12.6")
@pytest.mark.parametrize("status", [401, 403])
def test_a_proxy_that_refuses_a_tunnel_is_asked_once(status: int) -> None:
    with serving(answer(b"", status)) as proxy:
        error = fail("https://model.test/v1", proxy=proxy.origin)
        assert len(proxy.requests) == 1
    assert str(error).startswith(f"proxy 127.0.0.1:{proxy.port}: {status} ")
    assert ("user and password" in error.hint) == (status == 401)


@row("12.4")
@pytest.mark.parametrize("target", ["http", "https"])
def test_a_refused_proxy_is_named(target: str) -> None:
    port = closed_port()
    error = fail(
        f"{target}://model.test/v1", environ={"ALL_PROXY": f"127.0.0.1:{port}"}, max_retries=0
    )
    assert str(error).startswith(f"proxy 127.0.0.1:{port}: Connection refused (")
    assert "check the proxy settings" in error.hint


@row("12.3")
def test_a_socks_proxy_without_pysocks_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("rawchat.transport.importlib.util.find_spec", lambda name: None)
    client = rawchat.Client(
        KEY, "https://model.test/v1", environ={"ALL_PROXY": "socks5h://me:hunter2@h:1"}
    )
    with pytest.raises(
        ConfigError, match=r"^ALL_PROXY names a SOCKS proxy.*rawchat\[socks\]"
    ) as caught:
        client.chat("Hi")
    assert "hunter2" not in str(caught.value)


# ---- certificates and protocols


@row("12.6")
def test_an_untrusted_certificate_is_not_tried_twice_and_names_the_settings() -> None:
    with listening() as server:
        error = fail(f"https://127.0.0.1:{server.port}/v1")
    assert (error.retries, error.retryable) == (0, False)
    assert "certificate" in str(error)
    assert "ca_bundle=" in error.hint
    assert "SSL_CERT_FILE" in error.hint


@row("12.6")
def test_an_untrusted_certificate_behind_a_proxy_is_reported_alike() -> None:
    """urllib3 hides the error of TLS there, and three attempts were made."""
    with listening() as server, Proxy({"localhost": server.port}) as proxy:
        error = fail("https://localhost/v1", proxy=proxy.url)
        assert len(proxy.heads) == 1
    assert (error.retries, error.retryable) == (0, False)
    assert "certificate" in str(error)
    assert "ca_bundle=" in error.hint


@row("12.6")
def test_http_on_a_tls_port_and_tls_on_a_plain_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def refuse() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

        threading.Thread(target=refuse, daemon=True).start()
        error = fail(f"https://127.0.0.1:{listener.getsockname()[1]}/v1")
    assert (error.retries, "http:// may be meant" in error.hint) == (0, True)
    with serving([b"\x15\x03\x01\x00\x02\x02\x46", CLOSE]) as server:
        error = fail(server.url)
    assert (error.retries, "https:// may be meant" in error.hint) == (0, True)


@row("12.6")
def test_a_port_that_answers_no_tls_handshake_may_speak_plain_http() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:  # it accepts, and says nothing
        url = f"https://127.0.0.1:{listener.getsockname()[1]}/v1"
        error = fail(url, max_retries=0, timeout=(0.1, 0.1))
    assert isinstance(error, rawchat.APITimeoutError)
    assert "handshake operation timed out" in error.message
    assert "_ssl.c" not in str(error)
    assert error.hint.startswith("the port may not speak TLS: http:// may be meant")
    assert "a larger timeout may help" in error.hint
    assert error.retryable


@row("12.6")
def test_the_hint_fits_the_cause_and_names_the_doctor() -> None:
    error = fail(f"http://127.0.0.1:{closed_port()}/v1", max_retries=0)
    assert "is the server running" in error.hint
    assert error.hint.endswith("python -m rawchat.doctor shows which step fails")
    assert error.retryable
    with serving([CLOSE]) as server:
        error = fail(server.url, max_retries=0)
    assert error.hint.endswith("python -m rawchat.doctor shows which step fails")


@row("12.6")
def test_a_name_that_does_not_resolve_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: Any, **__: Any) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    error = fail("http://nowhere.test/v1", max_retries=0)
    assert "the name nowhere.test was not resolved" in error.hint


@row("12.5")
@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"REQUESTS_CA_BUNDLE": CA, "SSL_CERT_FILE": "/nowhere"}, CA),
        ({"CURL_CA_BUNDLE": CA}, CA),
        ({"CURL_CA_BUNDLE": "/nowhere", "SSL_CERT_FILE": CA}, CA),
        ({"SSL_CERT_FILE": CA, "SSL_CERT_DIR": "/"}, CA),
        ({"SSL_CERT_DIR": f"/nowhere:{pathlib.Path(CA).parent}"}, str(pathlib.Path(CA).parent)),
        ({}, True),
    ],
)
def test_which_certificates_are_trusted(environ: dict[str, str], expected: Any) -> None:
    assert over_http("https://h/v1", environ=environ)._verify == expected
    assert over_http("https://h/v1", "system", environ)._verify == system_certificates()


@row("12.5")
def test_a_client_is_given_its_certificates() -> None:
    with listening(answer(completion())) as server:
        url = f"https://127.0.0.1:{server.port}/v1"
        assert rawchat.Client(KEY, url, environ={}, ca_bundle=CA).chat("Hi").text == "Hello"
        error = fail(url, ca_bundle="system")
    assert "certificate" in str(error)


@row("12.5")
@pytest.mark.parametrize(
    "environ",
    [
        {},
        # requests verifies nothing with this one empty (psf/requests#2255).
        {"CURL_CA_BUNDLE": "", "REQUESTS_CA_BUNDLE": "", "SSL_CERT_FILE": "", "SSL_CERT_DIR": ""},
        {"PYTHONHTTPSVERIFY": "0", "CURL_INSECURE": "1", "SSL_VERIFY": "0", "CURL_CA_BUNDLE": "0"},
    ],
)
def test_no_variable_disables_verification(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    with listening(answer(completion())) as server:
        client = rawchat.Client(KEY, f"https://127.0.0.1:{server.port}/v1", environ=environ)
        with pytest.raises((APIConnectionError, ConfigError), match=r"certificate|no such CA"):
            client.chat("Hi")
        assert server.heads == []


@row("12.7")
def test_connections_are_kept_alive_by_tcp(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[socket.socket] = []
    connect = socket.socket.connect

    def watch(self: socket.socket, address: Any) -> None:
        opened.append(self)
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", watch)
    with serving(answer(completion())) as server:
        client = rawchat.Client(base_url=server.url, environ={})
        client.chat("Hi")
        assert opened[0].getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert opened[0].getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_a_socket_class_without_shutdown_is_shut_down_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """As under eventlet, whose socket.socket wraps the real one and finds its methods only on an instance."""

    class GreenSocket:
        def __init__(self, real: socket.socket):
            self.real = real

        def __getattr__(self, name: str) -> Any:
            return getattr(self.real, name)

    one, other = socket.socketpair()
    with one, other:
        green: Any = GreenSocket(one)
        monkeypatch.setattr(socket, "socket", GreenSocket)
        shutdown_socket(green)
        assert other.recv(1) == b""


class Staller(Listener):
    """A proxy that never comes to the end of its answer, but sends a byte of it now and then."""

    def __init__(self, start: bytes, unit: bytes):
        super().__init__()
        self.start = start
        self.unit = unit
        self.stopped = threading.Event()
        self.gave_up = False  # nobody has ended the connection

    def serve(self, connection: socket.socket, number: int) -> None:
        with contextlib.suppress(OSError), connection:
            connection.recv(65536)
            if self.start.startswith(b"\x05"):
                connection.sendall(b"\x05\x00")
                connection.recv(65536)
            connection.sendall(self.start)
            # http.client allows a hundred headers, and PySocks a name of 255 bytes
            for _ in range(80):
                connection.sendall(self.unit)
                if self.stopped.wait(PATIENCE / 40):
                    return
            self.gave_up = True


STALLERS = [
    ("http", b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n"),
    ("socks5h", b"\x05\x00\x00\x03\xff", b"a"),
]


@pytest.mark.parametrize(("scheme", "start", "unit"), STALLERS)
def test_a_deadline_ends_what_a_proxy_draws_out(scheme: str, start: bytes, unit: bytes) -> None:
    if scheme.startswith("socks"):
        pytest.importorskip("socks", reason="SOCKS needs PySocks")
    with Staller(start, unit) as proxy:
        way = f"{scheme}://127.0.0.1:{proxy.port}"
        # each byte comes in time for the timeout, and the last one never comes
        error = fail("https://model.test/v1", proxy=way, timeout=5.0, deadline=0.3, max_retries=0)
        proxy.stopped.set()
    assert not proxy.gave_up
    assert isinstance(error, rawchat.DeadlineExceededError)


@pytest.mark.parametrize(("scheme", "start", "unit"), STALLERS)
def test_cancelling_ends_what_a_proxy_draws_out(scheme: str, start: bytes, unit: bytes) -> None:
    if scheme.startswith("socks"):
        pytest.importorskip("socks", reason="SOCKS needs PySocks")
    token = CancelToken()
    with Staller(start, unit) as proxy:
        way = f"{scheme}://127.0.0.1:{proxy.port}"
        timer = threading.Timer(0.3, token.cancel)
        timer.start()
        context = contextvars.copy_context()
        context.run(cancel_token.set, token)
        settings = {"proxy": way, "timeout": 5.0, "max_retries": 0}
        error = context.run(lambda: fail("https://model.test/v1", **settings))
        proxy.stopped.set()
    assert not proxy.gave_up
    assert token.cancelled
    assert isinstance(error, rawchat.DeadlineExceededError)
