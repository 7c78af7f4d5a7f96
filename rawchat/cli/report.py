"""Report the calls of a command when they are over: a line on standard error (-v), a line in a log file (--log)."""

import contextlib
import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, BinaryIO, Optional, Union

from ..config import Config
from ..keys.redaction import redact, request_secrets, secret_forms
from ..reply import Reply
from ..urls import join_url
from ..wire import Headers, Request
from .inputs import UsageError, open_private, read_file
from .options import Options
from .terminal import Stderr, write_error

if TYPE_CHECKING:  # with -v and --log only
    from ..usage import Usage

Prices = Mapping[str, Mapping[str, float]]  # dollars per million tokens, by model
Body = Mapping[str, Any]

#: the fields of a request's body that are logged
LOGGED_FIELDS = ("model", "messages", "prompt", "input")

#: decimal places of a logged price: one token costs more than that
COST_DIGITS = 12


# ---- tokens and cost


def load_prices(path: str) -> Prices:
    """Return the table of prices in a JSON file; raise UsageError if it holds none."""
    from ..usage import Usage

    try:
        table: Prices = json.loads(read_file(path))
        for prices in table.values():
            Usage().cost(prices)
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
        example = '{"gpt-4o": {"prompt": 2.5, "completion": 10}}'
        raise UsageError(f"{path}: not a table of prices like {example}") from None
    return table


def total_cost(replies: Sequence[Reply], prices: Optional[Prices]) -> Optional[float]:
    """Return the cost of `replies` in dollars; None if there are no prices, or none for one of the models."""
    if prices is None:
        return None
    from ..usage import Usage, price_key

    total = 0.0
    for reply in replies:
        try:
            model = price_key(str(reply.get("model")), prices)
        except KeyError:
            return None
        total += Usage.of(reply).cost(prices[model])
    return round(total, COST_DIGITS)


def format_usage(replies: Sequence[Reply], seconds: float, prices: Optional[Prices]) -> str:
    """Return one line on what calls used: '12 tokens in (4 cached), 34 out (6 reasoning); $0.0002; 1.52 s, …'.

    seconds     the time that all calls took together
    prices      None leaves the cost out
    """
    from ..usage import Usage

    used = sum((Usage.of(reply) for reply in replies), Usage())
    parts = [format_tokens(replies, used)]
    dollars = total_cost(replies, prices)
    if dollars is not None:
        parts.append(f"${dollars:.6f}")
    elif prices is not None:
        parts.append("no price for this model")
    time_taken = f"{seconds:.2f} s"
    if used.completion and seconds:
        time_taken += f", {used.completion / seconds:.1f} tokens a second"
    parts.append(time_taken)
    models = {str(reply["model"]) for reply in replies if reply.get("model")}
    if models:
        parts.append(", ".join(sorted(models)))
    request_ids = [reply.request_id for reply in replies if reply.request_id]
    if request_ids:
        parts.append("request id " + ", ".join(request_ids))
    return "; ".join(parts)


def format_tokens(replies: Sequence[Reply], used: "Usage") -> str:
    """Return the tokens of `replies`, whose sum is `used`: '12 tokens in (4 cached), 34 out (6 reasoning)'."""
    if not any(reply.usage for reply in replies):
        return "usage not reported"
    text = f"{used.prompt} tokens in"
    if used.cached:
        text += f" ({used.cached} cached)"
    text += f", {used.completion} out"
    if used.reasoning:
        text += f" ({used.reasoning} reasoning)"
    return text


# ---- the log


