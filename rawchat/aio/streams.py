"""Streams for `async for`: `AsyncStream`, and its request before it is sent."""

import contextlib
from collections.abc import AsyncIterator, Coroutine, Generator
from typing import TYPE_CHECKING, Any, Optional

from ..deadline import CancelToken
from ..reply import Chunk, Reply
from ..stream import Stream
from ..wire.json_text import hold_half

if TYPE_CHECKING:
    from . import AsyncClient


class AsyncStream:
    """A `Stream` for `async for`.  A chunk is read when it is asked for, so a slow reader slows the server down.

    `async with` frees the connection at its end, however that comes; so does a read that is cancelled.
    """

    def __init__(self, client: "AsyncClient", token: CancelToken, stream: Stream):
        self._client = client
        self._token = token
        self._stream = stream
        self.request_id: Optional[str] = stream.request_id

    async def __aiter__(self) -> AsyncIterator[Chunk]:
        try:
            while True:
                chunk = await self._client.run_cancellable(self._token, next, self._stream, None)
                if chunk is None:
                    return
                yield chunk
        finally:
            self.close()

    async def texts(self) -> AsyncIterator[str]:
        """Yield the first choice's text in pieces as they come; each consists of whole characters."""
        pending = ""
        async for chunk in self:
            text, pending = hold_half(pending + chunk.text)
            if text:
                yield text
        if pending:
            yield "\ufffd"

    async def reply(self) -> Reply:
        """Return the Reply that a plain call would have returned; read on to the end if need be."""
        return await self._client.run_cancellable(self._token, self._read_reply)

    def _read_reply(self) -> Reply:
        return self._stream.reply

    def close(self) -> None:
        """Free the connection; what has not been read is lost."""
        # ValueError: a read that was cancelled is still ending in its thread, and frees the connection itself.
        with contextlib.suppress(ValueError):
            self._stream.close()

    async def __aenter__(self) -> "AsyncStream":
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()


class StreamOpening(Coroutine[Any, Any, AsyncStream]):
    """A request for a stream, not yet sent: `await` returns its AsyncStream, and `async with` enters it.

    It is a coroutine, so that `asyncio.create_task` takes it too.
    """

    def __init__(self, opening: Coroutine[Any, Any, AsyncStream]):
        self._opening = opening
        self._stream: Optional[AsyncStream] = None

    def __await__(self) -> Generator[Any, Any, AsyncStream]:
        return self._opening.__await__()

    async def __aenter__(self) -> AsyncStream:
        self._stream = await self._opening
        return self._stream

    async def __aexit__(self, *_: object) -> None:
        if self._stream:
            self._stream.close()

    def send(self, value: Any) -> Any:
        """Resume the coroutine."""
        return self._opening.send(value)

    def throw(self, *error: Any) -> Any:
        """Raise an exception inside the coroutine."""
        return self._opening.throw(*error)

    def close(self) -> None:
        """Close the coroutine; nothing is sent."""
        self._opening.close()
