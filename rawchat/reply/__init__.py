"""Decode what a server answered: a `Reply`, a `Chunk` of a streamed one, or the error in its place.

Both are dicts with everything that the server sent, known to us or not, and properties for what most callers want.
"""

import json
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Optional

from ..compat.error_bodies import is_error
from ..compat.error_responses import (
    error_in_event,
    error_in_success,
    looks_truncated,
    no_choice_error,
    not_json_error,
)
from ..compat.normalise import as_model_list, choice_index, content_text, find_usage, normalise
from ..errors import APIResponseValidationError, one_line
from ..wire import MAX_BYTES, Headers, Response
from ..wire.json_text import decode_json, hold_half, mend

if TYPE_CHECKING:  # replies can be decoded where sseclient is not installed
    from ..sse import Event


class Reply(dict[str, Any]):
    """The JSON of a response as a dict, and properties for the fields that are used most.

    >>> reply = Reply(choices=[{"index": 0, "message": {"role": "assistant", "content": "Hi"}}])
    >>> reply.text == reply["choices"][0]["message"]["content"] == "Hi"
    True
    """

    status: int = 200
    headers: Headers = Headers()
    #: Retries before this reply.
    retries: int = 0
    #: Seconds from the call to the last byte.
    elapsed: float = 0.0
    #: The model that the request named: with several (`model=["a", "b"]`), the one that answered.
    model: Optional[str] = None
    #: The instance that `parse` built.
    parsed: Any = None

    def __repr__(self) -> str:
        choices = self.choices
        if not choices:
            return f"Reply({super().__repr__()})"
        parts = [f"text={one_line(self.text, 60)!r}", f"finish_reason={self.finish_reason!r}"]
        if self.tool_calls:
            parts.append(f"tool_calls={len(self.tool_calls)}")
        if len(choices) > 1:
            parts.append(f"choices={len(choices)}")
        if self.request_id:
            parts.append(f"request_id={self.request_id!r}")
        return f"<Reply {' '.join(parts)}>"

    @property
    def request_id(self) -> Optional[str]:
        """The server's identifier of this call, which its support asks for."""
        request_id: Optional[str] = self.headers.get("x-request-id")
        return request_id

    @property
    def choices(self) -> list[dict[str, Any]]:
        """The choices that are objects; [] for a reply without choices (models, moderations)."""
        return only_dicts(self.get("choices"))

    @property
    def message(self) -> dict[str, Any]:
        """The message of the first choice, ready to be appended to the messages; {} if there is none."""
        choices = self.choices
        if not choices:
            return {}
        message = choices[0].get("message")
        return message if isinstance(message, dict) else {}

    @property
    def texts(self) -> list[str]:
        """The text of every choice, of chats and of completions; "" for a choice without text."""
        return [choice_text(choice) for choice in self.choices]

    @property
    def text(self) -> str:
        """The text of the first choice; "" if there is none."""
        choices = self.choices
        return choice_text(choices[0]) if choices else ""

    @property
    def tool_calls(self) -> list[dict[str, Any]]:
        """The tool calls of the first choice, or []."""
        return only_dicts(self.message.get("tool_calls"))

    @property
    def finish_reason(self) -> Optional[str]:
        """The reason that the first choice ended: stop, length, tool_calls, content_filter or the server's own."""
        choices = self.choices
        if not choices:
            return None
        reason = choices[0].get("finish_reason")
        return reason if isinstance(reason, str) else None

    @property
    def usage(self) -> Optional[dict[str, Any]]:
        """The tokens used: prompt_tokens, completion_tokens, total_tokens; None if the server does not report them."""
        return find_usage(self)

    @property
    def flagged(self) -> bool:
        """True if a moderation flagged any of its inputs."""
        return any(result.get("flagged") for result in only_dicts(self.get("results")))

    @property
    def categories(self) -> list[str]:
        """The sorted names of the categories that a moderation flagged, for any of its inputs."""
        names: set[str] = set()
        for result in only_dicts(self.get("results")):
            categories = result.get("categories")
            if isinstance(categories, dict):
                names.update(name for name, flagged in categories.items() if flagged)
        return sorted(names)

    def copy_metadata(self, other: "Reply") -> None:
        """Take over what `other` knows beside its JSON: status, headers, retries, elapsed, model, parsed."""
        self.status = other.status
        self.headers = other.headers
        self.retries = other.retries
        self.elapsed = other.elapsed
        self.model = other.model
        self.parsed = other.parsed


class Chunk(dict[str, Any]):
    """One part of a streamed reply, as the server sent it."""

    __slots__ = ("data", "first_index", "is_repeat")

    def __init__(self, payload: dict[str, Any], data: str = ""):
        super().__init__(payload)
        #: The JSON text of the event.
        self.data = data
        #: True if its message repeats what deltas have said before: see `MessageAccumulator`.
        self.is_repeat = False
        #: The index of the first choice: 0, unless the server counts otherwise.
        self.first_index = 0

    @property
    def text(self) -> str:
        """The text that this chunk adds to the first choice; "" if it adds none."""
        text = ""
        for choice in only_dicts(self.get("choices")):
            if choice.get("index") and choice_index(choice) != self.first_index:
                continue
            delta = choice.get("delta")
            if isinstance(delta, dict) and delta:
                text += content_text(delta.get("content"))
            elif not self.is_repeat:
                text += choice_text(choice)
        return text


