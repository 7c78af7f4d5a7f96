"""What there is to know of a call when it is over: a line for -v, a line of JSON for --log."""
import contextlib
import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any, Optional

from .config import Config
from .encode import encode
from .headers import Headers
from .keys import without
from .notes import Notes
from .precedence import Options
from .private import opened
from .prompt import UsageError, read_file
from .reply import Reply
from .usage import Usage, priced
from .wire import Request

Prices = Mapping[str, Mapping[str, float]]


class Record:
    """The calls of a command, told as its options want it; raises UsageError for files that cannot be used."""

    def __init__(self, options: Options, notes: Notes):
        self._prices = prices_in(options.prices) if options.prices else None
        self._log = opened(options.log, os.O_APPEND, "ab") if options.log else None
        self._notes = notes if options.usage else None
        self._replies: list[Reply] = []
        self._seconds = 0.0

    @contextlib.contextmanager
    def call(self, config: Config, asked: Mapping[str, Any]) -> Iterator[list[Reply]]:
        """A call, made by the block, which adds the Reply to the list that it is given; `asked` is the body sent.

        No key of `config` gets into the log.
        """
        replies: list[Reply] = []
        failure: Optional[BaseException] = None
        began, start = datetime.now(timezone.utc), time.monotonic()
        try:
            yield replies
        except BaseException as error:
            failure = error
            raise
        finally:
            seconds = time.monotonic() - start
            self._seconds += seconds
            self._replies += replies
            if self._log:
                whole = replies[0] if replies else getattr(failure, "partial", None)
                line = {"time": began.isoformat(timespec="milliseconds"), "seconds": round(seconds, 3),
                        **entry(asked, whole, failure, self._prices)}
                self._log.write(encode(without(secrets(config), line)) + b"\n")
                self._log.flush()

    def tell(self) -> None:
        """Say for -v what the calls since the last time used."""
        if self._notes and self._replies:
            self._notes.complain(summary(self._replies, self._seconds, self._prices))
        self._replies, self._seconds = [], 0.0

    def __enter__(self) -> "Record":
        return self

    def __exit__(self, *_: object) -> None:
        self.tell()
        if self._log:
            self._log.close()


def secrets(config: Config) -> list[str]:
    """The credentials that a client sends; what is shorter than any real key is left to be a word."""
    keys = config.keys()
    return [*(key for key in keys if len(key) >= 5), *Headers(*config.headers).secrets]


def asked_by(request: Request) -> dict[str, Any]:
    """What a request asks, for the log."""
    body = json.loads(request.body or b"{}")
    return {name: body[name] for name in ("model", "messages", "prompt", "input") if name in body}


def entry(asked: Mapping[str, Any], whole: Optional[Reply], failure: Optional[BaseException],
          prices: Optional[Prices]) -> dict[str, Any]:
    """The line of a call in the log: what was asked, what came (also of a call that failed half way), what failed."""
    line = dict(asked)
    if whole is not None:
        texts = whole.texts
        line.update(model=whole.get("model") or asked.get("model"), answer=texts if len(texts) > 1 else whole.text,
                    **({"tool_calls": whole.tool_calls} if whole.tool_calls else {}), usage=whole.usage,
                    cost=cost([whole], prices), request_id=whole.request_id)
    if failure is not None:
        line.update(error=str(failure) or type(failure).__name__,
                    request_id=getattr(failure, "request_id", None) or line.get("request_id"))
    return {name: value for name, value in line.items() if value is not None}


def summary(replies: Sequence[Reply], seconds: float, prices: Optional[Prices]) -> str:
    """What calls used, in a line: '12 tokens in (4 cached), 34 out (6 reasoning); $0.0002; 1.52 s, …'."""
    used = sum(map(Usage.of, replies), Usage())
    tokens = f"{used.prompt} tokens in{f' ({used.cached} cached)' if used.cached else ''}, " \
             f"{used.completion} out{f' ({used.reasoning} reasoning)' if used.reasoning else ''}"
    dollars = cost(replies, prices)
    speed = f", {used.completion / seconds:.1f} tokens a second" if used.completion and seconds else ""
    models = sorted({str(reply["model"]) for reply in replies if reply.get("model")})
    names = [reply.request_id for reply in replies if reply.request_id]
    facts = [tokens if any(reply.usage for reply in replies) else "the server does not tell the tokens",
             f"${dollars:.6f}" if dollars is not None else "no price for it" if prices is not None else "",
             f"{seconds:.2f} s{speed}", ", ".join(models), f"request id {', '.join(names)}" if names else ""]
    return "; ".join(filter(None, facts))


def cost(replies: Sequence[Reply], prices: Optional[Prices]) -> Optional[float]:
    """Dollars; None without a price for every model."""
    try:
        return sum(Usage.of(reply).cost(prices[priced(str(reply.get("model")), prices)]) for reply in replies) \
            if prices is not None else None
    except KeyError:
        return None


def prices_in(path: str) -> Prices:
    """The table in a file; raises UsageError if it is none."""
    try:
        table = json.loads(read_file(path))
        for prices in table.values():
            Usage().cost(prices)
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
        raise UsageError(f'{path}: not a table of prices like {{"gpt-4o": {{"prompt": 2.5, "completion": 10}}}}') \
            from None
    found: Prices = table
    return found
