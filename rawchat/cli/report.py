"""The calls of a command, told when they are over: in a line on standard error by -v, in a line of JSON by --log."""

import contextlib
import json
import logging
import os
import stat
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any, Callable, Optional, Union

from .. import trace
from ..config import Config
from ..errors import RawchatError
from ..keys import redact
from ..reply import Reply
from ..trace import har
from ..usage import Usage, price_key
from ..wire import Headers, Request, Transport
from .inputs import UsageError, open_private, read_file
from .options import Options
from .terminal import Stderr, utf8, write_error

LOGGED_FIELDS = ("model", "messages", "prompt", "input")  #: of a body, what is logged


Prices = Mapping[str, Mapping[str, float]]


def log_entry(
    asked: Union[Request, Mapping[str, Any]],
    whole: Optional[Reply],
    failure: Optional[BaseException],
    now: float,
    seconds: float,
    prices: Optional[Prices],
) -> dict[str, Any]:
    """The line of a call in the log: what was asked, what came (also of a call that failed half way), what failed.

    `now` is when it began, in seconds since 1970.
    """
    body = json.loads(asked.body or b"{}") if isinstance(asked, Request) else asked
    line = {
        "time": datetime.fromtimestamp(now, timezone.utc).isoformat(timespec="milliseconds"),
        "seconds": round(seconds, 3),
        **{name: body[name] for name in LOGGED_FIELDS if name in body},
    }
    if whole is not None:
        texts = whole.texts
        line.update(
            model=whole.get("model") or body.get("model"),
            answer=texts if len(texts) > 1 else whole.text,
            **({"tool_calls": whole.tool_calls} if whole.tool_calls else {}),
            usage=whole.usage,
            cost=total_cost([whole], prices),
            request_id=whole.request_id,
        )
    if failure is not None:
        line.update(
            error=str(failure) or type(failure).__name__,
            request_id=getattr(failure, "request_id", None) or line.get("request_id"),
        )
    return {name: value for name, value in line.items() if value is not None}


def format_usage(replies: Sequence[Reply], seconds: float, prices: Optional[Prices]) -> str:
    """What calls used, in a line: '12 tokens in (4 cached), 34 out (6 reasoning); $0.0002; 1.52 s, …'."""
    used = sum(map(Usage.of, replies), Usage())
    tokens = (
        f"{used.prompt} tokens in{f' ({used.cached} cached)' if used.cached else ''}, "
        f"{used.completion} out{f' ({used.reasoning} reasoning)' if used.reasoning else ''}"
    )
    dollars = total_cost(replies, prices)
    speed = (
        f", {used.completion / seconds:.1f} tokens a second" if used.completion and seconds else ""
    )
    models = sorted({str(reply["model"]) for reply in replies if reply.get("model")})
    names = [reply.request_id for reply in replies if reply.request_id]
    facts = [
        tokens if any(reply.usage for reply in replies) else "the server does not tell the tokens",
        f"${dollars:.6f}"
        if dollars is not None
        else "no price for it"
        if prices is not None
        else "",
        f"{seconds:.2f} s{speed}",
        ", ".join(models),
        f"request id {', '.join(names)}" if names else "",
    ]
    return "; ".join(filter(None, facts))


def total_cost(replies: Sequence[Reply], prices: Optional[Prices]) -> Optional[float]:
    """Dollars; None without a price for every model."""
    if prices is None:
        return None
    try:
        found = [
            Usage.of(reply).cost(prices[price_key(str(reply.get("model")), prices)])
            for reply in replies
        ]
        return round(sum(found), 12)  # a token costs more than that
    except KeyError:
        return None


def load_prices(path: str) -> Prices:
    """The table in a file; raises UsageError if it is none."""
    try:
        table = json.loads(read_file(path))
        for prices in table.values():
            Usage().cost(prices)
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
        raise UsageError(
            f'{path}: not a table of prices like {{"gpt-4o": {{"prompt": 2.5, "completion": 10}}}}'
        ) from None
    found: Prices = table
    return found


@contextlib.contextmanager
def tracing(options: Options, notes: Stderr) -> Iterator[Callable[[Transport], Transport]]:
    """While the block runs, what is to be put around its transport; the archive is written at its end, however it ends."""
    exchanges: list[trace.Exchange] = []

    def watched(transport: Transport) -> Transport:
        transport = trace.traced(transport, notes.line) if options.trace else transport
        return trace.observe(transport, har.collector(exchanges)) if options.har else transport

    with contextlib.ExitStack() as stack:
        if options.har:
            stack.enter_context(archiving(options.har, exchanges, notes))
        stack.enter_context(
            logging_to_stderr(notes, logging.INFO if options.trace else logging.WARNING)
        )
        yield watched


