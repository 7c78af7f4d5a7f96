"""The report: lines for a person, as each result arrives; JSON for a machine, at the end.

Everything that is shown passes through `Report.clean`, which hides the secrets and control characters.
"""

import json
from collections.abc import Iterable, Sequence
from typing import Any, Optional, Protocol

from . import adapter
from .probe import Result
from .settings import Setting
from .way import DIFFERS, NO, NOT_TRIED, OK, Step

NAME_WIDTH = 20
VALUE_WIDTH = 40


class OutputError(Exception):
    """The report cannot be written: a full disk, for example."""


class Writable(Protocol):
    """A stream that a report is written to."""

    def write(self, text: str, /) -> Any: ...

    def flush(self) -> Any: ...

    def isatty(self) -> bool: ...


class Report:
    """Collect the results, and print them as they arrive unless `as_json`."""

    def __init__(self, out: Writable, err: Writable, as_json: bool = False):
        self._out = out
        self._err = err
        self._as_json = as_json
        self._secrets: list[str] = []
        self._settings: list[Setting] = []
        self._steps: list[Step] = []
        self._results: list[Result] = []
        self._bounds: dict[str, float] = {}
        self._progress = ""

    def hide(self, secrets: Iterable[str]) -> None:
        """Show *** in place of each of `secrets` from now on."""
        self._secrets += [secret for secret in secrets if secret]

    def clean(self, text: str) -> str:
        """Return `text` without secrets and control characters."""
        text = adapter.redact(self._secrets, text)
        return "".join(character if character.isprintable() else "?" for character in text)

    def settings(self, version: str, listing: Sequence[Setting]) -> None:
        """Show the settings, before the first step."""
        self._settings = list(listing)
        self._line(f"rawchat doctor {version}")
        self._line("settings")
        for setting in listing:
            value = self.clean(setting.value).ljust(VALUE_WIDTH)
            self._line(f"  {setting.name.ljust(NAME_WIDTH)}{value}  ({setting.source})")
        self._line("steps to the model")

    def step(self, step: Step) -> None:
        """Show one step."""
        self._steps.append(step)
        self._show(step.name, step.status, step.detail, step.seconds, step.remedy)

    def bounds(self, checks: int, calls: int, tokens: int, seconds: float) -> None:
        """Print what the probe will cost at most."""
        self._bounds = {"checks": checks, "calls": calls, "tokens": tokens, "seconds": seconds}
        self._line("what the server can do")
        number = count_of(checks, "check")
        cost = f"{count_of(calls, 'call')}, {tokens} tokens of answers, {seconds:g} s"
        self._line(f"  {number}: at most {cost}")

    def progress(self, name: str) -> None:
        """Show on a terminal what is under way."""
        if self._err.isatty():
            self._clear()
            self._progress = f"  {name} …"
            self._err.write(self._progress)
            self._err.flush()

    def _clear(self) -> None:
        if self._progress:
            self._err.write("\r" + " " * len(self._progress) + "\r")
            self._err.flush()
            self._progress = ""

    def result(self, result: Result) -> None:
        """Show the result of one check."""
        self._results.append(result)
        self._show(
            result.name,
            result.verdict.status,
            result.verdict.how,
            result.seconds,
            result.verdict.remedy,
        )

    def _show(
        self, name: str, status: str, detail: str, seconds: Optional[float], remedy: str
    ) -> None:
        self._clear()
        text = f"{status}: {detail}" if detail else status
        time = f"  [{show_time(seconds)}]" if seconds is not None else ""
        self._line(f"  {name.ljust(NAME_WIDTH)}{text}{time}")
        if remedy:
            self._line(f"  {''.ljust(NAME_WIDTH)}-> {remedy}")

    def _line(self, text: str) -> None:
        if not self._as_json:
            write_line(self._out, self.clean(text))

    def end_of_way(self) -> None:
        """Show the verdict on the steps, in one line."""
        problems = [step.name for step in self._steps if step.status in (NO, DIFFERS)]
        if not problems:
            self._line("all steps passed")
        elif self._steps[-1].status == NO:
            self._line(f"failed at: {problems[-1]}")
        else:
            self._line(f"all steps passed; see the notes on: {', '.join(problems)}")

    def end_of_probe(self) -> None:
        """Show how many checks had which result, in one line."""
        counts = []
        for status in (OK, DIFFERS, NO, NOT_TRIED):
            number = len([result for result in self._results if result.verdict.status == status])
            if number:
                counts.append(f"{number} {status}")
        self._clear()
        self._line(f"{count_of(len(self._results), 'check')}: {', '.join(counts)}")

    def end(self, code: int) -> None:
        """Write all results as JSON, if that was asked for."""
        self._clear()
        if self._as_json:
            write_line(self._out, json.dumps(self.as_json(code), indent=2, ensure_ascii=False))

    def as_json(self, code: int) -> dict[str, Any]:
        """Return all results, as they are written by --json."""
        settings = [
            {"name": setting.name, "value": self.clean(setting.value), "source": setting.source}
            for setting in self._settings
        ]
        way = [
            {
                "name": step.name,
                "status": step.status,
                "detail": self.clean(step.detail),
                "seconds": round_numbers(step.seconds),
                "cause": step.cause,
                "remedy": self.clean(step.remedy),
            }
            for step in self._steps
        ]
        server = [
            {
                "name": result.name,
                "status": result.verdict.status,
                "detail": self.clean(result.verdict.how),
                "seconds": round_numbers(result.seconds),
                "remedy": self.clean(result.verdict.remedy),
            }
            for result in self._results
        ]
        return {
            "settings": settings,
            "way": way,
            "bounds": self._bounds,
            "server": server,
            "exit_code": code,
        }


def write_line(out: Writable, text: str) -> None:
    """Write a line at once.  Raises OutputError, or BrokenPipeError if the reader has gone."""
    try:
        out.write(text + "\n")
        out.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(error.strerror) from None


def count_of(number: int, noun: str) -> str:
    """Return a number with its noun.

    >>> count_of(1, "check"), count_of(2, "check")
    ('1 check', '2 checks')
    """
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def round_numbers(seconds: Optional[float]) -> Optional[float]:
    """Return seconds to the tenth of a millisecond."""
    return None if seconds is None else round(seconds, 4)


def show_time(seconds: float) -> str:
    """Return a time for a line: milliseconds below one second.

    >>> show_time(0.0021), show_time(1.25)
    ('2 ms', '1.2 s')
    """
    if seconds < 1:
        return f"{1000 * seconds:.0f} ms"
    return f"{seconds:.1f} s"
