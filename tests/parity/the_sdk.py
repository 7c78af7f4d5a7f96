"""What the calls of a scenario are for openai-python, in the words of its own documentation."""

import sys
import time
import types
from collections.abc import Mapping
from typing import Any, Optional

import openai
import openai._base_client
from openai import OpenAI

from .as_models import SHAPES
from .scenario import NOW, VERSION


def opened(settings: Mapping[str, Any], added: Mapping[str, Any], waits: list[float]) -> OpenAI:
    """A client that does not wait: `waits` is told how long it would have."""
    if openai.__version__ != VERSION:
        sys.exit(f"this is openai {openai.__version__}, the comparison is with {VERSION}")
    world = {**vars(time), "sleep": waits.append, "time": lambda: NOW}
    openai._base_client.time = types.SimpleNamespace(**world)
    openai._base_client.random = lambda: 0.5
    return OpenAI(**settings)


def chat(client: OpenAI, messages: Any, **params: Any) -> Any:
    return client.chat.completions.create(**{"model": "m", "messages": messages, **params})


def stream(client: OpenAI, messages: Any, **params: Any) -> Any:
    return chat(client, messages, stream=True, **params)


def merge(client: OpenAI, messages: Any, **params: Any) -> Any:
    with client.chat.completions.stream(**{"model": "m", "messages": messages, **params}) as events:
        for _ in events:
            pass
        return events.get_final_completion()


def parse(client: OpenAI, messages: Any, shape: str) -> Any:
    reply = client.chat.completions.parse(
        model="m", messages=messages, response_format=SHAPES[shape]
    )
    return reply.choices[0].message.parsed


def complete(client: OpenAI, prompt: Any, **params: Any) -> Any:
    return client.completions.create(**{"model": "m", "prompt": prompt, **params})


def stream_complete(client: OpenAI, prompt: Any, **params: Any) -> Any:
    return complete(client, prompt, stream=True, **params)


def speak(client: OpenAI, text: str, **params: Any) -> bytes:
    params = {"model": "gpt-4o-mini-tts", "voice": "alloy", **params}
    return client.audio.speech.create(input=text, **params).read()


def post(client: OpenAI, path: str, body: Any, headers: Any = None) -> Any:
    return client.post(path, body=body, cast_to=object, options={"headers": headers or {}})


def get(client: OpenAI, path: str, query: Any = None) -> Any:
    return client.get(path, cast_to=object, options={"params": query or {}})


def response_events(client: OpenAI, input: Any) -> list[Any]:
    with client.responses.create(model="m", input=input, stream=True) as events:
        return [[event.type, getattr(event, "delta", "")] for event in events]


VERBS = {
    "chat": chat,
    "stream": stream,
    "merge": merge,
    "parse": parse,
    "complete": complete,
    "stream_complete": stream_complete,
    "yardstick": chat,
    "yardstick_complete": complete,
    "moderate": lambda client, text, **params: client.moderations.create(input=text, **params),
    "image": lambda client, prompt, **params: client.images.generate(prompt=prompt, **params),
    "models": lambda client, **params: client.models.list(**params),
    "model": lambda client, id, **params: client.models.retrieve(id, **params),
    "embed": lambda client, input, **params: client.embeddings.create(
        input=input, model="e", **params
    ),
    "transcribe": lambda client, file, **params: client.audio.transcriptions.create(
        file=file, model="whisper-1", **params
    ),
    "speak": speak,
    "upload": lambda client, file, **params: client.files.create(file=file, **params),
    "content": lambda client, id: client.files.content(id).read(),
    "post": post,
    "get": get,
    "delete": lambda client, path: client.delete(path, cast_to=object),
    "respond": lambda client, input: client.responses.create(model="m", input=input),
    "response_events": response_events,
    "close": lambda client: client.close(),
}


def dumped(reply: Any) -> Any:
    """What came, as JSON; bytes as Latin-1."""
    if isinstance(reply, bytes):
        return reply.decode("latin-1")
    return reply.to_dict(mode="json") if isinstance(reply, openai.BaseModel) else reply


def text(reply: Any) -> Optional[str]:
    """The text of a reply or a chunk, as the documentation reads it."""
    if not reply.choices:
        return None
    choice = reply.choices[0]
    if hasattr(choice, "text"):
        return choice.text
    return (choice.delta if hasattr(choice, "delta") else choice.message).content


def request_id(reply: Any) -> Optional[str]:
    return getattr(reply, "_request_id", None)
