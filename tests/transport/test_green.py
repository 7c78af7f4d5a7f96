"""rawchat under gevent and eventlet, whose patches replace sockets, threads and TLS.

They have a Python of their own in build/green, which `make networks` makes; without it these tests skip.
"""

import os
import pathlib
import ssl
import subprocess
from typing import Any

import pytest

import rawchat
from rawchat.errors import ConfigError
from rawchat.transport.failures import PATCHED_LATE

from ..server import answer, completion, serving, streamed
from ..test_tls_proxy import CA, listening
from .programs import ROOT

row = pytest.mark.row

GREEN_PYTHON = ROOT / "build" / "green" / "bin" / "python"

PATCH = {
    "gevent": "from gevent import monkey; monkey.patch_all()",
    "eventlet": "import eventlet; eventlet.monkey_patch()",
}
ASK = """
import sys
import rawchat
base_url, ca_bundle, action = sys.argv[1:]
client = rawchat.Client("sk-key", base_url, environ={}, ca_bundle=ca_bundle or None, max_retries=0, deadline=20)
try:
    if action == "stream":
        print(client.stream_chat("Hi").reply.text)
    elif action == "deadline":
        client.stream_chat("Hi", deadline=0.3).reply
    else:
        print(client.chat("Hi").text)
except Exception as error:
    print(type(error).__name__, error)
"""
IMPORT_FIRST = "import ssl, requests; ssl.create_default_context()"

kinds = pytest.mark.parametrize("kind", sorted(PATCH))


def run_green(
    kind: str, base_url: str, ca_bundle: str = "", action: str = "", first: str = ""
) -> str:
    """Return what a patched process prints; `first` is code that runs before the patch."""
    if not GREEN_PYTHON.exists():
        pytest.skip("gevent and eventlet are not installed: make networks does so")
    code = "\n".join([first, PATCH[kind], ASK])
    package = pathlib.Path(rawchat.__file__).parents[1]
    done = subprocess.run(
        [GREEN_PYTHON, "-W", "ignore", "-c", code, base_url, ca_bundle, action],
        capture_output=True,
        env={**os.environ, "PYTHONPATH": str(package)},
        timeout=120,
    )
    assert b"Traceback" not in done.stderr, done.stderr.decode()
    return done.stdout.decode().strip()


@row("12.9")
@kinds
def test_tls_works(kind: str) -> None:
    with listening(answer(completion())) as server:
        assert run_green(kind, f"https://localhost:{server.port}/v1", CA) == "Hello"


@kinds
def test_tls_is_verified(kind: str) -> None:
    with listening(answer(completion())) as server:
        said = run_green(kind, f"https://localhost:{server.port}/v1")
    assert said.startswith("APIConnectionError localhost:")
    assert "the certificate is not trusted" in said


@row("12.9")
@kinds
def test_a_stream_works(kind: str) -> None:
    with serving(streamed()) as server:
        assert run_green(kind, server.url, action="stream") == "Hello"


@row("12.9")
@kinds
def test_a_patch_that_comes_too_late_for_tls_is_named(kind: str) -> None:
    with listening(answer(completion())) as server:
        said = run_green(kind, f"https://localhost:{server.port}/v1", CA, first=IMPORT_FIRST)
    assert said == f"ConfigError {PATCHED_LATE}"


@kinds
def test_a_patch_that_comes_too_late_leaves_http_alone(kind: str) -> None:
    with serving(answer(completion())) as server:
        assert run_green(kind, server.url, first=IMPORT_FIRST) == "Hello"


@row("12.9")
def test_tls_that_calls_itself_without_end_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a patched SSLContext does, without gevent or eventlet."""

    class Patched:
        def __init__(self, *_: Any):
            raise RecursionError("maximum recursion depth exceeded")

    def send(*_: Any, **__: Any) -> Any:
        Patched()

    client = rawchat.Client("sk-key", "https://localhost:1/v1", environ={}, sleep=lambda _: None)
    transport: Any = client.transport
    monkeypatch.setattr(transport._adapter, "send", send)
    with pytest.raises(RecursionError):
        client.chat("Hi")
    monkeypatch.setattr(ssl, "SSLContext", Patched)
    with pytest.raises(ConfigError, match="patched it after ssl was imported") as caught:
        client.chat("Hi")
    assert caught.value.__context__ is None
