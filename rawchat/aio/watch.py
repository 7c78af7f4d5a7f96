"""Wait in the event loop for the body of a response, with no thread for it.

The loop calls `on_readable` when the socket has something to read; it receives that and wakes the coroutine that waits.
While an earlier piece is unread, the socket is not watched, so a slow reader slows the server down.
"""

import asyncio
import selectors
from typing import TYPE_CHECKING, Optional

if TYPE_CHECKING:
    from ..stream import Stream
    from ..wire.nonblocking import NonblockingBody


class BodyWatch:
    """Lets coroutines wait for the next piece of `body`, for at most `body.timeout` seconds each time.

    Usually one waits.  Of two that read the same stream, the first to be resumed takes what has arrived.
    """

    def __init__(self, body: "NonblockingBody", loop: asyncio.AbstractEventLoop):
        self._body = body
        self._loop = loop
        self._waiters: list[asyncio.Future[None]] = []
        self._is_watching = False
        self._descriptor = -1
        self._give_up_at = 0.0
        self._timer: Optional[asyncio.TimerHandle] = None

    @property
    def is_over(self) -> bool:
        """True when there is nothing left to wait for."""
        return self._body.is_over

    async def wait(self) -> None:
        """Return when something has arrived or the time is over; the next read of the body shows which."""
        self._give_up_at = self._loop.time() + self._body.timeout
        if not self._is_watching:
            self._descriptor = self._body.fileno()
            self._loop.add_reader(self._descriptor, self.on_readable)
            self._is_watching = True
        if self._timer is None or self._timer.when() > self._give_up_at:
            self._set_timer()
        waiter = self._loop.create_future()
        self._waiters.append(waiter)
        try:
            await waiter
        finally:
            self._waiters.remove(waiter)

    def on_readable(self) -> None:
        """Receive what has arrived."""
        if self._body.receive():
            self._wake()
        else:
            self._ignore()

    def close(self) -> None:
        """Stop watching the socket, which another request may use, and wake the coroutines that wait."""
        if self._loop.is_closed():
            return  # a closed loop watches nothing, and raises RuntimeError
        self._ignore()
        self._wake()
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def _check_time(self) -> None:
        """Give up, or set the timer again: one timer serves many waits, as most of them are short."""
        self._timer = None
        if not self._waiters:
            return
        if self._loop.time() < self._give_up_at:
            self._set_timer()
        else:
            self._body.time_out()
            self._wake()

    def _set_timer(self) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = self._loop.call_at(self._give_up_at, self._check_time)

    def _wake(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)

    def _ignore(self) -> None:
        if self._is_watching:
            self._is_watching = False
            self._loop.remove_reader(self._descriptor)


def watch_body(stream: "Stream") -> Optional[BodyWatch]:
    """Return the watch of the body of `stream`, which is unread; None if only a thread can wait for it."""
    loop = asyncio.get_running_loop()
    # Windows' default loop has no readers, and its other one fails when there are more than 512.
    has_readers = type(loop).add_reader is not asyncio.AbstractEventLoop.add_reader
    selector = getattr(loop, "_selector", None)
    if not has_readers or isinstance(selector, selectors.SelectSelector):
        return None
    body = stream.response.set_nonblocking()
    if body is None:
        return None
    return BodyWatch(body, loop)
