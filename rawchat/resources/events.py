"""Read the server-sent events of any endpoint: their names, their JSON, and the error among them."""

import contextlib
from collections.abc import Generator, Iterator
from typing import Any, Callable, NamedTuple, Optional

from ..compat.error_bodies import is_error, parse_error_body
from ..compat.error_responses import as_stream_error
from ..errors import (
    APIConnectionError,
    APIError,
    APIResponseValidationError,
    StreamInterruptedError,
    one_line,
)
from ..keys.redaction import redact_error, request_secrets
from ..merge import MessageAccumulator
from ..reply import Chunk, Reply, iter_texts, with_metadata
from ..sse import Event, events
from ..sse.joined_events import is_done
from ..wire import MAX_BYTES, Response
from ..wire.json_text import decode_json, mend
from .resource import Resource, decode_resource, is_json

#: The events after which nothing comes, by the first part of their names: OpenAI's endpoints do not send [DONE].
FINAL_EVENTS = {
    "response": (
        "response.completed",
        "response.incomplete",
        "response.failed",
        "response.cancelled",
    ),
    "transcript": ("transcript.text.done",),
    "speech": ("speech.audio.done",),
    "image_generation": ("image_generation.completed",),
    "image_edit": ("image_edit.completed",),
}

#: The events whose `delta` is a piece of the answer's text.
TEXT_DELTAS = ("response.output_text.delta", "transcript.text.delta")

#: Characters of an event that a message quotes.
MAX_QUOTE = 120


class ServerEvent(NamedTuple):
    """One server-sent event."""

    event: str  #: its name: the field `event`, else the `type` of its data, else "message"
    data: Any  #: its JSON, decoded

    @property
    def text(self) -> str:
        """The text that this event adds to the answer; "" if it adds none."""
        if not isinstance(self.data, dict):
            return ""
        delta = self.data.get("delta")
        if self.event in TEXT_DELTAS and isinstance(delta, str):
            return delta
        if isinstance(self.data.get("choices"), list):
            return Chunk(self.data).text
        # A server that does not stream: the whole answer is one event.
        is_whole = self.event == "message" and "type" not in self.data
        return Resource(self.data).text if is_whole else ""


class EventStream:
    """The events of an endpoint: iterate over it for each `ServerEvent`, or over `texts()` for the text.

    It can be read once; `next(stream)` takes one event and leaves it open.  Leaving the loop, `close()` or the end of a
    `with` block frees the connection.  Every error while it is read is an APIError whose `.partial` is the Reply so far.
    """

    def __init__(
        self,
        response: Response,
        limit: int = MAX_BYTES,
        on_reply: Optional[Callable[[Reply], Any]] = None,
    ):
        """Take a 2xx `response` whose body has not been read.

        `limit` is the maximum of bytes of one event.  `on_reply` is called once with the Reply of the finished stream.
        """
        self.status = response.status
        self.headers = response.headers
        self.request_id: Optional[str] = response.request_id
        self._response = response
        self._limit = limit
        self._on_reply = on_reply
        self._progress = Progress()
        self._reply: Optional[Reply] = None
        self._events = self._read()

    def __repr__(self) -> str:
        return f"<EventStream {self._response.summary}: {self._progress.count} events>"

    def __iter__(self) -> Iterator[ServerEvent]:
        try:
            yield from self._events
        finally:
            self.close()

    def __next__(self) -> ServerEvent:
        return next(self._events)

    def texts(self) -> Iterator[str]:
        """Yield the pieces of the answer's text as they arrive, each in whole characters."""
        return iter_texts(self)  # type: ignore[arg-type]  # it reads `.text` alone

    @property
    def reply(self) -> Reply:
        """The Reply in the last event; reads on to the end if need be.

        Of /responses it is the whole response.  Of a stream that was closed before its end it is what had arrived.
        """
        for _ in self:
            pass
        return self._reply or self._make_reply(self._progress.partial())

    def close(self) -> None:
        """Free the connection, from any thread; what has not been read is lost."""
        self._response.close()
        # ValueError: the generator is running in another thread, and ends there.
        with contextlib.suppress(ValueError):
            self._events.close()

    def __enter__(self) -> "EventStream":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _make_reply(self, payload: dict[str, Any]) -> Reply:
        return with_metadata(Resource(mend(payload)), self._response)

    def _read(self) -> Generator[ServerEvent, None, None]:
        """Yield the events of the whole stream; then finish the reply, or raise one error."""
        failure: Optional[APIError] = None
        try:
            for event in self._iter_events():
                self._progress.add(event)
                yield event
        except APIError as error:
            failure = error
        finally:
            self._response.close()
        # A connection that breaks after the last event takes nothing from the answer.
        if isinstance(failure, APIConnectionError) and self._progress.is_finished:
            failure = None
        if failure is not None:
            failure = as_stream_error(failure, self._response.request.timeout[1])
            self._response.annotate(failure)
            failure.partial = self._make_reply(self._progress.partial())
            redact_error(request_secrets(self._response.request), failure)
            raise failure from failure.__cause__
        self._reply = self._make_reply(self._progress.answer())
        if self._on_reply is not None:
            self._on_reply(self._reply)

    def _iter_events(self) -> Iterator[ServerEvent]:
        """Yield the events up to the last one; raise an APIError for one that is an error, or if the last is missing."""
        response = self._response
        if is_json(response):
            resource = decode_resource(response.read(self._limit), response)
            yield ServerEvent("message", resource)
            return
        for received in events(response.pieces, self._limit, error_field=True):
            if is_done(received.data):
                self._progress.ended = True
            elif has_content(received):
                event = decode_server_event(received, response)
                raise_if_error(event, response)
                yield event
            if self._progress.ended:
                response.release()
                return
        if self._progress.count == 0:
            raise APIResponseValidationError(f"the stream is empty ({response.summary})")
        if not self._progress.is_whole:
            raise StreamInterruptedError(
                f"the stream ended after {self._progress.count} events, before its last one "
                f"({response.summary})"
            )