def only_dicts(value: Any) -> list[dict[str, Any]]:
    """Return the objects in a list; [] for a value that is not a list."""
    if not isinstance(value, list):
        return []
    return [item for item in value if isinstance(item, dict)]


def choice_text(choice: dict[str, Any]) -> str:
    """Return the text of a choice of a chat or a completion; "" if it has none."""
    message = choice.get("message")
    if isinstance(message, dict):
        return content_text(message.get("content"))
    text = choice.get("text")
    return text if isinstance(text, str) else ""


# ---- a body


def read_reply(response: Response, limit: int = MAX_BYTES) -> Reply:
    """Read the body of a 2xx `response`, at most `limit` bytes, and return it as a Reply.

    Raises APIResponseValidationError for a body that is not a JSON object, holds an error or is over the limit; its
    `.truncated` is true for JSON that is cut off, which may be requested again like any broken body.  Raises what the
    transport raises while it reads.
    """
    return decode_reply(response.read(limit), response)


def decode_body(body: bytes) -> tuple[Any, bool]:
    """Return the JSON value in `body` and False, or None and True if it is not JSON.

    They are UTF-8 whatever the charset header says (RFC 8259, 8.1); a byte order mark is dropped.  Nothing is raised, so
    that no error of the caller has the JSONDecodeError, and with it the whole body, in its __context__.
    """
    try:
        return decode_json(body.decode("utf-8-sig")), False
    except ValueError:  # UnicodeDecodeError is one
        return None, True


def decode_reply(body: bytes, response: Response) -> Reply:
    """Return the Reply in `body`, with the metadata of `response`; raise as `read_reply` does."""
    payload, invalid = decode_body(body)
    if invalid:
        from .other_form import looks_like_events, merge_events  # not above: it imports this file

        if looks_like_events(body, response):
            payload = merge_events(body, response)
    if is_error(payload):
        raise error_in_success(payload, response)
    if response.request.url.partition("?")[0].endswith("/models"):
        payload = as_model_list(payload)
    if not isinstance(payload, dict):
        raise not_json_error(body, response, truncated=invalid and looks_truncated(body))
    if b"\\u" in body:
        # Only an escape can make half of a surrogate pair.
        payload = mend(payload)
    return with_metadata(Reply(payload), response)


def require_choices(reply: Reply, response: Response) -> Reply:
    """Return `reply`; raise APIResponseValidationError if it answers a chat or a completion without any choice."""
    path = response.request.url.partition("?")[0]
    if path.endswith("/completions") and not reply.choices:
        error = no_choice_error(json.dumps(reply, ensure_ascii=False), response)
        error.reply = reply
        raise error
    return reply


def with_metadata(reply: Reply, response: Response) -> Reply:
    """Return `reply` with the metadata of its `response`, and with normalised messages."""
    for choice in reply.choices:
        if choice.get("message") is None and isinstance(choice.get("delta"), dict):
            # A chunk in place of a reply.
            choice["message"] = choice.pop("delta")
        if isinstance(choice.get("message"), dict):
            choice["message"] = normalise(choice["message"])
    reply.status = response.status
    reply.headers = response.headers
    reply.retries = response.retries
    reply.elapsed = response.elapsed()
    reply.model = response.request.model
    return reply


# ---- an event of a stream


def decode_event(event: "Event", response: Response) -> Optional[Chunk]:
    """Return the chunk in an event, or None if it holds none: a ping, no data, null, a number.

    Raises APIError for an event that holds an error, APIResponseValidationError for one that is not JSON.
    """
    named_error = event.event == "error"
    if event.event == "ping":
        return None
    if not event.data.strip() and not named_error:
        return None
    payload = event.data
    valid = True
    try:
        payload = decode_json(event.data)
    except ValueError:
        valid = False
    # Raised outside `except`: __context__ would hold the JSONDecodeError, and with it all that was sent.
    if not valid and not named_error:
        raise APIResponseValidationError(
            f"an event of the stream is not JSON: {one_line(event.data, 120)} ({response.summary})"
        )
    if named_error or is_error(payload):
        raise error_in_event(payload, response)
    if not isinstance(payload, dict):
        return None
    return Chunk(payload, event.data)


def iter_texts(chunks: Iterable[Chunk]) -> Iterator[str]:
    """Yield the text of each chunk that has some, in whole characters.

    Half of a surrogate pair at the end of a chunk waits for its other half; one that remains alone becomes U+FFFD.
    """
    held = ""
    for chunk in chunks:
        text = chunk.text
        if held or not text.isascii():
            text, held = hold_half(held + text)
        if text:
            yield text
    if held:
        yield "\ufffd"
