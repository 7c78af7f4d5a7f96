"""A server made of recordings, without a network: it answers with them, and refuses what the real one refuses."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Callable

import rawchat
from rawchat.wire import Request, Response

from ..recordings import Recording, client_of, read_recording
from ..server import HELLO, completion


def asks_for_schema(body: dict[str, Any]) -> bool:
    response_format = body.get("response_format") or {}
    return bool(response_format.get("type") == "json_schema")


def has_strict(body: dict[str, Any]) -> bool:
    return '"strict"' in json.dumps(body)


def has_additional(body: dict[str, Any]) -> bool:
    return '"additionalProperties"' in json.dumps(body)


def has_stream_options(body: dict[str, Any]) -> bool:
    return "stream_options" in body


def has_null_content(body: dict[str, Any]) -> bool:
    return any(message.get("content", "") is None for message in body["messages"])


@dataclass(frozen=True)
class Refusal:
    """What a server refuses, with one of its recordings."""

    kind: str
    refuses: Callable[[dict[str, Any]], bool]
    #: How the answer is reached all the same.
    remedy: str


REFUSALS: dict[str, list[Refusal]] = {
    "cohere": [Refusal("error", has_strict, "without `strict`")],
    "deepseek": [Refusal("error-json-schema", asks_for_schema, "in JSON mode")],
    "gemini": [Refusal("error-schema", has_additional, "without `additionalProperties`")],
    "llama-cpp-python": [
        Refusal("error", has_null_content, 'with `""` for null'),
        Refusal("error-json-schema", asks_for_schema, "in JSON mode"),
    ],
    "mistral": [Refusal("error-422", has_stream_options, "without `stream_options`")],
}

GOOD = Recording(200, {"Content-Type": "application/json"}, json.dumps(completion()).encode())
GOOD_STREAM = Recording(200, {"Content-Type": "text/event-stream"}, b"".join(HELLO))


class RecordedServer:
    """Answers with recordings, in their order, but refuses what the server refuses.

    bodies      the JSON of each request that was answered
    remedies    how the client got around each refusal
    """

    def __init__(self, server: str, answers: Sequence[Recording]):
        self.server = server
        self.answers = list(answers)
        self.bodies: list[dict[str, Any]] = []
        self.remedies: list[str] = []

    def __call__(self, request: Request) -> Response:
        body = json.loads(request.body or b"")
        for refusal in REFUSALS.get(self.server, ()):
            if refusal.refuses(body):
                self.remedies.append(refusal.remedy)
                return read_recording(f"{self.server}/{refusal.kind}").response()
        answer = self.answers[min(len(self.bodies), len(self.answers) - 1)]
        self.bodies.append(body)
        return answer.response()

    def client(self) -> rawchat.Client:
        return client_of(self)
