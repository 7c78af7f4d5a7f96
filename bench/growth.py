"""What one, two, three and four times the work cost: `python bench/growth.py` prints CPU seconds as JSON.

No server takes part: the transport returns canned bytes.
"""

import gc
import json
import time
from collections.abc import Callable
from typing import Any

import rawchat
from rawchat import History, bulk
from rawchat.cache import cached
from rawchat.stream import Stream
from rawchat.wire import Request, Response, Transport

TIMES = (1, 2, 3, 4)
ROUNDS = 5
CALLS = 100

PLAIN = {
    "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}
    ],
    "usage": {"prompt_tokens": 9, "completion_tokens": 1, "total_tokens": 10},
}
BODY = json.dumps(PLAIN).encode()


def answer(request: Request) -> Response:
    """Answer any request with the same bytes."""
    return Response(200, {"content-type": "application/json"}, [BODY])


def make_client(transport: Transport = answer, keys: Any = "sk-growth-1") -> rawchat.Client:
    return rawchat.Client(keys, "http://localhost/v1", model="m", environ={}, transport=transport)


def event(delta: dict[str, Any], finish: Any = None, **more: Any) -> bytes:
    payload = {"choices": [{"index": 0, "delta": delta, "finish_reason": finish, **more}]}
    return b"data: " + json.dumps(payload).encode() + b"\n\n"


def chunks(times: int) -> Callable[[], Any]:
    """Read a stream of plain chunks."""
    return reading([event({"content": " word"})] * 1000 * times)


def chunks_with_logprobs(times: int) -> Callable[[], Any]:
    """Read a stream whose chunks have logprobs and annotations."""
    token = {"token": " word", "logprob": -0.5, "bytes": [119], "top_logprobs": []}
    note = {"type": "url_citation", "url_citation": {"url": "http://localhost/"}}
    delta = {"content": " word", "annotations": [note]}
    return reading([event(delta, logprobs={"content": [token]})] * 1000 * times)


def tool_calls(times: int) -> Callable[[], Any]:
    """Read a stream of tool calls."""
    pieces = []
    for number in range(1000 * times):
        function = {"name": "f", "arguments": "{}"}
        call = {"index": number, "id": f"call_{number}", "type": "function", "function": function}
        pieces.append(event({"tool_calls": [call]}))
    return reading(pieces)


def reading(pieces: list[bytes]) -> Callable[[], Any]:
    pieces = [*pieces, event({}, "stop"), b"data: [DONE]\n\n"]
    return lambda: Stream(Response(200, {"content-type": "text/event-stream"}, pieces)).reply


def turns(times: int) -> Callable[[], Any]:
    """Ask in a conversation of thousands of turns, of which 20 messages are sent."""
    history = History(make_client(), system="s", max_messages=20)
    for number in range(1000 * times):
        history.append({"role": "user", "content": f"question {number}"})
        history.append({"role": "assistant", "content": f"answer {number}"})
    history.window()
    return lambda: [history.ask("Hi") for _ in range(CALLS)]


def rows(times: int) -> Callable[[], Any]:
    """Ask for rows."""
    client = make_client()
    return lambda: list(bulk.run_rows(["Hi"] * 200 * times, 4, client))


def keys(times: int) -> Callable[[], Any]:
    """Make calls with so many keys."""
    client = make_client(keys=[f"sk-growth-{number}" for number in range(100 * times)])
    return lambda: [client.chat("Hi") for _ in range(CALLS)]


def cache_entries(times: int) -> Callable[[], Any]:
    """Make calls that are answered from a cache of so many entries."""
    client = make_client(cached(answer, {}))
    for number in range(500 * times):
        client.chat(f"question {number}")
    return lambda: [client.chat("question 1") for _ in range(CALLS)]


#: What grows with its work, and what stays the same whatever there is beside it.
GROWING = [chunks, chunks_with_logprobs, tool_calls, rows]
CONSTANT = [turns, keys, cache_entries]


def cpu_seconds(work: Callable[[], Any]) -> float:
    """Return the least CPU seconds of several rounds."""
    least = float("inf")
    for _ in range(ROUNDS):
        gc.collect()
        start = time.process_time()
        work()
        least = min(least, time.process_time() - start)
    return least


def main() -> dict[str, list[float]]:
    """Return the CPU seconds of each kind of work, once to four times as much of it."""
    found = {}
    for kind in [*GROWING, *CONSTANT]:
        kind(1)()
        found[kind.__name__.replace("_", " ")] = [cpu_seconds(kind(times)) for times in TIMES]
    return found


if __name__ == "__main__":
    print(json.dumps(main()))
