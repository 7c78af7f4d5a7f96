"""Any endpoint: embeddings, audio, files, responses, and raw requests to a path."""

import base64
import json
import struct

from tests.server import answer, head, streamed

from .scenario import Scenario, call


def coded(*numbers: float) -> str:
    """Floats as OpenAI sends them, in base64."""
    return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()


def vectors(*embeddings: object) -> bytes:
    """A reply of /embeddings."""
    data = []
    for index, embedding in enumerate(embeddings):
        data.append({"object": "embedding", "index": index, "embedding": embedding})
    usage = {"prompt_tokens": 2, "total_tokens": 2}
    return answer({"object": "list", "model": "e", "data": data, "usage": usage})


def typed(body: bytes, content_type: str) -> bytes:
    return head(200, Content_Type=content_type, Content_Length=len(body)) + body


def named(name: str, **fields: object) -> bytes:
    """One event of /responses."""
    return f"event: {name}\ndata: {json.dumps({'type': name, **fields})}\n\n".encode()


MESSAGE = {
    "type": "message",
    "id": "msg_1",
    "role": "assistant",
    "status": "completed",
    "content": [{"type": "output_text", "text": "Hello", "annotations": []}],
}
RESPONSE = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1,
    "status": "completed",
    "model": "m",
    "output": [MESSAGE],
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "tools": [],
}
EVENTS = [
    named("response.created", sequence_number=0, response={**RESPONSE, "output": []}),
    named(
        "response.output_text.delta",
        sequence_number=1,
        item_id="msg_1",
        output_index=0,
        content_index=0,
        delta="Hello",
        logprobs=[],
    ),
    named("response.completed", sequence_number=2, response=RESPONSE),
]
FILE = answer(
    {
        "id": "file-1",
        "object": "file",
        "bytes": 9,
        "created_at": 1,
        "filename": "rows.jsonl",
        "purpose": "batch",
        "status": "processed",
    }
)
WAV = ("talk.wav", b"RIFF\x00\xff\r\nWAVE")
ROWS = ("rows.jsonl", b'{"a": 1}\n')
TEXT = answer({"text": "Hello"})
OK = answer({"ok": True})

EMBEDDINGS = [
    Scenario("embeddings of one text", "14 embed", [vectors(coded(1, -0.5))], [call("embed", "a")]),
    Scenario(
        "embeddings of several texts",
        "14 embed",
        [vectors(coded(1, 2), coded(3, 4))],
        [call("embed", ["a", "b"], dimensions=2)],
    ),
    Scenario("embeddings of tokens", "14 embed", [vectors(coded(1))], [call("embed", [1, 2, 3])]),
    Scenario(
        "embeddings as floats, though base64 was requested",
        "14 embed",
        [vectors([1.0, 0.5])],
        [call("embed", "a")],
    ),
    Scenario(
        "embeddings of a server that refuses base64",
        "14 embed",
        [answer({"error": {"message": "unknown field encoding_format"}}, 400), vectors([1.0, 0.5])],
        [call("embed", "a")],
        look=("reply", "error"),
        better="an encoding that a server refuses is left out, and the request repeated",
        ours={
            "reply": {
                "object": "list",
                "model": "e",
                "data": [{"object": "embedding", "index": 0, "embedding": [1.0, 0.5]}],
                "usage": {"prompt_tokens": 2, "total_tokens": 2},
            },
            "error": None,
        },
    ),
]

