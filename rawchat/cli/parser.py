"""Read the command line with argparse, and print --help."""

import argparse
import os
import re
import sys
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any, Callable, NoReturn, Optional

from ..config.misnamed import describe_unknown_option, suggestion
from ..wire import __version__
from .inputs import UsageError, Warn
from .options import Option, Options, all_options
from .resolve import parse_value, resolve
from .terminal import Output, utf8

#: what follows RAWCHAT_ in the variables of `python -m rawchat.bulk` alone
BULK_VARIABLES = ("WORKERS", "RPM", "TPM")
MAX_WIDTH = 100  #: columns of --help; longer lines are hard to read

PROMPT_HELP = (
    "the prompt. - or {stdin} stands for standard input, @FILE for the text of a file without the "
    "newlines at its end (@@ begins a text with @). Other piped text goes above the prompt. "
    "Without a prompt, on a terminal: a chat."
)

EPILOG = """\
examples:
  python -m rawchat "Why is the sky blue?"
  git diff | python -m rawchat "Write a commit message for this"
  python -m rawchat "Translate to French:" - < letter.txt
  python -m rawchat -s @pirate.txt -t 0 -o seed 7 "Describe {stdin}" < topic.txt
  python -m rawchat -a cat.png "What is it?"
  python -m rawchat --schema "name, age int" "Invent a pirate" | jq .name
  python -m rawchat --trace --har calls.har "Say hi"
  python -m rawchat -c "and in French?"    continues the conversation of the last -c
  python -m rawchat                        starts a chat on a terminal
  python -m rawchat --local "Say hi"       asks a small model on this machine, no key
  python -m rawchat --base-url http://localhost:11434/v1 -m llama3.2 "Say hi"

The key is read from OPENAI_API_KEY, a .env file in this folder, or --key-file. Every option can be set by a \
variable, such as RAWCHAT_MAX_TOKENS=100 or RAWCHAT_NO_STREAM=1. The command line comes first, then RAWCHAT_…, \
then OPENAI_…, then .env.

exit codes:
  0   answered
  1   unexpected error
  2   wrong use
  3   no API key, or it was refused (401, 403)
  4   request refused (other 4xx)
  5   server error (5xx, or a response that is not an answer)
  6   rate limit or quota
  7   network, TLS, timeout
  8   stream broken off
  9   answer truncated (--strict)
  10  answer does not match (--schema, --json-mode, --extract)
  11  harmful content (--moderate)
  130 Ctrl-C
  141 closed pipe"""


class HelpFormatter(argparse.HelpFormatter):
    """Wrap help to the width of the terminal; the epilog keeps its lines."""

    def __init__(self, prog: str):
        super().__init__(prog)
        self._width = min(self._width, MAX_WIDTH)

    def _split_lines(self, text: str, width: int) -> list[str]:
        # argparse would break a line inside of --base-url
        return textwrap.wrap(" ".join(text.split()), width, break_on_hyphens=False)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        filled: list[str] = []
        for line in text.splitlines():
            margin = indent + line[: len(line) - len(line.lstrip())]
            hanging = margin
            if margin:
                hanging += "    "
            wrapped = textwrap.wrap(
                line.strip(),
                width,
                initial_indent=margin,
                subsequent_indent=hanging,
                break_on_hyphens=False,
                break_long_words=False,
            )
            filled += wrapped or [""]
        return "\n".join(filled)


class Parser(argparse.ArgumentParser):
    """argparse with errors of one line, raised as UsageError."""

    def error(self, message: str) -> NoReturn:
        # "argument -o/--option: expected 2 arguments": the long name is enough
        message = re.sub(r"^argument (?:-\w/)?(--?[\w-]+): ", r"\1: ", message)
        # the user may have tried --api-key=...
        message = re.sub(r"(?<![\w-])(--[\w-]+)=\S+", r"\1", message)
        raise UsageError(f"{message} (see --help)")

    def _print_message(self, message: str, file: Any = None) -> None:
        # argparse's own ignores a closed pipe and a full disk, and the code page of Windows may lack "…"
        if sys.stdout is not None:
            Output(sys.stdout.buffer).put(utf8(message))


