"""What the calls of a scenario are for rawchat."""

from collections.abc import Mapping
from typing import Any

import rawchat

from .as_dataclasses import SHAPES
from .scenario import NOW


def opened(
    settings: Mapping[str, Any], added: Mapping[str, Any], waits: list[float]
) -> rawchat.Client:
    """A client that does not wait: `waits` is told how long it would have."""
    return rawchat.Client(
        **{**settings, "sleep": waits.append, "random": lambda: 0.5, "now": lambda: NOW, **added}
    )


def merge(client: rawchat.Client, messages: Any, **params: Any) -> rawchat.Reply:
    return client.stream_chat(messages, **{"model": "m", **params}).reply


def response_events(client: rawchat.Client, input: Any) -> list[Any]:
    with client.stream("/responses", {"model": "m", "input": input}) as events:
        return [[event.event, event.text] for event in events]


VERBS = {
    "chat": lambda client, messages, **params: client.chat(messages, **{"model": "m", **params}),
    "stream": lambda client, messages, **params: client.stream_chat(
        messages, **{"model": "m", **params}
    ),
    "merge": merge,
    "yardstick": merge,
    "parse": lambda client, messages, shape: client.parse(messages, into=SHAPES[shape], model="m"),
    "complete": lambda client, prompt, **params: client.complete(
        prompt, **{"model": "m", **params}
    ),
    "stream_complete": lambda client, prompt, **params: client.stream_complete(
        prompt, **{"model": "m", **params}
    ),
    "yardstick_complete": lambda client, prompt: client.stream_complete(prompt, model="m").reply,
    "moderate": rawchat.Client.moderate,
    "image": rawchat.Client.image,
    "models": rawchat.Client.models,
    "model": rawchat.Client.model,
    "embed": lambda client, input, **params: client.embed(input, model="e", **params),
    "transcribe": rawchat.Client.transcribe,
    "speak": lambda client, text, **params: client.speak(text, **params).read(),
    "upload": lambda client, file, **params: client.post("/files", {"file": file, **params}),
    "content": lambda client, id: client.get(f"/files/{id}/content"),
    "post": lambda client, path, body, headers=None: client.post(path, body, extra_headers=headers),
    "get": lambda client, path, query=None: client.get(path, extra_query=query),
    "delete": rawchat.Client.delete,
    "respond": lambda client, input: client.post("/responses", {"model": "m", "input": input}),
    "response_events": response_events,
    "close": rawchat.Client.close,
}


def dumped(reply: Any) -> Any:
    """What came, as JSON; bytes as Latin-1."""
    return reply.decode("latin-1") if isinstance(reply, bytes) else reply


def text(reply: Any) -> str:
    """The text of a reply or a chunk."""
    return str(reply.text)


def request_id(reply: Any) -> Any:
    return getattr(reply, "request_id", None)
