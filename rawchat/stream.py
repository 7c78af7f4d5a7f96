"""Read a streamed reply: bytes to server-sent events to `Chunk`s, merged into the `Reply` on the way.

A stream ends with `[DONE]`.  If it ends, or breaks, without, that is an error unless every choice that was asked for has
its finish_reason.
"""

import contextlib
from collections.abc import Generator, Iterator
from typing import Any, Callable, Optional

from .compat.error_responses import (
    as_stream_error,
    no_choice_error,
    not_json_error,
    unrequested_encoding,
)
from .errors import APIConnectionError, APIError, APIResponseValidationError, StreamInterruptedError
from .keys.redaction import redact_error, request_secrets
from .merge import MessageAccumulator
from .reply import Chunk as Chunk
from .reply import Reply, decode_event, iter_texts, with_metadata
from .reply.other_form import NOT_A_STREAM, chunk_from_reply, collect, events_of_lines
from .sse import NO_EVENT
from .sse import events as events
from .sse.joined_events import is_done, split_joined
from .sse.pieces import peek, read_until_over, wait_for_end
from .wire import MAX_BYTES, NOTHING_YET, Response
from .wire.json_text import mend

#: What stands for NOTHING_YET among the chunks, of a response that is read without waiting; known by its identity.
NO_CHUNK = Chunk({})


class Stream:
    """A streamed reply: iterate over it for its chunks, or over `texts()` for the text.

    It can be read once, in one loop; `next(stream)` takes a single chunk and leaves it open.  Leaving the loop, `close()`
    or the end of a `with` block frees the connection.  Every error while it is read is an APIError whose `.partial` is
    the Reply so far.
    """

    def __init__(
        self,
        response: Response,
        limit: int = MAX_BYTES,
        choices: int = 0,
        on_reply: Optional[Callable[[Reply], Any]] = None,
    ):
        """Take a 2xx `response` whose body has not been read.

        `limit` is the maximum of bytes of one event.  `choices` is the number of choices to expect (default: as many as
        the request asked for).  `on_reply` is called once with the finished Reply.
        """
        self.request_id: Optional[str] = response.headers.get("x-request-id")
        self.response = response
        self._limit = limit
        self._n_choices = choices or response.request.n_choices
        self._on_reply = on_reply
        self._merge = MessageAccumulator()
        self._count = 0
        self._closed = False
        self._reply: Optional[Reply] = None
        self._chunks = self._read()

    def __repr__(self) -> str:
        state = "open"
        if self._reply is not None:
            state = "finished"
        elif self._closed:
            state = "closed"
        return f"<Stream {self.response.summary}: {state}, {self._count} chunks>"

    def __iter__(self) -> Iterator[Chunk]:
        try:
            yield from self._chunks
        finally:
            self.close()

    def __next__(self) -> Chunk:
        return next(self._chunks)

    def texts(self) -> Iterator[str]:
        """Yield the pieces of the first choice's text as they arrive, each in whole characters."""
        return iter_texts(self)

    @property
    def reply(self) -> Reply:
        """The Reply that a plain call would have returned; reads on to the end if need be.

        For a stream that was closed before its end it is what had arrived, with finish_reason None.
        """
        for _ in self:
            pass
        return self._reply or self._partial_reply()

    def start(self) -> None:
        """Read the first chunk ahead, so that an error in its place is raised here, not by the first iteration."""
        first = next(self._chunks, None)
        if first is not None:
            self._chunks = resume(first, self._chunks)

    def close(self) -> None:
        """Free the connection, from any thread; what has not been read is lost."""
        # First the response: it ends a read that another thread is blocked in.
        self._closed = True
        self.response.close()
        # ValueError: the generator is running in that thread, and ends there.
        with contextlib.suppress(ValueError):
            self._chunks.close()

    def __enter__(self) -> "Stream":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _read(self) -> Generator[Chunk, None, None]:
        """Yield the chunks of the whole stream, merging each; then finish the reply, or raise one error."""
        failure: Optional[APIError] = None
        try:
            for chunk in self._iter_chunks():
                if chunk is NO_CHUNK:
                    yield chunk
                    continue
                repeats = self._merge.repeats
                self._merge.add(chunk)
                if self._merge.repeats > repeats:
                    chunk.is_repeat = True
                if self._n_choices == 1:
                    chunk.first_index = self._merge.first_index
                self._count += 1
                yield chunk
        except APIError as error:
            failure = error
        finally:
            self._closed = True
            self.response.close()
        # A connection that breaks after the last finish_reason takes nothing from the reply.
        if isinstance(failure, APIConnectionError) and self._is_finished():
            failure = None
        if failure is not None:
            raise self._with_partial(failure) from failure.__cause__
        self._reply = self._partial_reply()
        if self._on_reply is not None:
            self._on_reply(self._reply)

    def _iter_chunks(self) -> Iterator[Chunk]:
        """Yield the chunks up to `[DONE]`; raise an APIError if the stream ends before the reply is whole."""
        response = self.response
        first, pieces = peek(read_until_over(response, self._finished_chunks))
        while first is NOTHING_YET:
            yield NO_CHUNK
            first, pieces = peek(pieces)
        if first in NOT_A_STREAM:
            response.pieces = yield from collect(pieces, self._limit, NO_CHUNK)
            body = response.read(self._limit)
            stream = events_of_lines(body)
            if stream is None:
                yield chunk_from_reply(body, response)
                return
            pieces = [stream]
        data = ""
        for event in split_joined(events(pieces, self._limit, error_field=True)):
            if event is NO_EVENT:
                yield NO_CHUNK
                continue
            if is_done(event.data):
                if self._count == 0:
                    raise APIResponseValidationError(
                        f"the stream holds nothing but [DONE] ({response.summary})"
                    )
                if not self._merge.choices:
                    raise no_choice_error(data, response)
                yield from wait_for_end(response, NO_CHUNK)
                response.release()
                return
            chunk = decode_event(event, response)
            if chunk is not None:
                data = event.data
                yield chunk
        if self._count == 0 and unrequested_encoding(response):
            raise not_json_error(b"", response)
        if not self._is_finished():
            raise StreamInterruptedError(
                f"the stream ended after {self._count} chunks without [DONE] ({response.summary})"
            )

    def _is_finished(self) -> bool:
        """Return whether every choice that was asked for has a finish_reason."""
        return self._merge.is_complete(self._n_choices)

    def _finished_chunks(self) -> int:
        """Return the number of chunks if the reply may be whole, else 0."""
        return self._count if self._is_finished() else 0

    def _partial_reply(self) -> Reply:
        """Return the Reply so far."""
        return with_metadata(Reply(mend(self._merge.build())), self.response)

    def _with_partial(self, error: APIError) -> APIError:
        """Return `error` as an error of a stream, with the Reply so far and the response's fields, without keys."""
        error = as_stream_error(error, self.response.request.timeout[1])
        self.response.annotate(error)
        error.partial = self._partial_reply()
        redact_error(request_secrets(self.response.request), error)
        return error


def resume(first: Chunk, chunks: Generator[Chunk, None, None]) -> Generator[Chunk, None, None]:
    """Yield `first`, which was read ahead, and then the chunks."""
    yield first
    yield from chunks
