"""Streams for `async for`: each item is read when it is asked for, so a slow reader slows the server down.

A thread waits for it; for the chunks of an `AsyncStream`, the event loop does where it can (see `watch`).
"""

import contextlib
from collections.abc import AsyncIterator, Coroutine, Generator
from typing import TYPE_CHECKING, Any, Callable, Generic, NoReturn, Optional, TypeVar

from ..deadline import CancelToken
from ..reply import Chunk, Reply
from ..stream import NO_CHUNK
from ..wire.json_text import hold_half
from .watch import BodyWatch, watch_body

if TYPE_CHECKING:
    from . import AsyncClient

Item = TypeVar("Item")
Opened = TypeVar("Opened", bound="AsyncReader[Any]")

NOT_OPEN = (
    "the stream is not open yet: use `async with client.stream_chat(…) as stream:` and then "
    "`async for chunk in stream:`"
)


class AsyncReader(Generic[Item]):
    """A stream for `async for`.  An item is read when it is asked for.

    `async with` frees the connection at its end in any case; so does a read that is cancelled.
    """

    def __init__(self, client: "AsyncClient", token: CancelToken, stream: Any):
        self._client = client
        self._token = token
        self._stream = stream
        self.request_id: Optional[str] = stream.request_id

    async def __aiter__(self) -> AsyncIterator[Item]:
        try:
            while True:
                item = await self._client.read_cancellable(self._token, next, self._stream, None)
                if item is None:
                    return
                yield item
        finally:
            self.close()

    def close(self) -> None:
        """Free the connection; what has not been read is lost."""
        # ValueError: a read that was cancelled is still ending in its thread, and frees the connection itself.
        with contextlib.suppress(ValueError):
            self._stream.close()

    async def __aenter__(self: "Opened") -> "Opened":
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()


class AsyncTextReader(AsyncReader[Item]):
    """A stream whose items have a text, and which a Reply is made of."""

    async def texts(self) -> AsyncIterator[str]:
        """Yield the first choice's text in pieces as they arrive; each consists of whole characters."""
        pending = ""
        async for item in self:
            text, pending = hold_half(pending + item.text)  # type: ignore[attr-defined]
            if text:
                yield text
        if pending:
            yield "\ufffd"

    async def reply(self) -> Reply:
        """Return the Reply that a plain call would have returned; read on to the end if need be."""
        return await self._client.read_cancellable(self._token, self._read_reply)

    def _read_reply(self) -> Reply:
        reply: Reply = self._stream.reply
        return reply


class AsyncStream(AsyncTextReader[Chunk]):
    """A `Stream` for `async for`."""

    _watch: Optional[BodyWatch] = None

    async def __aiter__(self) -> AsyncIterator[Chunk]:
        if self._watch is None:
            self._watch = watch_body(self._stream)
        if self._watch is None:
            async for chunk in super().__aiter__():
                yield chunk
            return
        try:
            for chunk in self._stream:
                if chunk is NO_CHUNK:
                    await self._watch.wait()
                    continue
                # The last chunk may come when the body has ended, and another request uses the socket.
                if self._watch.is_over:
                    self._watch.close()
                yield chunk
        finally:
            self.close()

    def close(self) -> None:
        """Free the connection; what has not been read is lost."""
        # First this: another request may use the socket, or its number, at once.
        if self._watch:
            self._watch.close()
        super().close()

    async def reply(self) -> Reply:
        """Return the Reply that a plain call would have returned; read on to the end if need be."""
        async for _ in self:
            pass
        return self._read_reply()


class StreamOpening(Coroutine[Any, Any, Opened]):
    """A request for a stream, not yet sent: `await` returns the stream, and `async with` enters it.

    It is a coroutine, so that `asyncio.create_task` takes it too.
    """

    def __init__(self, opening: Coroutine[Any, Any, Opened]):
        self._opening = opening
        self._stream: Optional[Opened] = None

    def __await__(self) -> Generator[Any, Any, Opened]:
        return self._opening.__await__()

    async def __aenter__(self) -> Opened:
        self._stream = await self._opening
        return self._stream

    async def __aexit__(self, *_: object) -> None:
        if self._stream:
            self._stream.close()

    def __iter__(self) -> NoReturn:
        """Raise TypeError, which says how to open the stream."""
        self.close()  # or Python warns that it was never awaited
        raise TypeError(NOT_OPEN)

    __aiter__ = __iter__

    if not TYPE_CHECKING:  # or a type checker would accept every name

        def __getattr__(self, name: str) -> NoReturn:
            """Raise AttributeError, which for a name of the open stream says how to open it."""
            if name in ("texts", "reply", "request_id", "events", "read", "save"):
                raise AttributeError(NOT_OPEN)
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def send(self, value: Any) -> Any:
        """Resume the coroutine."""
        return self._opening.send(value)

    def throw(self, *error: Any) -> Any:
        """Raise an exception inside the coroutine."""
        return self._opening.throw(*error)

    def close(self) -> None:
        """Close the coroutine; nothing is sent."""
        self._opening.close()


def open_stream(
    client: "AsyncClient",
    wrap: Callable[["AsyncClient", CancelToken, Any], Opened],
    verb: Callable[..., Any],
    *args: Any,
    **params: Any,
) -> StreamOpening[Opened]:
    """Return the request of a streaming verb, not yet sent; its stream will be in a reader that `wrap` makes."""

    async def send() -> Opened:
        token = CancelToken()
        stream = await client.run_cancellable(token, verb, *args, **params)
        return wrap(client, token, stream)

    return StreamOpening(send())
