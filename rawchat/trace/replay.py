"""Answer from an HTTP Archive, as `har` writes it: a transport without network or key.

    client = rawchat.Client("", transport=har.replay("calls.har"))

A bug report becomes a test, and a test suite runs offline.  Requests are compared with the recorded ones, so that a
program that has changed is not answered as if it had not.
"""

import base64
import json
import os
import threading
from collections.abc import Iterator
from typing import Any, Optional, Union

from .. import errors
from ..errors import APIConnectionError, ConfigError
from ..keys.redaction import redact, redact_url
from ..wire import Request, Response, Transport
from .redactor import secrets

MAX_QUOTE = 60  #: characters of a value in the message about a difference

#: What follows base_url in the URLs of the endpoints; the longer of two that end alike comes first.
ENDPOINT_PATHS = (
    "/chat/completions",
    "/completions",
    "/moderations",
    "/images/generations",
    "/embeddings",
    "/models",
)

# ---- the transport


class ReplayError(ConfigError):
    """A request is not the one that was recorded: the archive is the wrong one for this program."""


def replay(path: Union[str, "os.PathLike[str]"]) -> Transport:
    """Return a transport that answers from the archive at `path`: each request gets the next entry's response.

    Streams arrive in the pieces that were recorded, without the time between them, and an exchange that broke breaks
    again.  Each request is compared with the recorded one by method, URL and body; headers do not count, so the hidden
    key does not matter: `Client("", transport=replay(path))` needs none.  The transport has the `base_url` of the
    recording, where the archive shows it, and may be shared by threads.

    Raises ConfigError if `path` is not an archive.  The transport raises ReplayError, which is not retried, for a
    request that differs or that comes after the last entry.
    """
    name = os.fspath(path)
    entries = read_entries(name)
    lock = threading.Lock()
    count = 0

    def replay_next(request: Request) -> Response:
        nonlocal count
        with lock:
            count += 1
            number = count
        if number > len(entries):
            raise ReplayError(
                f"{name} has {len(entries)} entries, but this is request {number}: "
                f"{request.summary}"
            )
        entry = entries[number - 1]
        difference = find_difference(entry["request"], request)
        if difference:
            raise ReplayError(f"request {number} differs from the one in {name}: {difference}")
        return recorded_response(entry["response"], entry.get("_pieces") or [])

    replay_next.base_url = recorded_base_url(entries)  # type: ignore[attr-defined]
    return replay_next


def read_entries(path: str) -> list[dict[str, Any]]:
    """Return the entries of an archive; raise ConfigError if it cannot be used."""
    try:
        with open(path, encoding="utf-8-sig") as file:
            archive = json.load(file)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: not an HTTP archive: {error}") from None
    try:
        entries = list(archive["log"]["entries"])
    except (KeyError, TypeError) as error:
        raise ConfigError(f"{path}: not an HTTP archive: no {error}") from None
    for number, entry in enumerate(entries, 1):
        problem = find_problem(entry)
        if problem:
            raise ConfigError(f"{path}: not an HTTP archive: entry {number}: {problem}")
    return entries


def find_problem(entry: Any) -> Optional[str]:
    """Return what is wrong with the fields of an entry that are replayed, in a few words; None if nothing is."""
    request = get_field(entry, "request")
    response = get_field(entry, "response")
    post_data = get_field(request, "postData")
    content = get_field(response, "content")
    headers = get_field(response, "headers")
    pieces = get_field(entry, "_pieces")
    fields: list[tuple[str, Any, tuple[type, ...]]] = [
        ("request.method", get_field(request, "method"), (str,)),
        ("request.url", get_field(request, "url"), (str,)),
        ("request.postData", post_data, (dict, type(None))),
        ("request.postData.text", get_field(post_data, "text"), (str, type(None))),
        ("response.status", get_field(response, "status"), (int,)),
        ("response.headers", headers, (list, type(None))),
        ("response.content", content, (dict, type(None))),
        ("response.content.text", get_field(content, "text"), (str, type(None))),
        ("_pieces", pieces, (list, type(None))),
    ]
    for header in headers if isinstance(headers, list) else ():
        fields.append(("the name of a header", get_field(header, "name"), (str,)))
        fields.append(("the value of a header", get_field(header, "value"), (str,)))
    for piece in pieces if isinstance(pieces, list) else ():
        fields.append(("the size of a piece", get_field(piece, "size"), (int,)))
    for name, value, types in fields:
        if not isinstance(value, types):
            return f"{name} is {quote_value(value)}"
    if get_field(content, "encoding") == "base64":
        try:
            base64.b64decode(get_field(content, "text") or "")
        except ValueError:
            return "response.content.text is not base64"
    return None


def get_field(parent: Any, name: str) -> Any:
    """Return a field of an object of the archive; None if it has none, or is not an object."""
    return parent.get(name) if isinstance(parent, dict) else None


