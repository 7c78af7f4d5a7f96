"""The loopback parts of the doctor's tests: an API that is healthy but for one defect, and a proxy."""

import contextlib
import email.utils
import gzip
import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any, Callable, Optional
from urllib.parse import urlsplit

from ..server import (
    RESET,
    Answer,
    Listener,
    Seen,
    Server,
    answer,
    event,
    head,
    play,
    read_request,
    streamed,
)

KEY = "sk-doctor-0123456789"
MODEL = "m-1"
NUMBERS = 20
Reply = Callable[[Seen], Answer]


class Clock:
    """A clock that stands until it is advanced."""

    def __init__(self) -> None:
        self.value = 100.0

    def __call__(self) -> float:
        return self.value

    def advance(self, seconds: float) -> None:
        self.value += seconds


class Replying(Server):
    """A server whose answers depend on the request; over TLS if it has a context."""

    def __init__(
        self, reply: Reply, context: Optional[ssl.SSLContext] = None, host: str = "127.0.0.1"
    ):
        super().__init__([])
        self._reply, self._context, self._host = reply, context, host

    def __enter__(self) -> "Replying":
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        self._listener = socket.create_server((self._host, 0), family=family, backlog=64)
        self.port = self._listener.getsockname()[1]
        place = f"[{self._host}]" if ":" in self._host else self._host
        self.origin = f"{'https' if self._context else 'http'}://{place}:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def serve(self, connection: socket.socket, number: int) -> None:
        with contextlib.suppress(OSError, ValueError):
            if self._context:
                connection = self._context.wrap_socket(connection, server_side=True)
                self._open.append(connection)
            with connection, connection.makefile("rb") as reader:
                while True:
                    seen = read_request(reader, number)
                    if seen is None:
                        return
                    self.requests.append(seen)
                    steps = self._reply(seen)
                    if not play(connection, [steps] if isinstance(steps, bytes) else steps):
                        return
                    if b"connection: close" in seen.head.lower():
                        return


