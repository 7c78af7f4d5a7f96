"""The wire, shown: wrappers around a transport that see every attempt and change none; and a request as text.

    client = rawchat.Client(transport=traced(over_http(base_url), say=print))

Credentials are hidden in all that comes out of here.
"""

import codecs
import functools
import json
import shlex
import time
from collections.abc import Iterator, Sequence
from typing import Any, Callable, Optional
from urllib.parse import quote

from .encode import decode_json
from .errors import APIError
from .headers import SECRET, Headers
from .keys import without
from .urls import keys_in, without_keys
from .wire import Request, Response, Transport

SHORTEST = 5  #: characters of a secret: what is shorter than any real key is left to be a word


def secrets(request: Request) -> list[str]:
    """Return the credentials in `request`, of its headers and its URL, in every form in which a server may echo them.

    What is shorter than any real key is left to be a word.  The longest come first, as in a Redactor.
    """
    found = set()
    given = [*request.headers.secrets, *keys_in(request.url)]
    for name, value in request.headers.items():
        if SECRET.fullmatch(name) and not name.lower().endswith(
            "authorization"
        ):  # that one begins with a scheme
            given.append(value)
    for secret in given:
        if len(secret) >= SHORTEST:
            in_json = json.dumps(secret)[1:-1]
            found |= {secret, quote(secret, safe=""), in_json, in_json.replace("/", "\\/")}
    return sorted(found, key=len, reverse=True)


class Redactor:
    """Hides secrets in a text that comes in pieces, also one that is cut in two.

    >>> redactor = Redactor(["sk-secret"])
    >>> redactor.feed(b"key: sk-s"), redactor.feed(b"ecret, s"), redactor.end()
    ('key: ', '***, ', 's')
    """

    def __init__(self, secrets: Sequence[str]):
        self._secrets = sorted(
            secrets, key=len, reverse=True
        )  # one that begins with another is hidden whole
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = ""

    def feed(self, piece: bytes) -> str:
        """Return what can be shown now: an end that may be the beginning of a secret waits for the next piece."""
        text = self._held + self._decoder.decode(piece)
        cut = len(text) - self._begun(text)
        for secret in self._secrets:
            start = text.find(secret, max(0, cut - len(secret) + 1))
            if 0 <= start < cut:  # a whole one must not be cut by the beginning of another
                cut = start
        self._held = text[cut:]
        return str(without(self._secrets, text[:cut]))

    def end(self) -> str:
        """Return what was held back.  The greater part of a secret, where the body was cut, is hidden too."""
        text = str(without(self._secrets, self._held + self._decoder.decode(b"", True)))
        self._held = ""
        begun = self._begun(text)
        return text[: len(text) - begun] + "***" if begun >= SHORTEST else text

    def _begun(self, text: str) -> int:
        """Return the length of the longest end of `text` that begins a secret but does not complete it."""
        longest = 0
        for secret in self._secrets:
            for length in range(min(len(secret) - 1, len(text)), longest, -1):
                if text.endswith(secret[:length]):
                    longest = length
                    break
        return longest


class Exchange:
    """One attempt, seen from outside: what went out, what came back, and when, in seconds since it was sent."""

    def __init__(self, request: Request, began: float):
        self.request, self.began = request, began  # seconds since 1970
        self.response: Optional[Response] = None
        self.error: Optional[BaseException] = None
        self.head = self.end = 0.0  # when the headers came, and when it ended
        self.over = False
        self.pieces: list[tuple[float, bytes]] = []  # when each part of the body came
        self.redactor = Redactor(secrets(request))


def observed(
    transport: Transport,
    see: Callable[[Exchange, str], Any],
    clock: Callable[[], float] = time.monotonic,
    now: Callable[[], float] = time.time,
) -> Transport:
    """`transport`, with `see(exchange, what)` called as things happen: request, response, piece, then end or error."""

    @functools.wraps(transport, assigned=())
    def watching(request: Request) -> Response:
        exchange, start = Exchange(request, now()), clock()

        def since() -> float:
            return clock() - start

        def tell(what: str, error: Optional[BaseException] = None) -> None:
            exchange.end, exchange.error = since(), error
            exchange.over = what in ("end", "error")
            see(exchange, what)

        def ending(end: Callable[[], None]) -> Callable[[], None]:
            def told() -> None:
                end()
                if not exchange.over:  # it may be closed more than once
                    tell("end")

            return told

        tell("request")
        try:
            response = transport(request)
        except BaseException as error:
            tell("error", error)
            raise
        exchange.head, exchange.response = since(), response
        tell("response")
        response.pieces = passing(response.pieces, exchange, tell, since)
        response.close, response.finish = ending(response.close), ending(response.finish)
        return response

    return watching


def passing(
    pieces: Any, exchange: Exchange, tell: Callable[..., None], since: Callable[[], float]
) -> Iterator[bytes]:
    """The pieces of a body on their way through, each written down when it comes."""
    try:
        for piece in pieces:
            exchange.pieces.append((since(), piece))
            tell("piece")
            yield piece
    except Exception as error:
        tell("error", error)
        raise


