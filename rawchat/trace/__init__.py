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

from ..errors import APIError
from ..keys import redact
from ..normalise import decode_json
from ..urls import keys_in, redact_url
from ..wire import SECRET_HEADER, Headers, Request, Response, Transport

SHORTEST = 5  #: characters of a secret: what is shorter than any real key is left to be a word


def secrets(request: Request) -> list[str]:
    """Return the credentials in `request`, of its headers and its URL, in every form in which a server may echo them.

    What is shorter than any real key is left to be a word.  The longest come first, as in a Redactor.
    """
    found = set()
    given = [*request.headers.secrets, *keys_in(request.url)]
    for name, value in request.headers.items():
        if SECRET_HEADER.fullmatch(name) and not name.lower().endswith(
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
        return str(redact(self._secrets, text[:cut]))

    def end(self) -> str:
        """Return what was held back.  The greater part of a secret, where the body was cut, is hidden too."""
        text = str(redact(self._secrets, self._held + self._decoder.decode(b"", True)))
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


def observe(
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
        response.pieces = record_pieces(response.pieces, exchange, tell, since)
        response.close, response.release = ending(response.close), ending(response.release)
        return response

    return watching


def record_pieces(
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
            attempts = attempts + 1 if before and is_retry_of(before[0], exchange) else 1
        for line in format_event(exchange, what, before[0] if before else exchange, attempts):
            say(redact(secrets(exchange.request), line))
        before[:] = [exchange]

    return observe(transport, see, clock)


def format_event(exchange: Exchange, what: str, before: Exchange, attempt: int) -> Iterator[str]:
    """The lines of a trace for one thing that happened."""
    if what == "request":
        if attempt > 1:
            yield f"* attempt {attempt}, {describe_wait(before, exchange)}"
        yield from (f"> {line}" for line in format_request(exchange.request).splitlines())
    elif what == "response" and exchange.response:
        yield f"< {exchange.head:7.3f}  {exchange.response.status}"
        yield from (
            f"< {'':7}  {name}: {value}"
            for name, value in redact_headers(exchange.response.headers).items()
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


def format_request(request: Request) -> str:
    """A request as text: method and URL, headers, a blank line, the body."""
    lines = [f"{request.method} {redact_url(request.url)}"]
    lines += [f"{name}: {value}" for name, value in redact_headers(request.headers).items()]
    return "\n".join([*lines, "", (request.body or b"").decode()])


def redact_headers(headers: Headers) -> Headers:
    """Headers with their secrets hidden, those of a URL in a value too (Location)."""
    return Headers(
        {
            name: "***" if SECRET_HEADER.fullmatch(name) else redact_url(value)
            for name, value in headers.items()
        }
    )


def is_retry_of(before: Exchange, exchange: Exchange) -> bool:
    """Is it another attempt of the same call?"""
    return before.request.body is exchange.request.body


def describe_wait(before: Exchange, exchange: Exchange) -> str:
    """How long an attempt came after the one before it, and why: '0.50 s after 503'."""
    return f"{exchange.began - before.began - before.end:.2f} s after {describe_outcome(before)}"


def describe_outcome(exchange: Exchange) -> str:
    """How an attempt ended: its status, or what broke."""
    return str(exchange.response.status) if exchange.response else error_text(exchange)


def error_text(exchange: Exchange) -> str:
    """What broke an attempt, without the key."""
    error = exchange.error
    if isinstance(error, APIError):
        return str(redact(secrets(exchange.request), error.message))
    return type(error).__name__


def summary(exchange: Exchange, attempts: int) -> str:
    """One line about an attempt that is over: times, tokens, bytes, connection."""
    size = sum(len(piece) for _, piece in exchange.pieces)
    facts = [error_text(exchange)] if exchange.error else []
    facts += [f"headers after {exchange.head:.3f} s"] if exchange.response else []
    times, usage = token_times(exchange)
    if times:
        facts.append(f"first token after {times[0]:.3f} s")
        count, took = usage or len(times), times[-1] - times[0]
        facts.append(
            f"{count} tokens" + (f", {(count - 1) / took:.1f} a second" if took > 0 else "")
        )
    facts += [f"{size} bytes", f"{exchange.end:.3f} s in all", f"attempt {attempts}"]
    if exchange.response and exchange.response.connection_reused is not None:
        facts.append(
            "connection reused" if exchange.response.connection_reused else "connection new"
        )
    return "; ".join(facts)


def token_times(exchange: Exchange) -> tuple[list[float], Optional[int]]:
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
        shlex.quote(redact_url(request.url)),
    ]
    for name, value in request.headers.items():
        if SECRET_HEADER.fullmatch(name):  # double quotes: the shell fills it in
            scheme = "Bearer " if value.startswith("Bearer ") else ""
            parts += ["--header", f'"{name}: {scheme}$OPENAI_API_KEY"']
        else:
            parts += ["--header", shlex.quote(f"{name}: {value}")]
    if request.body is not None:
        parts += ["--data-raw", shlex.quote(request.body.decode())]
    return " ".join(parts)
