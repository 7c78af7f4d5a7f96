"""Each setting, its value as it is shown, and where it comes from."""

import os
import socket
from typing import Any, Optional

import pytest

import rawchat
from rawchat.doctor import settings
from rawchat.doctor.settings import Setting
from rawchat.doctor.sockets import StepError
from rawchat.transport import system_certificates

from ..test_tls_proxy import CA

row = pytest.mark.row

DEFAULTS = {"base_url": "https://api.openai.com/v1", "model": "default-model"}
KEY = "sk-0123456789abcdef"


def collect(given: Any = (), environ: Any = (), dotenv: Any = ()) -> dict[str, Setting]:
    listing = settings.collect(dict(given), dict(environ), dict(dotenv), DEFAULTS)
    return {setting.name: setting for setting in listing}


def test_defaults() -> None:
    assert list(collect().values()) == [
        Setting("base_url", "https://api.openai.com/v1", "default"),
        Setting("api_key", "none", "not set"),
        Setting("model", "default-model", "default"),
    ]


@pytest.mark.parametrize(
    ("given", "environ", "dotenv", "value", "source"),
    [
        ({"model": "a"}, {"RAWCHAT_MODEL": "b"}, {"OPENAI_MODEL": "d"}, "a", "argument"),
        (
            {},
            {"RAWCHAT_MODEL": "b", "OPENAI_MODEL": "c"},
            {"OPENAI_MODEL": "d"},
            "b",
            "RAWCHAT_MODEL",
        ),
        ({}, {"MODEL_NAME": "c"}, {"OPENAI_MODEL": "d"}, "c", "MODEL_NAME"),
        ({}, {"OPENAI_MODEL": ""}, {"OPENAI_MODEL": "d"}, "d", ".env (OPENAI_MODEL)"),
    ],
)
def test_precedence(given: Any, environ: Any, dotenv: Any, value: str, source: str) -> None:
    assert collect(given, environ, dotenv)["model"] == Setting("model", value, source)


def test_an_organization_is_shown_if_there_is_one() -> None:
    assert "organization" not in collect()
    assert collect(environ={"OPENAI_ORG_ID": "org-1"})["organization"].value == "org-1"


@pytest.mark.parametrize(
    ("given", "environ", "shown", "source"),
    [
        ({}, {"OPENAI_API_KEY": KEY}, "19 characters, ends in …ef", "OPENAI_API_KEY"),
        ({}, {"OPENAI_API_KEY": "short-key"}, "9 characters", "OPENAI_API_KEY"),
        (
            {},
            {"OPENAI_API_KEYS": f"{KEY}, ,{KEY}0"},
            "19 characters, ends in …ef; 20 characters, ends in …f0",
            "OPENAI_API_KEYS",
        ),
        (
            {"api_key": KEY, "api_key_source": "--key-file"},
            {},
            "19 characters, ends in …ef",
            "--key-file",
        ),
    ],
)
def test_keys_are_shown_by_length_and_two_characters(
    given: Any, environ: Any, shown: str, source: str
) -> None:
    assert collect(given, environ)["api_key"] == Setting("api_key", shown, source)


@pytest.mark.parametrize(
    ("chosen", "explicit", "environ", "value", "source"),
    [
        ("", None, {}, "none", "HTTPS_PROXY and ALL_PROXY are not set"),
        ("http://p:8080", None, {"HTTPS_PROXY": "http://p:8080"}, "http://p:8080", "HTTPS_PROXY"),
        (
            "http://p:8080",
            None,
            {"ALL_PROXY": "http://p:8080", "https_proxy": "http://p:8080"},
            "http://p:8080",
            "https_proxy",
        ),
        (
            "",
            None,
            {"HTTPS_PROXY": "http://p:8080"},
            "none",
            "HTTPS_PROXY is set, but NO_PROXY excludes host.test",
        ),
        ("", "", {"HTTPS_PROXY": "http://p:8080"}, "none", "argument"),
        ("http://u:secret@p", "http://u:secret@p", {}, "http://***@p:80", "argument"),
        (
            "http://p:x",
            None,
            {"HTTPS_PROXY": "http://p:x"},
            "a URL that cannot be read",
            "HTTPS_PROXY",
        ),
    ],
)
def test_the_proxy_and_why(
    chosen: str, explicit: Optional[str], environ: Any, value: str, source: str
) -> None:
    found = settings.proxy_setting("https", "host.test", chosen, explicit, environ)
    assert found == Setting("proxy", value, source)


def test_a_proxy_taken_apart() -> None:
    proxy = settings.parse_proxy("http://user:p%40ss@w@[::1]:3128", "HTTPS_PROXY")
    assert (proxy.host, proxy.port, proxy.user, proxy.password) == ("::1", 3128, "user", "p@ss@w")
    assert proxy.shown == "http://***@[::1]:3128"
    assert settings.parse_proxy("proxy.test", "").port == 80
    assert settings.parse_proxy("socks5h://proxy.test", "").port == 1080
    assert settings.parse_proxy("u:ü@proxy.test", "").credentials == "Basic dTrDvA=="


