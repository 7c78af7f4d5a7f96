"""Run `python -m rawchat.local`: serve the local model until Ctrl-C.

With the hidden option --while-stdin it serves `rawchat.local.serve`, the parent process: it prints the base_url or an
error as the first line of standard output, and ends when the parent closes standard input.
"""

from ..safe_path import remove_working_directory

if __name__ == "__main__":
    # Before any other import, because `python -m` puts the working directory first.
    remove_working_directory()


import argparse
import os
import signal
import sys
import threading
from collections.abc import Sequence
from types import FrameType
from typing import NoReturn, Optional

from ..errors import ConfigError
from .server import start_server

DEFAULT_PORT = 8080


class Parser(argparse.ArgumentParser):
    """An argparse parser that raises ConfigError, so that a wrong option is reported in one line."""

    def error(self, message: str) -> NoReturn:
        raise ConfigError(f"{message} (--help shows how)")


def make_parser() -> Parser:
    """Return the parser of the command line."""
    parser = Parser(
        prog="python -m rawchat.local",
        allow_abbrev=False,
        description="Serve a small real model on this machine, with OpenAI's API.",
    )
    parser.add_argument(
        "--port", type=int, default=DEFAULT_PORT, help="0 is any free port (default: %(default)s)"
    )
    parser.add_argument(
        "--model", metavar="FILE.gguf", help="serve this model (default: the installed one)"
    )
    parser.add_argument("--while-stdin", action="store_true", help=argparse.SUPPRESS)
    return parser


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Serve until Ctrl-C; return 2 if that is not possible.  The first line printed is the base_url."""
    # Ctrl-C ends the process at once, even while llama.cpp loads.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    # Errors go to standard error, except to a parent process, which reads standard output.
    errors = sys.stderr
    try:
        options = make_parser().parse_args(argv)
        if options.while_stdin:
            errors = sys.stdout
        server = start_server(options.model, options.port)
    except ConfigError as error:
        print(f"rawchat: {error}", flush=True, file=errors)
        return 2
    base_url = f"{server.listening_address}/v1"
    print(base_url, flush=True)
    if options.while_stdin:
        sys.stdin.buffer.read()
    else:
        print(f'use it:  OPENAI_BASE_URL={base_url} python -m rawchat "Say hi"')
        print("stop it: Ctrl-C", flush=True)
        signal.signal(signal.SIGINT, exit_at_once)
        threading.Event().wait()
    # llama.cpp needs up to a second to shut down.
    os._exit(0)


def exit_at_once(signum: int, frame: Optional[FrameType]) -> NoReturn:
    """End the process with 0: Ctrl-C is how this command is stopped."""
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
