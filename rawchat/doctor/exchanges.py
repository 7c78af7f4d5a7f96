"""One request of stage 2, what came back, and how to read it.  Pure: nothing is sent here."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Optional


class Exchange(NamedTuple):
    """A request, under base_url."""

    method: str
    path: str
    body: Optional[dict[str, Any]] = None

    def encode(self) -> Optional[bytes]:
        """Return the body as JSON; None without one."""
        return None if self.body is None else json.dumps(self.body).encode()


class Outcome(NamedTuple):
    """The result of one exchange: a response, or `failure`, which says why there is no whole one.

    `pieces` are the bytes of the body with the seconds after which they arrived.  `status` is 0 without a response;
    names of headers are in lower case.
    """

    status: int
    headers: Mapping[str, str]
    pieces: Sequence[tuple[float, bytes]]
    seconds: float
    reused: Optional[bool] = None  #: did the connection serve a request before?
    failure: str = ""

    @property
    def body(self) -> bytes:
        """Return the whole body."""
        return b"".join(piece for _, piece in self.pieces)

    @property
    def json(self) -> Any:
        """Return the JSON of the body; None if it is not JSON."""
        try:
            return json.loads(self.body.decode("utf-8-sig"))
        except (ValueError, RecursionError):
            return None

    @property
    def answered(self) -> bool:
        """Return whether the server did what was asked for, by its status."""
        return not self.failure and 200 <= self.status < 300


def objects(value: Any) -> list[dict[str, Any]]:
    """Return the objects in a list; [] for a value that is not a list."""
    if not isinstance(value, list):
        return []
    return [item for item in value if isinstance(item, dict)]


def choices(payload: Any) -> list[dict[str, Any]]:
    """Return the choices of a reply or chunk."""
    return objects(payload.get("choices")) if isinstance(payload, dict) else []


def message(payload: Any) -> dict[str, Any]:
    """Return the message of the first choice; {} without one."""
    for choice in choices(payload):
        found = choice.get("message")
        return found if isinstance(found, dict) else {}
    return {}


def text(payload: Any) -> str:
    """Return the text of the first choice's message: a string, or its parts joined."""
    content = message(payload).get("content")
    if isinstance(content, str):
        return content
    return "".join(str(part.get("text") or "") for part in objects(content))


def has_content(payload: Any) -> bool:
    """Return whether the first choice's message has a text, even an empty one."""
    return isinstance(message(payload).get("content"), (str, list))


def finish_reason(payload: Any) -> Any:
    """Return the finish_reason of the first choice."""
    for choice in choices(payload):
        return choice.get("finish_reason")
    return None


def has_usage(payload: Any) -> bool:
    """Return whether a reply or chunk holds a usage with token counts."""
    usage = payload.get("usage") if isinstance(payload, dict) else None
    return isinstance(usage, dict) and isinstance(usage.get("completion_tokens"), int)


def completion_tokens(payload: Any) -> Optional[int]:
    """Return the number of tokens that an answer took; None if the reply does not say."""
    return int(payload["usage"]["completion_tokens"]) if has_usage(payload) else None


def is_cut(payload: Any, limit: int) -> bool:
    """Return whether an answer ended at our own `limit` of tokens, and not because it was complete."""
    used = completion_tokens(payload)
    return finish_reason(payload) == "length" or (used is not None and used >= limit)


class Event(NamedTuple):
    """One event of a stream: its data, and the seconds after which it arrived."""

    seconds: float
    data: str

    @property
    def json(self) -> Any:
        """Return the JSON of the data; None if it is not JSON."""
        try:
            return json.loads(self.data)
        except (ValueError, RecursionError):
            return None


def deltas(events: Sequence[Event]) -> list[dict[str, Any]]:
    """Return the deltas of the first choice, in order."""
    found = []
    for event in events:
        for choice in choices(event.json):
            delta = choice.get("delta")
            if isinstance(delta, dict) and choice.get("index", 0) == 0:
                found.append(delta)
    return found


def streamed_finish(events: Sequence[Event]) -> Any:
    """Return the finish_reason that a stream gave; None if it gave none."""
    reasons = [choice.get("finish_reason") for event in events for choice in choices(event.json)]
    given = [reason for reason in reasons if reason]
    return given[-1] if given else None
