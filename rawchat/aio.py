"""`AsyncClient`: the same verbs, awaited.  They run in threads around one `Client`: there is no second implementation.

>>> async def hello():
...     async with AsyncClient(model="gpt-4o") as client:
...         print((await client.chat("Say hi")).text)
...         async with await client.stream_chat("Tell me a story") as stream:
...             async for chunk in stream:
...                 print(chunk.text, end="")
"""
import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable, Optional, TypeVar, Union

from . import alarm
from .client import Client
from .endpoints import Messages
from .reply import Reply
from .stream import Chunk, Stream

Answer = TypeVar("Answer")


class AsyncClient:
    """A `Client` whose verbs are awaited; `max_concurrency` calls at the same time, the others wait for their turn.

    It takes Client's settings.  A call that is cancelled shuts its socket down at once, and is not tried again.
    """

    def __init__(self, max_concurrency: int = 128, **settings: Any):
        self.client = Client(**{"sleep": pause, **settings})
        self._threads = ThreadPoolExecutor(max_concurrency, "rawchat")

    async def chat(self, messages: Messages, **params: Any) -> Reply:
        """`Client.chat`."""
        return await self.run(self.client.chat, messages, **params)

    async def stream_chat(self, messages: Messages, **params: Any) -> "AsyncStream":
        """`Client.stream_chat`, for `async for`."""
        cut = alarm.Cut()
        return AsyncStream(self, cut, await self.under(cut, self.client.stream_chat, messages, **params))

    async def complete(self, prompt: Union[str, list[Any]], **params: Any) -> Reply:
        """`Client.complete`."""
        return await self.run(self.client.complete, prompt, **params)

    async def stream_complete(self, prompt: Union[str, list[Any]], **params: Any) -> "AsyncStream":
        """`Client.stream_complete`, for `async for`."""
        cut = alarm.Cut()
        return AsyncStream(self, cut, await self.under(cut, self.client.stream_complete, prompt, **params))

    async def moderate(self, input: Union[str, list[Any]], **params: Any) -> Reply:
        """`Client.moderate`."""
        return await self.run(self.client.moderate, input, **params)

    async def image(self, prompt: str, **params: Any) -> Reply:
        """`Client.image`."""
        return await self.run(self.client.image, prompt, **params)

    async def models(self, **params: Any) -> Reply:
        """`Client.models`."""
        return await self.run(self.client.models, **params)

    async def model(self, id: str, **params: Any) -> Reply:
        """`Client.model`."""
        return await self.run(self.client.model, id, **params)

    async def run(self, function: Callable[..., Answer], *args: Any, **params: Any) -> Answer:
        """Await any function that calls by `self.client`: `await client.run(history.ask, "Say hi")`."""
        return await self.under(alarm.Cut(), function, *args, **params)

    async def under(self, cut: alarm.Cut, function: Callable[..., Answer], *args: Any, **params: Any) -> Answer:
        """Await `function` in a thread; if this is cancelled, `cut` rings."""
        try:
            return await asyncio.wrap_future(self._threads.submit(called, cut, function, *args, **params))
        except asyncio.CancelledError:
            cut.ring()
            raise

    async def close(self) -> None:
        """Close the connections; a later call is an error."""
        self.client.close()
        self._threads.shutdown(wait=False)

    async def __aenter__(self) -> "AsyncClient":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


class AsyncStream:
    """A `Stream` for `async for`.  The next chunk is read when it is asked for: who reads slowly slows the server down.

    `async with` frees the connection at its end, however that comes; so does a read that is cancelled.
    """

    def __init__(self, client: AsyncClient, cut: alarm.Cut, stream: Stream):
        self._client, self._cut, self._stream = client, cut, stream
        self.request_id: Optional[str] = stream.request_id

    async def __aiter__(self) -> AsyncIterator[Chunk]:
        try:
            while True:
                chunk = await self._client.under(self._cut, next, self._stream, None)
                if chunk is None:
                    return
                yield chunk
        finally:
            self.close()

    async def texts(self) -> AsyncIterator[str]:
        """The pieces of the first choice's text, as they come."""
        async for chunk in self:
            if chunk.text:
                yield chunk.text

    async def reply(self) -> Reply:
        """The Reply that a plain call would have returned; reads on to the end if need be."""
        return await self._client.under(self._cut, lambda: self._stream.reply)

    def close(self) -> None:
        """Free the connection; what has not been read is lost."""
        with contextlib.suppress(ValueError):           # a read that was cut is still ending, and frees it itself
            self._stream.close()

    async def __aenter__(self) -> "AsyncStream":
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()


def called(cut: alarm.Cut, function: Callable[..., Answer], *args: Any, **params: Any) -> Answer:
    """`function`'s answer, its exchanges under `cut`; runs in a thread."""
    alarm.cut.set(cut)
    answer = function(*args, **params)
    if isinstance(answer, Stream) and cut.rung.is_set():            # it came too late to be wanted
        answer.close()
    return answer


def pause(seconds: float) -> None:
    """Sleep, in a call that may be cut: it ends the wait as well."""
    cut = alarm.cut.get()
    if cut:
        cut.rung.wait(seconds)
    else:
        time.sleep(seconds)
