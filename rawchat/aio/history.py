"""A conversation whose calls are awaited."""

import asyncio
import contextlib
import copy
from collections.abc import AsyncIterator
from functools import cached_property
from typing import TYPE_CHECKING, Any, Optional

from ..deadline import CancelToken
from ..history import SUMMARY_PROMPT, History
from ..reply import Reply

if TYPE_CHECKING:
    from . import AsyncClient


class AsyncHistory:
    """A `History` whose calls are awaited, one after the other in the order in which they are made.

    `history` is the conversation itself: a list, with the methods that need no server (`window`, `save`, `fork`,
    `usage`).  Each call works on a copy, which replaces the original when the call has succeeded: one that fails, is
    cancelled or is abandoned leaves no trace.  Messages that are appended in the meantime stay, behind it.
    """

    def __init__(self, client: "AsyncClient", history: History):
        """Ask `client` about `history`, which may be new or loaded; a client of its own is not asked."""
        self.client = client
        self.history = history

    async def ask(self, content: Any, **params: Any) -> Reply:
        """Ask and return the Reply; see `History.ask`."""
        async with self._draft() as history:
            return await self.client.run(history.ask, content, **params)

    async def stream(self, content: Any, **params: Any) -> AsyncIterator[str]:
        """Ask and yield pieces of the answer; see `History.stream`."""
        token = CancelToken()
        async with self._draft() as history:
            pieces = history.stream(content, **params)
            try:
                # The first piece takes the call; those after it come from the open stream.
                piece = await self.client.run_cancellable(token, next, pieces, None)
                while piece is not None:
                    yield piece
                    piece = await self.client.read_cancellable(token, next, pieces, None)
            finally:
                with contextlib.suppress(ValueError):  # as in AsyncStream.close
                    pieces.close()

    async def summarise(
        self, keep: int = 1, prompt: str = SUMMARY_PROMPT, **params: Any
    ) -> Optional[Reply]:
        """Replace older messages by a summary; see `History.summarise`."""
        async with self._draft() as history:
            return await self.client.run(history.summarise, keep, prompt, **params)

    @contextlib.asynccontextmanager
    async def _draft(self) -> AsyncIterator[History]:
        """Lend a copy for one call; it replaces the original if the block ends well."""
        async with self._lock:
            draft = copy.copy(self.history)
            draft.sizes = copy.copy(draft.sizes)
            draft._client = self.client.client
            length = len(self.history)
            try:
                yield draft
                self.history[:length] = draft
                self.history.sizes = draft.sizes
            finally:
                self.history.usage = draft.usage  # a call that failed may have cost something

    @cached_property
    def _lock(self) -> asyncio.Lock:
        """The lock that calls wait for; made at the first one, as Python 3.9 ties it to the loop of that moment."""
        return asyncio.Lock()
