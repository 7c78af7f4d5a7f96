"""docs/from-the-sdk.md: every line of rawchat in its tables runs, and gives what the page says."""

import ast
import asyncio
import base64
import contextlib
import dataclasses
import inspect
import io
import json
import pathlib
import re
from typing import Any

import pytest

import rawchat
from rawchat.wire import Request, Response

from .server import completion, delta, event
from .test_images import PNG

PAGE = pathlib.Path(__file__).parents[1] / "docs" / "from-the-sdk.md"
ROW = re.compile(r"^\| (.+?) \| `(.+)` \| `(.+)` \|$", re.MULTILINE)
#: the tables, without the one on what the lines take for granted
TABLES = PAGE.read_text(encoding="utf-8").partition("## Chat")[2]
ROWS = [(found[2], found[3]) for found in ROW.finditer(TABLES)]

USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
OUTPUT = [{"type": "message", "content": [{"type": "output_text", "text": "Hello"}]}]
FUNCTION = {"name": "get_weather", "arguments": '{"city": "Paris"}'}
EVENTS = (
    {"type": "response.output_text.delta", "delta": "Hello"},
    {"type": "response.completed", "response": {"id": "resp_1", "output": OUTPUT}},
)
ANSWERS: dict[str, Any] = {
    "POST /completions": {"choices": [{"index": 0, "text": " upon a time"}]},
    "POST /images/generations": {"data": [{"b64_json": base64.b64encode(PNG).decode()}]},
    "POST /moderations": {"results": [{"flagged": False, "categories": {}}]},
    "GET /models": {"data": [{"id": "gpt-4o"}]},
    "POST /audio/transcriptions": {"text": "Hello"},
    "POST /audio/speech": b"sound",
    "POST /files": {"id": "file-1"},
    "GET /files?limit=2": {"data": [{"id": "file-1"}]},
    "GET /files/file-1/content": b'{"a": 1}\n',
    "DELETE /files/file-1": {"id": "file-1", "deleted": True},
    "POST /new": {"ok": True},
    "POST /responses": {"id": "resp_1", "output": OUTPUT},
}


@dataclasses.dataclass
class Event:
    name: str


def get_weather(city: str) -> str:
    """Return the weather in a city."""
    return f"sunny in {city}"


def chat_message(body: dict[str, Any]) -> dict[str, Any]:
    """What the model says: a call of the first tool, once; an Event as JSON; else Hello."""
    if any(message["role"] == "tool" for message in body["messages"]):
        return {"role": "assistant", "content": "It is sunny."}
    if "tools" in body:
        call = {"id": "call_1", "type": "function", "function": FUNCTION}
        return {"role": "assistant", "content": None, "tool_calls": [call]}
    if body.get("response_format", {}).get("type") == "json_schema":
        return {"role": "assistant", "content": '{"name": "fair"}'}
    return {"role": "assistant", "content": "Hello"}


def chat_answer(body: dict[str, Any]) -> dict[str, Any]:
    reply = completion(usage=USAGE)
    choice = {"message": chat_message(body), "finish_reason": "stop"}
    if body.get("logprobs"):
        choice["logprobs"] = {"content": [{"token": "Hello", "logprob": -0.5}]}
    reply["choices"] = [{**choice, "index": index} for index in range(body.get("n", 1))]
    return reply


def answering(request: Request) -> Response:
    """A server in one function: the answer to a request by its method, path and body."""
    path = f"{request.method} {request.url.partition('/v1')[2]}"
    body = request.draft or {}
    payload: Any = ANSWERS.get(path)
    kind = "application/json"
    if body.get("model") == "busy":
        headers = {"content-type": kind, "x-request-id": "req_1"}
        error = {"error": {"message": "Slow down", "code": "busy"}}
        return Response(429, headers, [json.dumps(error).encode()])
    if path == "POST /embeddings":
        inputs = body["input"] if isinstance(body["input"], list) else [body["input"]]
        payload = {"data": [{"index": at, "embedding": [1, 0.5]} for at in range(len(inputs))]}
    elif body.get("stream"):
        kind = "text/event-stream"
        chunks = [delta("Hel"), delta("lo", "stop"), {"choices": [], "usage": USAGE}, "[DONE]"]
        payload = b"".join(map(event, EVENTS if path == "POST /responses" else chunks))
    elif path == "POST /chat/completions":
        payload = chat_answer(body)
    assert payload is not None, path
    if isinstance(payload, bytes):
        kind = kind if kind == "text/event-stream" else "application/octet-stream"
    else:
        payload = json.dumps(payload).encode()
    return Response(200, {"content-type": kind, "x-request-id": "req_1"}, [payload])


def run(line: str, names: dict[str, Any]) -> str:
    """Run a line and return the repr of its value, or what it prints."""
    if line.startswith("except "):
        line = f"try: client.chat(messages, model='busy')\n{line}"
    tree = ast.parse(line)
    last = tree.body[-1]
    if isinstance(last, ast.Expr):
        tree.body[-1] = ast.fix_missing_locations(
            ast.copy_location(ast.Assign([ast.Name("value", ast.Store())], last.value), last)
        )
    code = compile(tree, "page", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        if code.co_flags & inspect.CO_COROUTINE:
            asyncio.run(await_all(eval(code, names), names))
        else:
            exec(code, names)
    if "value" in names:
        return repr(names["value"])
    return " ".join(printed.getvalue().split())


async def await_all(running: Any, names: dict[str, Any]) -> None:
    """Run the coroutine of a line, and close the client in its loop."""
    try:
        await running
    finally:
        await names["aclient"].close()


@pytest.mark.parametrize(("line", "gives"), ROWS, ids=[line for line, _ in ROWS])
def test_a_line_gives_what_the_page_says(line: str, gives: str) -> None:
    pathlib.Path("cat.png").write_bytes(PNG)
    pathlib.Path("talk.wav").write_bytes(b"RIFF")
    pathlib.Path("rows.jsonl").write_bytes(b'{"a": 1}\n')
    settings: dict[str, Any] = {
        "base_url": "http://localhost/v1",
        "api_key": "sk-1",
        "transport": answering,
        "max_retries": 0,
        "environ": {},
    }
    names: dict[str, Any] = {
        "asyncio": asyncio,
        "pathlib": pathlib,
        "rawchat": rawchat,
        "client": rawchat.Client(**settings),
        "aclient": rawchat.AsyncClient(**settings),
        "messages": [{"role": "user", "content": "Hi"}],
        "tools": [{"type": "function", "function": {"name": "get_weather", "parameters": {}}}],
        "Event": Event,
        "get_weather": get_weather,
    }
    assert run(line, names) == gives


def test_every_row_with_three_cells_is_run() -> None:
    rows = [line for line in TABLES.splitlines() if re.match(r"\| (?!the SDK|---)", line)]
    assert len(ROWS) == len(rows) >= 40
