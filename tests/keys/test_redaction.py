"""Credentials in URLs."""

import base64
import html

import pytest

from rawchat.keys.redaction import (
    header_secrets,
    redact,
    redact_url,
    secret_forms,
    url_secrets,
)


@pytest.mark.parametrize(
    "name",
    [
        "key",
        "api_key",
        "apikey",
        "X-Key",
        "API-KEY",
        "token",
        "access_token",
        "secret",
        "a_secret",
        "sig",
        "password",
    ],
)
def test_keys_in_urls_do_not_show(name: str) -> None:
    shown = f"http://h/v1?{name}=***&a=1&b={name}#c"
    assert redact_url(f"http://h/v1?{name}=sk-1/2?3=4&a=1&b={name}#c") == shown
    assert redact_url(f"http://h/v1?a=1&{name}=sk-1") == f"http://h/v1?a=1&{name}=***"
    assert redact_url(f"http://h/{name}=1?{name}s=2") == f"http://h/{name}=1?{name}s=2"


KEY = "sk-SECRET0123456789+/="


@pytest.mark.parametrize("length", range(12, len(KEY) + 1))
def test_a_key_that_is_cut_is_hidden(length: int) -> None:
    # a body may be cut, or end, within the key, and a message goes on behind it
    assert redact([KEY], f"bad key {KEY[:length]}") == "bad key ***"
    assert redact([KEY], f"bad key {KEY[:length]} (POST http://h)") == "bad key *** (POST http://h)"


def test_what_many_keys_begin_with_is_no_secret() -> None:
    assert (
        redact(["sk-proj-0123456789abcdef"], "keys begin with sk-proj-")
        == "keys begin with sk-proj-"
    )


@pytest.mark.parametrize(
    "echo",
    [
        KEY,
        "sk-SECRET0123456789%2B%2F%3D",
        "sk-SECRET0123456789%2b%2f%3d",
        "sk-SECRET0123456789%2B/%3D",
        "sk-SECRET0123456789+\\/=",
    ],
)
def test_a_key_is_hidden_in_every_encoding(echo: str) -> None:
    assert redact(secret_forms([KEY]), f"<{echo}>") == "<***>"


def test_a_key_in_html_or_in_base64_is_hidden() -> None:
    secrets = secret_forms(["a&b<c>\"d'e"])
    assert redact(secrets, html.escape("a&b<c>\"d'e")) == "***"
    for following in (b"", b"x", b"xy"):
        echo = base64.b64encode(KEY.encode() + following).decode()
        hidden = redact(secret_forms([KEY]), echo)
        assert hidden.startswith("***")
        assert len(hidden) <= len("***") + 8


def test_the_password_in_a_header_with_the_scheme_basic_is_a_secret() -> None:
    headers = {"Authorization": "Basic " + base64.b64encode(b"me:hunter2-hunter2").decode()}
    assert {"hunter2-hunter2", "me:hunter2-hunter2"} <= set(header_secrets(headers))
    assert header_secrets({"Authorization": "Basic not base64!"}) == ["not base64!"]


@pytest.mark.parametrize("query", ["tok=sk-0123", "x=bearer%20abc", "a=1&q=Basic+abc"])
def test_a_value_with_the_form_of_a_key_does_not_show(query: str) -> None:
    shown = query.rpartition("=")[0] + "=***"
    assert redact_url(f"http://h/v1?{query}") == f"http://h/v1?{shown}"
    assert query.rpartition("=")[2] in url_secrets(f"http://h/v1?{query}")