class CallLog:
    """The calls of a command, for -v and --log.

    code        the exit code of a command that succeeds otherwise: 1 if the log could not be written

    Raises UsageError for a log file or a table of prices that cannot be used.
    """

    def __init__(self, options: Options, stderr: Stderr):
        self.code = 0
        self._stderr = stderr
        self._verbose = bool(options.usage)
        self._path = options.log or ""
        self._file: Optional[BinaryIO] = None
        self._prices: Optional[Prices] = None
        self._replies: list[Reply] = []  # of the calls since the last `print_usage`
        self._seconds = 0.0  # that they took
        if options.prices and (options.usage or options.log):
            self._prices = load_prices(options.prices)
        if options.log:
            self._file = open_private(options.log, os.O_APPEND, "ab")

    def __enter__(self) -> "CallLog":
        return self

    def __exit__(self, *_: object) -> None:
        self.print_usage()
        if self._file:
            self._file.close()

    @contextlib.contextmanager
    def call(self, config: Config, request: Request) -> Iterator[list[Reply]]:
        """Time and log the call that the block makes; the block adds its Reply to the list that it is given."""
        replies: list[Reply] = []
        failure: Optional[BaseException] = None
        began = time.time()
        start = time.monotonic()
        try:
            yield replies
        except BaseException as error:
            failure = error
            raise
        finally:
            seconds = time.monotonic() - start
            reply = replies[0] if replies else None
            self.add(config, request, reply, failure, seconds, began)

    def add(
        self,
        config: Config,
        request: Union[Request, Body],
        reply: Optional[Reply],
        failure: Optional[BaseException],
        seconds: float,
        began: Optional[float] = None,
    ) -> None:
        """Count a call that is over, and log it.

        request     the request, or its body
        reply       None if the call failed with `failure`, whose partial reply is then logged
        began       seconds since 1970; by default `seconds` ago
        """
        if reply is not None:
            self._replies.append(reply)
        self._seconds += seconds
        if self._file is None:
            return
        # here, not above: only a log needs it
        from ..wire.json_text import encode_mended

        if reply is None:
            reply = getattr(failure, "partial", None)
        if began is None:
            began = time.time() - seconds
        entry = log_entry(request, reply, failure, began, seconds, self._prices)
        self._write(encode_mended(redact(config_secrets(config), entry)) + b"\n")

    def print_usage(self) -> None:
        """Print, for -v, what the calls since the last time used."""
        if self._verbose and self._replies:
            self._stderr.warn(format_usage(self._replies, self._seconds, self._prices))
        self._replies = []
        self._seconds = 0.0

    def _write(self, line: bytes) -> None:
        """Append a line to the log.

        A log that cannot be written ends no conversation: it is reported once, and by the exit code.
        """
        assert self._file is not None
        try:
            self._file.write(line)
            self._file.flush()
        except OSError as error:
            self.code = 1
            reason = write_error(self._path, error)
            self._stderr.warn(f"{reason}; this call and later ones are not logged")
            with contextlib.suppress(OSError):
                # closing tries again to write what the file still holds
                self._file.close()
            self._file = None


def log_entry(
    request: Union[Request, Body],
    reply: Optional[Reply],
    failure: Optional[BaseException],
    began: float,
    seconds: float,
    prices: Optional[Prices],
) -> dict[str, Any]:
    """Return the entry of a call in the log: what was sent, what was received, what failed.

    request     the request, or its body
    reply       the reply, or the part of it that a failed call received
    began       when the call began, in seconds since 1970
    """
    body = request
    if isinstance(request, Request):
        body = request.draft or {}
    assert isinstance(body, Mapping)
    when = datetime.fromtimestamp(began, timezone.utc)
    entry: dict[str, Any] = {
        "time": when.isoformat(timespec="milliseconds"),
        "seconds": round(seconds, 3),
    }
    for name in LOGGED_FIELDS:
        entry[name] = body.get(name)
    if reply is not None:
        entry["model"] = reply.get("model") or body.get("model")
        entry["answer"] = reply.text
        if len(reply.texts) > 1:
            entry["answer"] = reply.texts
        entry["tool_calls"] = reply.tool_calls or None
        entry["usage"] = reply.usage
        entry["cost"] = total_cost([reply], prices)
        entry["request_id"] = reply.request_id
    if failure is not None:
        entry["error"] = str(failure) or type(failure).__name__
        request_id = getattr(failure, "request_id", None)
        entry["request_id"] = request_id or entry.get("request_id")
    return {name: value for name, value in entry.items() if value is not None}


def config_secrets(config: Config) -> list[str]:
    """Return the credentials that a client sends, which must not stand in the log."""
    keys = config.keys()
    url = join_url(config.base_url, "", config.query)
    request = Request("GET", url, Headers(*config.headers))
    return [*secret_forms(keys), *request_secrets(request)]