@pytest.mark.parametrize("url", ["ftp://p", "http://", "http://p:port", "http://[p", ""])
def test_a_proxy_that_is_no_url(url: str) -> None:
    with pytest.raises(ValueError, match="not a URL") as caught:
        settings.parse_proxy(url, "HTTPS_PROXY")
    assert "p:port" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "environ", "value", "source"),
    [
        (None, {}, "certifi.pem", "default"),
        (None, {"SSL_CERT_FILE": "a.pem"}, "a.pem", "SSL_CERT_FILE"),
        (
            None,
            {"SSL_CERT_FILE": "a.pem", "REQUESTS_CA_BUNDLE": "b.pem"},
            "b.pem",
            "REQUESTS_CA_BUNDLE",
        ),
        (
            None,
            {"SSL_CERT_FILE": "a.pem", "CURL_CA_BUNDLE": "b.pem"},
            "a.pem",
            "SSL_CERT_FILE",
        ),
        (None, {"SSL_CERT_FILE": "a.pem", "SSL_CERT_DIR": "/"}, "a.pem", "SSL_CERT_FILE"),
        (None, {"SSL_CERT_DIR": f"missing{os.pathsep}{os.sep}"}, os.sep, "SSL_CERT_DIR"),
        ("c.pem", {"SSL_CERT_FILE": "a.pem"}, "c.pem", "argument"),
    ],
)
def test_the_ca_bundle(given: Optional[str], environ: Any, value: str, source: str) -> None:
    assert settings.ca_setting(given, environ, "certifi.pem") == Setting("CA bundle", value, source)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True),
        ("a.localhost", True),
        ("127.8.0.1", True),
        ("::1", True),
        ("10.0.0.1", False),
        ("host.test", False),
    ],
)
def test_loopback(host: str, expected: bool) -> None:
    assert settings.is_loopback(host) is expected


def test_the_target_of_a_url() -> None:
    target = settings.target_of("https://[2001:db8::1]:8443/v1?x=1")
    assert target == ("https", "2001:db8::1", 8443)
    assert target.origin == "https://[2001:db8::1]:8443"
    assert settings.target_of("http://host/v1").origin == "http://host"


@pytest.mark.parametrize(
    ("argv", "environ", "proxy", "bundle"),
    [
        ([], {"RAWCHAT_PROXY": "p:1"}, ("http://p:1", "RAWCHAT_PROXY"), None),
        (["--proxy", "q:2"], {"RAWCHAT_PROXY": "p:1"}, ("http://q:2", "argument"), None),
        (["--proxy", ""], {"RAWCHAT_PROXY": "p:1"}, ("none", "argument"), None),
        (
            [],
            {"RAWCHAT_PROXY": "p:1", "HTTPS_PROXY": "r:3"},
            ("http://p:1", "RAWCHAT_PROXY"),
            None,
        ),
        ([], {"RAWCHAT_PROXY": "", "HTTPS_PROXY": "r:3"}, ("http://r:3", "HTTPS_PROXY"), None),
        ([], {"RAWCHAT_CACERT": CA, "SSL_CERT_FILE": "x"}, None, (CA, "RAWCHAT_CACERT")),
        (["--cacert", CA], {"RAWCHAT_CACERT": "x"}, None, (CA, "argument")),
        ([], {"RAWCHAT_CACERT": "system"}, None, ("system", "RAWCHAT_CACERT: system")),
        ([], {"RAWCHAT_CACERT": "", "SSL_CERT_FILE": CA}, None, (CA, "SSL_CERT_FILE")),
    ],
)
def test_proxy_and_ca_bundle_come_from_the_command_lines_variables_too(
    diagnose: Any, argv: list[str], environ: Any, proxy: Any, bundle: Any
) -> None:
    """As for `python -m rawchat`: the argument, then RAWCHAT_…, then the variables of other programs."""

    class Nowhere:
        """A network without names."""

        @staticmethod
        def resolve(host: str, port: int) -> Any:
            raise StepError("no-such-host", host)

    diagnosis = diagnose("https://model.test/v1", *argv, environ=environ, network=Nowhere)
    shown = {each["name"]: (each["value"], each["source"]) for each in diagnosis.report["settings"]}
    if proxy:
        assert (shown["proxy"][0].rstrip("/"), shown["proxy"][1]) == proxy
    if bundle:
        path = system_certificates() if bundle[0] == "system" else bundle[0]
        assert shown["CA bundle"] == (path, bundle[1])


def test_a_variable_that_cannot_be_used_is_named_by_the_remedy(diagnose: Any) -> None:
    diagnosis = diagnose("https://model.test/v1", environ={"RAWCHAT_PROXY": "ftp://u:hunter2@h"})
    step = diagnosis.way["settings"]
    assert (diagnosis.code, step["cause"]) == (2, "proxy-url")
    assert "correct RAWCHAT_PROXY" in step["remedy"]
    assert "hunter2" not in diagnosis.text


@row("12.1")
@pytest.mark.parametrize(
    ("url", "argv", "environ", "refused"),
    [
        ("http://localhost:1/v1", [], {}, True),
        ("http://localhost:1/v1", ["--allow-http"], {}, True),
        ("http://localhost:1/v1", [], {"OPENAI_API_KEY": ""}, False),
        ("http://model.test/v1", ["--allow-http"], {}, False),
        ("https://model.test/v1", [], {}, False),
    ],
)
def test_doctor_and_transport_agree_on_a_plain_proxy_elsewhere(
    diagnose: Any, monkeypatch: pytest.MonkeyPatch, url: str, argv: Any, environ: Any, refused: bool
) -> None:
    """`allow_http` is about the server: a key for this machine never leaves it unencrypted."""

    def resolve(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "no names here")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    proxy = "http://proxy.test:3128"
    diagnosis = diagnose(url, "--proxy", proxy, *argv, environ=environ)
    causes = [step.get("cause") for step in diagnosis.report["way"]]
    assert ("key-through-plain-proxy" in causes) is refused
    key = environ.get("OPENAI_API_KEY", KEY)
    client = rawchat.Client(key, url, environ={}, proxy=proxy, allow_http=bool(argv), max_retries=0)
    with pytest.raises(rawchat.RawchatError) as caught:
        client.chat("Hi")
    assert isinstance(caught.value, rawchat.ConfigError) is refused
