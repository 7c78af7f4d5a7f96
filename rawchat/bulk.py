"""Many prompts at once: rows go in, results come out as they are ready, in the lines of OpenAI's Batch format.

    python -m rawchat.bulk IN OUT             what is done stays done: the same command goes on after any end

`run_rows` is a plain function from an iterator of rows to an iterator of results, made for `mapPartitions` of Dask,
Spark or Ray.  There each partition has workers and limits of its own: divide the rate by how many are at work.
"""

if __name__ == "__main__":  # before any other import: it runs as python -m
    from .safe_path import remove_working_directory

    remove_working_directory()

import argparse
import contextlib
import io
import json
import os
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice, takewhile
from queue import SimpleQueue
from typing import Any, BinaryIO, Optional, Union

from .batch import Row, answered, failed, succeeded
from .bounds import MisnamedError
from .client import Client
from .encode import encode_mended
from .errors import MissingKeyError, RawchatError
from .private import opened
from .prompt import UsageError, from_file, json_or_text, read_file
from .usage import Usage

WORKERS = 16  #: rows under way at the same time
SHOWN = 0.5  #: seconds between two states of the progress line
EPILOG = """IN has lines of OpenAI's Batch format ("custom_id", "method", "url", "body"), or of {"messages": …} or
{"prompt": …} beside parameters, or of plain text.  OUT gets one line for each, as soon as it is finished, errors too.
Ctrl-C finishes what is under way; the same command goes on from there.

exit codes: 0 all answered  1 some rows failed  2 wrong use  3 no key, or it is refused  130 Ctrl-C"""


def run_rows(
    rows: Iterable[Union[str, Mapping[str, Any]]],
    workers: int = WORKERS,
    client: Optional[Client] = None,
    rpm: Optional[float] = None,
    tpm: Optional[float] = None,
    **settings: Any,
) -> Iterator[dict[str, Any]]:
    """Ask for every row, `workers` at a time, and yield the results in the order in which they are ready.

    A row is a text, or a mapping as in `batch.Row`; a result is a line of the Batch format, and errors are results
    too.  `settings` are those of Client; `rpm` and `tpm` bound its requests and tokens per minute.  Rows are taken
    only as workers come free, so that memory does not grow with them.
    """
    own = client or connected(rpm, tpm, **settings)
    try:
        yield from run((Row(number, row) for number, row in enumerate(rows, 1)), workers, own)
    finally:
        if own is not client:
            own.close()


def connected(rpm: Optional[float] = None, tpm: Optional[float] = None, **settings: Any) -> Client:
    """A Client that keeps within so many requests and tokens per minute."""
    client = Client(**settings)
    if not (rpm or tpm):
        return client
    from .limits import limited

    return Client(
        **{
            **settings,
            "transport": limited(client.transport, requests_per_minute=rpm, tokens_per_minute=tpm),
        }
    )


def run(rows: Iterator[Row], workers: int, client: Client) -> Iterator[dict[str, Any]]:
    """The results of `rows`; a worker gets the next one as soon as its last one is done."""
    todo, done = SimpleQueue[Optional[Row]](), SimpleQueue[dict[str, Any]]()

    def work() -> None:
        for row in iter(todo.get, None):
            done.put(result(client, row))

    under_way = 0
    try:
        for row in islice(rows, workers):
            threading.Thread(target=work, daemon=True).start()
            todo.put(row)
            under_way += 1
        while under_way:
            finished = done.get()
            under_way -= 1
            for row in islice(rows, 1):
                todo.put(row)
                under_way += 1
            yield finished
    finally:
        for _ in range(workers):
            todo.put(None)


def result(client: Client, row: Row) -> dict[str, Any]:
    """What comes of one row: its answer, or what went wrong, whatever that is."""
    try:
        return answered(row, client.send(row.request(client.config), client._read))
    except Exception as error:  # one row must not end the others
        return failed(row, error)


def lines(file: BinaryIO) -> Iterator[Row]:
    """The rows of a file: its lines that are not blank."""
    for number, line in enumerate(file, 1):
        text = line.decode("utf-8-sig" if number == 1 else "utf-8", "replace").rstrip("\r\n")
        if text.strip():
            yield Row(number, text)


def put(file: BinaryIO, data: bytes) -> None:
    """Write `data` and hand it to the system at once: so it outlives a kill."""
    file.write(data)
    file.flush()


def entry(line: bytes, place: str) -> dict[str, Any]:
    """The result in a line of an earlier output; raises UsageError if it is none."""
    with contextlib.suppress(ValueError, RecursionError):
        found = json.loads(line)
        if isinstance(found, dict) and "custom_id" in found:
            return found
    raise UsageError(f"{place} is no result; name another output")


