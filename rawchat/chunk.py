"""A `Chunk` is one part of a streamed reply; and the way to it from a server-sent event, or to the error it tells."""

from collections.abc import Iterable, Iterator
from typing import Any, Optional

from .encode import decode_json, hold_half
from .errors import APIError, APIResponseValidationError, one_line
from .refusals import not_json, tells_error, told
from .reply import decode
from .wire import Response


class Chunk(dict[str, Any]):
    """One part of a streamed reply, as the server sent it."""

    __slots__ = ("data",)

    def __init__(self, payload: dict[str, Any], data: str = ""):
        super().__init__(payload)
        self.data = data  #: the JSON text that it came as

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


def whole_texts(chunks: Iterable[Chunk]) -> Iterator[str]:
    """Yield the text of each chunk that has some; half of a character waits for the other half, or becomes U+FFFD."""
    held = ""
    for chunk in chunks:
        text = chunk.text
        if held or not text.isascii():
            text, held = hold_half(held + text)
        if text:
            yield text
    if held:
        yield "\ufffd"


def read(event: Any, response: Response) -> Optional[Chunk]:
    """The chunk that an event holds, or None where it holds none (a ping, null, a number); raises what it tells."""
    told_wrong = event.event == "error"
    if event.event == "ping" or not (event.data.strip() or told_wrong):
        return None
    try:
        payload = decode_json(event.data)
        whole = True
    except ValueError:
        payload = event.data
        whole = False
    if (
        not whole and not told_wrong
    ):  # out here: json's own error would go along, with all that was sent
        raise APIResponseValidationError(
            f"an event of the stream is not JSON: {one_line(event.data, 120)} ({response.asked})"
        )
    if told_wrong or tells_error(payload):
        said, fields = told(payload)
        raise APIError(f"error in the stream: {said} ({response.asked})", **fields)
    return Chunk(payload, event.data) if isinstance(payload, dict) else None


def whole_chunk(body: bytes, response: Response) -> Chunk:
    """A completion that was not streamed, as the one chunk that says it all; raises as `reply.decode` does."""
    reply = decode(body, response)
    if not reply.choices:
        raise not_json(body, response)
    choices = [
        {("delta" if name == "message" else name): value for name, value in choice.items()}
        for choice in reply.choices
    ]
    return Chunk({**reply, "choices": choices}, body.decode("utf-8-sig"))