@contextlib.contextmanager
def archiving(path: str, exchanges: list[trace.Exchange], notes: Stderr) -> Iterator[None]:
    """Replace what is in the file at `path` by an archive of `exchanges`, at the end of the block, however it ends.

    Raises UsageError if the file cannot be opened, RawchatError if it cannot be written; after an error of the block,
    which tells more, that is only said.
    """
    file = open_private(path, 0, "wb")
    try:
        yield
    except BaseException:
        try:
            write(path, file, exchanges)
        except RawchatError as error:
            notes.warn(str(error))
        raise
    write(path, file, exchanges)


def write(path: str, file: Any, exchanges: list[trace.Exchange]) -> None:
    """Write the archive of `exchanges` to `file`, and close it; raises RawchatError that names `path`."""
    try:
        with file:
            if stat.S_ISREG(os.fstat(file.fileno()).st_mode):  # a device or a pipe has no length
                file.truncate()
            file.write(
                utf8(json.dumps(har.archive(exchanges), ensure_ascii=False, indent=1)) + b"\n"
            )
    except OSError as error:
        raise write_error(path, error) from None


@contextlib.contextmanager
def logging_to_stderr(notes: Stderr, level: int) -> Iterator[None]:
    """Say what rawchat logs: at INFO each wait before a retry, and why; at WARNING what goes wrong with a tool."""

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            text = record.getMessage()
            if record.levelno < logging.WARNING:
                notes.line(f"* {text}")
            else:
                notes.warn(text)

    log, handler = logging.getLogger("rawchat"), Handler()
    before = log.level
    log.setLevel(level)
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(before)


class CallLog:
    """What was called; raises UsageError for a log or prices that cannot be used."""

    def __init__(self, options: Options, notes: Stderr):
        self._notes = notes if options.usage else None
        self._log: Any = None
        self._prices = None
        self._stderr = notes
        self.code = 0  #: the exit code of a command that is well but for its log
        self._replies: list[Reply] = []
        self._seconds = 0.0
        if options.usage or options.log:  # else nobody has to wait for them
            from .. import endpoints

            self._encode = endpoints.encode_mended
            self._prices = load_prices(options.prices) if options.prices else None
        if options.log:
            self._path = options.log
            self._log = open_private(options.log, os.O_APPEND, "ab")

    @contextlib.contextmanager
    def call(
        self, config: Config, asked: Union[Request, Mapping[str, Any]]
    ) -> Iterator[list[Reply]]:
        """A call, made by the block, which adds its Reply to the list that it is given; `asked` is what goes out."""
        replies: list[Reply] = []
        failure: Optional[BaseException] = None
        now, start = time.time(), time.monotonic()
        try:
            yield replies
        except BaseException as error:
            failure = error
            raise
        finally:
            whole = replies[0] if replies else None
            self.add(config, asked, whole, failure, time.monotonic() - start, now)

    def add(
        self,
        config: Config,
        asked: Union[Request, Mapping[str, Any]],
        whole: Optional[Reply],
        failure: Optional[BaseException],
        seconds: float,
        began: Optional[float] = None,
    ) -> None:
        """Count a call that is over, and log it; it began at `began`, by default `seconds` ago."""
        if whole is not None:
            self._replies.append(whole)
        self._seconds += seconds
        if self._log:
            whole = whole or getattr(failure, "partial", None)
            began = time.time() - seconds if began is None else began
            line = log_entry(asked, whole, failure, began, seconds, self._prices)
            self._write(self._encode(redact(config_secrets(config), line)) + b"\n")

    def _write(self, line: bytes) -> None:
        """Add a line to the log.  One that cannot be written ends no conversation: it is said, and told by the code."""
        try:
            self._log.write(line)
            self._log.flush()
        except OSError as error:
            self.code = 1
            self._stderr.warn(
                f"{write_error(self._path, error)}; this call is not logged, nor are later ones"
            )
            with contextlib.suppress(OSError):
                self._log.close()  # it tries once more to write what it still holds
            self._log = None

    def print_usage(self) -> None:
        """Say for -v what the calls since the last time used."""
        if self._notes and self._replies:
            self._notes.warn(format_usage(self._replies, self._seconds, self._prices))
        self._replies, self._seconds = [], 0.0

    def __enter__(self) -> "CallLog":
        return self

    def __exit__(self, *_: object) -> None:
        self.print_usage()
        if self._log:
            self._log.close()


def config_secrets(config: Config) -> list[str]:
    """The credentials that a client sends; what is shorter than any real key is left to be a word."""
    keys = config.keys()
    return [*(key for key in keys if len(key) >= 5), *Headers(*config.headers).secrets]