class Api:
    """A small OpenAI-compatible API: correct in all that the probe looks at, but for `defect`."""

    def __init__(
        self,
        defect: str = "",
        clock: Optional[Clock] = None,
        key: str = KEY,
        date: Optional[float] = None,
    ):
        self.defect, self.clock, self.key = defect, clock or Clock(), key
        self.date = time.time() if date is None else date
        self.separator = ", "
        self._calls = 0

    def __call__(self, seen: Seen) -> Answer:
        self._calls += 1
        # As a proxy it is sent whole URLs (RFC 9112, 3.2.2).
        path = urlsplit(seen.target).path
        if self.key and seen.headers.get("authorization") != f"Bearer {self.key}":
            return self.fail(
                401, "Incorrect API key provided: " + seen.headers.get("authorization", "")
            )
        if path == "/v1/models":
            return self.list_models(seen)
        if path == "/v1/chat/completions":
            return self.chat(seen.json)
        if path == "/v1/completions" and self.defect != "completions-missing":
            return self.plain(
                {"object": "text_completion", "choices": [{"index": 0, "text": " 4, 5"}]}
            )
        if path == "/v1/embeddings" and self.defect != "embeddings-missing":
            return self.plain({"data": [{"index": 0, "embedding": [0.5, 0.25]}]})
        return self.fail(404, "no such path")

    def plain(
        self, payload: Any, status: int = 200, headers: Optional[dict[str, str]] = None
    ) -> bytes:
        fields = {"Date": email.utils.formatdate(self.date, usegmt=True), **(headers or {})}
        if self.defect == "closes":
            fields["Connection"] = "close"
        return answer(payload, status, fields)

    def fail(
        self, status: int, message: str, code: Optional[str] = None, parameter: Optional[str] = None
    ) -> bytes:
        error = {
            "message": message,
            "type": "invalid_request_error",
            "code": code,
            "param": parameter,
        }
        return self.plain({"error": error}, status)

    def list_models(self, seen: Seen) -> Answer:
        models = [{"id": MODEL, "object": "model", "max_model_len": 64}]
        if self.defect == "models-missing":
            return self.fail(404, "no such path")
        if self.defect == "models-bare":
            return self.plain(models)
        if self.defect != "no-gzip" and "gzip" in seen.headers.get("accept-encoding", ""):
            body = gzip.compress(json.dumps({"object": "list", "data": models}).encode())
            return self.plain(body, headers={"Content-Encoding": "gzip"})
        return self.plain({"object": "list", "data": models})

    # ---- chat

    def chat(self, body: dict[str, Any]) -> Answer:
        if not body.get("messages"):
            return self.refuse_empty()
        if body["model"] == "loading":
            # Nothing is sent until the client gives up.
            return [lambda sock: sock.recv(1)]
        if body["model"] != MODEL:
            return self.fail(404, f"The model `{body['model']}` does not exist", "model_not_found")
        refusal = self.refuse(body)
        if refusal:
            return refusal
        message, finish = self.message(body)
        if body.get("stream") and self.defect != "stream-ignored":
            return self.stream(body, message, finish)
        count = body.get("n", 1) if self.defect != "n-ignored" else 1
        choice: dict[str, Any] = {"message": message, "finish_reason": finish}
        if self.defect == "no-finish" and finish == "stop":
            choice["finish_reason"] = None
        if body.get("logprobs") and self.defect != "no-logprobs":
            choice["logprobs"] = {"content": [{"token": "1", "logprob": -0.1, "top_logprobs": []}]}
        choices = [{"index": index, **choice} for index in range(count)]
        usage = {"prompt_tokens": 9, "completion_tokens": 9, "total_tokens": 18}
        payload = {
            "id": "c",
            "object": "chat.completion",
            "model": MODEL,
            "choices": choices,
            "usage": usage,
        }
        if self.defect == "no-usage":
            del payload["usage"]
        return self.plain(payload)

    def refuse_empty(self) -> Answer:
        if self.defect == "errors-text":
            return self.plain({"error": "messages: field required"}, 400)
        if self.defect == "errors-500":
            return self.fail(500, "KeyError: 'messages'")
        if self.defect == "empty-accepted":
            return self.plain({"choices": []})
        return self.fail(400, "messages: field required")

    def refuse(self, body: dict[str, Any]) -> Optional[Answer]:
        """Return the refusal that a parameter deserves, or the defect wants."""
        refused = {
            "max_tokens-refused": ("max_tokens", "use 'max_completion_tokens' instead"),
            "n-refused": ("n", "n is not supported"),
            "stream_options-refused": ("stream_options", "Unsupported parameter: stream_options"),
            "unknown-refused": ("rawchat_doctor", "Unrecognized request argument: rawchat_doctor"),
            "tools-refused": ("tools", "tools are not supported"),
            "required-refused": ("tool_choice", "tool_choice must be auto"),
        }
        name, words = refused.get(self.defect, ("", ""))
        if name in body:
            return self.fail(400, words, None, name)
        texts = [message["content"] for message in body["messages"]]
        if None in texts and self.defect == "null-refused":
            return self.fail(422, "content: input should be a valid string")
        if sum(len(str(text).split()) for text in texts) > 64:
            if self.defect == "overflow-unclear":
                return self.fail(400, "bad request")
            message = "This model's maximum context length is 64 tokens."
            return self.fail(400, message, "context_length_exceeded")
        return None

    def message(self, body: dict[str, Any]) -> tuple[dict[str, Any], str]:
        """Return the message of the answer, and its finish_reason."""
        limit = body.get("max_completion_tokens", body.get("max_tokens"))
        if self.defect == "limit-ignored":
            limit = None
        if limit == 4:
            return {"role": "assistant", "content": "1,"}, "length"
        if (
            body.get("tools")
            and body["messages"][-1]["role"] == "user"
            and self.defect != "tools-ignored"
        ):
            return {
                "role": "assistant",
                "content": None,
                "tool_calls": self.calls(body),
            }, "tool_calls"
        return {"role": "assistant", "content": self.text(body)}, "stop"

    def calls(self, body: dict[str, Any]) -> list[dict[str, Any]]:
        cities = ["Paris"]
        if body.get("parallel_tool_calls") and self.defect != "one-call":
            cities = ["Paris", "Rome"]
        calls = []
        for number, city in enumerate(cities):
            arguments: Any = json.dumps({"city": city})
            if self.defect == "arguments-object" and not body.get("stream"):
                arguments = {"city": city}
            function = {"name": "get_weather", "arguments": arguments}
            calls.append({"id": f"call_{number}", "type": "function", "function": function})
        return calls

    def text(self, body: dict[str, Any]) -> str:
        wanted = body.get("response_format", {}).get("type")
        if wanted == "json_object" and self.defect != "json-prose":
            found = '{"name": "Ann", "age": 7}'
            return f"```json\n{found}\n```" if self.defect == "json-fenced" else found
        if wanted == "json_schema":
            return (
                '{"who": "Ann"}' if self.defect == "schema-ignored" else '{"name": "Ann", "age": 7}'
            )
        if "seed" in body:
            return (
                f"Argo {self._calls}" if self.defect == "seed-ignored" else f"Argo {body['seed']}"
            )
        text = self.separator.join(str(number) for number in range(1, NUMBERS + 1))
        for word in body.get("stop", []):
            if self.defect != "stop-ignored":
                text = text.partition(word)[0]
        return text

    # ---- streams

    def stream(self, body: dict[str, Any], message: dict[str, Any], finish: str) -> Answer:
        events = self.stream_events(body, message, finish)
        headers = {"Date": email.utils.formatdate(self.date, usegmt=True)}
        if self.defect == "closes":
            headers["Connection"] = "close"
        if self.defect == "stream-length":
            return streamed(events, "length", headers)
        if self.defect == "stream-cut":
            return [*streamed(events[:4], "chunked", headers, end=False), RESET]
        if self.defect == "stream-buffered":
            headers["Server"] = "nginx/1.25"
            seconds = body["max_tokens"] / 48  # the longer the answer, the longer the wait
            steps = streamed(events, "chunked", headers)
            whole = b"".join(step for step in steps if isinstance(step, bytes))
            return [lambda sock: self.clock.advance(seconds), whole]
        if self.defect == "slow-start":
            return [lambda sock: self.clock.advance(2.0), *streamed(events, "chunked", headers)]
        return streamed(events, "chunked", headers)

    def stream_events(
        self, body: dict[str, Any], message: dict[str, Any], finish: str
    ) -> Sequence[bytes]:
        chunks: list[dict[str, Any]] = [{"delta": {"role": "assistant", "content": ""}}]
        if message.get("tool_calls"):
            call = message["tool_calls"][0]
            start = {**call, "function": {**call["function"], "arguments": ""}}
            rest = {"function": {"arguments": call["function"]["arguments"]}}
            for part in (start, rest):
                if self.defect != "no-index":
                    part["index"] = 0
                chunks.append({"delta": {"tool_calls": [part]}})
        else:
            chunks += [{"delta": {"content": word + " "}} for word in message["content"].split()]
        chunks.append(
            {"delta": {}, "finish_reason": None if self.defect == "stream-no-finish" else finish}
        )
        events = [
            event({"object": "chat.completion.chunk", "choices": [{"index": 0, **chunk}]})
            for chunk in chunks
        ]
        if body.get("stream_options") and self.defect != "usage-ignored":
            usage = {"prompt_tokens": 9, "completion_tokens": 9, "total_tokens": 18}
            events.append(event({"choices": [], "usage": usage}))
        if self.defect != "no-done":
            events.append(event("[DONE]"))
        return events


