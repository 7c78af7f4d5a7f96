"""A streamed answer: pieces of bytes → server-sent events → `Chunk`s, merged into the `Reply` on the way.

`sseclient` reads the fields of an event.  It is handed whole events, with plain line ends: left alone with the pieces
it merges or halves events at odd borders, and takes quadratic time over long ones.
"""
import contextlib
import json
from collections.abc import Generator, Iterable, Iterator
from itertools import chain
from typing import Any, Callable, Optional

from sseclient import Event, SSEClient

from .errors import APIConnectionError, APIError, APIResponseValidationError, APITimeoutError, DeadlineExceededError
from .errors import StreamInterruptedError, StreamTimeoutError, one_line, tells_error, told
from .framing import BOM, batches
from .keys import hide
from .merge import Merge
from .reply import Reply, decode, dressed, not_json
from .wire import MAX_BYTES, Response

if not hasattr(SSEClient, "events"):
    raise ImportError("the module sseclient is of another package here: pip uninstall -y sseclient && "
                      "pip install --force-reinstall sseclient-py")

DECODER = json.JSONDecoder()    #: json.loads weighs its seven options for every event, a seventh of its time
LINES = 100                 #: lines of a long event that sseclient is given at once: it glues them one by one
LONG = 2**16                #: bytes of a batch that may hold such an event


class Chunk(dict[str, Any]):
    """One part of a streamed reply, as the server sent it."""

    __slots__ = ("data",)

    def __init__(self, payload: dict[str, Any], data: str = ""):
        super().__init__(payload)
        self.data = data                    #: the JSON text that it came as

    @property
    def text(self) -> str:
        """What this chunk adds to the text of the first choice; '' if nothing."""
        choices = self.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            if isinstance(choice, dict) and not choice.get("index"):
                delta = choice.get("delta")
                text = delta.get("content") if isinstance(delta, dict) else choice.get("text")
                return text if isinstance(text, str) else ""
        return ""


class Stream:
    """A streamed reply: iterate it for its chunks, or `texts()` for the words.

    It can be read once, in one loop (`next(stream)` takes a single chunk and leaves it open).  Leaving the loop,
    `close()` or the end of a `with` frees the connection.  Whatever goes wrong while it is read is an APIError whose
    `.partial` is the Reply so far.
    """

    def __init__(self, response: Response, limit: int = MAX_BYTES, choices: int = 0,
                 on_reply: Callable[[Reply], Any] = lambda reply: None):
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
        """The pieces of the first choice's text, as they come."""
        for chunk in self:
            if chunk.text:
                yield chunk.text

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
        self._response.close()              # first: it ends a read that another thread is in
        with contextlib.suppress(ValueError):           # "generator already executing": there
            self._chunks.close()

    def __enter__(self) -> "Stream":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _so_far(self) -> Reply:
        return dressed(Reply(self._merge.whole()), self._response)

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
        if failure and not (isinstance(failure, APIConnectionError) and self._merge.finished(self._choices)):
            raise self._carrying(failure) from failure.__cause__
        self._reply = self._so_far()
        self._on_reply(self._reply)

    def _payloads(self) -> Iterator[Chunk]:
        """The chunks up to `[DONE]`; an APIError if the stream ends before it is whole."""
        response, count = self._response, 0
        start, pieces = peeked(response.pieces)
        if start in (b"{", b"[", b"<"):         # no event begins so: the server answered without streaming
            response.pieces = pieces
            yield whole_chunk(response.read(self._limit), response)
            return
        for event in events(pieces, self._limit):
            if event.data.lstrip().startswith("[DONE]"):
                if not count:
                    raise APIResponseValidationError(f"the stream holds nothing but [DONE] ({response.asked})")
                return response.finish()
            chunk = chunk_in(event, response)
            if chunk is not None:
                count += 1
                yield chunk
        if not self._merge.finished(self._choices):
            raise StreamInterruptedError(f"the stream ended after {count} chunks without [DONE] ({response.asked})")

    def _carrying(self, error: APIError) -> APIError:
        """`error`, told as one of a stream, with all that is known at this point and without the key."""
        if isinstance(error, APITimeoutError) and not isinstance(error, DeadlineExceededError):
            error = StreamTimeoutError(f"the stream fell silent: {error.message}")
        elif isinstance(error, APIConnectionError) and not isinstance(error, (StreamInterruptedError, APITimeoutError)):
            error = StreamInterruptedError(f"the stream broke off: {error.message}")
        error.__dict__ = {**self._response.facts, **error.__dict__, "partial": self._so_far()}
        hide(self._response.request.headers.secrets, error)
        return error