def traced(
    transport: Transport, say: Callable[[str], Any], clock: Callable[[], float] = time.monotonic
) -> Transport:
    """`transport`, with every attempt told to `say`, a line at a time, as it happens.

    > what went out, < what came (with the seconds since it was sent), * what there is to know.
    """
    before: list[Exchange] = []  # the last attempt, to tell the next one from a new call
    attempts = 1

    def see(exchange: Exchange, what: str) -> None:
        nonlocal attempts
        if what == "request":
            attempts = attempts + 1 if before and same(before[0], exchange) else 1
        for line in told(exchange, what, before[0] if before else exchange, attempts):
            say(without(secrets(exchange.request), line))
        before[:] = [exchange]

    return observed(transport, see, clock)


def told(exchange: Exchange, what: str, before: Exchange, attempt: int) -> Iterator[str]:
    """The lines of a trace for one thing that happened."""
    if what == "request":
        if attempt > 1:
            yield f"* attempt {attempt}, {pause(before, exchange)}"
        yield from (f"> {line}" for line in text(exchange.request).splitlines())
    elif what == "response" and exchange.response:
        yield f"< {exchange.head:7.3f}  {exchange.response.status}"
        yield from (
            f"< {'':7}  {name}: {value}" for name, value in shown(exchange.response.headers).items()
        )
    elif what == "piece":
        seconds, piece = exchange.pieces[-1]
        yield from (
            f"< {seconds:7.3f}  {line}"
            for line in exchange.redactor.feed(piece).splitlines()
            if line
        )
    else:
        yield from (
            f"< {exchange.end:7.3f}  {line}"
            for line in exchange.redactor.end().splitlines()
            if line
        )
        yield f"* {summary(exchange, attempt)}"


def text(request: Request) -> str:
    """A request as text: method and URL, headers, a blank line, the body."""
    lines = [f"{request.method} {without_keys(request.url)}"]
    lines += [f"{name}: {value}" for name, value in shown(request.headers).items()]
    return "\n".join([*lines, "", (request.body or b"").decode()])


def shown(headers: Headers) -> Headers:
    """Headers with their secrets hidden, those of a URL in a value too (Location)."""
    return Headers(
        {
            name: "***" if SECRET.fullmatch(name) else without_keys(value)
            for name, value in headers.items()
        }
    )


def same(before: Exchange, exchange: Exchange) -> bool:
    """Is it another attempt of the same call?"""
    return before.request.body is exchange.request.body


def pause(before: Exchange, exchange: Exchange) -> str:
    """How long an attempt came after the one before it, and why: '0.50 s after 503'."""
    return f"{exchange.began - before.began - before.end:.2f} s after {outcome(before)}"


def outcome(exchange: Exchange) -> str:
    """How an attempt ended: its status, or what broke."""
    return str(exchange.response.status) if exchange.response else clean(exchange)


def clean(exchange: Exchange) -> str:
    """What broke an attempt, without the key."""
    error = exchange.error
    if isinstance(error, APIError):
        return str(without(secrets(exchange.request), error.message))
    return type(error).__name__


def summary(exchange: Exchange, attempts: int) -> str:
    """One line about an attempt that is over: times, tokens, bytes, connection."""
    size = sum(len(piece) for _, piece in exchange.pieces)
    facts = [clean(exchange)] if exchange.error else []
    facts += [f"headers after {exchange.head:.3f} s"] if exchange.response else []
    times, usage = tokens(exchange)
    if times:
        facts.append(f"first token after {times[0]:.3f} s")
        count, took = usage or len(times), times[-1] - times[0]
        facts.append(
            f"{count} tokens" + (f", {(count - 1) / took:.1f} a second" if took > 0 else "")
        )
    facts += [f"{size} bytes", f"{exchange.end:.3f} s in all", f"attempt {attempts}"]
    if exchange.response and exchange.response.reused is not None:
        facts.append("connection reused" if exchange.response.reused else "connection new")
    return "; ".join(facts)


def tokens(exchange: Exchange) -> tuple[list[float], Optional[int]]:
    """When the parts of a stream came that hold text, and the number of tokens if the server told it."""
    times, usage = [], None
    for seconds, piece in exchange.pieces:
        for line in piece.splitlines():
            try:
                chunk = (
                    decode_json(line[5:].decode("utf-8", "replace"))
                    if line.startswith(b"data:")
                    else {}
                )
                choices = chunk.get("choices") or [{}]
                times += [seconds] * bool(
                    choices[0].get("text") or (choices[0].get("delta") or {}).get("content")
                )
                usage = (chunk.get("usage") or {}).get("completion_tokens", usage)
            except (ValueError, AttributeError, TypeError, KeyError, IndexError):
                continue  # a line cut in two, or none of ours
    return times, usage


def curl(request: Request) -> str:
    """A curl command that sends the same request when it is pasted into a shell; the key is $OPENAI_API_KEY."""
    parts = [
        "curl",
        "--no-buffer",
        "--compressed",
        "--request",
        request.method,
        shlex.quote(without_keys(request.url)),
    ]
    for name, value in request.headers.items():
        if SECRET.fullmatch(name):  # double quotes: the shell fills it in
            scheme = "Bearer " if value.startswith("Bearer ") else ""
            parts += ["--header", f'"{name}: {scheme}$OPENAI_API_KEY"']
        else:
            parts += ["--header", shlex.quote(f"{name}: {value}")]
    if request.body is not None:
        parts += ["--data-raw", shlex.quote(request.body.decode())]
    return " ".join(parts)
