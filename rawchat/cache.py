"""Cache responses: `cached` wraps any transport and answers a repeated request from a store.

    Client(transport=cached(over_http(), shelve.open("answers"), ttl=3600))

Two requests are the same if their method, URL and body are equal.  Headers do not count, keys included, so a store
must serve one account only.  This is the smallest wrapper of a transport: read it as an example.
"""

import functools
import hashlib
import sys
import threading
import time
from collections.abc import MutableMapping
from typing import Any, Callable, Optional

from .errors import APIConnectionError, APIError
from .reply import Reply, decode_reply, require_choices
from .reply.other_form import looks_like_events, merge_events
from .wire import Ending, Request, Response, Transport
from .wire.headers import SECRET_HEADER

#: Stored at (seconds since 1970), status, headers, body: plain values that any store can pickle.
Entry = tuple[float, int, dict[str, str], bytes]


def cached(
    transport: Transport,
    store: MutableMapping[str, Any],
    ttl: Optional[float] = None,
    stale_if_error: bool = False,
    now: Callable[[], float] = time.time,
) -> Transport:
    """Return a transport that keeps every complete response of `transport` in `store`.

    store           dict, shelve, diskcache: any mutable mapping from str
    ttl             seconds for which an entry is used; default: for ever
    stale_if_error  use an older entry if the server cannot be reached or answers with a 5xx; default False
    now             seconds since 1970

    A response is stored if its status is 2xx, its body was read to its end, streamed or not, and the client would accept
    it; one that broke off, was left early or holds an error is not (see `is_cacheable`).  A value of the store that is
    not an entry counts as none.  A response from the store carries its age in seconds in the header Age (RFC 9111,
    section 5.1).
    """
    # A shelve is not safe for threads.
    lock = threading.Lock()

    @functools.wraps(transport, assigned=())
    def send_or_replay(request: Request) -> Response:
        if request.body is not None and not isinstance(request.body, bytes):
            # A file may change its content and keep its name.
            return transport(request)
        key = cache_key(request)
        with lock:
            entry = as_entry(store.get(key))
        if entry and is_fresh(entry, ttl, now()):
            return replay(entry, now())

        def save(response: Response, body: bytes) -> None:
            with lock:
                store[key] = (now(), response.status, safe_headers(response), body)

        try:
            response = transport(request)
        except APIConnectionError:
            if entry and stale_if_error:
                return replay(entry, now())
            raise
        if entry and stale_if_error and response.status >= 500:
            response.close()
            return replay(entry, now())
        if 200 <= response.status < 300:
            response.request = request
            return store_when_complete(response, save)
        return response

    return send_or_replay


def cache_key(request: Request) -> str:
    """Return the key of `request` in the store: a hash of its method, URL and body."""
    data = f"{request.method} {request.url}\n".encode() + request.excerpt
    return hashlib.sha256(data).hexdigest()


def as_entry(value: Any) -> Optional[Entry]:
    """Return a value of the store if it is an entry, else None: a store may be damaged, or shared with others."""
    if not isinstance(value, (tuple, list)) or len(value) != 4:
        return None
    stored_at, status, headers, body = value
    # compared, not converted: an int may be too large for a float
    if not isinstance(stored_at, (int, float)) or not abs(stored_at) <= sys.float_info.max:
        return None
    if not isinstance(status, int) or not 200 <= status < 300:
        return None
    if not isinstance(headers, dict) or not isinstance(body, bytes):
        return None
    if not all(isinstance(text, str) for header in headers.items() for text in header):
        return None
    return stored_at, status, headers, body


def is_fresh(entry: Entry, ttl: Optional[float], now: float) -> bool:
    """Return whether an entry is younger than `ttl` seconds (None: any entry is).

    An entry from the future is not fresh: the clock was set back, and its age is unknown.
    """
    return ttl is None or 0 <= now - entry[0] < ttl


def replay(entry: Entry, now: float) -> Response:
    """Return an entry of the store as a Response, with its Age."""
    stored_at, status, headers, body = entry
    age = max(0, int(now - stored_at))
    return Response(status, {**headers, "age": str(age)}, [body])


def safe_headers(response: Response) -> dict[str, str]:
    """Return the headers of `response` without its secrets (cookies)."""
    return {
        name: value for name, value in response.headers.items() if not SECRET_HEADER.fullmatch(name)
    }


def store_when_complete(response: Response, save: Callable[[Response, bytes], None]) -> Response:
    """Return `response`, which calls `save` with its body once that is known to be complete.

    A stream is complete when its reader releases it, after its [DONE].  Any other body is complete if it was read to
    its end and is JSON: an end alone proves nothing, because a broken connection may look like one.
    """
    body = bytearray()

    def save_if_complete(ending: Ending) -> None:
        if not ending.released and not ending.exhausted:
            return
        if is_cacheable(bytes(body), response, streamed=ending.released):
            save(response, bytes(body))

    return response.tap(body.extend, save_if_complete)


def is_cacheable(body: bytes, response: Response, streamed: bool) -> bool:
    """Return whether the client accepts the complete `body` of `response`, and no choice in it failed or was cut.

    The finish_reason "error" is OpenRouter's.  Without any finish_reason a stream may have been cut by a proxy that
    adds [DONE] by itself.
    """
    try:
        if streamed:
            reply = Reply(merge_events(body, response))
        elif looks_like_events(body, response):
            return False
        else:
            reply = decode_reply(body, response)
        require_choices(reply, response)
    except APIError:
        return False
    reasons = [choice.get("finish_reason") for choice in reply.choices]
    return "error" not in reasons and (all(reasons) or not streamed)
