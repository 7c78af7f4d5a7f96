"""The command line as tests run it: `cli.main` in this process, or the command in a process of its own."""

import contextlib
import os
import pathlib
import subprocess
import sys
from collections.abc import Iterator
from typing import Any, Callable, NamedTuple, Optional

import rawchat

ROOT = str(pathlib.Path(rawchat.__file__).parent.parent)
PLAIN = {"PYTHONPATH": ROOT, "PYTHONUNBUFFERED": "", "PYTHONDONTWRITEBYTECODE": "1"}


class Ran(NamedTuple):
    code: int
    out: bytes
    err: str


Run = Callable[..., Ran]


@contextlib.contextmanager
def started(
    *argv: str, env: Optional[dict[str, str]] = None, sh: str = "", **options: Any
) -> Iterator["subprocess.Popen[bytes]"]:
    """The command in a process of its own, with pipes; `sh` is a redirection for the shell to make."""
    command = [sys.executable, "-m", "rawchat", *argv]
    if sh:
        command = ["sh", "-c", f'exec "$@" {sh}', "sh", *command]
    pipes = {
        "stdin": subprocess.DEVNULL,
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
        **options,
    }
    with subprocess.Popen(command, env={**os.environ, **PLAIN, **(env or {})}, **pipes) as process:
        try:
            yield process
        finally:
            process.kill()


def ran(*argv: str, input: Optional[bytes] = None, **options: Any) -> Ran:
    """The same, from its start to its end."""
    with started(
        *argv, **options, **({"stdin": subprocess.PIPE} if input is not None else {})
    ) as process:
        out, err = process.communicate(input, timeout=60)
    return Ran(process.returncode, out or b"", (err or b"").decode())


def line(result: Ran) -> str:
    """The one line of an error, without its start."""
    assert result.err.startswith("rawchat: ")
    assert result.err.count("\n") == 1
    assert result.err.endswith("\n")
    assert "Traceback" not in result.err
    return result.err[len("rawchat: ") : -1]