class Proxy(Listener):
    """An HTTP proxy that opens tunnels to the ports in `routes`.

    `credentials` are those it wants; `whole` is a function that plays a connection in its place.
    """

    def __init__(
        self,
        routes: dict[str, int],
        credentials: str = "",
        whole: Optional[Callable[[socket.socket], None]] = None,
    ):
        super().__init__()
        self.routes, self.credentials, self.whole = routes, credentials, whole
        self.heads: list[bytes] = []

    @property
    def url(self) -> str:
        return self.origin

    def serve(self, connection: socket.socket, number: int) -> None:
        with contextlib.suppress(OSError), connection:
            if self.whole:
                self.whole(connection)
                return
            data = b""
            while not data.endswith(b"\r\n\r\n"):
                data += connection.recv(1) or b"\r\n\r\n"
            self.heads.append(data)
            host = data.split()[1].decode().rpartition(":")[0]
            if self.credentials and self.credentials.encode() not in data:
                connection.sendall(head(407, Proxy_Authenticate="Basic", Content_Length=0))
            elif host not in self.routes:
                connection.sendall(head(502, Content_Length=0))
            else:
                with socket.create_connection(("127.0.0.1", self.routes[host])) as server:
                    self._open.append(server)
                    connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                    threading.Thread(target=relay, args=(server, connection), daemon=True).start()
                    relay(connection, server)


def relay(source: socket.socket, sink: socket.socket) -> None:
    """Send on all that comes, and the end of it."""
    with contextlib.suppress(OSError):
        while True:
            data = source.recv(65536)
            if not data:
                sink.shutdown(socket.SHUT_WR)
                return
            sink.sendall(data)


@contextlib.contextmanager
def closed_port() -> Iterator[int]:
    """A port on which nothing listens, and nothing will while the block runs."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


@contextlib.contextmanager
def silent_port(full: bool) -> Iterator[int]:
    """A listener that never accepts; `full`: its queue has no room, so that not even TCP answers (on Linux)."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0 if full else 64)
        for _ in range(3 if full else 0):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]