AUDIO = [
    Scenario("a transcription", "14 transcribe", [TEXT], [call("transcribe", WAV)]),
    Scenario(
        "a transcription with options",
        "14 transcribe",
        [TEXT],
        [
            call(
                "transcribe",
                WAV,
                language="en",
                temperature=0.5,
                timestamp_granularities=["word", "segment"],
            )
        ],
    ),
    Scenario(
        "a transcription, sent again",
        "14 retries of the other verbs",
        [answer({}, 503), TEXT],
        [call("transcribe", WAV)],
    ),
    Scenario(
        "a recording whose name has quotes and letters beyond ASCII",
        "14 names",
        [TEXT],
        [call("transcribe", ('Grüße "1".wav', b"RIFF"))],
    ),
    Scenario("speech", "14 speak", [typed(b"ID3sound", "audio/mpeg")], [call("speak", "Hello")]),
    Scenario(
        "speech with options",
        "14 speak",
        [typed(b"sound", "audio/wav")],
        [call("speak", "Hello", response_format="wav", speed=1.5)],
    ),
]

FILES = [
    Scenario("a file is uploaded", "14 files", [FILE], [call("upload", ROWS, purpose="batch")]),
    Scenario(
        "an empty file is uploaded",
        "14 files",
        [FILE],
        [call("upload", ("empty.jsonl", b""), purpose="batch")],
    ),
    Scenario(
        "a file with a content type",
        "14 files",
        [FILE],
        [call("upload", ("rows", b"{}", "application/x-ndjson"), purpose="user_data")],
    ),
    Scenario(
        "a file is refused",
        "14 errors of the other verbs",
        [answer({"error": {"message": "too large", "code": "file_too_large"}}, 413)],
        [call("upload", ROWS, purpose="batch")],
    ),
    Scenario(
        "the content of a file",
        "14 bytes",
        [typed(b"\x00\xffrows", "application/octet-stream")],
        [call("content", "file-1")],
        look=("request.line", "request.authorization", "reply", "error"),
    ),
]

RAW = [
    Scenario("a raw POST", "14 post", [OK], [call("post", "/x", {"a": [1, "é"]})]),
    Scenario("a raw POST of a path without a slash", "14 post", [OK], [call("post", "x/y", {})]),
    Scenario(
        "a raw POST with headers", "14 post", [OK], [call("post", "/x", {}, headers={"X-A": "1"})]
    ),
    Scenario("a raw GET with a query", "14 get", [OK], [call("get", "/x", query={"limit": 2})]),
    Scenario("a raw GET of a path with a query", "14 get", [OK], [call("get", "/x?after=a")]),
    Scenario(
        "a raw DELETE",
        "14 delete",
        [OK],
        [call("delete", "/files/f")],
        better="a request without a body has no Content-Type",
        ours={"request.content-type": None},
    ),
    Scenario(
        "a raw POST, sent again",
        "14 retries of the other verbs",
        [answer({}, 500), OK],
        [call("post", "/x", {"a": 1})],
    ),
    Scenario(
        "a raw POST that is refused",
        "14 errors of the other verbs",
        [answer({"error": {"message": "no", "code": "c"}}, 422)],
        [call("post", "/x", {"a": 1})],
    ),
]

RESPONSES = [
    Scenario("a response", "14 /v1/responses", [answer(RESPONSE)], [call("respond", "Hi")]),
    Scenario(
        "the events of a response",
        "14 /v1/responses",
        [streamed(EVENTS)],
        [call("response_events", "Hi")],
    ),
    Scenario(
        "an error among the events of a response",
        "14 an error event",
        [streamed([*EVENTS[:2], named("error", sequence_number=2, code="c", message="it broke")])],
        [call("response_events", "Hi")],
        look=("error", "partial", "tells"),
        words="it broke",
        better="an error is an error",
        ours={"error": "APIError", "tells": True, "partial": "Hello"},
    ),
    Scenario(
        "the events of a response end early",
        "14 an early end",
        [streamed(EVENTS[:2])],
        [call("response_events", "Hi")],
        look=("error", "partial"),
        better="the caller learns that the answer is not whole, and .partial holds what came",
        ours={"error": "StreamInterruptedError", "partial": "Hello"},
    ),
]

SCENARIOS = [*EMBEDDINGS, *AUDIO, *FILES, *RAW, *RESPONSES]