def recorded_base_url(entries: list[dict[str, Any]]) -> Optional[str]:
    """Return the base_url of the first entry whose endpoint is known; None if there is none."""
    for entry in entries:
        url = entry["request"]["url"].partition("?")[0]
        for endpoint in ENDPOINT_PATHS:
            if url.endswith(endpoint):
                return str(url[: -len(endpoint)])
    return None


def recorded_response(entry: dict[str, Any], pieces: list[dict[str, Any]]) -> Response:
    """Return the response of an entry; raise its error if none arrived."""
    error = recorded_error(entry)
    if error and not entry["status"]:
        raise error
    headers = {field["name"]: field["value"] for field in entry.get("headers") or ()}
    content = entry.get("content") or {}
    text = content.get("text") or ""
    if content.get("encoding") == "base64":
        body = base64.b64decode(text)
    else:
        body = text.encode()
    sizes = [piece["size"] for piece in pieces]
    return Response(entry["status"], headers, replay_pieces(body, sizes, error))


def recorded_error(entry: dict[str, Any]) -> Optional[APIConnectionError]:
    """Return the error that broke an exchange, of its own class where that is one of the network; None if there is none."""
    if not entry["status"] and "_error" not in entry:
        # A browser's archive has no more than this status.
        return APIConnectionError("no response was recorded")
    if "_error" not in entry:
        return None
    kind = getattr(errors, str(entry.get("_errorType")), APIConnectionError)
    if not (isinstance(kind, type) and issubclass(kind, APIConnectionError)):
        kind = APIConnectionError
    return kind(str(entry["_error"]))


def replay_pieces(
    body: bytes, sizes: list[int], error: Optional[APIConnectionError]
) -> Iterator[bytes]:
    """Yield `body` in pieces of the recorded sizes, then raise the recorded error.

    Where a hidden key has changed the length of the body, the last piece is longer or shorter.
    """
    start = 0
    for size in sizes[:-1]:
        if body[start : start + size]:
            yield body[start : start + size]
        start += size
    if body[start:]:
        yield body[start:]
    if error:
        raise error


# ---- comparing a request with the recorded one


def find_difference(recorded: dict[str, Any], request: Request) -> Optional[str]:
    """Return how `request` differs from the recorded one, in a few words; None if it does not."""
    if request.method != recorded["method"]:
        return describe_difference("method", recorded["method"], request.method)
    url = redact_url(request.url)
    if url != recorded["url"]:
        return describe_difference("URL", recorded["url"], url)
    post_data = recorded.get("postData") or {}
    recorded_body = without_boundary(post_data.get("text") or "", post_data.get("mimeType") or "")
    body = str(redact(secrets(request), request.excerpt.decode("utf-8", "replace")))
    body = without_boundary(body, request.headers.get("content-type") or "")
    if body == recorded_body:
        return None
    try:
        return compare_values("", json.loads(recorded_body), json.loads(body))
    except (ValueError, RecursionError):
        return describe_difference("body", recorded_body, body)


def without_boundary(body: str, content_type: str) -> str:
    """Return a body with one and the same boundary if it is a form: every request chooses its own at random."""
    _, found, boundary = content_type.partition("multipart/form-data; boundary=")
    return body.replace(boundary, "boundary") if found else body


def compare_values(place: str, recorded: Any, sent: Any) -> Optional[str]:
    """Return the first difference between two JSON values, with its place; None if they are equal."""
    if isinstance(recorded, dict) and isinstance(sent, dict):
        for key in [*recorded, *(key for key in sent if key not in recorded)]:
            inner = f"{place}.{key}" if place else key
            if key not in sent:
                return f"{inner} is missing; recorded: {quote_value(recorded[key])}"
            if key not in recorded:
                return f"{inner} is new: {quote_value(sent[key])}"
            difference = compare_values(inner, recorded[key], sent[key])
            if difference:
                return difference
        return None
    if isinstance(recorded, list) and isinstance(sent, list) and len(recorded) == len(sent):
        for index, (old, new) in enumerate(zip(recorded, sent)):
            difference = compare_values(f"{place}[{index}]", old, new)
            if difference:
                return difference
        return None
    if isinstance(recorded, list) and isinstance(sent, list):
        return f"{place} has {len(sent)} entries; recorded: {len(recorded)}"
    if recorded != sent or type(recorded) is not type(sent):
        return describe_difference(place or "body", recorded, sent)
    return None


def describe_difference(place: str, recorded: Any, sent: Any) -> str:
    """Return the words for a value that differs."""
    return f"{place} is {quote_value(sent)}; recorded: {quote_value(recorded)}"


def quote_value(value: Any) -> str:
    """Return a value as JSON, cut to MAX_QUOTE characters."""
    text = json.dumps(value, ensure_ascii=False)
    if len(text) > MAX_QUOTE:
        return text[:MAX_QUOTE] + "\u2026"
    return text
