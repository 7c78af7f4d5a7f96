"""Run `python -m rawchat.bulk IN OUT`: ask for every row of IN, and append each result to OUT as soon as it is ready.

What is done stays done: after Ctrl-C, SIGTERM or a crash, the same command continues where the last one ended.
"""

from ..safe_path import remove_working_directory

if __name__ == "__main__":
    # Before any other import, because `python -m` puts the working directory first.
    remove_working_directory()


import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Optional

from ..cli.client import NO_KEY_HELP, read_key
from ..cli.inputs import UsageError, expand_at_file, json_or_text
from ..cli.parser import HelpFormatter, Parser, report_unknown_variables, unknown_option
from ..cli.terminal import is_closed_pipe, to_devnull
from ..config.misnamed import MisnamedError
from ..errors import MissingKeyError, RawchatError
from ..wire.headers import parse_header_lines
from .job import EXIT_CLOSED_PIPE, EXIT_KEY, EXIT_USAGE, Job, fail, run_job
from .progress import print_warning
from .run import DEFAULT_WORKERS, make_client
from .source import InputError

EPILOG = """\
IN has one row in each line:
  a request of OpenAI's Batch format: "custom_id", "method", "url", "body"; a "body" alone is a chat
  {"messages": …} or {"prompt": …}, beside parameters
  plain text, or a JSON string
UTF-16 and gzip are recognised. OUT gets one line for each row as soon as it is finished, failed rows too.

Ctrl-C and SIGTERM finish what is under way, and the same command continues from there. A row without a \
"custom_id" is recognised by its content; -m and -o do not count: after a change of these, choose another OUT or \
use --no-resume. A 429 pauses all workers: it costs time, not rows.

Options marked with * can be set by a variable, such as RAWCHAT_WORKERS=64. The command line comes first.

exit codes:
  0   all rows answered
  1   some rows failed, in this run or an earlier one
  2   wrong use, or a file that cannot be read or written
  3   no API key, or it was refused (401)
  6   rate limit or quota
  130 Ctrl-C
  141 closed pipe
  143 SIGTERM"""

#: Options with a variable RAWCHAT_…, as in the command line.
VALUE_OPTIONS = (
    "workers",
    "rpm",
    "tpm",
    "model",
    "base-url",
    "key-file",
    "timeout",
    "deadline",
    "retries",
    "proxy",
    "cacert",
)

# ---- options


class Options(argparse.Namespace):
    """The parsed command line."""

    input: str
    output: str
    workers: int
    rpm: Optional[float]
    tpm: Optional[float]
    resume: bool
    retry_failed: bool
    model: Optional[str]
    option: list[list[str]]
    header: list[str]
    price: Sequence[float]
    base_url: Optional[str]
    key_file: Optional[str]
    allow_http: bool
    timeout: Optional[float]
    deadline: Optional[float]
    retries: Optional[int]
    proxy: Optional[str]
    cacert: Optional[str]


def make_parser() -> Parser:
    """Return the parser, with every option in the order of --help."""
    parser = Parser(
        prog="python -m rawchat.bulk",
        allow_abbrev=False,
        epilog=EPILOG,
        formatter_class=HelpFormatter,
        description="Ask many prompts at once.",
    )
    add = parser.add_argument
    add("input", metavar="IN", help="a file of rows; - is standard input")
    add("output", metavar="OUT", help="the file for the results; - is standard output")
    add(
        "--workers",
        metavar="N",
        type=whole_number,
        default=DEFAULT_WORKERS,
        help="rows under way at the same time (default: %(default)s) *",
    )
    add("--rpm", metavar="N", type=number, help="maximum number of requests per minute *")
    add("--tpm", metavar="N", type=number, help="maximum number of tokens per minute *")
    add(
        "--resume",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="skip rows that have a result in OUT (the default), or empty OUT first (--no-resume)",
    )
    add("--retry-failed", action="store_true", help="ask again for the rows that failed before")
    add("-m", "--model", metavar="NAME", help="the model of rows that name none *")
    add(
        "-o",
        "--option",
        nargs=2,
        metavar=("KEY", "VALUE"),
        action="append",
        default=[],
        help="a parameter of rows that are not of the Batch format *",
    )
    add(
        "--price",
        nargs=2,
        type=number,
        metavar=("IN", "OUT"),
        default=(0.0, 0.0),
        help="dollars per million tokens, to show the cost",
    )
    add("--base-url", metavar="URL", help="the server (default: OPENAI_BASE_URL, then OpenAI) *")
    add("--key-file", metavar="FILE", help="a file with the key *")
    add(
        "-H",
        "--header",
        metavar="'NAME: VALUE'",
        action="append",
        default=[],
        help="a header of every request; may be repeated *",
    )
    add("--allow-http", action="store_true", help="allow a key over http:// to another machine *")
    add("--timeout", metavar="S", type=number, help="seconds for each step *")
    add("--deadline", metavar="S", type=number, help="seconds for each row *")
    add(
        "--retries",
        metavar="N",
        type=whole_number,
        help="further attempts for each row (default: 2) *",
    )
    add("--proxy", metavar="URL", help="the proxy to use; an empty one uses none *")
    add("--cacert", metavar="FILE", help='certificates to trust: a file, a folder or "system" *')
    return parser


