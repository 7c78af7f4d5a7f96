"""The command line: one question, its answer on standard output, one line on standard error if something fails."""

import argparse
import io
import os
import re
import sys
from collections.abc import Sequence
from typing import Any, NoReturn, Optional

from . import errors
from .errors import APIError, MissingKeyError, RawchatError
from .notes import Notes, colourful
from .options import ONCE, OPTIONS, Option
from .output import Output, abandon, unwritten, utf8
from .precedence import Options, chosen
from .prompt import UsageError
from .question import question_of
from .state import continued
from .version import __version__

PROMPT = (
    "the question; - or {stdin} is standard input,\n@FILE a file's text without the newlines at its end\n"
    "(@@ for a text that starts with @); without one, on a terminal: a chat prompt"
)
EXAMPLES = """examples:
  python -m rawchat "Why is the sky blue?"
  git diff | python -m rawchat "Write a commit message for this"
  python -m rawchat "Translate to French:" - < letter.txt
  python -m rawchat -s @pirate.txt -t 0 -o seed 7 "Tell me about {stdin}" < topic.txt
  python -m rawchat -a cat.png "What is it?"
  python -m rawchat --schema "name, age int" "Invent a pirate" | jq .name
  python -m rawchat --trace --har calls.har "Say hi"
  python -m rawchat -c "and in French?"         goes on with the conversation of the last -c
  python -m rawchat                             talks, on a terminal
  python -m rawchat --local "Say hi"            a small model on this machine, no key needed
  python -m rawchat --base-url http://localhost:11434/v1 -m llama3.2 "Say hi"

The key is read from OPENAI_API_KEY, a .env file here, or --key-file.  Every option can be set by a variable, as
RAWCHAT_MAX_TOKENS=100 or RAWCHAT_NO_STREAM=1; the command line comes first, then RAWCHAT_…, then OPENAI_…, then .env.

exit codes:
  0 answered   1 unexpected   2 wrong use   3 no key, 401, 403   4 refused (other 4xx)   5 server (5xx)
  6 rate limit or quota   7 network, TLS, timeout   8 the stream broke   9 answer cut (--strict)
  10 it does not fit (--schema, --json-mode)   11 harmful (--moderate)   130 Ctrl-C   141 closed pipe"""


class Parser(argparse.ArgumentParser):
    """argparse, with errors of one line."""

    def error(self, message: str) -> NoReturn:
        message = re.sub(
            r"(?<![\w-])([\w-]+)=\S+", without_value, message
        )  # somebody may have tried --api-key=...
        raise UsageError(f"{message} (--help shows how)")

    def _print_message(self, message: str, file: Any = None) -> None:
        try:
            print(message, end="", file=file, flush=True)  # argparse's own swallows a closed pipe
        except BrokenPipeError:
            raise
        except OSError as error:
            abandon(sys.stdout)
            raise unwritten("standard output", error) from None


def without_value(match: "re.Match[str]") -> str:
    """Return `--name` for a `--name=value`; what is no option stays as it is."""
    return match[1] if "--" in match[1] else match[0]


