"""TODO."""

from ..safe_path import remove_working_directory

if __name__ == "__main__":
    remove_working_directory()  # before any other import, as it runs as python -m


import argparse
import contextlib
import io
import os
import signal
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import takewhile
from typing import Optional

from ..cli.inputs import UsageError, expand_at_file, json_or_text, open_private, read_file
from ..config import MisnamedError
from ..endpoints import encode_mended
from ..errors import MissingKeyError, RawchatError
from .progress import Progress
from .resume import drop_failed, load_done, read_rows, skip_done, write_flushed
from .run import DEFAULT_WORKERS, ask_rows, make_client

EPILOG = """IN has lines of OpenAI's Batch format ("custom_id", "method", "url", "body"), or of {"messages": …} or
{"prompt": …} beside parameters, or of plain text.  OUT gets one line for each, as soon as it is finished, errors too.
Ctrl-C finishes what is under way; the same command goes on from there.

exit codes: 0 all answered  1 some rows failed  2 wrong use  3 no key, or it is refused  130 Ctrl-C"""


def parser() -> argparse.ArgumentParser:
    """Every option, in the order of --help."""
    made = argparse.ArgumentParser(
        prog="python -m rawchat.bulk",
        allow_abbrev=False,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Ask many prompts at once.",
    )
    made.add_argument("input", metavar="IN", help="a file of rows; - is standard input")
    made.add_argument("output", metavar="OUT", help="where the results go; - is standard output")
    made.add_argument(
        "--workers",
        metavar="N",
        type=int,
        default=DEFAULT_WORKERS,
        help="at once (default: %(default)s)",
    )
    made.add_argument("--rpm", metavar="N", type=float, help="requests per minute at most")
    made.add_argument("--tpm", metavar="N", type=float, help="tokens per minute at most")
    made.add_argument(
        "--resume",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="skip what is in OUT already, or begin anew",
    )
    made.add_argument(
        "--retry-failed", action="store_true", help="ask again for the rows that failed before"
    )
    made.add_argument("-m", "--model", metavar="NAME", help="the model of rows that name none")
    made.add_argument(
        "-o",
        "--option",
        nargs=2,
        metavar=("KEY", "VALUE"),
        action="append",
        default=[],
        help="a parameter of rows that are not of the Batch format",
    )
    made.add_argument(
        "--price",
        nargs=2,
        type=float,
        metavar=("IN", "OUT"),
        default=(0.0, 0.0),
        help="dollars for a million tokens, to show the cost",
    )
    made.add_argument(
        "--base-url", metavar="URL", help="the server (default: OPENAI_BASE_URL, then OpenAI)"
    )
    made.add_argument("--key-file", metavar="FILE", help="a file with the key")
    made.add_argument(
        "--allow-http", action="store_true", help="let the key go over http:// to another machine"
    )
    made.add_argument("--timeout", metavar="S", type=float, help="seconds for each step")
    made.add_argument(
        "--retries", metavar="N", type=int, help="further attempts for each row (default: 2)"
    )
    return made


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run the command line and give its exit code."""
    options = parser().parse_args(argv)
    try:
        with contextlib.ExitStack() as stack:
            return run_file(options, stack)
    except MisnamedError as error:  # -o retries 0
        print(f"rawchat: -o {error}", file=sys.stderr)
        return 2
    except RawchatError as error:
        print(f"rawchat: {error}", file=sys.stderr)
        return 3 if isinstance(error, MissingKeyError) else 2
    except BrokenPipeError:
        os._exit(141)  # nothing can be said any more, and what Python holds cannot be flushed
    except OSError as error:
        print(f"rawchat: {error.filename or options.output}: {error.strerror}", file=sys.stderr)
        return 2


def run_file(options: argparse.Namespace, stack: contextlib.ExitStack) -> int:
    """Ask for every row of the input that the output has no result for."""
    if options.workers < 1:
        raise UsageError("--workers is 1 or more")
    params = {name: json_or_text(expand_at_file(value)) for name, value in options.option}
    key = read_file(options.key_file).strip() if options.key_file else None
    client = stack.enter_context(
        make_client(
            options.rpm,
            options.tpm,
            model=options.model,
            base_url=options.base_url,
            api_key=key,
            allow_http=options.allow_http,
            timeout=options.timeout,
            max_retries=options.retries,
            **params,
        )
    )
    source = sys.stdin.fileno() if options.input == "-" else options.input
    rows = stack.enter_context(
        io.BufferedReader(io.FileIO(source, closefd=source == options.input))
    )
    out, done = sys.stdout.buffer, Counter[str]()
    if options.output != "-":
        if options.resume and options.retry_failed and os.path.exists(options.output):
            drop_failed(options.output)
        out = stack.enter_context(open_private(options.output, 0 if options.resume else os.O_TRUNC))
        done = load_done(out, options.output)
    total = (
        sum(1 for line in rows if line.strip()) - sum(done.values()) if rows.seekable() else None
    )
    if total is not None:
        rows.seek(0)
    stop = stack.enter_context(stop_on_sigint())
    progress = Progress(total, options.price)
    refused = None
    for finished in ask_rows(
        takewhile(lambda row: not stop.is_set(), skip_done(read_rows(rows), done)),
        options.workers,
        client,
    ):
        if (finished["response"] or {}).get(
            "status_code"
        ) == 401:  # all others would be refused as well, and
            refused = finished["response"]["body"]["error"].get(
                "message"
            )  # resuming should ask for them again
            stop.set()
            continue
        write_flushed(out, encode_mended(finished) + b"\n")
        progress.count(finished)
        progress.show()
    progress.show(last=True)
    if refused is not None:
        print(
            f"rawchat: 401: {refused}; with a better key the same command goes on from here",
            file=sys.stderr,
        )
        return 3
    if stop.is_set():
        print("rawchat: stopped; the same command goes on from here", file=sys.stderr)
        return 130
    return 1 if progress.failed else 0


@contextlib.contextmanager
def stop_on_sigint() -> Iterator[threading.Event]:
    """An Event that the first Ctrl-C sets; the second one ends everything at once."""
    stop = threading.Event()

    def first(*_: object) -> None:
        stop.set()
        signal.signal(
            signal.SIGINT, lambda *_: os._exit(130)
        )  # lines are written whole, and flushed

    before = signal.signal(signal.SIGINT, first)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)


if __name__ == "__main__":
    sys.exit(main())
