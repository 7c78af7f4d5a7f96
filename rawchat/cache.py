"""Answers kept, and given again to the same question: `cached`, around any transport.

    Client(transport=cached(over_http(), shelve.open("answers"), ttl=3600))

The same question is the same method, URL and body; headers do not count, so that one store serves one account.
"""

import functools
import hashlib
import json
import threading
import time
from collections.abc import Iterable, Iterator, MutableMapping
from typing import Any, Callable, Optional

from .errors import APIConnectionError, is_error
from .wire import SECRET_HEADER, Request, Response, Transport

Entry = tuple[
    float, int, dict[str, str], bytes
]  # when, status, headers, body: what any store can pickle


def cached(
    transport: Transport,
    store: MutableMapping[str, Any],
    ttl: Optional[float] = None,
    stale_if_error: bool = False,
    now: Callable[[], float] = time.time,
) -> Transport:
    """`transport`, with every whole answer kept in `store` (dict, shelve, diskcache) for `ttl` seconds; None: for ever.

    Kept are 2xx, plain and streamed, once they were read to their end: nothing that broke off, was left early, or
    holds an error.  With `stale_if_error` an older answer is given where the server cannot be reached or says 5xx.
    A kept answer says in its Age header how many seconds old it is (RFC 9111, 5.1).
    """
    lock = threading.Lock()  # a shelve is not made for threads

    @functools.wraps(transport, assigned=())
    def remembering(request: Request) -> Response:
        key = cache_key(request)
        with lock:
            kept: Optional[Entry] = store.get(key)
        # With the clock set back, the age of an entry is not known: it may be stale.
        if kept and (ttl is None or 0 <= now() - kept[0] < ttl):
            return replay(kept, now())

        def keep(body: bytes) -> None:
            with lock:
                store[key] = (now(), response.status, safe_headers(response), body)

        try:
            response = transport(request)
        except APIConnectionError:
            if kept and stale_if_error:
                return replay(kept, now())
            raise
        if kept and stale_if_error and response.status >= 500:
            response.close()
            return replay(kept, now())
        return store_when_complete(response, keep) if 200 <= response.status < 300 else response

    return remembering


def cache_key(request: Request) -> str:
    """The name under which the answer to `request` is kept."""
    asked = f"{request.method} {request.url}\n".encode() + (request.body or b"")
    return hashlib.sha256(asked).hexdigest()


def replay(kept: Entry, now: float) -> Response:
    """A kept answer, as a Response."""
    since, status, headers, body = kept
    return Response(status, {**headers, "age": str(max(0, int(now - since)))}, [body])


def safe_headers(response: Response) -> dict[str, str]:
    """The headers of `response` without secrets (cookies)."""
    return {
        name: value for name, value in response.headers.items() if not SECRET_HEADER.fullmatch(name)
    }


def store_when_complete(response: Response, keep: Callable[[bytes], None]) -> Response:
    """`response`, which calls `keep` with its body when that is known to be whole.

    A stream is whole with its [DONE], when `finish` is called; anything else where it ends, if it is JSON: an end
    alone proves nothing, as a broken connection may look like one.
    """
    body, finish = bytearray(), response.release

    def collected(pieces: Iterable[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            body.extend(piece)
            yield piece
        if is_cacheable(bytes(body)):
            keep(bytes(body))

    def finished() -> None:
        finish()
        keep(bytes(body))

    response.pieces, response.release = collected(response.pieces), finished
    return response


def is_cacheable(body: bytes) -> bool:
    """Is `body` a whole JSON object that is not an error?"""
    try:
        payload = json.loads(body)
    except (ValueError, RecursionError):
        return False
    return isinstance(payload, dict) and not is_error(payload)
