"""TODO."""

import contextlib
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any, Optional

from ..usage import Usage
from .rows import is_success

PROGRESS_INTERVAL = 0.5  #: seconds between two states of the progress line


class Progress:
    """What has been done, for the eye: on a terminal now and then (by tqdm, if it is there), else once at the end."""

    def __init__(self, total: Optional[int], price: Sequence[float], clock: Any = time.monotonic):
        self._total, self._price, self._clock = total, price, clock
        self._start = self._shown = clock()
        self.done = self.failed = self.tokens = 0
        self.cost = 0.0
        self._bar = make_bar(total)

    def count(self, result: Mapping[str, Any]) -> None:
        """Take one more result into account."""
        self.done += 1
        self.failed += not is_success(result)
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
        elif sys.stderr and (
            last or (stderr_is_terminal() and self._clock() - self._shown >= PROGRESS_INTERVAL)
        ):
            self._shown = self._clock()
            before, after = ("\r", "\x1b[K") if stderr_is_terminal() else ("", "")
            print(f"{before}{self}{after}", end="\n" if last else "", file=sys.stderr, flush=True)


def stderr_is_terminal() -> bool:
    """Does somebody look at standard error?"""
    return bool(sys.stderr) and sys.stderr.isatty()


def make_bar(total: Optional[int]) -> Any:
    """tqdm's bar on a terminal; None where there is no terminal, or no tqdm."""
    if stderr_is_terminal():
        with contextlib.suppress(ImportError):
            from tqdm import tqdm

            return tqdm(total=total, unit=" rows", dynamic_ncols=True)
    return None
