"""Run a whole file: read IN, append to OUT, show the progress, and end well however the run ends.

The exit code says how it ended: all rows answered, some failed, the key refused, or a signal received.
"""

import contextlib
import copy
import io
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from types import FrameType
from typing import BinaryIO, NamedTuple, Optional

from ..client import Client
from ..errors import APIStatusError, AuthenticationError
from ..wire.json_text import encode_mended
from .progress import Progress, count_of, print_remark, print_warning
from .resume import (
    DoneRows,
    OutputError,
    drop_failed,
    load_done,
    open_output,
    skip_done,
    write_flushed,
)
from .run import Run, ask_rows
from .source import count_lines, read_rows

EXIT_OK = 0
EXIT_FAILED_ROWS = 1
EXIT_USAGE = 2
EXIT_KEY = 3
EXIT_RATE_LIMIT = 6
EXIT_SIGNAL = 128  #: plus the number of the signal: 130 for Ctrl-C, 143 for SIGTERM
EXIT_CLOSED_PIPE = 141


class Job(NamedTuple):
    """One run of the command: its files and how to work on them; see the options of the command line."""

    input: str  #: - is standard input
    output: str  #: - is standard output
    workers: int
    resume: bool
    retry_failed: bool
    price: Sequence[float]  #: dollars per million tokens, of the prompt and of the completion


def run_job(job: Job, client: Client) -> int:
    """Ask for every row of the input that has no result in the output; return the exit code.

    Raises InputError and OutputError for files that cannot be used.
    """
    with contextlib.ExitStack() as stack:
        return run_with_files(job, client, stack)


def run_with_files(job: Job, client: Client, stack: contextlib.ExitStack) -> int:
    """Run a job; `stack` receives what must be closed at its end."""
    rows = stack.enter_context(open_input(job.input))
    output, done = open_results(job, stack)
    progress = Progress(count_pending(rows, done), job.price)
    # Show something before the first row is done: a person should not stare at an empty screen.
    progress.show(first=True)
    run = Run(halts=True, on_pause=show_pause)
    signals = stack.enter_context(drain_on_signals(run.stop))
    for result in ask_rows(skip_done(read_rows(rows), done), job.workers, client, run):
        write_flushed(output, encode_mended(result) + b"\n")
        progress.count(result)
        progress.show()
    progress.show(last=True)
    report_failures(progress, job.output)
    report_done(job.output, done)
    if run.error:
        code = EXIT_KEY if isinstance(run.error, AuthenticationError) else EXIT_RATE_LIMIT
        return fail(describe_refusal(run.error), code)
    if signals:
        return fail("stopped; run the same command to continue", EXIT_SIGNAL + signals[0])
    if progress.failed or done.skipped_failures:
        return EXIT_FAILED_ROWS
    return EXIT_OK


# ---- the files


def open_input(path: str) -> io.BufferedReader:
    """Return the input, open for reading bytes."""
    if path == "-":
        return io.BufferedReader(io.FileIO(sys.stdin.fileno(), closefd=False))
    return io.BufferedReader(io.FileIO(path))


def open_results(job: Job, stack: contextlib.ExitStack) -> tuple[BinaryIO, DoneRows]:
    """Return the output, ready for appending, and the rows that have a result in it."""
    path = job.output
    if path == "-":
        return sys.stdout.buffer, DoneRows()
    if is_same_file(path, job.input):
        raise OutputError("IN and OUT are the same file")
    if job.resume and job.retry_failed and os.path.exists(path):
        drop_failed(path)
    output = stack.enter_context(open_output(path))
    if not job.resume:
        output.truncate(0)
    return output, load_done(output, path)


def is_same_file(first: str, second: str) -> bool:
    """Return whether two paths lead to one file that exists."""
    try:
        return os.path.samefile(first, second)
    except OSError:
        return False


def count_pending(rows: io.BufferedReader, done: DoneRows) -> Optional[int]:
    """Return the number of rows to ask for; None if the input cannot be read twice.

    Raises InputError if a row is not text: it is better to refuse the file than to send half of it.
    """
    if not rows.seekable():
        return None
    count = count_lines(rows)
    rows.seek(0)
    if done.total:
        count = sum(1 for _ in skip_done(read_rows(rows), copy.deepcopy(done)))
        rows.seek(0)
    return count


# ---- signals


@contextlib.contextmanager
def drain_on_signals(stop: threading.Event) -> Iterator[list[int]]:
    """Set `stop` at Ctrl-C or SIGTERM, and yield the list of signals received; a second one ends the process at once.

    Python lets only the main thread handle signals, so in any other one nothing happens.
    """
    received: list[int] = []

    def on_signal(signum: int, frame: Optional[FrameType]) -> None:
        if received:
            # Results are written whole, and flushed.
            os._exit(EXIT_SIGNAL + signum)
        received.append(signum)
        stop.set()

    if threading.current_thread() is not threading.main_thread():
        yield received
        return
    previous = {}
    for number in (signal.SIGINT, signal.SIGTERM):
        previous[number] = signal.signal(number, on_signal)
    try:
        yield received
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler or signal.SIG_DFL)


# ---- reports


def show_pause(seconds: float) -> None:
    """Print to a terminal why all workers pause."""
    print_remark(f"rate limit: all workers pause for {seconds:.3g} s")


def report_failures(progress: Progress, path: str) -> None:
    """Print how many rows failed in this run, and why the first did."""
    text = progress.describe_failures()
    if not text:
        return
    # Standard output cannot be read again.
    if path != "-":
        text += "; --retry-failed asks again"
    print_warning(text)


def report_done(path: str, done: DoneRows) -> None:
    """Print what the output held before this run."""
    if not done.total:
        return
    text = f"{path} already held {count_of(done.total, 'result')}"
    if done.skipped_failures:
        failed = count_of(done.skipped_failures, "row")
        text += f"; {failed} failed before (--retry-failed asks again)"
    print_warning(text)


def describe_refusal(error: APIStatusError) -> str:
    """Return why the server refuses every row, and what to do."""
    reason = error.message
    if isinstance(error.body, dict) and error.body.get("message"):
        reason = f"{error.status_code}: {error.body['message']}"
    if isinstance(error, AuthenticationError):
        return f"{reason}; run the same command with a valid key to continue"
    return f"{reason}; run the same command once the limit allows it to continue"


def fail(message: str, code: int) -> int:
    """Print a message to standard error and return the exit code."""
    print_warning(message)
    return code
