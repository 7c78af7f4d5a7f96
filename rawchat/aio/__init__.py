"""`AsyncClient`: Client's verbs, awaited.

They run in threads around one `Client`, so there is no second implementation.  For the chunks of a stream that is open
the event loop waits, where it can: see `watch`.  A call that is cancelled cancels its `CancelToken`, which shuts the
socket down: the thread ends at once, and the server sees the connection close.

>>> async def hello():
...     async with AsyncClient(model="gpt-4o") as client:
...         print((await client.chat("Say hi")).text)
...         async with client.stream_chat("Tell me a story") as stream:
...             async for chunk in stream:
...                 print(chunk.text, end="")
...         history = client.history(system="You are a pirate.")
...         print((await history.ask("Where is the treasure?")).text)
"""

import asyncio
import time
from collections.abc import Coroutine, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Callable, Literal, Optional, TypeVar, Union, overload

from ..client import Client, Instance
from ..config import Timeout
from ..config.misnamed import SdkResource, no_such_attribute
from ..deadline import CancelToken, cancel_token
from ..endpoints import Messages
from ..history import History
from ..images import Pictures
from ..keys import ApiKey
from ..reply import Reply
from ..wire import Transport
from .history import AsyncHistory as AsyncHistory
from .streams import AsyncStream as AsyncStream
from .streams import StreamOpening, open_stream
from .workers import WorkerPool

if TYPE_CHECKING:
    from ..resources.embeddings import Embeddings
    from .resources import AsyncByteStream, AsyncEventStream

Result = TypeVar("Result")

#: Calls at the same time, unless the client is told otherwise: as many as the SDK makes.
MAX_CONCURRENCY = 1000


# ---- in a worker's thread


def call_in_thread(
    token: CancelToken, function: Callable[..., Result], *args: Any, **params: Any
) -> Result:
    """Call `function` with its exchanges under `token`."""
    cancel_token.set(token)
    result = function(*args, **params)
    if token.cancelled and hasattr(result, "close"):
        result.close()  # a stream that came too late to be read
    return result


def cancellable_sleep(seconds: float) -> None:
    """Sleep for `seconds`, or until the call that sleeps is cancelled."""
    token = cancel_token.get()
    if token:
        token.wait(seconds)
    else:
        time.sleep(seconds)


async def await_job(token: CancelToken, future: "asyncio.Future[Result]") -> Result:
    """Await what a thread does under `token`, and cancel that if this is cancelled."""
    try:
        return await future
    except asyncio.CancelledError:
        token.cancel()
        raise


# ---- the client