def make_parser() -> Parser:
    """Return the parser of all options, in the order of --help."""
    parser = Parser(
        prog="rawchat",
        allow_abbrev=False,
        add_help=False,
        argument_default=argparse.SUPPRESS,
        usage="python -m rawchat [options] [prompt ...]",
        description="Send a prompt to a model and print its answer.",
        epilog=EPILOG,
        formatter_class=HelpFormatter,
    )
    parser.add_argument("prompt", nargs="*", default=[], help=PROMPT_HELP)
    group: argparse._ActionsContainer = parser
    for option in all_options():
        if option.heading:
            group = parser.add_argument_group(option.heading)
        group.add_argument(*option.flags, **argparse_kwargs(option))
    return parser


def argparse_kwargs(option: Option) -> dict[str, Any]:
    """Return the keywords of `add_argument` for an option."""
    kwargs: dict[str, Any] = {"dest": option.name, "help": option.help}
    if option.name == "version":
        return {**kwargs, "action": "version", "version": f"rawchat {__version__}"}
    if option.name == "help":
        return {**kwargs, "action": "help"}
    if not option.metavars:
        return {**kwargs, "action": "store_true"}
    if option.repeatable:
        kwargs["action"] = "append"
    if len(option.metavars) > 1:
        return {**kwargs, "nargs": len(option.metavars), "metavar": option.metavars}
    return {**kwargs, "metavar": option.metavars[0], "type": value_parser(option)}


def value_parser(option: Option) -> Callable[[str], Any]:
    """Return the function that reads a value of an option; its UsageError names the flag."""

    def parse(text: str) -> Any:
        return parse_value(option, text, option.flag)

    return parse


def parse_args(
    argv: Sequence[str], warn: Warn, environ: Optional[Mapping[str, str]] = None
) -> Options:
    """Return the options in `argv`, completed by the environment (default: this process's).

    Words of the prompt may stand between options; after `--` all are words.  `warn` receives a line for each setting
    that has no effect.  Raises UsageError; --help and --version print and raise SystemExit(0).
    """
    if environ is None:
        environ = os.environ
    end = len(argv)
    if "--" in argv:
        end = argv.index("--")
    words = [accept_old_continue(word) for word in argv[:end]]
    parsed, unknown = make_parser().parse_known_intermixed_args(words)
    if unknown:
        raise unknown_option(unknown[0], known_flags())
    given = vars(parsed)
    check_file_after_continue(given)
    given["prompt"] += argv[end + 1 :]
    options = resolve(given, environ)
    report_unused(options, environ, warn)
    return options


def accept_old_continue(word: str) -> str:
    """Return `--continue=FILE`, the spelling of version 0.1, as `--conversation=FILE`, and any other word as it is."""
    name, equals, file = word.partition("=")
    if name == "--continue" and equals:
        return f"--conversation={file}"
    return word


def report_unused(options: Options, environ: Mapping[str, str], warn: Warn) -> None:
    """Report prices that nothing uses, and variables that set no option: each is probably a slip."""
    if "prices" in options.given and not (options.usage or options.log):
        warn("--prices has no effect without -v or --log")
    report_unknown_variables(environ, warn)


def report_unknown_variables(environ: Mapping[str, str], warn: Warn) -> None:
    """Report each variable RAWCHAT_… that sets no option, neither here nor in `python -m rawchat.bulk`."""
    prefix = "RAWCHAT_"
    known = [option.variable[len(prefix) :] for option in all_options() if option.has_variable]
    known += BULK_VARIABLES
    for name in sorted(environ):
        word = name[len(prefix) :]
        if name.startswith(prefix) and word not in known:
            warn(f"{name} sets no option{suggestion(word, known, prefix)}")


def known_flags() -> list[str]:
    """Return all flags of the command line."""
    return [name for option in all_options() for name in option.flags]


def unknown_option(word: str, known: Sequence[str]) -> UsageError:
    """Return the error for an option that does not exist; it suggests the `known` one that was probably meant."""
    return UsageError(describe_unknown_option(word, known))


def check_file_after_continue(given: Mapping[str, Any]) -> None:
    """Raise UsageError if the prompt of -c begins with the name of a file, which -c does not take."""
    if not given.get("continue_") or not given["prompt"]:
        return
    word = given["prompt"][0]
    if word.endswith(".jsonl") or os.path.isfile(word):
        raise UsageError(
            f"-c takes no file: --conversation {word} continues that one; -c -- {word} sends the word"
        )
