"""The server of the benchmarks: canned bytes, so that the client is measured.  Prints its port; ends with stdin.

With the file of a certificate as its argument, it speaks TLS.
"""

import contextlib
import json
import os
import socket
import ssl
import sys
import threading

CHUNKS = 5000
PLAIN = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}
    ],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
}


def chunk(text: str = "", finish: object = None) -> bytes:
    """One event as OpenAI sends it, in an HTTP chunk of its own."""
    payload = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        "system_fingerprint": "fp",
        "choices": [
            {
                "index": 0,
                "delta": {"content": text} if text else {},
                "logprobs": None,
                "finish_reason": finish,
            }
        ],
    }
    return framed(b"data: " + json.dumps(payload).encode() + b"\n\n")


def framed(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


BODY = json.dumps(PLAIN).encode()
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (
    len(BODY),
    BODY,
)


def stream(count: int) -> bytes:
    """A streamed answer in so many chunks."""
    return (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
        + b"".join(chunk(f" word{number}") for number in range(count))
        + chunk(finish="stop")
        + framed(b"data: [DONE]\n\n")
        + b"0\r\n\r\n"
    )


STREAM, SHORT = stream(CHUNKS), stream(10)


def serve(connection: socket.socket) -> None:
    with connection, connection.makefile("rb") as reader:
        for line in reader:
            if line.startswith(b"POST"):
                streamed = SHORT if b"/short/" in line else STREAM
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
            if line == b"\r\n":
                body = reader.read(length)
                connection.sendall(
                    streamed if b'"stream":true' in body.replace(b" ", b"") else ANSWER
                )


def serve_tls(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):  # a client that leaves at once
        serve(CONTEXT.wrap_socket(connection, server_side=True))


CONTEXT = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)


def main() -> None:
    listener = socket.create_server(("127.0.0.1", 0), backlog=512)
    answer = serve
    if len(sys.argv) > 1:  # the file of a certificate and its key
        CONTEXT.load_cert_chain(sys.argv[1])
        answer = serve_tls
    print(listener.getsockname()[1], flush=True)
    threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
    while True:
        connection, _ = listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=answer, args=[connection], daemon=True).start()


if __name__ == "__main__":
    main()
