"""Watch what goes over the wire, attempt by attempt, and print a request as text or as a curl command.

    client = rawchat.Client(transport=traced(over_http(base_url), say=print))

`observe` wraps a transport, changes nothing, and calls a function with an `Exchange` whenever something happens to it;
`traced` and `har` (HTTP archives) are built on it.  Everything printed by this folder has its credentials hidden.
"""

import functools
import shlex
import time
from collections.abc import Iterator
from typing import Any, Callable, Optional

from ..errors import APIError
from ..keys.redaction import redact, redact_url
from ..wire import Ending, Headers, Request, Response, Transport
from ..wire.headers import SECRET_HEADER, is_credential
from ..wire.json_text import decode_json
from .redactor import MASK, Redactor, secrets

__all__ = [
    "Exchange",
    "Redactor",
    "curl",
    "format_request",
    "observe",
    "redact_headers",
    "secrets",
    "traced",
]

# ---- observing


class Exchange:
    """One attempt as seen from outside: its request, its response, and the time of each event.

    All times are seconds since the request was sent, except `started_at`, which is seconds since 1970.
    """

    def __init__(self, request: Request, started_at: float):
        self.request = request
        self.started_at = started_at
        self.response: Optional[Response] = None
        self.error: Optional[BaseException] = None
        self.headers_at = 0.0  #: when the headers arrived
        self.ended_at = (
            0.0  #: when the latest event happened, in the end that of the whole exchange
        )
        self.pieces: list[tuple[float, bytes]] = []  #: when each piece of the body arrived
        self.redactor = Redactor(secrets(request))


#: Called with an exchange and the name of what happened to it.
OnEvent = Callable[[Exchange, str], object]


def observe(
    transport: Transport,
    on_event: OnEvent,
    clock: Callable[[], float] = time.monotonic,
    now: Callable[[], float] = time.time,
) -> Transport:
    """Return a transport that calls `on_event(exchange, name)` for each event of each attempt.

    The names, in this order: "request", "response", "piece" (once for each), then "end" or "error".  `clock` is
    monotonic seconds, `now` seconds since 1970.
    """

    @functools.wraps(transport, assigned=())
    def send_observed(request: Request) -> Response:
        exchange = Exchange(request, now())
        start = clock()

        def report(name: str) -> None:
            exchange.ended_at = clock() - start
            on_event(exchange, name)

        def on_piece(piece: bytes) -> None:
            exchange.pieces.append((clock() - start, piece))
            report("piece")

        def on_end(ending: Ending) -> None:
            exchange.error = ending.error
            report("error" if ending.error else "end")

        report("request")
        try:
            response = transport(request)
        except BaseException as error:
            exchange.error = error
            report("error")
            raise
        exchange.headers_at = clock() - start
        exchange.response = response
        report("response")
        return response.tap(on_piece, on_end)

    return send_observed


def is_retry_of(previous: Exchange, exchange: Exchange) -> bool:
    """Return whether `exchange` repeats the call of `previous`: the attempts of a call share one body object."""
    return previous.request.body is exchange.request.body


def describe_wait(previous: Exchange, exchange: Exchange) -> str:
    """Return how long a retry came after the attempt before it, and why: '0.50 s after 503'."""
    seconds = exchange.started_at - previous.started_at - previous.ended_at
    return f"{seconds:.2f} s after {describe_outcome(previous)}"


def describe_outcome(exchange: Exchange) -> str:
    """Return how an attempt ended: its status, or its error."""
    if exchange.response:
        return str(exchange.response.status)
    return error_text(exchange)


def error_text(exchange: Exchange) -> str:
    """Return what broke an attempt, without the key."""
    error = exchange.error
    if isinstance(error, APIError):
        return str(redact(secrets(exchange.request), error.message))
    return type(error).__name__


# ---- the trace


def traced(
    transport: Transport, say: Callable[[str], Any], clock: Callable[[], float] = time.monotonic
) -> Transport:
    """Return a transport that reports every attempt to `say`, a line at a time, as it happens.

    Lines begin with > (sent), < (received, with the seconds since the request) or * (a remark).  `clock` is monotonic
    seconds.
    """
    previous: Optional[Exchange] = None
    attempt = 1

    def on_event(exchange: Exchange, name: str) -> None:
        nonlocal previous, attempt
        wait = ""
        if name == "request":
            if previous and is_retry_of(previous, exchange):
                attempt += 1
                wait = describe_wait(previous, exchange)
            else:
                attempt = 1
        for line in format_event(exchange, name, attempt, wait):
            say(redact(secrets(exchange.request), line))
        previous = exchange

    return observe(transport, on_event, clock)


def format_event(exchange: Exchange, name: str, attempt: int, wait: str = "") -> Iterator[str]:
    """Yield the lines of a trace for one event.  `wait` describes the time before a retry."""
    if name == "request":
        if wait:
            yield f"* attempt {attempt}, {wait}"
        for line in format_request(exchange.request).splitlines():
            yield f"> {line}"
    elif name == "response" and exchange.response:
        yield f"< {exchange.headers_at:7.3f}  {exchange.response.status}"
        for header, value in redact_headers(exchange.response.headers).items():
            yield f"< {'':7}  {header}: {value}"
    elif name == "piece":
        seconds, piece = exchange.pieces[-1]
        yield from format_body(seconds, exchange.redactor.feed(piece))
    else:
        yield from format_body(exchange.ended_at, exchange.redactor.end())
        yield f"* {summary(exchange, attempt)}"


