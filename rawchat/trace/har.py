"""Exchanges as an HTTP Archive 1.2, which a browser's developer tools open (w3c.github.io/web-performance, HAR).

exchanges = []
client = rawchat.Client(transport=trace.observed(over_http(base_url), har.into(exchanges)))
...
json.dump(har.archive(exchanges), file)
"""

from datetime import datetime, timezone
from typing import Any, Callable
from urllib.parse import parse_qsl, urlsplit

from ..keys import redact
from ..urls import redact_url
from ..wire import Headers, __version__
from . import Exchange, Redactor, describe_wait, error_text, is_retry_of, redact_headers, secrets


def collector(exchanges: list[Exchange]) -> Callable[[Exchange, str], None]:
    """What `trace.observed` calls to collect every exchange when it is sent; it fills up by itself."""

    def see(exchange: Exchange, what: str) -> None:
        if what == "request":
            exchanges.append(exchange)

    return see


def archive(exchanges: list[Exchange]) -> dict[str, Any]:
    """The exchanges as the JSON of an archive."""
    entries = [har_entry(exchange) for exchange in exchanges]
    for number, (before, exchange) in enumerate(zip(exchanges, exchanges[1:]), 1):
        if is_retry_of(
            before, exchange
        ):  # a format of exchanges has no other place for the wait between two
            entries[number]["comment"] = f"the same again, {describe_wait(before, exchange)}"
    return {
        "log": {
            "version": "1.2",
            "creator": {"name": "rawchat", "version": __version__},
            "entries": [
                redact(secrets(exchange.request), entry)
                for exchange, entry in zip(exchanges, entries)
            ],
        }
    }


def har_entry(exchange: Exchange) -> dict[str, Any]:
    request, response = exchange.request, exchange.response
    body = b"".join(piece for _, piece in exchange.pieces)
    url = redact_url(request.url)
    sent = har_message(request.headers, len(request.body or b""))
    sent.update(
        method=request.method, url=url, queryString=name_value_pairs(parse_qsl(urlsplit(url).query))
    )
    if request.body is not None:
        sent["postData"] = {
            "mimeType": request.headers.get("content-type", ""),
            "text": request.body.decode(),
        }
    headers = response.headers if response else Headers()
    came = har_message(headers, len(body))
    came.update(
        status=response.status if response else 0,
        statusText="",
        redirectURL=redact_url(headers.get("location", "")),
    )
    redactor = Redactor(secrets(request))
    came["content"] = {
        "size": len(body),
        "mimeType": headers.get("content-type", ""),
        "text": redactor.feed(body) + redactor.end(),
    }
    if exchange.error:
        came["_error"] = error_text(exchange)
    wait, whole = exchange.head * 1000, exchange.end * 1000
    began = datetime.fromtimestamp(exchange.began, timezone.utc).isoformat()
    return {
        "startedDateTime": began,
        "time": whole,
        "request": sent,
        "response": came,
        "cache": {},
        "timings": {"send": 0, "wait": wait, "receive": max(0, whole - wait)},
        "_pieces": [
            {"time": seconds * 1000, "size": len(piece)} for seconds, piece in exchange.pieces
        ],
    }


def har_message(headers: Headers, size: int) -> dict[str, Any]:
    return {
        "httpVersion": "HTTP/1.1",
        "cookies": [],
        "headers": name_value_pairs(redact_headers(headers).items()),
        "headersSize": -1,
        "bodySize": size,
    }


def name_value_pairs(items: Any) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in items]
