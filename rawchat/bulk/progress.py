"""Show the progress of a run on standard error: a line that is rewritten on a terminal, one line at the end elsewhere.

If tqdm is installed, its bar takes the place of the line on a terminal.
"""

import contextlib
import os
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any, Callable, Optional

from ..errors import one_line
from ..usage import Usage
from ..wire.printable import escape_control
from .rows import failure_reason, is_success

#: characters of a warning; a longer one is cut
MAX_WARNING = 2000

#: characters of a custom_id, and of the reason of a failure, in a warning
MAX_CUSTOM_ID = 100
MAX_REASON = 500

PROGRESS_INTERVAL = 0.5  #: seconds between two states of the progress line
MIN_SECONDS = 1e-9  #: avoids a division by zero where the clock has not moved
ERASE_TO_END = "\x1b[K"  #: ECMA-48, 8.3.41
BLANKS = " " * 12  #: more than a state is shorter than the one before


class Progress:
    """Counts results, and shows them.

    total       rows in all; None if unknown
    price       dollars per million tokens of the prompt and of the completion; (0, 0) shows no cost
    clock       monotonic seconds
    """

    def __init__(
        self,
        total: Optional[int],
        price: Sequence[float],
        clock: Callable[[], float] = time.monotonic,
    ):
        self._total = total
        self._price = price
        self._clock = clock
        self._started_at = self._printed_at = clock()
        self.done = 0
        self.failed = 0
        self.tokens = 0
        self.cost = 0.0
        self._first_failure: Mapping[str, Any] = {}
        self._bar = make_bar(total)

    def count(self, result: Mapping[str, Any]) -> None:
        """Add one result."""
        self.done += 1
        if not is_success(result):
            self.failed += 1
            self._first_failure = self._first_failure or result
        response = result["response"] or {}
        usage = Usage.of(response.get("body") or {})
        self.tokens += usage.total
        prompt_price, completion_price = self._price
        self.cost += usage.cost({"prompt": prompt_price, "completion": completion_price})

    def describe_failures(self) -> str:
        """Return how many rows failed, and which was the first and why; an empty text if none did."""
        if not self.failed:
            return ""
        text = f"{count_of(self.failed, 'row')} failed"
        if self.failed > 1:
            text += "; the first"
        custom_id = one_line(str(self._first_failure["custom_id"]), MAX_CUSTOM_ID)
        return f"{text}, {custom_id}: {one_line(failure_reason(self._first_failure), MAX_REASON)}"

    def __str__(self) -> str:
        if self._total == 0 == self.done:
            return "nothing left to do"
        rate = self.done / max(self._clock() - self._started_at, MIN_SECONDS)
        if self._total is None:
            parts = [f"{self.done} done"]
        else:
            parts = [f"{self.done} of {self._total} done"]
        parts.append(f"{rate:.1f} a second")
        if self._total and rate and self._total > self.done:
            parts.append(f"{(self._total - self.done) / rate:.0f} s left")
        return ", ".join([*parts, self.results])

    @property
    def results(self) -> str:
        """The tokens, the cost and the failures so far."""
        parts = [f"{self.tokens} tokens"]
        if any(self._price):
            parts.append(f"${self.cost:.4f}")
        parts.append(f"{self.failed} failed")
        return ", ".join(parts)

    def show(self, first: bool = False, last: bool = False) -> None:
        """Show the state, if it is time for it; `first` and `last` show it in any case, and `last` ends the line."""
        if self._bar is not None:
            self._show_bar(last)
        elif sys.stderr is None:
            # A program without a console.
            return
        elif stderr_is_terminal():
            self._rewrite_line(first, last)
        elif last:
            print(self, file=sys.stderr, flush=True)

    def _show_bar(self, last: bool) -> None:
        """Show the state in tqdm's bar, which adds the speed and the time left."""
        self._bar.set_postfix_str(self.results, refresh=False)
        self._bar.update(self.done - self._bar.n)
        if last:
            self._bar.close()

    def _rewrite_line(self, first: bool, last: bool) -> None:
        """Show the state over the last one."""
        is_due = self._clock() - self._printed_at >= PROGRESS_INTERVAL
        if not (first or last or is_due):
            return
        self._printed_at = self._clock()
        end = "\n" if last else ""
        print(f"\r{self}{erase_rest()}", end=end, file=sys.stderr, flush=True)


def count_of(number: int, noun: str) -> str:
    """Return a number with its noun.

    >>> count_of(1, "row"), count_of(2, "row")
    ('1 row', '2 rows')
    """
    if number == 1:
        return f"1 {noun}"
    return f"{number} {noun}s"


def print_remark(text: str) -> None:
    """Print a line to a terminal, in the place of the progress line; elsewhere nothing, so that logs stay short."""
    if stderr_is_terminal():
        print(f"\rrawchat: {text}{erase_rest()}", file=sys.stderr, flush=True)


def print_warning(text: str) -> None:
    """Print `rawchat: …` to standard error, as one line whatever the text holds; escaped on a terminal.

    Without a standard error nothing is printed: print would take standard output in the place of None.
    """
    if sys.stderr is None:
        return
    line = one_line(text, MAX_WARNING)
    if stderr_is_terminal():
        line = escape_control(line)
    print(f"rawchat: {line}", file=sys.stderr, flush=True)


def erase_rest() -> str:
    """Return what erases the rest of a longer line; the console of Windows may not know the sequence."""
    return BLANKS if os.name == "nt" else ERASE_TO_END


def stderr_is_terminal() -> bool:
    """Return whether standard error is a terminal."""
    return sys.stderr is not None and sys.stderr.isatty()


def make_bar(total: Optional[int]) -> Any:
    """Return tqdm's bar; None where standard error is not a terminal, tqdm is not installed, or no row is left."""
    if stderr_is_terminal() and total != 0:
        with contextlib.suppress(ImportError):
            from tqdm import tqdm

            return tqdm(total=total, unit=" rows", dynamic_ncols=True)
    return None
