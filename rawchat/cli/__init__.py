"""The command line: send one prompt, print its answer, and exit with a code that says how it went.

The answer goes to standard output.  If something fails, one line on standard error says what.

    parser, options      argv and RAWCHAT_… -> Options
    conversation         -c: the messages before the prompt, and the answer added to the file
    query, schema_arg    Options -> Query: what is asked, --schema among its parameters
    client               Options -> Client
    answer               send the query, and print the answer; a JSON document at its end
    check                the exit code: does the answer fit the schema
"""

import io
import os
import re
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Optional

from .. import errors
from ..errors import APIError, MissingKeyError, RawchatError
from .inputs import UsageError
from .options import Options
from .parser import parse_args
from .query import build_query
from .resolve import ONE_SHOT_ONLY, is_set
from .terminal import Output, Stderr, describe_error, to_devnull, use_color, utf8

if TYPE_CHECKING:
    from .conversation import ConversationFile


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run the command line and return its exit code; `argv` defaults to the arguments of this process.

    --help and --version raise SystemExit(0).
    """
    if argv is None:
        argv = sys.argv[1:]
    stdout = Output(open_stdout())
    stderr = Stderr(sys.stderr)
    debug = "--debug" in argv
    options = Options()
    try:
        options = parse_args(argv, stderr.warn)
        debug = options.debug
        return run(options, stdout, stderr)
    except KeyboardInterrupt:
        stdout.end_line()
        return 130
    except BrokenPipeError:
        to_devnull(sys.stdout)
        return 141
    except Exception as error:
        stdout.end_line()
        if debug:
            import traceback

            stderr.lines(traceback.format_exc())
        # ImportError: a dependency is missing, or another package has its name
        if isinstance(error, (RawchatError, ImportError)):
            stderr.warn(describe_error(error, options))
        else:
            stderr.warn(f"unexpected {type(error).__name__}: {error} (--debug shows more)")
        return exit_code(error)


def open_stdout() -> Any:
    """Return the binary file of standard output, or one in memory if it was closed (>&-)."""
    if sys.stdout is None:
        return io.BytesIO()
    return sys.stdout.buffer


def run(options: Options, stdout: Output, stderr: Stderr) -> int:
    """Run what the options ask for, and return the exit code.

    Modules are imported where they are needed, so that --help and --curl do not wait for the others.
    """
    prepare_terminal(options, stdout, stderr)
    if options.completion:
        from .completion import completion_script

        stdout.put(utf8(completion_script(options.completion)))
        return 0

    # The conversation and the query come first: wrong use should cost no time.
    interactive = is_interactive(options, sys.stdin, sys.stdout)
    conversation = open_conversation(options)
    history: Sequence[dict[str, Any]] = ()
    if conversation:
        history = conversation.history
    prompt = None
    if interactive:
        prompt = ""
    query = build_query(options, sys.stdin, stderr.warn, history, prompt)

    if options.dry_run or options.curl:
        from .client import render_request

        stdout.put(utf8(render_request(query, options, stderr)) + b"\n")
        return 0

    from .answer import send_query
    from .client import open_client
    from .context import Context
    from .report import CallLog

    with CallLog(options, stderr) as log, open_client(options, stderr) as client:
        context = Context(options, query, client, stdout, stderr, log, conversation)
        if interactive:
            from .repl import run_repl

            code = run_repl(context)
        elif conversation:
            with conversation.turn(query.content) as turn:
                code = send_query(context, turn)
        else:
            code = send_query(context)
    return code or log.code


def prepare_terminal(options: Options, stdout: Output, stderr: Stderr) -> None:
    """Choose the colour of standard error, and keep the two outputs apart where they share a terminal."""
    stderr.colour = use_color(options.color, os.environ, stderr.terminal)
    if not stdout.terminal:
        return
    stdout.track_sigint()
    # standard error may be another terminal: 2>/dev/pts/5
    if stderr.terminal and os.path.sameopenfile(sys.stdout.fileno(), sys.stderr.fileno()):
        stderr.pending_newline = stdout.pending_newline


def is_interactive(options: Options, stdin: Any, stdout: Any) -> bool:
    """Return whether to start a chat: there is no prompt, and a person at both ends."""
    if options.prompt or any(is_set(options, name) for name in ONE_SHOT_ONLY):
        return False
    return bool(stdin and stdin.isatty() and stdout and stdout.isatty())


def open_conversation(options: Options) -> "Optional[ConversationFile]":
    """Return the conversation of --conversation or -c, or None."""
    if not options.continue_ and options.conversation is None:
        return None
    from .conversation import ConversationFile, default_path, ensure_parent

    path = options.conversation
    if path is None:
        path = ensure_parent(default_path(os.environ))
    return ConversationFile(path)


# The exit code of each kind of error: the first that fits.
EXIT_CODES: list[tuple[type[Exception], int]] = [
    (MissingKeyError, 3),
    (UsageError, 2),
    (errors.ConfigError, 2),
    (errors.AuthenticationError, 3),
    (errors.PermissionDeniedError, 3),
    (errors.RateLimitError, 6),
    (errors.InternalServerError, 5),
    (errors.APIStatusError, 4),
    (errors.StreamInterruptedError, 8),
    (errors.APIConnectionError, 7),
    (errors.APIResponseValidationError, 5),
]


def exit_code(error: Exception) -> int:
    """Return the exit code of an error, as --help lists them."""
    if broke_off(error):
        return 8
    kind = error_class(error)
    for each, code in EXIT_CODES:
        if issubclass(kind, each):
            return code
    return 1


def error_class(error: Exception) -> type[Exception]:
    """Return the class of an error; for one under status 200, the class of the status that its code names.

    OpenRouter and Gemini answer 200, and put the 429 or the 503 into the body.
    """
    if isinstance(error, errors.APIResponseValidationError):
        code = error.code or ""
        if re.fullmatch("[45][0-9][0-9]", code):
            from ..compat.error_responses import class_for_status

            return class_for_status(int(code))
    return type(error)


def broke_off(error: Exception) -> bool:
    """Return whether an error ended a stream that had begun to answer."""
    if not isinstance(error, APIError) or error.partial is None:
        return False
    return bool(error.partial.choices) or type(error) is APIError
