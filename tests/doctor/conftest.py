"""The doctor, run in this process; and certificates that are made once."""

import json
import pathlib
import ssl
import time
from typing import Any, NamedTuple

import pytest

from rawchat.doctor.command import main

from ..transport.programs import guarded as guarded
from ..transport.programs import proxy as proxy
from .certificates import Authority, self_signed
from .servers import KEY, MODEL, Clock


class Diagnosis(NamedTuple):
    """What one run of the doctor printed."""

    code: int
    text: str
    report: dict[str, Any]

    @property
    def way(self) -> dict[str, dict[str, Any]]:
        return {step["name"]: step for step in self.report["way"]}

    @property
    def found(self) -> list[str]:
        """The steps that failed or differ."""
        return [step["name"] for step in self.report["way"] if step["status"] in ("no", "differs")]

    @property
    def server(self) -> dict[str, dict[str, Any]]:
        return {check["name"]: check for check in self.report["server"]}


@pytest.fixture
def diagnose(capsys: pytest.CaptureFixture[str]) -> Any:
    """`diagnose(url, "--probe", environ={…})`: the report of one run, with a key and a model unless told otherwise."""

    def run(
        *argv: str, environ: Any = None, clock: Any = None, now: Any = time.time, **options: Any
    ) -> Diagnosis:
        settings = {"OPENAI_API_KEY": KEY, "OPENAI_MODEL": MODEL, **(environ or {})}
        code = main([*argv, "--json"], settings, clock or Clock(), now, **options)
        captured = capsys.readouterr()
        text = captured.out + captured.err
        assert KEY not in text
        return Diagnosis(code, text, json.loads(captured.out))

    return run


class Certificates:
    """One authority that tests trust, one that they do not, and servers' settings by kind."""

    def __init__(self, folder: pathlib.Path):
        self.folder = folder
        self.authority = Authority(folder / "good")
        self.path = self.authority.path
        self._made: dict[str, ssl.SSLContext] = {}

    def __getitem__(self, kind: str) -> ssl.SSLContext:
        if kind not in self._made:
            self._made[kind] = self._make(kind)
        return self._made[kind]

    def _make(self, kind: str) -> ssl.SSLContext:
        if kind == "expired":
            return self.authority.issue(end="20210101000000Z")
        if kind == "early":
            return self.authority.issue(start="20900101000000Z", end="20990101000000Z")
        if kind == "wrong-host":
            return self.authority.issue("DNS:other.example.test")
        if kind == "not-strict":
            return self.authority.issue(
                extensions="subjectAltName={names}\nauthorityKeyIdentifier=none\nsubjectKeyIdentifier=none\n"
            )
        if kind == "self-signed":
            return self_signed(self.folder / "self")
        if kind == "inspected":
            return Authority(self.folder / "inspector", "mitmproxy", "mitmproxy").issue()
        if kind == "localhost":
            return self.authority.issue("DNS:localhost,IP:127.0.0.1")
        if kind == "unknown":
            return Authority(self.folder / "unknown", "Corp Root").issue()
        return self.authority.issue()


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))
