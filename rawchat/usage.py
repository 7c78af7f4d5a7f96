"""Tokens that replies have used, and what they cost.

>>> used = Usage.of({"usage": {"prompt_tokens": 1200, "completion_tokens": 50}})
>>> used.cost({"prompt": 2.5, "completion": 10})            # dollars per million tokens
0.0035
"""

import threading
from collections.abc import Mapping
from dataclasses import astuple, dataclass
from typing import Any

MOST = 10**15  #: no reply uses so many tokens: what is beyond is nonsense


@dataclass(frozen=True)
class Usage:
    """A sum of tokens; add them up with +."""

    prompt: int = 0  #: sent, the cached ones included
    completion: int = 0  #: made, the reasoning included
    cached: int = 0
    reasoning: int = 0
    calls: int = 0

    @classmethod
    def of(cls, reply: Mapping[str, Any]) -> "Usage":
        """What one reply used; zeros where the server does not say.  Pictures are counted as input and output."""
        said = as_mapping(reply.get("usage"))
        sent, made = (
            as_mapping(said.get("prompt_tokens_details")),
            as_mapping(said.get("completion_tokens_details")),
        )
        counts = (
            said.get("prompt_tokens", said.get("input_tokens")),
            sent.get("cached_tokens"),
            said.get("completion_tokens", said.get("output_tokens")),
            made.get("reasoning_tokens"),
        )
        prompt, cached, completion, reasoning = map(_count, counts)
        return cls(prompt, completion, cached, reasoning, 1)

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(*(mine + its for mine, its in zip(astuple(self), astuple(other))))

    @property
    def total(self) -> int:
        """All tokens, sent and made."""
        return self.prompt + self.completion

    def cost(self, prices: Mapping[str, float]) -> float:
        """Dollars, by `prices` in dollars per million tokens: `prompt`, `completion`, and `cached` if it differs."""
        cached = prices.get("cached", prices["prompt"])
        return (
            (self.prompt - self.cached) * prices["prompt"]
            + self.cached * cached
            + self.completion * prices["completion"]
        ) / 1e6


class Meter:
    """Counts every reply by its model: `Client(on_reply=meter)`.  Threads may share it."""

    def __init__(self) -> None:
        self.models: dict[str, Usage] = {}
        self._lock = threading.Lock()

    def __call__(self, reply: Mapping[str, Any]) -> None:
        model = str(reply.get("model") or "?")
        with self._lock:
            self.models[model] = self.models.get(model, Usage()) + Usage.of(reply)

    @property
    def usage(self) -> Usage:
        """The sum over all models."""
        return sum(
            [*self.models.values()], Usage()
        )  # a copy: other threads may add a model meanwhile

    def cost(self, prices: Mapping[str, Mapping[str, float]]) -> float:
        """Dollars, by the prices of each model; raises KeyError for a model that has none."""
        return sum(
            used.cost(prices[price_key(model, prices)]) for model, used in [*self.models.items()]
        )


def price_key(model: str, prices: Mapping[str, Any]) -> str:
    """The name in `prices` that is meant: `model`, or that without its date (gpt-4o-2024-08-06 is a gpt-4o)."""
    for name in (model, undated(model)):
        if name in prices:
            return name
    raise KeyError(f"no price for {model!r}")


def _count(value: Any) -> int:
    """Return a number of tokens; 0 for what cannot be one, such as a number that no float can hold."""
    return value if type(value) is int and 0 <= value < MOST else 0


def undated(model: str) -> str:
    """Return the name of a model without its date.

    >>> undated("gpt-4o-2024-08-06")
    'gpt-4o'
    """
    parts = model.split("-")
    while len(parts) > 1 and parts[-1].isdecimal():
        parts.pop()
    return "-".join(parts)


def as_mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
