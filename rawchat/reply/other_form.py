"""Read a reply in the form that was not asked for: an event stream for a plain call, and plain JSON for a stream."""

from typing import Any

from ..compat.error_responses import no_choice_error, not_json_error
from ..merge import MessageAccumulator
from ..wire import Response
from ..wire.json_text import mend
from . import Chunk, decode_event, decode_reply

# ---- an event stream for a plain call


def looks_like_events(body: bytes, response: Response) -> bool:
    """Return whether a body that is not JSON is an event stream: by its content type, or its first field."""
    start = body.lstrip(b"\xef\xbb\xbf \r\n")
    if start.startswith((b"data:", b"event:")):
        return True
    content_type = str(response.headers.get("content-type")).lower()
    return "text/event-stream" in content_type and start.startswith((b":", b"id:", b"retry:"))


def merge_events(body: bytes, response: Response) -> dict[str, Any]:
    """Return the merged JSON of an event stream that answers a plain call; raise as `read_reply` does."""
    from ..sse import events  # not above: it needs sseclient

    merge = MessageAccumulator()
    done = False
    for event in events([body], max(len(body), 1), error_field=True):
        done = event.data.lstrip().startswith("[DONE]")
        if done:
            break
        chunk = decode_event(event, response)
        if chunk is not None:
            merge.add(chunk)
    if not done and not merge.is_complete(response.request.n_choices):
        raise not_json_error(body, response, truncated=bool(merge.choices))
    merged: dict[str, Any] = mend(merge.build())
    return merged


# ---- plain JSON for a stream


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
