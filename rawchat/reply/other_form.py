"""Read a reply in the form that was not asked for: an event stream for a plain call, and plain JSON for a stream."""

from collections.abc import Generator, Iterable
from typing import Any, Optional

from ..compat.error_responses import no_choice_error, not_json_error
from ..merge import MessageAccumulator
from ..wire import NOTHING_YET, Response
from ..wire.json_text import is_json_object, mend
from . import Chunk, decode_event, decode_reply

#: First bytes of a body that is not a stream: JSON or a web page.  No server-sent event begins with one of them.
NOT_A_STREAM = (b"{", b"[", b"<")

# ---- an event stream for a plain call


def looks_like_events(body: bytes, response: Response) -> bool:
    """Return whether a body that is not JSON is an event stream: by its content type, its first field, or its lines."""
    start = body.lstrip(b"\xef\xbb\xbf \r\n")
    if start.startswith((b"data:", b"event:")) or events_of_lines(body) is not None:
        return True
    content_type = str(response.headers.get("content-type")).lower()
    return "text/event-stream" in content_type and start.startswith((b":", b"id:", b"retry:"))


def merge_events(body: bytes, response: Response) -> dict[str, Any]:
    """Return the merged JSON of an event stream that answers a plain call; raise as `read_reply` does."""
    from ..sse import events  # not above: it needs sseclient
    from ..sse.joined_events import is_done, split_joined

    merge = MessageAccumulator()
    done = False
    stream = events_of_lines(body) or body
    for event in split_joined(events([stream], max(len(stream), 1), error_field=True)):
        done = is_done(event.data)
        if done:
            break
        chunk = decode_event(event, response)
        if chunk is not None:
            merge.add(chunk)
    if not done and not merge.is_complete(response.request.n_choices):
        raise not_json_error(body, response, truncated=bool(merge.choices))
    merged: dict[str, Any] = mend(merge.build())
    return merged


# ---- lines of JSON


def events_of_lines(body: bytes) -> Optional[bytes]:
    """Return the event stream that a body of JSON objects, one in each line, would be; None if it is something else.

    Some servers forget the field name of the events (inferencerlabs/inferencer-feedback#42); others send a plain
    completion with the end of a stream behind it (decolua/9router#3492).

    >>> events_of_lines(b'{"x": 1}\\n\\n{"x": 2}\\ndata: [DONE]\\n')
    b'data: {"x": 1}\\n\\ndata: {"x": 2}\\n\\ndata: [DONE]\\n\\n'
    """
    text = body.decode("utf-8-sig", "replace").strip()
    if not text.startswith("{"):
        return None
    has_end = text.endswith("[DONE]")
    if has_end:
        text = text.removesuffix("[DONE]").rstrip().removesuffix("data:")
    lines = [line for line in text.split("\n") if line.strip()]
    if len(lines) == 1 and not has_end:
        return None
    if not all(map(is_json_object, lines)):
        return None
    if has_end:
        lines.append("[DONE]")
    return "".join(f"data: {line}\n\n" for line in lines).encode()


# ---- plain JSON for a stream


def collect(
    pieces: Iterable[bytes], limit: int, waiting: Chunk
) -> Generator[Chunk, None, list[bytes]]:
    """Return the pieces of a plain body, or those that first exceed `limit` bytes; yield `waiting` for each NOTHING_YET."""
    collected = []
    size = 0
    for piece in pieces:
        if piece is NOTHING_YET:
            yield waiting
            continue
        collected.append(piece)
        size += len(piece)
        if size > limit:
            break
    return collected


def chunk_from_reply(body: bytes, response: Response) -> Chunk:
    """Return a completion that was not streamed as one chunk; raise as `read_reply` does."""
    reply = decode_reply(body, response)
    text = body.decode("utf-8-sig")
    if not reply.choices:
        raise no_choice_error(text, response)
    choices = []
    for position, choice in enumerate(reply.choices):
        choice = {**choice, "index": position}
        if "message" in choice:
            choice["delta"] = choice.pop("message")
        choices.append(choice)
    return Chunk({**reply, "choices": choices}, text)