def number(text: str) -> float:
    """Return `text` as a number, for argparse."""
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"not a number: {text}") from None


def whole_number(text: str) -> int:
    """Return `text` as a whole number, for argparse."""
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"not a whole number: {text}") from None


def words_from_environ(environ: Mapping[str, str]) -> list[str]:
    """Return the options that RAWCHAT_… variables set, as words to put before those of the command line.

    As in the command line, a repeatable option takes one value from each line, and an empty variable sets nothing.
    """
    words = []
    for name in VALUE_OPTIONS:
        value = environ.get(variable_of(name))
        if value:
            words.append(f"--{name}={value}")
    for line in environ.get(variable_of("header"), "").splitlines():
        words.append(f"--header={line}")
    for line in environ.get(variable_of("option"), "").splitlines():
        words += ["--option", *line.split(None, 1)]
    if environ.get(variable_of("allow-http"), "").lower() in ("1", "true", "yes", "on"):
        words.append("--allow-http")
    return words


def variable_of(name: str) -> str:
    """Return the environment variable of an option.

    >>> variable_of("base-url")
    'RAWCHAT_BASE_URL'
    """
    return f"RAWCHAT_{name.upper().replace('-', '_')}"


def client_settings(options: Options) -> dict[str, Any]:
    """Return the keyword arguments for `make_client`; raise UsageError for options that cannot be used."""
    params = {}
    for name, value in options.option:
        params[name] = json_or_text(expand_at_file(value, f"-o {name}"))
    headers: dict[str, Optional[str]] = {}
    for line in options.header:
        for name, value in parse_header_lines(line, "--header").items():
            headers[name] = value or None
    return {
        "model": options.model,
        "base_url": options.base_url,
        "api_key": read_key(options.key_file),
        "allow_http": options.allow_http,
        "default_headers": headers,
        "timeout": options.timeout,
        "deadline": options.deadline,
        "max_retries": options.retries,
        "proxy": options.proxy,
        "ca_bundle": options.cacert,
        **params,
    }


def parse_args(words: Sequence[str], options: Options) -> None:
    """Read the command line into `options`; raise UsageError if it cannot be used."""
    parser = make_parser()
    _, unknown = parser.parse_known_args(words, options)
    if unknown and unknown[0].startswith("-"):
        flags = [flag for action in parser._actions for flag in action.option_strings]
        raise unknown_option(unknown[0], flags)
    if unknown:
        raise UsageError(f"more than IN and OUT: {unknown[0]} (see --help)")


# ---- the command


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run the command line and return its exit code.  It works in any thread; signals are handled in the main one."""
    words = [*words_from_environ(os.environ), *(sys.argv[1:] if argv is None else argv)]
    options = Options(input="IN", output="OUT")
    try:
        parse_args(words, options)
        report_unknown_variables(os.environ, print_warning)
        if options.workers < 1:
            raise UsageError("--workers must be at least 1")
        job = Job(
            os.path.expanduser(options.input),
            os.path.expanduser(options.output),
            options.workers,
            options.resume,
            options.retry_failed,
            options.price,
        )
        with make_client(options.rpm, options.tpm, **client_settings(options)) as client:
            return run_job(job, client)
    except MisnamedError as error:
        # For example -o retries 0.
        return fail(f"-o {error}", EXIT_USAGE)
    except InputError as error:
        return fail(f"{options.input}: {error}", EXIT_USAGE)
    except MissingKeyError:
        return fail(NO_KEY_HELP, EXIT_KEY)
    except RawchatError as error:
        return fail(str(error), EXIT_USAGE)
    except OSError as error:
        if is_closed_pipe(error):
            # Nothing can be reported any more, and what Python still holds cannot be flushed.
            os._exit(EXIT_CLOSED_PIPE)
        name = error.filename or options.output
        if name == "-":
            # Python would flush it once more at its end, and fail again.
            to_devnull(sys.stdout)
            name = "standard output"
        return fail(f"{name}: {error.strerror}", EXIT_USAGE)


if __name__ == "__main__":
    sys.exit(main())