def parser() -> Parser:
    """Every option, in the order of --help."""
    made = Parser(
        prog="rawchat",
        allow_abbrev=False,
        add_help=False,
        argument_default=argparse.SUPPRESS,
        usage="python -m rawchat [options] [prompt ...]",
        description="Ask a model one question.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    made.add_argument("prompt", nargs="*", default=[], help=PROMPT)
    for title, options in OPTIONS.items():
        group = made.add_argument_group(title)
        for option in options:
            group.add_argument(*option.flags.split(), **told(option))
    return made


def told(option: Option) -> dict[str, Any]:
    """An option as argparse wants to be told of it."""
    common = {"dest": option.name, "help": option.help}
    if option.name == "version":
        return {**common, "action": "version", "version": f"rawchat {__version__}"}
    if not option.metavar:
        return {**common, "action": "help" if option.name == "help" else "store_true"}
    names = tuple(option.metavar.split())
    values = (
        {"nargs": len(names), "metavar": names}
        if len(names) > 1
        else {"metavar": names[0], "type": option.kind}
    )
    return {
        **common,
        **values,
        "choices": option.choices or None,
        "action": "append" if option.many else "store",
    }


def parsed(argv: Sequence[str]) -> Options:
    """The options in `argv`, and those in the environment; words may stand between them, and after -- all are words."""
    end = argv.index("--") if "--" in argv else len(argv)
    given = vars(parser().parse_intermixed_args(continued(argv[:end], os.environ)))
    return chosen({**given, "prompt": [*given["prompt"], *argv[end + 1 :]]}, os.environ)


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run the command line and give its exit code; --help and --version leave by SystemExit(0)."""
    argv = list(sys.argv[1:] if argv is None else argv)
    out = Output(sys.stdout.buffer if sys.stdout else io.BytesIO())  # it may have been closed: >&-
    notes, options = Notes(sys.stderr), Options(debug="--debug" in argv)
    try:
        options = parsed(argv)
        return run(options, out, notes)
    except KeyboardInterrupt:
        out.end_line()
        return 130
    except BrokenPipeError:
        abandon(sys.stdout)
        return 141
    except Exception as error:
        out.end_line()
        if options.debug:
            import traceback

            notes.put(traceback.format_exc())
        expected = isinstance(
            error, (RawchatError, ImportError)
        )  # a dependency is missing, or another has its name
        notes.complain(
            str(error)
            if expected
            else f"unexpected {type(error).__name__}: {error} (--debug shows more)"
        )
        return exit_code(error)


def run(options: Options, out: Output, notes: Notes) -> int:
    """Do what the options ask for."""
    notes.colour = colourful(options.color or "auto", os.environ, notes.terminal)
    if out.terminal:
        out.mind_ctrl_c()
        if notes.terminal and os.path.sameopenfile(sys.stdout.fileno(), sys.stderr.fileno()):
            notes.leave_line = (
                out.leave_line
            )  # not if standard error is another terminal: 2>/dev/pts/5
    if options.completion:
        from .completion import (
            script,
        )  # here, not above, as all that follows: who asks for help should not wait

        out.put(utf8(script(options.completion)))
        return 0
    talking = talks(options, sys.stdin, sys.stdout)
    saved = conversation(vars(options)["continue"])  # all this first: wrong use should cost no time
    past = saved.history if saved else []
    question = question_of(options, sys.stdin, notes.complain, past, "" if talking else None)
    if options.dry_run or options.curl:
        from .preview import preview

        out.put(utf8(preview(question, options, notes)) + b"\n")
        return 0
    from .answer import answer
    from .connect import connected
    from .record import Record

    with Record(options, notes) as record, connected(options, notes) as client:
        if talking:
            from .talk import talk

            code = talk(client, question, options, out, notes, record, saved)
        elif saved:
            with saved.turn(question.content) as history:
                code = answer(client, question, options, out, notes, record, history)
        else:
            code = answer(client, question, options, out, notes, record)
    return code or record.code


def talks(options: Options, stdin: Any, stdout: Any) -> bool:
    """Is the chat prompt wanted: nothing is asked, and a person sits on both sides?"""
    person = stdin and stdin.isatty() and stdout and stdout.isatty()
    return bool(
        person and not options.prompt and not any(vars(options)[name] for name in ONCE.split())
    )


def conversation(path: Optional[str]) -> Any:
    """The Saved that -c names; None without -c."""
    if path is None:
        return None
    from .saved import Saved

    return Saved(path)


def exit_code(error: Exception) -> int:
    """The exit code that the README's table gives an error."""
    if (
        isinstance(error, APIError)
        and error.partial is not None
        and (error.partial.choices or type(error) is APIError)
    ):
        return 8  # out of a stream that had begun to answer
    kinds: list[tuple[Any, int]] = [
        (MissingKeyError, 3),
        ((UsageError, errors.ConfigError), 2),
        ((errors.AuthenticationError, errors.PermissionDeniedError), 3),
        (errors.RateLimitError, 6),
        (errors.InternalServerError, 5),
        (errors.APIStatusError, 4),
        (errors.StreamInterruptedError, 8),
        (errors.APIConnectionError, 7),
        (errors.APIResponseValidationError, 5),
    ]
    return next((code for kind, code in kinds if isinstance(error, kind)), 1)
