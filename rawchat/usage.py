"""Count the tokens that replies have used, and compute their price.

>>> used = Usage.of({"usage": {"prompt_tokens": 1200, "completion_tokens": 50}})
>>> used.cost({"prompt": 2.5, "completion": 10})            # dollars per million tokens
0.0035
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .compat.normalise import find_usage

#: No reply uses this many tokens: a larger number is an error of the server, and counts as 0.
MAX_COUNT = 10**15


@dataclass(frozen=True)
class Usage:
    """A sum of tokens; add two with +."""

    #: Tokens of the prompts, the cached ones included.
    prompt: int = 0
    #: Tokens of the answers, the reasoning included.
    completion: int = 0
    cached: int = 0
    reasoning: int = 0
    #: Replies counted.
    calls: int = 0

    @classmethod
    def of(cls, reply: Mapping[str, Any]) -> "Usage":
        """Return the usage of one reply; zeros where the server does not report it.

        Images are reported as input and output tokens, which count as prompt and completion.
        """
        usage = as_mapping(find_usage(reply))
        prompt_details = as_mapping(usage.get("prompt_tokens_details"))
        completion_details = as_mapping(usage.get("completion_tokens_details"))
        return cls(
            prompt=as_count(usage.get("prompt_tokens", usage.get("input_tokens"))),
            completion=as_count(usage.get("completion_tokens", usage.get("output_tokens"))),
            cached=as_count(prompt_details.get("cached_tokens")),
            reasoning=as_count(completion_details.get("reasoning_tokens")),
            calls=1,
        )

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            prompt=self.prompt + other.prompt,
            completion=self.completion + other.completion,
            cached=self.cached + other.cached,
            reasoning=self.reasoning + other.reasoning,
            calls=self.calls + other.calls,
        )

    @property
    def total(self) -> int:
        """The tokens of prompts and answers together."""
        return self.prompt + self.completion

    def cost(self, prices: Mapping[str, float]) -> float:
        """Return the price in dollars.

        `prices` are dollars per million tokens: `prompt`, `completion`, and `cached` if it differs from `prompt`.
        """
        uncached = self.prompt - self.cached
        cached_price = prices.get("cached", prices["prompt"])
        dollars_per_million = (
            uncached * prices["prompt"]
            + self.cached * cached_price
            + self.completion * prices["completion"]
        )
        return dollars_per_million / 1e6


class Meter:
    """Count every reply by its model: `Client(on_reply=meter)`.  Threads may share one."""

    def __init__(self) -> None:
        self.models: dict[str, Usage] = {}
        self._lock = threading.Lock()

    def __call__(self, reply: Mapping[str, Any]) -> None:
        """Add the usage of `reply`; a reply that names no model counts under "?"."""
        model = str(reply.get("model") or "?")
        with self._lock:
            self.models[model] = self.models.get(model, Usage()) + Usage.of(reply)

    @property
    def usage(self) -> Usage:
        """The sum over all models."""
        # A copy of the values: another thread may add a model meanwhile.
        return sum(list(self.models.values()), Usage())

    def cost(self, prices: Mapping[str, Mapping[str, float]]) -> float:
        """Return the price in dollars, by the prices of each model (see `Usage.cost`).

        Raises KeyError for a model that has no price.
        """
        total = 0.0
        for model, used in list(self.models.items()):
            total += used.cost(prices[price_key(model, prices)])
        return total


def price_key(model: str, prices: Mapping[str, Any]) -> str:
    """Return the name in `prices` for `model`: its own, or that without its date.

    Raises KeyError if there is neither.
    """
    for name in (model, strip_date(model)):
        if name in prices:
            return name
    raise KeyError(f"no price for {model!r}")


def strip_date(model: str) -> str:
    """Return the name of a model without its date.

    >>> strip_date("gpt-4o-2024-08-06")
    'gpt-4o'
    """
    parts = model.split("-")
    while len(parts) > 1 and parts[-1].isdecimal():
        parts.pop()
    return "-".join(parts)


def as_count(value: Any) -> int:
    """Return a number of tokens, or 0 for a value that cannot be one."""
    if type(value) is int and 0 <= value < MAX_COUNT:
        return value
    return 0


def as_mapping(value: Any) -> Mapping[str, Any]:
    """Return a mapping as it is, and an empty one for any other value."""
    if isinstance(value, Mapping):
        return value
    return {}
