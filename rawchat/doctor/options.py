"""The options of `python -m rawchat.doctor`."""

import argparse
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from . import adapter
from .check_server import CHECKS
from .plan import MODEL_SECONDS, STEP_SECONDS
from .report import write_line
from .sockets import describe

EPILOG = """Without --probe the requests are free of charge: GET /models, and one with an empty body.  Only a model
that is not in the server's list is asked for one token.  Nothing is written to any file; keys are shown by their
length and last two characters.

exit codes:
  0 all that was asked for works   2 wrong use, a setting   3 no key, 401, 403   4 refused (other 4xx)
  5 server (5xx, or no API)   6 rate limit or quota   7 network, proxy, TLS   8 the stream broke
  10 an answer does not fit   130 Ctrl-C   141 closed pipe
With --probe, chat and stream decide; with --probe=NAMES, each of those."""


class UsageError(Exception):
    """The command line cannot be used."""


class Parser(argparse.ArgumentParser):
    """argparse, with errors of one line."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (--help shows how)")

    def print_help(self, file: Any = None) -> None:
        """Print the help at once, so that a full disk is reported like everywhere else."""
        write_line(file or sys.stdout, self.format_help().rstrip())


def make_parser() -> Parser:
    """Return the parser of the command line."""
    parser = Parser(
        prog="python -m rawchat.doctor",
        allow_abbrev=False,
        description="Show which step to a model fails, and what to do about it.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "base_url", nargs="?", metavar="BASE_URL", help="default: as for python -m rawchat"
    )
    parser.add_argument(
        "--base-url", dest="base_url_option", metavar="URL", help="the same as BASE_URL"
    )
    parser.add_argument("-m", "--model", help="the model to look for")
    parser.add_argument("--key-file", metavar="FILE", help="file that holds the API key")
    parser.add_argument(
        "--proxy", metavar="URL", help="proxy to use, for this machine too; '' for none"
    )
    parser.add_argument(
        "--cacert",
        metavar="FILE",
        help="file or folder of CA certificates to trust (PEM); 'system' for the operating system's",
    )
    parser.add_argument(
        "--allow-http", action="store_true", help="allow a key over http:// to another machine"
    )
    parser.add_argument(
        "--timeout",
        type=seconds,
        metavar="SECONDS",
        help=f"bound on each step and call (default: {STEP_SECONDS:g}; {MODEL_SECONDS:g} where the model answers)",
    )
    parser.add_argument(
        "--probe",
        metavar="NAMES",
        help="then find out what the server can do; --probe=NAMES tries some only, separated by commas: "
        + ", ".join(check.name for check in CHECKS),
    )
    parser.add_argument(
        "--json", action="store_true", help="print one JSON object in place of lines"
    )
    return parser


def seconds(text: str) -> float:
    """Return a number of seconds.  Raises ValueError for one that is not above 0."""
    value = float(text)
    if not 0 < value < 3600:
        raise ValueError(text)
    return value


def parse_args(argv: Sequence[str]) -> argparse.Namespace:
    """Return the options; --probe alone takes no value, so that BASE_URL may follow it.  Raises UsageError."""
    parser = make_parser()
    words = ["--probe=" if word == "--probe" else word for word in argv]
    options, unknown = parser.parse_known_args(words)
    if unknown and unknown[0].startswith("-"):
        flags = [flag for action in parser._actions for flag in action.option_strings]
        raise UsageError(adapter.describe_unknown_option(unknown[0], flags))
    if unknown or (options.base_url is not None and options.base_url_option is not None):
        # The second one is not repeated: it may be a key.
        raise UsageError("more than one BASE_URL (see --help)")
    if options.base_url is None:
        options.base_url = options.base_url_option
    if options.probe is not None:
        options.probe = [name.strip() for name in options.probe.split(",") if name.strip()]
        known = [check.name for check in CHECKS]
        for name in options.probe:
            if name not in known:
                raise UsageError(
                    f"--probe: no check is called {name!r}; there are {', '.join(known)}"
                )
    return options


def read_key(path: str) -> str:
    """Return the key in a file.  Raises UsageError."""
    try:
        with open(path, encoding="utf-8-sig") as file:
            key = file.read().strip()
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: {describe(error)}") from None
    if not key:
        raise UsageError(f"{path}: no key in it")
    return key