def resumed(file: BinaryIO, path: str) -> Counter[str]:
    """The custom_ids in an earlier output, each as often as it is there; `file` stands at its end then.

    A last line that an end tore is taken away; one that lacks but its newline gets it.
    """
    done, end = Counter[str](), 0
    for number, line in enumerate(file, 1):
        try:
            done[str(entry(line, f"{path}: line {number}")["custom_id"])] += 1
        except UsageError:
            if line.endswith(b"\n"):
                raise
            break
        end += len(line)
        if not line.endswith(b"\n"):
            put(file, b"\n")
            end += 1
    file.seek(end)
    file.truncate()
    return done


def without_failures(path: str) -> None:
    """Take the lines of rows that failed out of an earlier output; it is replaced whole, or not at all."""
    with opened(path) as old, opened(f"{path}.part", os.O_TRUNC) as new:
        resumed(old, path)
        old.seek(0)
        new.writelines(line for line in old if succeeded(entry(line, path)))
    os.replace(f"{path}.part", path)


def missing(rows: Iterable[Row], done: Counter[str]) -> Iterator[Row]:
    """The rows that have no result yet: each one there is counts for one row with its custom_id."""
    for row in rows:
        if done[row.custom_id]:
            done[row.custom_id] -= 1
        else:
            yield row


class Progress:
    """What has been done, for the eye: on a terminal now and then (by tqdm, if it is there), else once at the end."""

    def __init__(self, total: Optional[int], price: Sequence[float], clock: Any = time.monotonic):
        self._total, self._price, self._clock = total, price, clock
        self._start = self._shown = clock()
        self.done = self.failed = self.tokens = 0
        self.cost = 0.0
        self._bar = bar(total)

    def count(self, result: Mapping[str, Any]) -> None:
        """Take one more result into account."""
        self.done += 1
        self.failed += not succeeded(result)
        used = Usage.of((result["response"] or {}).get("body") or {})
        self.tokens += used.total
        prompt_price, completion_price = self._price
        self.cost += used.cost({"prompt": prompt_price, "completion": completion_price})

    def __str__(self) -> str:
        rate = self.done / max(self._clock() - self._start, 1e-9)
        parts = [
            f"{self.done} done" if self._total is None else f"{self.done} of {self._total} done",
            f"{rate:.1f} a second",
        ]
        if self._total and rate and self._total > self.done:
            parts.append(f"{(self._total - self.done) / rate:.0f} s left")
        return ", ".join([*parts, self.results])

    @property
    def results(self) -> str:
        """What came of it: tokens, cost, failures."""
        cost = [f"${self.cost:.4f}"] if any(self._price) else []
        return ", ".join([f"{self.tokens} tokens", *cost, f"{self.failed} failed"])

    def show(self, last: bool = False) -> None:
        """Write the state to standard error: over the last one on a terminal, every now and then."""
        if self._bar is not None:  # it counts what is done, and tells speed and time left
            self._bar.set_postfix_str(self.results, refresh=False)
            self._bar.update(self.done - self._bar.n)
            if last:
                self._bar.close()
        elif sys.stderr and (last or (on_terminal() and self._clock() - self._shown >= SHOWN)):
            self._shown = self._clock()
            before, after = ("\r", "\x1b[K") if on_terminal() else ("", "")
            print(f"{before}{self}{after}", end="\n" if last else "", file=sys.stderr, flush=True)


def on_terminal() -> bool:
    """Does somebody look at standard error?"""
    return bool(sys.stderr) and sys.stderr.isatty()


def bar(total: Optional[int]) -> Any:
    """tqdm's bar on a terminal; None where there is no terminal, or no tqdm."""
    if on_terminal():
        with contextlib.suppress(ImportError):
            from tqdm import tqdm

            return tqdm(total=total, unit=" rows", dynamic_ncols=True)
    return None


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
        "--workers", metavar="N", type=int, default=WORKERS, help="at once (default: %(default)s)"
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
            return ask_all(options, stack)
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


def ask_all(options: argparse.Namespace, stack: contextlib.ExitStack) -> int:
    """Ask for every row of the input that the output has no result for."""
    if options.workers < 1:
        raise UsageError("--workers is 1 or more")
    params = {name: json_or_text(from_file(value)) for name, value in options.option}
    key = read_file(options.key_file).strip() if options.key_file else None
    client = stack.enter_context(
        connected(
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
            without_failures(options.output)
        out = stack.enter_context(opened(options.output, 0 if options.resume else os.O_TRUNC))
        done = resumed(out, options.output)
    total = (
        sum(1 for line in rows if line.strip()) - sum(done.values()) if rows.seekable() else None
    )
    if total is not None:
        rows.seek(0)
    stop = stack.enter_context(stopping())
    progress = Progress(total, options.price)
    refused = None
    for finished in run(
        takewhile(lambda row: not stop.is_set(), missing(lines(rows), done)),
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
        put(out, encode_mended(finished) + b"\n")
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
def stopping() -> Iterator[threading.Event]:
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
