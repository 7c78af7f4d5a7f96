"""`AsyncClient`: the same verbs, awaited.  They run in threads around one `Client`: there is no second implementation.

>>> async def hello():
...     async with AsyncClient(model="gpt-4o") as client:
...         print((await client.chat("Say hi")).text)
...         async with await client.stream_chat("Tell me a story") as stream:
...             async for chunk in stream:
...                 print(chunk.text, end="")
...         talk = client.history(system="You are a pirate.")
...         print((await talk.ask("Where is the treasure?")).text)
"""

import asyncio
import contextlib
import copy
import time
from collections.abc import AsyncIterator
from functools import cached_property
from typing import Any, Callable, Optional, TypeVar, Union, overload

from .. import deadline
from ..client import Client, Instance
from ..endpoints import Messages
from ..history import SUMMARY_PROMPT, History
from ..images import Pictures
from ..normalise import hold_half
from ..reply import Reply
from ..stream import Chunk, Stream
from .workers import WorkerPool

Answer = TypeVar("Answer")


class AsyncClient:
    """A `Client` whose verbs are awaited; `max_concurrency` calls at the same time, the others wait for their turn.

    It takes Client's settings.  A call that is cancelled shuts its socket down at once, and is not tried again.
    """

    def __init__(self, max_concurrency: int = 128, **settings: Any):
        self.client = Client(**{"sleep": cancellable_sleep, **settings})
        self._threads = WorkerPool(max_concurrency)

    async def chat(self, messages: Messages, **params: Any) -> Reply:
        """`Client.chat`."""
        return await self.run(self.client.chat, messages, **params)

    async def stream_chat(self, messages: Messages, **params: Any) -> "AsyncStream":
        """`Client.stream_chat`, for `async for`."""
        cut = deadline.CancelToken()
        return AsyncStream(
            self, cut, await self.under(cut, self.client.stream_chat, messages, **params)
        )

    @overload
    async def parse(self, messages: Messages, into: type[Instance], **params: Any) -> Instance: ...
    @overload
    async def parse(self, messages: Messages, into: Any, **params: Any) -> Any: ...
    async def parse(self, messages: Messages, into: Any, **params: Any) -> Any:
        """`Client.parse`."""
        return await self.run(self.client.parse, messages, into, **params)

    async def complete(self, prompt: Union[str, list[Any]], **params: Any) -> Reply:
        """`Client.complete`."""
        return await self.run(self.client.complete, prompt, **params)

    async def stream_complete(self, prompt: Union[str, list[Any]], **params: Any) -> "AsyncStream":
        """`Client.stream_complete`, for `async for`."""
        cut = deadline.CancelToken()
        return AsyncStream(
            self, cut, await self.under(cut, self.client.stream_complete, prompt, **params)
        )

    async def moderate(self, input: Union[str, list[Any]], **params: Any) -> Reply:
        """`Client.moderate`."""
        return await self.run(self.client.moderate, input, **params)

    async def image(self, prompt: str, **params: Any) -> Pictures:
        """`Client.image`."""
        return await self.run(self.client.image, prompt, **params)

    async def models(self, **params: Any) -> Reply:
        """`Client.models`."""
        return await self.run(self.client.models, **params)

    async def model(self, id: str, **params: Any) -> Reply:
        """`Client.model`."""
        return await self.run(self.client.model, id, **params)

    def history(self, **settings: Any) -> "AsyncHistory":
        """A new conversation with this client; `settings` are those of `History`."""
        return AsyncHistory(self, History(self.client, **settings))

    async def run(self, function: Callable[..., Answer], *args: Any, **params: Any) -> Answer:
        """Await any function that calls by `self.client`: `await client.run(tools.run, "Hi", client=client.client)`."""
        return await self.under(deadline.CancelToken(), function, *args, **params)

    async def under(
        self, cut: deadline.CancelToken, function: Callable[..., Answer], *args: Any, **params: Any
    ) -> Answer:
        """Await `function` in a thread; if this is cancelled, `cut` rings."""
        try:
            answer: Answer = await self._threads.submit(
                call_in_thread, cut, function, *args, **params
            )
            return answer
        except asyncio.CancelledError:
            cut.cancel()
            raise

    async def close(self) -> None:
        """Close the connections; a later call is an error."""
        self.client.close()
        self._threads.close()

    async def __aenter__(self) -> "AsyncClient":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