def has_content(received: Event) -> bool:
    """Return whether an event says something: a ping does not, nor one without data, unless it is an error."""
    if received.event == "ping":
        return False
    return bool(received.data.strip()) or received.event == "error"


def decode_server_event(received: Event, response: Response) -> ServerEvent:
    """Return an event with its JSON decoded; that of an error may be plain text.

    Raises APIResponseValidationError for any other one that is not JSON.
    """
    name = received.event or "message"
    data: Any = received.data
    valid = True
    try:
        data = decode_json(received.data)
    except ValueError:
        valid = False
    # Raised outside `except`: __context__ would hold the JSONDecodeError, and with it all that was sent.
    if not valid and name != "error":
        quoted = one_line(received.data, MAX_QUOTE)
        raise APIResponseValidationError(
            f"an event of the stream is not JSON: {quoted} ({response.summary})"
        )
    if name == "message" and isinstance(data, dict) and isinstance(data.get("type"), str):
        name = data["type"]
    return ServerEvent(name, data)


def raise_if_error(event: ServerEvent, response: Response) -> None:
    """Raise APIError if an event is an error: `error`, `response.failed`, or one of any name that holds nothing else."""
    payload = event.data
    if event.event == "error":
        # OpenAI's own has message and code at its top.
        if isinstance(payload, dict) and not is_error(payload):
            payload = {"error": payload}
    elif event.event == "response.failed":
        error = payload_fields(payload_fields(payload).get("response")).get("error")
        payload = {"error": error or "the response failed, for no reason given"}
    elif "type" in payload_fields(payload) or not is_error(payload):
        return
    message, fields = parse_error_body(payload)
    raise APIError(f"error in the stream: {message} ({response.summary})", **fields)


def payload_fields(payload: Any) -> dict[str, Any]:
    """Return the fields of an event's data; {} for data that is not an object."""
    return payload if isinstance(payload, dict) else {}


class Progress:
    """What has arrived of a stream: enough to know whether it is whole, and to make a Reply of it."""

    def __init__(self) -> None:
        self.count = 0
        #: True once the last event, or [DONE], has arrived
        self.ended = False
        self._last: dict[str, Any] = {}
        self._response: dict[str, Any] = {}  #: the latest state of the object of /responses
        self._texts: list[str] = []
        self._merge = MessageAccumulator()  #: of chunks of a chat or a completion
        self._family = ""

    def add(self, event: ServerEvent) -> None:
        """Take note of one event."""
        self.count += 1
        if event.text:
            self._texts.append(event.text)
        if not isinstance(event.data, dict):
            return
        self._last = event.data
        if isinstance(event.data.get("response"), dict):
            self._response = event.data["response"]
        family = event.event.partition(".")[0]
        if family in FINAL_EVENTS:
            self._family = family
            self.ended = event.event in FINAL_EVENTS[family]
        if isinstance(event.data.get("choices"), list):
            self._merge.add(event.data)

    @property
    def is_whole(self) -> bool:
        """True if the last event has arrived, or if none is known for a stream of this kind."""
        if self.ended:
            return True
        if self._merge.choices:
            return self._merge.is_complete()
        return not self._family

    @property
    def is_finished(self) -> bool:
        """True if a connection that breaks now takes nothing from the answer."""
        return self.ended or (bool(self._merge.choices) and self._merge.is_complete())

    def answer(self) -> dict[str, Any]:
        """Return the JSON of the finished answer: the merged chunks, the response in the last event, or that event."""
        if self._merge.choices:
            return self._merge.build()
        response = self._last.get("response")
        return response if isinstance(response, dict) else self._last

    def partial(self) -> dict[str, Any]:
        """Return the JSON of an answer that broke off, with the text so far."""
        if self._merge.choices:
            return self._merge.build()
        text = "".join(self._texts)
        if self._response:
            part = {"type": "output_text", "text": text}
            item = {"type": "message", "role": "assistant", "content": [part]}
            return {**self._response, "output": [item] if text else []}
        return {"text": text} if text else {}
