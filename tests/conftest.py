"""What all tests share: no key and no .env of the developer's, clients that do not wait, one local model."""
import os
from collections.abc import Iterator
from typing import Any

import pytest

import rawchat

SETTINGS = ("OPENAI_", "MODEL_NAME", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE",
            "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "RAWCHAT_")


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """An empty working directory and an environment without settings."""
    for name in list(os.environ):
        if name.upper().startswith(SETTINGS):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


class Waits(list[float]):
    """Stands in for `time.sleep` and writes down how long it was asked to wait."""

    def __call__(self, seconds: float) -> None:
        self.append(seconds)


@pytest.fixture
def waits() -> Waits:
    return Waits()


def need_model() -> None:
    """Skip where the local model cannot be installed: Python 3.9, PyPy, Alpine.  `make test` installs it elsewhere."""
    if not rawchat.local.available():
        pytest.skip("the local model is not installed")


@pytest.fixture(scope="session")
def local_url() -> Iterator[str]:
    """The base_url of the embedded model; it is a real one, loaded once for all tests."""
    need_model()
    with rawchat.local.serve() as base_url:
        yield base_url


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "row(*numbers): the rows of tests/rows.py that a test proves")
