"""A streamed answer: pieces of bytes → server-sent events → `Chunk`s, merged into the `Reply` on the way."""

import contextlib
from collections.abc import Generator, Iterator
from typing import Any, Callable, Optional

from .chunk import Chunk as Chunk
from .chunk import read, whole_chunk, whole_texts
from .encode import mend
from .errors import APIConnectionError, APIError, APIResponseValidationError, StreamInterruptedError
from .events import events as events
from .events import peeked
from .keys import hide
from .merge import Merge
from .refusals import interrupted
from .reply import Reply, dressed
from .wire import MAX_BYTES, Response


class Stream:
    """A streamed reply: iterate it for its chunks, or `texts()` for the words.

    It can be read once, in one loop (`next(stream)` takes a single chunk and leaves it open).  Leaving the loop,
    `close()` or the end of a `with` frees the connection.  Whatever goes wrong while it is read is an APIError whose
    `.partial` is the Reply so far.
    """

    def __init__(
        self,
        response: Response,
        limit: int = MAX_BYTES,
        choices: int = 0,
        on_reply: Callable[[Reply], Any] = lambda reply: None,
    ):
        """`limit` is the bytes that one event may have, `choices` how many answers there will be (else as asked)."""
        self._response, self._limit, self._on_reply = response, limit, on_reply
        self._choices = choices or response.request.choices
        self._merge = Merge()
        self._chunks = self._read()
        self._reply: Optional[Reply] = None
        self.request_id: Optional[str] = response.headers.get("x-request-id")

    def __iter__(self) -> Iterator[Chunk]:
        try:
            yield from self._chunks
        finally:
            self.close()

    def __next__(self) -> Chunk:
        return next(self._chunks)

    def texts(self) -> Iterator[str]:
        """Yield the pieces of the first choice's text as they come; each is made of whole characters."""
        return whole_texts(self)

    @property
    def reply(self) -> Reply:
        """The Reply that a plain call would have returned; reads on to the end if need be.

        Of a stream that was closed before its end, what had come: its finish_reason is None.
        """
        for _ in self:
            pass
        return self._reply or self._so_far()

    def close(self) -> None:
        """Free the connection, from any thread; what has not been read is lost."""
        self._response.close()  # first: it ends a read that another thread is in
        with contextlib.suppress(ValueError):  # "generator already executing": there
            self._chunks.close()

    def __enter__(self) -> "Stream":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _so_far(self) -> Reply:
        return dressed(Reply(mend(self._merge.whole())), self._response)

    def _read(self) -> Generator[Chunk, None, None]:
        """The life of a stream: chunk by chunk to a whole reply, or to one error that carries what came."""
        failure: Optional[APIError] = None
        try:
            for chunk in self._payloads():
                self._merge.add(chunk)
                yield chunk
        except APIError as error:
            failure = error
        finally:
            self._response.close()
        if failure and not (
            isinstance(failure, APIConnectionError) and self._merge.finished(self._choices)
        ):
            raise self._carrying(failure) from failure.__cause__
        self._reply = self._so_far()
        self._on_reply(self._reply)

    def _payloads(self) -> Iterator[Chunk]:
        """The chunks up to `[DONE]`; an APIError if the stream ends before it is whole."""
        response, count = self._response, 0
        start, pieces = peeked(response.pieces)
        if start in (b"{", b"[", b"<"):  # no event begins so: the server answered without streaming
            response.pieces = pieces
            yield whole_chunk(response.read(self._limit), response)
            return
        for event in events(pieces, self._limit):
            if event.data.lstrip().startswith("[DONE]"):
                if not count:
                    raise APIResponseValidationError(
                        f"the stream holds nothing but [DONE] ({response.asked})"
                    )
                return response.finish()
            chunk = read(event, response)
            if chunk is not None:
                count += 1
                yield chunk
        if not self._merge.finished(self._choices):
            raise StreamInterruptedError(
                f"the stream ended after {count} chunks without [DONE] ({response.asked})"
            )

    def _carrying(self, error: APIError) -> APIError:
        """`error`, told as one of a stream, with all that is known at this point and without the key."""
        error = interrupted(error)
        error.__dict__ = {**self._response.facts, **error.__dict__, "partial": self._so_far()}
        hide(self._response.request.headers.secrets, error)
        return error
