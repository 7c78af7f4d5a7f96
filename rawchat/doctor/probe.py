"""Stage 2: what the server can do.  The bounds, the order of the checks, and what one of them may ask.

Each check is a function `Session -> Verdict`.  Its calls and tokens are declared beside it, so that the bounds can be
printed before the first call.

A verdict is about the server.  A model may word its answer in any way, and a small one does: an answer that shows
nothing about the feature, because it is short, empty or cut at our own limit of tokens, is `not tried`.
"""

import time
from collections.abc import Iterator, Sequence
from typing import Any, Callable, NamedTuple, Optional

from . import adapter, exchanges
from .exchanges import Event, Exchange, Outcome

OK, NO, DIFFERS, NOT_TRIED = "ok", "no", "differs", "not tried"
MAX_SECONDS = 300.0  #: bound on all checks together, unless calls may take longer
CALL_SECONDS = 60.0  #: default bound on one call
LONG_CALLS = 5  #: calls that may take as long as one may, before the time of all is used up
#: What every server has to do: these checks decide the exit code unless others were named.
ESSENTIAL = ("chat", "stream")


class Verdict(NamedTuple):
    """The result of a check: `how` says it in words, without any part of an answer."""

    status: str
    how: str = ""
    code: int = 0
    remedy: str = ""


class Result(NamedTuple):
    """A verdict with its check and time."""

    name: str
    verdict: Verdict
    seconds: Optional[float] = None


class OutOfBoundsError(Exception):
    """The calls or the time of a probe are used up."""


class Session:
    """The state that the checks share: how to ask, and what is known of the server so far."""

    def __init__(
        self,
        send: Callable[[Exchange, float], Outcome],
        model: str,
        max_calls: int,
        max_seconds: float = MAX_SECONDS,
        call_seconds: float = CALL_SECONDS,
        clock: Callable[[], float] = time.monotonic,
        host: str = "",
        proxy: str = "",
        inspector: str = "",
        named: Sequence[str] = (),
    ):
        self._send = send
        self._clock = clock
        self.model = model
        self.host = host
        self.proxy = proxy
        self.inspector = inspector
        self.named = named
        self.calls = 0
        self._max_calls = max_calls
        self._end = clock() + max_seconds
        self._call_seconds = call_seconds
        #: The name of the token limit: max_completion_tokens once a server has asked for that.
        self.limit_name = "max_tokens"
        #: True until a server refuses stream_options.
        self.include_usage = True
        self.models: list[dict[str, Any]] = []
        #: The outcome of the check `chat`.
        self.plain: Optional[Outcome] = None
        #: The outcome of the check `stream`.
        self.stream: Optional[Outcome] = None
        self.outcomes: list[Outcome] = []
        self.results: dict[str, Verdict] = {}

    def ask(self, method: str, path: str, body: Optional[dict[str, Any]] = None) -> Outcome:
        """Send one request and return its outcome.  Raises OutOfBoundsError."""
        left = self._end - self._clock()
        if self.calls >= self._max_calls:
            raise OutOfBoundsError(f"the bound of {self._max_calls} calls is reached")
        if left <= 0:
            raise OutOfBoundsError("the time is used up")
        self.calls += 1
        outcome = self._send(Exchange(method, path, body), min(left, self._call_seconds))
        self.outcomes.append(outcome)
        return outcome

    def chat(self, prompt: Any, tokens: int = 64, **params: Any) -> Outcome:
        """Ask for a chat completion; a server that wants the other name of the token limit is asked again.

        `prompt` is the user's text, or a list of messages.
        """
        messages = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
        body = {"model": self.model, "messages": messages, **params}
        outcome = self.ask("POST", "/chat/completions", {**body, self.limit_name: tokens})
        if (
            outcome.status in (400, 422)
            and self.limit_name == "max_tokens"
            and b"max_completion_tokens" in outcome.body
        ):
            self.limit_name = "max_completion_tokens"
            outcome = self.ask("POST", "/chat/completions", {**body, self.limit_name: tokens})
        return outcome

    def stream_chat(self, prompt: str, tokens: int = 96, **params: Any) -> Outcome:
        """Ask for a streamed chat completion, with usage unless the server refuses that."""
        if self.include_usage:
            outcome = self.chat(
                prompt, tokens, stream=True, stream_options={"include_usage": True}, **params
            )
            if outcome.status not in (400, 422) or b"stream_options" not in outcome.body:
                return outcome
            self.include_usage = False
        return self.chat(prompt, tokens, stream=True, **params)

    def events(self, outcome: Outcome) -> list[Event]:
        """Return the events of a stream."""
        return [Event(seconds, data) for seconds, data in adapter.timed_events(outcome.pieces)]


