"""A streamed answer: pieces of bytes → server-sent events → `Chunk`s, merged into the `Reply` on the way."""

import contextlib
from collections.abc import Generator, Iterator
from typing import Any, Callable, Optional

from .errors import (
    APIConnectionError,
    APIError,
    APIResponseValidationError,
    StreamInterruptedError,
    as_stream_error,
)
from .keys import redact_error
from .merge import MessageAccumulator
from .normalise import mend
from .reply import Chunk as Chunk
from .reply import Reply, chunk_from_reply, decode_event, whole_texts, with_metadata
from .sse import events as events
from .sse import peek
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
        self._choices = choices or response.request.n_choices
        self._merge = MessageAccumulator()
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
        return with_metadata(Reply(mend(self._merge.build())), self._response)

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
            isinstance(failure, APIConnectionError) and self._merge.is_complete(self._choices)
        ):
            raise self._carrying(failure) from failure.__cause__
        self._reply = self._so_far()
        self._on_reply(self._reply)

    def _payloads(self) -> Iterator[Chunk]:
        """The chunks up to `[DONE]`; an APIError if the stream ends before it is whole."""
        response, count = self._response, 0
        start, pieces = peek(response.pieces)
        if start in (b"{", b"[", b"<"):  # no event begins so: the server answered without streaming
            response.pieces = pieces
            yield chunk_from_reply(response.read(self._limit), response)
            return
        for event in events(pieces, self._limit):
            if event.data.lstrip().startswith("[DONE]"):
                if not count:
                    raise APIResponseValidationError(
                        f"the stream holds nothing but [DONE] ({response.summary})"
                    )
                return response.release()
            chunk = decode_event(event, response)
            if chunk is not None:
                count += 1
                yield chunk
        if not self._merge.is_complete(self._choices):
            raise StreamInterruptedError(
                f"the stream ended after {count} chunks without [DONE] ({response.summary})"
            )

    def _carrying(self, error: APIError) -> APIError:
        """`error`, told as one of a stream, with all that is known at this point and without the key."""
        error = as_stream_error(error)
        error.__dict__ = {
            **self._response.error_fields,
            **error.__dict__,
            "partial": self._so_far(),
        }
        redact_error(self._response.request.headers.secrets, error)
        return error
