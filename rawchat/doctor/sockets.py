"""The tools that all steps share: the error of a step, and a bound on the time of a block that reads from a socket."""

import contextlib
import http.client
import socket
import threading
from collections.abc import Iterator
from typing import Any


class StepError(Exception):
    """A step failed.  `cause` is a name in `remedies`; `fields` are the words that its text needs."""

    def __init__(self, cause: str, detail: str, **fields: Any):
        super().__init__(detail)
        self.cause = cause
        self.detail = detail
        self.fields = fields


@contextlib.contextmanager
def cut_off(sock: socket.socket, seconds: float) -> Iterator[None]:
    """Bound a block that reads from `sock`: a server that drips bytes never runs into a socket's timeout.

    Raises TimeoutError if the time was over.
    """
    over = threading.Event()

    def shut_down() -> None:
        over.set()
        with contextlib.suppress(OSError):
            socket.socket.shutdown(sock, socket.SHUT_RDWR)

    timer = threading.Timer(seconds, shut_down)
    timer.daemon = True
    sock.settimeout(seconds)
    timer.start()
    try:
        yield
    except (OSError, ValueError, http.client.HTTPException):
        if over.is_set():
            raise TimeoutError from None
        raise
    finally:
        timer.cancel()
    if over.is_set():
        raise TimeoutError


def describe(error: BaseException) -> str:
    """Return an error of the system in its own words, on one line."""
    if isinstance(error, (TimeoutError, socket.timeout)):
        return "timed out"
    words = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(words).split())


def shown_bytes(data: bytes, limit: int = 40) -> str:
    """Return bytes of the network for a message; an ellipsis marks where they were cut off."""
    shown = repr(data)
    return shown if len(shown) <= limit else shown[:limit] + "…"
