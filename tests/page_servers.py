"""The scripted servers behind the examples of the pages: what the model says in each of them."""

import json
import re
from collections.abc import Sequence

from .server import Answer, Step, answer, completion, delta, event, streamed

MODEL = "gpt-4o-mini"


def said(text: str) -> bytes:
    """Return the response with an answer of the model."""
    usage = {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15}
    return answer(completion(text, model=MODEL, usage=usage), headers={"x-request-id": "req_1"})


def streamed_words(text: str) -> list[Step]:
    """Return a streamed answer, a word in each chunk."""
    words = re.findall(r"\s*\S+", text)
    return streamed(
        [*(event(delta(word)) for word in words), event(delta(finish="stop")), event("[DONE]")]
    )


def failed(status: int, message: str, code: str) -> bytes:
    """Return an error response."""
    return answer({"error": {"message": message, "code": code}}, status, {"x-request-id": "req_1"})


def called(name: str, **arguments: object) -> bytes:
    """Return the response with a tool call of the model."""
    function = {"name": name, "arguments": json.dumps(arguments)}
    call = {"id": "call_1", "type": "function", "function": function}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
    return answer(completion(choices=[choice]))


NO_MODEL = failed(404, "The model 'gpt-9' does not exist", "model_not_found")
BUSY = answer({"error": {"message": "busy"}}, 503, {"retry-after-ms": "10"})

SCRIPTS: dict[str, Sequence[Answer]] = {
    "shell": [
        streamed_words("HTTP transfers data between clients and servers."),
        streamed_words("Fix the order of two arguments"),
        said('{"name": "Anne Bonny", "age": 24}'),
        streamed_words("Nice to meet you, Ann."),
        streamed_words("Your name is Ann."),
        NO_MODEL,
    ],
    "call": [
        said("Hello! How can I help?"),
        streamed_words("It is wide and blue."),
        BUSY,
        BUSY,
        NO_MODEL,
    ],
    "history": [said("Ahoy, Ann!"), streamed_words("Ye be Ann.")],
    "functions": [
        called("get_weather", city="Paris"),
        said("It is sunny in Paris."),
        said('{"name": "Science fair", "people": ["Ann", "Bob"]}'),
    ],
    "rows": [said("Hi."), said("Bye.")],
    "many": [said("Paris"), said("Paris"), said("4")],
}