class AsyncClient:
    """A `Client` whose verbs are awaited.

    At most `max_concurrency` calls are made at the same time; further ones wait.  A stream counts until it is open, and
    its `on_reply` is called in the event loop.  A call
    that is cancelled shuts its socket down at once, and is not tried again.  The verbs take and return what Client's do,
    and raise its errors.
    """

    def __init__(
        self,
        api_key: ApiKey = None,
        base_url: Optional[str] = None,
        model: Union[str, Sequence[str], None] = None,
        organization: Optional[str] = None,
        project: Optional[str] = None,
        timeout: Timeout = None,
        deadline: Optional[float] = None,
        max_retries: Optional[int] = None,
        max_bytes: Optional[int] = None,
        rotate_after: Optional[float] = None,
        allow_http: bool = False,
        default_headers: Optional[Mapping[str, Optional[str]]] = None,
        default_query: Optional[Mapping[str, Any]] = None,
        proxy: Optional[str] = None,
        ca_bundle: Optional[str] = None,
        transport: Optional[Transport] = None,
        on_reply: Optional[Callable[[Reply], Any]] = None,
        sleep: Optional[Callable[[float], Any]] = None,
        random: Optional[Callable[[], float]] = None,
        now: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
        environ: Optional[Mapping[str, str]] = None,
        *,
        max_concurrency: int = MAX_CONCURRENCY,
        **params: Any,
    ):
        """Take Client's settings, and the number of calls that may be made at the same time.

        Raises ConfigError and TypeError as Client does; ValueError if `max_concurrency` is less than 1.
        """
        self._workers = WorkerPool(max_concurrency)
        self.client = Client(
            api_key=api_key,
            base_url=base_url,
            model=model,
            organization=organization,
            project=project,
            timeout=timeout,
            deadline=deadline,
            max_retries=max_retries,
            max_bytes=max_bytes,
            rotate_after=rotate_after,
            allow_http=allow_http,
            default_headers=default_headers,
            default_query=default_query,
            proxy=proxy,
            ca_bundle=ca_bundle,
            transport=transport,
            on_reply=on_reply,
            sleep=sleep or cancellable_sleep,
            random=random,
            now=now,
            clock=clock,
            environ=environ,
            **params,
        )

    if not TYPE_CHECKING:  # or a type checker would accept every name
        __getattr__ = no_such_attribute

    async def chat(self, messages: Messages, **params: Any) -> Reply:
        """Send messages and return the whole Reply; see `Client.chat`."""
        return await self.run(self.client.chat, messages, **params)

    chat.completions = SdkResource()  # type: ignore[attr-defined]

    def stream_chat(self, messages: Messages, **params: Any) -> StreamOpening[AsyncStream]:
        """Send messages and return a stream of the answer; see `Client.stream_chat`.

        Use it as `async with client.stream_chat(…) as stream:`, or `stream = await client.stream_chat(…)`.
        """
        return open_stream(self, AsyncStream, self.client.stream_chat, messages, **params)

    @overload
    async def parse(self, messages: Messages, into: type[Instance], **params: Any) -> Instance: ...
    @overload
    async def parse(self, messages: Messages, into: Any, **params: Any) -> Any: ...
    async def parse(self, messages: Messages, into: Any, **params: Any) -> Any:
        """Send messages and return an instance of `into`; see `Client.parse`."""
        return await self.run(self.client.parse, messages, into, **params)

    async def complete(self, prompt: Union[str, list[Any]], **params: Any) -> Reply:
        """Continue a text and return the Reply; see `Client.complete`."""
        return await self.run(self.client.complete, prompt, **params)

    def stream_complete(
        self, prompt: Union[str, list[Any]], **params: Any
    ) -> StreamOpening[AsyncStream]:
        """Continue a text and return a stream; see `Client.stream_complete`, and `stream_chat` for its use."""
        return open_stream(self, AsyncStream, self.client.stream_complete, prompt, **params)

    async def moderate(self, input: Union[str, list[Any]], **params: Any) -> Reply:
        """Classify a text or a picture; see `Client.moderate`."""
        return await self.run(self.client.moderate, input, **params)

    async def image(self, prompt: str, **params: Any) -> Pictures:
        """Generate pictures; see `Client.image`."""
        return await self.run(self.client.image, prompt, **params)

    async def models(self, **params: Any) -> Reply:
        """Return the server's models; see `Client.models`."""
        return await self.run(self.client.models, **params)

    async def model(self, id: str, **params: Any) -> Reply:
        """Return what the server knows about one model; see `Client.model`."""
        return await self.run(self.client.model, id, **params)

    async def post(self, path: str, body: Any = None, **params: Any) -> Any:
        """Send a body to any path and return the answer; see `Client.post`."""
        return await self.run(self.client.post, path, body, **params)

    async def get(self, path: str, **params: Any) -> Any:
        """Get any path; see `Client.get`."""
        return await self.run(self.client.get, path, **params)

    async def delete(self, path: str, **params: Any) -> Any:
        """Delete any path; see `Client.delete`."""
        return await self.run(self.client.delete, path, **params)

    def stream(self, path: str, body: Any = None, **params: Any) -> StreamOpening[Any]:
        """Send a body to any path and return the answer while it arrives; see `Client.stream`.

        It is an AsyncEventStream or an AsyncByteStream, used as the stream of `stream_chat`.
        """
        from .resources import wrap_stream

        return open_stream(self, wrap_stream, self.client.stream, path, body, **params)

    async def embed(self, input: Any, **params: Any) -> "Embeddings":
        """Return the vectors of texts; see `Client.embed`."""
        return await self.run(self.client.embed, input, **params)

    @overload
    def transcribe(
        self, file: Any, model: str = ..., stream: Literal[False] = False, **params: Any
    ) -> Coroutine[Any, Any, Reply]: ...
    @overload
    def transcribe(
        self, file: Any, model: str = ..., *, stream: Literal[True], **params: Any
    ) -> "StreamOpening[AsyncEventStream]": ...
    def transcribe(
        self, file: Any, model: str = "whisper-1", stream: bool = False, **params: Any
    ) -> Any:
        """Return what is said in a recording; see `Client.transcribe`, and `stream_chat` for the use of a stream."""
        if not stream:
            return self.run(self.client.transcribe, file, model=model, **params)
        from .resources import AsyncEventStream

        verb = partial(self.client.transcribe, model=model, stream=True)
        return open_stream(self, AsyncEventStream, verb, file, **params)

    def speak(self, text: str, **params: Any) -> "StreamOpening[AsyncByteStream]":
        """Return the sound of a text while it arrives; see `Client.speak`."""
        from .resources import AsyncByteStream

        return open_stream(self, AsyncByteStream, self.client.speak, text, **params)

    def history(self, **settings: Any) -> "AsyncHistory":
        """Return a new conversation with this client; `settings` are those of `History`."""
        return AsyncHistory(self, History(self.client, **settings))

    async def run(self, function: Callable[..., Result], *args: Any, **params: Any) -> Result:
        """Await any function that makes its calls with `self.client`.

        For example `await client.run(tools.run, "Hi", client=client.client)`.
        """
        return await self.run_cancellable(CancelToken(), function, *args, **params)

    async def run_cancellable(
        self, token: CancelToken, function: Callable[..., Result], *args: Any, **params: Any
    ) -> Result:
        """Call `function` in a thread and return its result; if this is cancelled, cancel `token`."""
        job = self._workers.submit(call_in_thread, token, function, *args, **params)
        return await await_job(token, job)

    async def read_cancellable(
        self, token: CancelToken, function: Callable[..., Result], *args: Any
    ) -> Result:
        """Do the same with a function that reads from an open stream, which does not count as a call."""
        job = self._workers.submit_read(call_in_thread, token, function, *args)
        return await await_job(token, job)

    async def close(self) -> None:
        """Close the connections; a later call raises RawchatError."""
        self.client.close()
        self._workers.close()

    async def __aenter__(self) -> "AsyncClient":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
