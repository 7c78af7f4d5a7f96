"""What all tests share: no key and no .env of the developer's, clients that do not wait, one local model."""

import io
import os
import sys
from collections.abc import Iterator
from typing import Any, Optional

import pytest

import rawchat

from .command import Ran, Run

SETTINGS = (
    "OPENAI_",
    "MODEL_NAME",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "RAWCHAT_",
)


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
    config.addinivalue_line(
        "markers", "row(*numbers): the rows of tests/rows.py that a test proves"
    )
    config.addinivalue_line("markers", "model: the test loads the embedded model")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that load the model: `make test` runs them one by one, all others in parallel.

    llama.cpp keeps every core busy while it waits, so that two models at once are ten times slower.
    """
    for item in items:
        uses_model = {"local_url", "again"} & set(getattr(item, "fixturenames", ()))
        if uses_model or "need_model" in names_used_by(item):
            item.add_marker("model")


def names_used_by(item: pytest.Item) -> tuple[str, ...]:
    """Return the global names that the code of a test mentions."""
    code = getattr(getattr(item, "function", None), "__code__", None)
    return code.co_names if code else ()


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """`run("-t", "0", "Hi", stdin=b"...")`: cli.main in this process; `stdin=None` is a terminal."""
    from rawchat import cli  # here, not above: the core's tests run without it, in test_core_alone

    def ran(*argv: str, stdin: Optional[bytes] = b"") -> Ran:
        out, err, given = (io.TextIOWrapper(io.BytesIO(text)) for text in (b"", b"", stdin or b""))
        monkeypatch.setattr(given, "isatty", lambda: stdin is None)
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdin", given)
            patch.setattr(sys, "stdout", out)
            patch.setattr(sys, "stderr", err)
            try:
                code = cli.main(argv)
            except SystemExit as left:
                code = int(left.code or 0)
        out.flush()
        err.flush()
        return Ran(code, out.buffer.getvalue(), err.buffer.getvalue().decode())  # type: ignore[attr-defined]

    return ran
