"""The streams of `rawchat.resources`, awaited."""

import os
from typing import TYPE_CHECKING, Any, Union

from ..deadline import CancelToken
from ..resources import ByteStream, Content, EventStream, ServerEvent
from .streams import AsyncReader, AsyncTextReader

if TYPE_CHECKING:
    from . import AsyncClient


class AsyncEventStream(AsyncTextReader[ServerEvent]):
    """An `EventStream` for `async for`."""


class AsyncByteStream(AsyncReader[bytes]):
    """A `ByteStream` for `async for`, or to be saved or read in a thread."""

    async def save(self, path: "Union[str, os.PathLike[str]]") -> str:
        """Write the body to a file while it arrives; see `ByteStream.save`."""
        return await self._client.read_cancellable(self._token, self._stream.save, path)

    async def read(self) -> Content:
        """Return what is left of the body; see `ByteStream.read`."""
        return await self._client.read_cancellable(self._token, self._stream.read)


def wrap_stream(
    client: "AsyncClient", token: CancelToken, stream: Any
) -> Union[AsyncEventStream, AsyncByteStream]:
    """Return the reader for what `Client.stream` returned."""
    if isinstance(stream, ByteStream):
        return AsyncByteStream(client, token, stream)
    assert isinstance(stream, EventStream)
    return AsyncEventStream(client, token, stream)
