"""A conversation by /v1/responses: the server keeps it, and each request names the response before it."""

from typing import Any

import rawchat

client = rawchat.Client()
previous = None
for question in ("My name is Ann.", "What is my name?"):
    body: dict[str, Any] = {"model": "gpt-4o-mini", "input": question}
    if previous:
        body["previous_response_id"] = previous
    with client.stream("/responses", body) as stream:
        for piece in stream.texts():
            print(piece, end="", flush=True)
    print()
    previous = stream.reply["id"]
