"""Credentials in URLs."""

import pytest

from rawchat.keys.redaction import redact_url


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