class AsyncStream:
    """A `Stream` for `async for`.  The next chunk is read when it is asked for: who reads slowly slows the server down.

    `async with` frees the connection at its end, however that comes; so does a read that is cancelled.
    """

    def __init__(self, client: AsyncClient, cut: deadline.CancelToken, stream: Stream):
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
        """Yield the pieces of the first choice's text as they come; each is made of whole characters."""
        held = ""
        async for chunk in self:
            text, held = hold_half(held + chunk.text)
            if text:
                yield text
        if held:
            yield "\ufffd"

    async def reply(self) -> Reply:
        """The Reply that a plain call would have returned; reads on to the end if need be."""
        return await self._client.under(self._cut, lambda: self._stream.reply)

    def close(self) -> None:
        """Free the connection; what has not been read is lost."""
        with contextlib.suppress(
            ValueError
        ):  # a read that was cut is still ending, and frees it itself
            self._stream.close()

    async def __aenter__(self) -> "AsyncStream":
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()


class AsyncHistory:
    """A `History` whose calls are awaited, one after the other in the order in which they are made.

    `history` is the conversation itself: a list, with all that asks nobody (`window`, `save`, `fork`, `usage`).  Each
    call is made on a copy, which counts when all has gone well: what fails, is cancelled or left leaves no trace.
    What is appended in the meantime stays, behind it.
    """

    def __init__(self, client: AsyncClient, history: History):
        """`history` may be a new one or a loaded one; `client` is asked, whichever it has of its own."""
        self.client, self.history = client, history

    async def ask(self, content: Any, **params: Any) -> Reply:
        """`History.ask`."""
        async with self._apart() as history:
            return await self.client.run(history.ask, content, **params)

    async def stream(self, content: Any, **params: Any) -> AsyncIterator[str]:
        """`History.stream`, for `async for`."""
        cut = deadline.CancelToken()
        async with self._apart() as history:
            pieces = history.stream(content, **params)
            try:
                while (piece := await self.client.under(cut, next, pieces, None)) is not None:
                    yield piece
            finally:
                with contextlib.suppress(ValueError):  # as in AsyncStream.close
                    pieces.close()

    async def summarise(
        self, keep: int = 1, prompt: str = SUMMARY_PROMPT, **params: Any
    ) -> Optional[Reply]:
        """`History.summarise`."""
        async with self._apart() as history:
            return await self.client.run(history.summarise, keep, prompt, **params)

    @contextlib.asynccontextmanager
    async def _apart(self) -> AsyncIterator[History]:
        """A copy for one call; what it has become takes the original's place if the block ends well."""
        async with self._turn:
            mine, known = copy.copy(self.history), len(self.history)
            mine.sizes, mine._client = copy.copy(mine.sizes), self.client.client
            try:
                yield mine
                self.history[:known], self.history.sizes = mine, mine.sizes
            finally:
                self.history.usage = mine.usage  # what was paid, was paid

    @cached_property
    def _turn(self) -> asyncio.Lock:
        return asyncio.Lock()  # at the first call: Python 3.9 ties it to the loop of this moment


def call_in_thread(
    cut: deadline.CancelToken, function: Callable[..., Answer], *args: Any, **params: Any
) -> Answer:
    """`function`'s answer, its exchanges under `cut`; runs in a thread."""
    deadline.cancel_token.set(cut)
    answer = function(*args, **params)
    if isinstance(answer, Stream) and cut.cancelled.is_set():  # it came too late to be wanted
        answer.close()
    return answer


def cancellable_sleep(seconds: float) -> None:
    """Sleep, in a call that may be cut: it ends the wait as well."""
    cut = deadline.cancel_token.get()
    if cut:
        cut.cancelled.wait(seconds)
    else:
        time.sleep(seconds)