class Check(NamedTuple):
    """A feature, how it is checked, what that costs at most, and which checks it builds on."""

    name: str
    run: Callable[[Session], Verdict]
    calls: int = 1
    tokens: int = 0
    needs: tuple[str, ...] = ()


def plan_checks(every: Sequence[Check], names: Sequence[str]) -> list[Check]:
    """Return the named checks and those that they build on, in order; all of them without names.

    Raises KeyError for a name that is not a check.
    """
    by_name = {check.name: check for check in every}
    wanted = list(names) or list(by_name)
    for name in wanted:
        wanted += [other for other in by_name[name].needs if other not in wanted]
    return [check for check in every if check.name in wanted]


def bounds(checks: Sequence[Check]) -> tuple[int, int]:
    """Return how many calls and how many tokens of answers the checks cost at most."""
    return sum(check.calls for check in checks), sum(check.tokens for check in checks)


def time_bounds(timeout: Optional[float]) -> tuple[float, float]:
    """Return the bounds on one call and on all checks, in seconds, for a --timeout.

    >>> time_bounds(None), time_bounds(600.0)
    ((60.0, 300.0), (600.0, 3000.0))
    """
    call_seconds = timeout or CALL_SECONDS
    return call_seconds, max(MAX_SECONDS, LONG_CALLS * call_seconds)


def run_checks(
    checks: Sequence[Check],
    session: Session,
    clock: Callable[[], float],
    on_start: Callable[[str], None],
) -> Iterator[Result]:
    """Yield the result of each check as soon as it is known; `on_start` is called with the name of each before it runs."""
    for check in checks:
        on_start(check.name)
        start = clock()
        failed = [name for name in check.needs if session.results[name].status in (NO, NOT_TRIED)]
        if failed:
            verdict = Verdict(NOT_TRIED, f"it needs {failed[0]}")
        else:
            try:
                verdict = check.run(session)
            except OutOfBoundsError as error:
                verdict = Verdict(NOT_TRIED, str(error))
        session.results[check.name] = verdict
        yield Result(check.name, verdict, clock() - start)


def exit_code(results: Sequence[Result], names: Sequence[str]) -> int:
    """Return 0 if all that was asked for works, else the code of the first check that failed.

    Without names every feature is tried, which no server has, and chat and streams decide.
    """
    wanted = names or ESSENTIAL
    for result in results:
        if result.name in wanted and result.verdict.status in (NO, NOT_TRIED):
            return result.verdict.code or 5
    return 0


# ---- what the checks share


def no_evidence(outcome: Outcome, limit: int) -> Verdict:
    """Return the verdict for an answer without a text to judge by."""
    if exchanges.is_cut(outcome.json, limit):
        return Verdict(NOT_TRIED, f"the answer was cut at {limit} tokens")
    return Verdict(NOT_TRIED, "the answer is empty")


def refusal_verdict(outcome: Outcome) -> Verdict:
    """Return the verdict for a request that was not answered."""
    if outcome.failure:
        return Verdict(NO, outcome.failure, 8 if outcome.status else 7)
    words = adapter.error_text(outcome.status, outcome.headers, outcome.body)
    how = f"{outcome.status}: {words}" if words else str(outcome.status)
    if outcome.status == 429:
        return Verdict(NOT_TRIED, how, 6)
    return Verdict(NO, how, code_of(outcome.status))


def code_of(status: int) -> int:
    """Return the exit code of a status, as in the README's table."""
    if status in (401, 403):
        return 3
    if status == 429:
        return 6
    return 4 if 400 <= status < 500 else 5
