"""Each setting, its value as it is shown, and where it comes from."""

import os
from typing import Any, Optional

import pytest

from rawchat.doctor import settings
from rawchat.doctor.settings import Setting

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