def chunk_in(event: Event, response: Response) -> Optional[Chunk]:
    """The chunk that an event holds, or None where it holds none (a ping, null, a number); raises what it tells."""
    told_wrong = event.event == "error"
    if event.event == "ping" or not (event.data.strip() or told_wrong):
        return None
    payload, bad = event.data, False
    try:
        payload = DECODER.decode(event.data)
    except (ValueError, RecursionError):
        bad = not told_wrong                # raised out here: json's own error would go along, with all that was sent
    if bad:
        raise APIResponseValidationError(
            f"an event of the stream is not JSON: {one_line(event.data, 120)} ({response.asked})")
    if told_wrong or tells_error(payload):
        said, fields = told(payload)
        raise APIError(f"error in the stream: {said} ({response.asked})", **fields)
    return Chunk(payload, event.data) if isinstance(payload, dict) else None


def whole_chunk(body: bytes, response: Response) -> Chunk:
    """A completion that was not streamed, as the one chunk that says it all; raises as `reply.decode` does."""
    reply = decode(body, response)
    if not reply.choices:
        raise not_json(body, response)
    choices = [{("delta" if name == "message" else name): value for name, value in choice.items()}
               for choice in reply.choices]
    return Chunk({**reply, "choices": choices}, body.decode("utf-8-sig"))


def events(pieces: Iterable[bytes], limit: int = MAX_BYTES) -> Iterator[Event]:
    """Server-sent events from any iterable of bytes, cut anywhere: each has `.event` and `.data`.

    Exactly the WHATWG's rules (HTML standard, 9.2.6), but that a last event without its blank line still counts
    if its data is [DONE] or a whole JSON object.  Raises APIError for an event of more than `limit` bytes.

    >>> [event.data for event in events([b"data: on", b"e\\n\\ndata: two\\r\\n\\r", b"\\ndata: half"])]
    ['one', 'two']
    """
    for batch, ended in batches(pieces, limit):
        if not batch.isascii():             # the rule for bytes that are not UTF-8: U+FFFD in their place
            batch = batch.decode("utf-8", "replace").encode()
        for event in parse(batch) if len(batch) < LONG else chain.from_iterable(map(parse_long, batch.split(b"\n\n"))):
            if ended or _is_whole(event.data):
                yield event


def parse(batch: bytes) -> Iterator[Event]:
    """The events in clean lines; one reader for many of them, as to make one takes half as long as to read an event."""
    found: Iterator[Event] = SSEClient(iter([batch + b"\n\n"])).events()
    return found


def parse_long(block: bytes) -> Iterator[Event]:
    """The event in the lines of one, if it has data, in linear time."""
    if block.count(b"\n") < LINES:
        return parse(block)
    name, data = b"message", []             # so many lines at a time, each time with the event's name so far,
    lines = block.split(b"\n")              # and an empty line of data at the end, so that each time has an event
    for at in range(0, len(lines), LINES):
        part = b"\n".join(lines[at:at + LINES])
        event = next(parse(b"event: " + name + b"\n" + part + b"\ndata"))
        name = event.event.encode()
        data.append(event.data)
    event.data = "".join(data)[:-1]
    return iter([event] if "".join(data) else [])


def peeked(pieces: Iterable[bytes]) -> tuple[bytes, Iterable[bytes]]:
    """The first byte that is not blank, and the pieces again, without blank lines before it; b'' if all are blank."""
    iterator = iter(pieces)
    for piece in iterator:
        if piece.lstrip(BOM + b"\r\n"):
            return piece.lstrip(BOM + b" \t\r\n")[:1], chain([piece], iterator)
    return b"", ()


def _is_whole(data: str) -> bool:
    try:
        return data.lstrip().startswith("[DONE]") or isinstance(json.loads(data), dict)
    except (ValueError, RecursionError):
        return False
