"""Write exchanges as an HTTP Archive 1.2, which the developer tools of a browser open; `replay` answers from one.

    exchanges = []
    client = rawchat.Client(transport=trace.observe(over_http(base_url), har.collector(exchanges)))
    ...
    json.dump(har.archive(exchanges), file)

Source of the format: w3c.github.io/web-performance/specs/HAR.  Fields of our own begin with an underscore, as it demands:
`_pieces` holds the times and sizes of the pieces of a body, `_error` and `_errorType` what broke an exchange.
"""

import base64
from collections.abc import Iterable
from datetime import datetime, timezone
from typing import Any, Callable
from urllib.parse import parse_qsl, urlsplit

from ..keys.redaction import redact, redact_url
from ..wire import Headers, Request, __version__
from . import Exchange, Redactor, describe_wait, error_text, is_retry_of, redact_headers, secrets
from .replay import ReplayError, replay

__all__ = ["ReplayError", "archive", "collector", "replay"]

#: the types of bytes that are not text
MEDIA_TYPES = ("image/", "audio/", "video/")

MILLISECONDS = 1000  #: in a second: the unit of all times in an archive


def collector(exchanges: list[Exchange]) -> Callable[[Exchange, str], None]:
    """Return a function for `trace.observe` that adds every exchange to `exchanges` when it is sent."""

    def on_event(exchange: Exchange, name: str) -> None:
        if name == "request":
            exchanges.append(exchange)

    return on_event


def archive(exchanges: list[Exchange]) -> dict[str, Any]:
    """Return the archive of `exchanges`, ready for JSON, without their credentials."""
    entries = []
    for number, exchange in enumerate(exchanges):
        entry = har_entry(exchange)
        # The format has no other place for the wait between two attempts.
        if number and is_retry_of(exchanges[number - 1], exchange):
            wait = describe_wait(exchanges[number - 1], exchange)
            entry["comment"] = f"the same again, {wait}"
        entries.append(redact(secrets(exchange.request), entry))
    creator = {"name": "rawchat", "version": __version__}
    return {"log": {"version": "1.2", "creator": creator, "entries": entries}}


def har_entry(exchange: Exchange) -> dict[str, Any]:
    """Return one exchange as an entry of an archive."""
    started_at = datetime.fromtimestamp(exchange.started_at, timezone.utc)
    wait = exchange.headers_at * MILLISECONDS
    total = exchange.ended_at * MILLISECONDS
    pieces = []
    for seconds, piece in exchange.pieces:
        pieces.append({"time": seconds * MILLISECONDS, "size": len(piece)})
    return {
        "startedDateTime": started_at.isoformat(),
        "time": total,
        "request": har_request(exchange),
        "response": har_response(exchange),
        "cache": {},
        "timings": {"send": 0, "wait": wait, "receive": max(0, total - wait)},
        "_pieces": pieces,
    }


def har_request(exchange: Exchange) -> dict[str, Any]:
    """Return the request of an entry."""
    request = exchange.request
    url = redact_url(request.url)
    entry = har_message(request.headers, body_length(request))
    entry["method"] = request.method
    entry["url"] = url
    entry["queryString"] = name_value_pairs(parse_qsl(urlsplit(url).query))
    if request.body is not None:
        mime_type = request.headers.get("content-type", "")
        entry["postData"] = {
            "mimeType": mime_type,
            "text": request.excerpt.decode("utf-8", "replace"),
        }
    return entry


def body_length(request: Request) -> int:
    """Return the number of bytes in the body of a request."""
    if request.body is None or isinstance(request.body, bytes):
        return len(request.body or b"")
    return request.body.length


def har_response(exchange: Exchange) -> dict[str, Any]:
    """Return the response of an entry; its status is 0 if none arrived."""
    status = 0
    headers = Headers()
    if exchange.response:
        status = exchange.response.status
        headers = exchange.response.headers
    body = b"".join(piece for _, piece in exchange.pieces)
    entry = har_message(headers, len(body))
    entry["status"] = status
    entry["statusText"] = ""
    entry["redirectURL"] = redact_url(headers.get("location", ""))
    entry["content"] = har_content(body, headers.get("content-type", ""), exchange.request)
    if exchange.error:
        entry["_error"] = error_text(exchange)
        entry["_errorType"] = type(exchange.error).__name__
    return entry


def har_content(body: bytes, mime_type: str, request: Request) -> dict[str, Any]:
    """Return the body of a response: a picture or a sound in base64, anything else as text without credentials."""
    content: dict[str, Any] = {"size": len(body), "mimeType": mime_type}
    hidden = secrets(request)
    is_media = mime_type.lower().startswith(MEDIA_TYPES)
    # No credential would be found in base64.
    if is_media and not any(secret.encode() in body for secret in hidden):
        content["text"] = base64.b64encode(body).decode("ascii")
        content["encoding"] = "base64"
        return content
    redactor = Redactor(hidden)
    content["text"] = redactor.feed(body) + redactor.end()
    return content


def har_message(headers: Headers, size: int) -> dict[str, Any]:
    """Return the fields that requests and responses of an archive have in common."""
    return {
        "httpVersion": "HTTP/1.1",
        "cookies": [],
        "headers": name_value_pairs(redact_headers(headers).items()),
        "headersSize": -1,
        "bodySize": size,
    }


def name_value_pairs(items: Iterable[tuple[str, str]]) -> list[dict[str, str]]:
    """Return pairs as the list of records that an archive wants."""
    return [{"name": name, "value": value} for name, value in items]
