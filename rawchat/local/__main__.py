"""TODO."""

from ..safe_path import remove_working_directory

if __name__ == "__main__":
    remove_working_directory()  # before any other import, as it runs as python -m


import argparse
import os
import signal
import sys
import threading
from collections.abc import Sequence
from typing import NoReturn, Optional

from ..errors import ConfigError
from .server import start_server


class Parser(argparse.ArgumentParser):
    """argparse, with errors of one line."""

    def error(self, message: str) -> NoReturn:
        raise ConfigError(f"{message} (--help shows how)")


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Serve until Ctrl-C; the first line printed is the base_url."""
    parser = Parser(
        prog="python -m rawchat.local",
        allow_abbrev=False,
        description="Serve a small real model on this machine, with OpenAI's API.",
    )
    parser.add_argument("--port", type=int, default=8080, help="0 takes a free one (default: 8080)")
    parser.add_argument(
        "--model", metavar="FILE.gguf", help="another model than the one that is installed"
    )
    parser.add_argument("--while-stdin", action="store_true", help=argparse.SUPPRESS)
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # at once, even while llama.cpp loads
    called = False  # by `serve`, which reads what is printed?
    try:
        options = parser.parse_args(argv)
        called = options.while_stdin
        server = start_server(options.model, options.port)
    except ConfigError as error:
        print(f"rawchat: {error}", flush=True, file=sys.stdout if called else sys.stderr)
        return 2
    base_url = f"{server.listening_address}/v1"
    print(base_url, flush=True)
    if options.while_stdin:
        sys.stdin.buffer.read()
    else:
        print(
            f'use it:  OPENAI_BASE_URL={base_url} python -m rawchat "Say hi"\nstop it: Ctrl-C',
            flush=True,
        )
        signal.signal(signal.SIGINT, lambda *_: os._exit(0))
        threading.Event().wait()
    os._exit(0)  # llama.cpp's own farewell can take a second


if __name__ == "__main__":
    sys.exit(main())
