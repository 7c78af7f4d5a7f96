"""The facts of a call that is over: its line for -v, its entry in the log, what it cost.

>>> summary([Reply(model="m", usage={"prompt_tokens": 12, "completion_tokens": 34})], 2.0, None)
'12 tokens in, 34 out; 2.00 s, 17.0 tokens a second; m'
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import Any, Optional, Union

from .prompt import UsageError, read_file
from .reply import Reply
from .usage import Usage, priced
from .wire import Request

ASKED = ("model", "messages", "prompt", "input")  #: of a body, what is logged
Prices = Mapping[str, Mapping[str, float]]


def entry(
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
        **{name: body[name] for name in ASKED if name in body},
    }
    if whole is not None:
        texts = whole.texts
        line.update(
            model=whole.get("model") or body.get("model"),
            answer=texts if len(texts) > 1 else whole.text,
            **({"tool_calls": whole.tool_calls} if whole.tool_calls else {}),
            usage=whole.usage,
            cost=cost([whole], prices),
            request_id=whole.request_id,
        )
    if failure is not None:
        line.update(
            error=str(failure) or type(failure).__name__,
            request_id=getattr(failure, "request_id", None) or line.get("request_id"),
        )
    return {name: value for name, value in line.items() if value is not None}


def summary(replies: Sequence[Reply], seconds: float, prices: Optional[Prices]) -> str:
    """What calls used, in a line: '12 tokens in (4 cached), 34 out (6 reasoning); $0.0002; 1.52 s, …'."""
    used = sum(map(Usage.of, replies), Usage())
    tokens = (
        f"{used.prompt} tokens in{f' ({used.cached} cached)' if used.cached else ''}, "
        f"{used.completion} out{f' ({used.reasoning} reasoning)' if used.reasoning else ''}"
    )
    dollars = cost(replies, prices)
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


def cost(replies: Sequence[Reply], prices: Optional[Prices]) -> Optional[float]:
    """Dollars; None without a price for every model."""
    if prices is None:
        return None
    try:
        found = [
            Usage.of(reply).cost(prices[priced(str(reply.get("model")), prices)])
            for reply in replies
        ]
        return round(sum(found), 12)  # a token costs more than that
    except KeyError:
        return None


def prices_in(path: str) -> Prices:
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
