"""A program that PyInstaller has frozen: all of rawchat is there, though it is imported when it is used.

PyInstaller has its Python in build/green, which `make networks` makes; without it the test skips.
"""

import os
import pathlib
import subprocess

import pytest

import rawchat

from .server import answer, completion, serving
from .transport.programs import ROOT

row = pytest.mark.row

PYINSTALLER = ROOT / "build" / "green" / "bin" / "pyinstaller"
PROGRAM = """
import sys
import rawchat

def greet() -> str:
    "Say hello."
    return "hello"

client = rawchat.Client(base_url=sys.argv[1], environ={})
print(client.chat("Hi").text)
print(rawchat.History(client).ask("Hi").text)
print(rawchat.tools.run("Hi", tools=[greet], client=client).text)
print(len(list(rawchat.bulk.run_rows(["Hi"], client=client))))
print(rawchat.aio.AsyncClient.__name__)
"""


@row("12.9")
def test_a_frozen_program_answers(tmp_path: pathlib.Path) -> None:
    if not PYINSTALLER.exists():
        pytest.skip("PyInstaller is not installed: make networks does so")
    (tmp_path / "program.py").write_text(PROGRAM, encoding="utf-8")
    package = str(pathlib.Path(rawchat.__file__).parents[1])
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [PYINSTALLER, "--onedir", "--log-level", "ERROR", "--paths", package, "program.py"]
    subprocess.run(command, cwd=tmp_path, env=environ, check=True, timeout=170)
    frozen = tmp_path / "dist" / "program" / "program"
    with serving(*[answer(completion())] * 4) as server:
        done = subprocess.run(
            [frozen, server.url], capture_output=True, env=environ, timeout=60, check=True
        )
    assert done.stdout.decode().splitlines() == ["Hello", "Hello", "Hello", "1", "AsyncClient"]
