"""The command line: one question, its answer on standard output, one line on standard error if something fails."""

import io
import os
import sys
from collections.abc import Sequence
from typing import Any, Optional

from .. import errors
from ..errors import APIError, MissingKeyError, RawchatError
from ..wire import __version__ as __version__
from .conversation import expand_continue as expand_continue
from .inputs import UsageError
from .options import (
    ONE_SHOT_ONLY,
    Options,
    parse_args,
)
from .options import (
    OPTIONS as OPTIONS,
)
from .options import (
    Option as Option,
)
from .options import (
    resolve as resolve,
)
from .query import build_query
from .terminal import Output, Stderr, to_devnull, use_color, utf8
from .terminal import write_error as write_error


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run the command line and give its exit code; --help and --version leave by SystemExit(0)."""
    argv = list(sys.argv[1:] if argv is None else argv)
    out = Output(sys.stdout.buffer if sys.stdout else io.BytesIO())  # it may have been closed: >&-
    notes, options = Stderr(sys.stderr), Options(debug="--debug" in argv)
    try:
        options = parse_args(argv)
        return run(options, out, notes)
    except KeyboardInterrupt:
        out.end_line()
        return 130
    except BrokenPipeError:
        to_devnull(sys.stdout)
        return 141
    except Exception as error:
        out.end_line()
        if options.debug:
            import traceback

            notes.put(traceback.format_exc())
        expected = isinstance(
            error, (RawchatError, ImportError)
        )  # a dependency is missing, or another has its name
        notes.warn(
            str(error)
            if expected
            else f"unexpected {type(error).__name__}: {error} (--debug shows more)"
        )
        return exit_code(error)


def run(options: Options, out: Output, notes: Stderr) -> int:
    """Do what the options ask for."""
    notes.colour = use_color(options.color or "auto", os.environ, notes.terminal)
    if out.terminal:
        out.track_sigint()
        if notes.terminal and os.path.sameopenfile(sys.stdout.fileno(), sys.stderr.fileno()):
            notes.pending_newline = (
                out.pending_newline
            )  # not if standard error is another terminal: 2>/dev/pts/5
    if options.completion:
        from .completion import (
            completion_script,  # here, not above, as all that follows: who asks for help should not wait
        )

        out.put(utf8(completion_script(options.completion)))
        return 0
    talking = is_interactive(options, sys.stdin, sys.stdout)
    saved = open_conversation(
        vars(options)["continue"]
    )  # all this first: wrong use should cost no time
    past = saved.history if saved else []
    question = build_query(options, sys.stdin, notes.warn, past, "" if talking else None)
    if options.dry_run or options.curl:
        from .client import render_request

        out.put(utf8(render_request(question, options, notes)) + b"\n")
        return 0
    from .answer import send_query
    from .client import open_client
    from .context import Context
    from .report import CallLog

    with CallLog(options, notes) as log, open_client(options, notes) as client:
        context = Context(options, question, client, out, notes, log, saved)
        if talking:
            from .repl import run_repl

            code = run_repl(context)
        elif saved:
            with saved.turn(question.content) as history:
                code = send_query(context, history)
        else:
            code = send_query(context)
    return code or log.code


def is_interactive(options: Options, stdin: Any, stdout: Any) -> bool:
    """Is the chat prompt wanted: nothing is asked, and a person sits on both sides?"""
    person = stdin and stdin.isatty() and stdout and stdout.isatty()
    return bool(
        person
        and not options.prompt
        and not any(vars(options)[name] for name in ONE_SHOT_ONLY.split())
    )


def open_conversation(path: Optional[str]) -> Any:
    """The Saved that -c names; None without -c."""
    if path is None:
        return None
    from .conversation import ConversationFile

    return ConversationFile(path)


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