def format_body(seconds: float, text: str) -> Iterator[str]:
    """Yield the lines of a trace for a part of a body; blank lines are left out."""
    for line in text.splitlines():
        if line:
            yield f"< {seconds:7.3f}  {line}"


def summary(exchange: Exchange, attempt: int) -> str:
    """Return one line about an attempt that has ended: times, tokens, bytes, connection."""
    parts = []
    if exchange.error:
        parts.append(error_text(exchange))
    if exchange.response:
        parts.append(f"headers after {exchange.headers_at:.3f} s")
    parts += describe_tokens(exchange)
    size = sum(len(piece) for _, piece in exchange.pieces)
    parts += [f"{size} bytes", f"{exchange.ended_at:.3f} s in all", f"attempt {attempt}"]
    if exchange.response and exchange.response.connection_reused is not None:
        state = "reused" if exchange.response.connection_reused else "new"
        parts.append(f"connection {state}")
    return "; ".join(parts)


def describe_tokens(exchange: Exchange) -> list[str]:
    """Return the parts of a summary about the tokens of a stream; none if it had no text."""
    times, reported = token_times(exchange)
    if not times:
        return []
    count = reported or len(times)
    speed = ""
    seconds = times[-1] - times[0]
    if seconds > 0:
        speed = f", {(count - 1) / seconds:.1f} a second"
    return [f"first token after {times[0]:.3f} s", f"{count} tokens{speed}"]


def token_times(exchange: Exchange) -> tuple[list[float], Optional[int]]:
    """Return when each chunk with text arrived, and the number of tokens if the server reported it."""
    times = []
    count = None
    for seconds, piece in exchange.pieces:
        for line in piece.splitlines():
            chunk = chunk_in(line)
            if has_text(chunk):
                times.append(seconds)
            usage = chunk.get("usage")
            if isinstance(usage, dict) and isinstance(usage.get("completion_tokens"), int):
                count = usage["completion_tokens"]
    return times, count


def chunk_in(line: bytes) -> dict[str, Any]:
    """Return the JSON object in a line of a stream; an empty one for any other line, or half of one."""
    if line.startswith(b"data:"):
        try:
            chunk = decode_json(line[len(b"data:") :].decode("utf-8", "replace"))
        except ValueError:
            return {}
        if isinstance(chunk, dict):
            return chunk
    return {}


def has_text(chunk: dict[str, Any]) -> bool:
    """Return whether a chunk adds text to its first choice."""
    try:
        choice = chunk["choices"][0]
        delta = choice.get("delta") or {}
        return bool(choice.get("text") or delta.get("content"))
    except (AttributeError, IndexError, KeyError, TypeError):
        return False


# ---- a request as text


def format_request(request: Request) -> str:
    """Return a request as text: method and URL, headers, a blank line, the body."""
    lines = [f"{request.method} {redact_url(request.url)}"]
    for name, value in redact_headers(request.headers).items():
        lines.append(f"{name}: {value}")
    lines += ["", request.excerpt.decode("utf-8", "replace")]
    return str(redact(secrets(request), "\n".join(lines)))


def redact_headers(headers: Headers) -> Headers:
    """Return headers of a response, or of a request, with their secrets hidden, also those in a URL (Location)."""
    redacted = {}
    for name, value in headers.items():
        if SECRET_HEADER.fullmatch(name):
            redacted[name] = MASK
        else:
            redacted[name] = redact_url(value)
    return Headers(redacted)


def curl(request: Request) -> str:
    """Return a curl command that sends the same request from a shell; the key in it is $OPENAI_API_KEY.

    A form names its files, and curl makes a boundary of its own.  Other bytes than text are read from standard input.
    """
    words = ["curl", "--no-buffer", "--compressed", "--request", request.method]
    words.append(shlex.quote(redact_url(request.url)))
    is_upload = request.body is not None and not isinstance(request.body, bytes)
    for name, value in request.headers.items():
        if is_upload and name.lower() == "content-type":
            continue  # curl writes its own, with a boundary
        if is_credential(name, value):
            # In double quotes, so that the shell fills in the variable.
            scheme = "Bearer " if value.startswith("Bearer ") else ""
            words += ["--header", f'"{name}: {scheme}$OPENAI_API_KEY"']
        else:
            words += ["--header", shlex.quote(f"{name}: {value}")]
    if isinstance(request.body, bytes):
        try:
            words += ["--data-raw", shlex.quote(request.body.decode())]
        except UnicodeDecodeError:
            words += ["--data-binary", "@-"]
    elif request.body is not None:
        for option, value in request.body.curl_options:
            words += [option, shlex.quote(value)]
    return " ".join(words)
