"""docs/wire.md: the bytes of a call, a stream, a retry, an error, a tool round and an upload.

    python -m tests.wire_page        write the page

Each section is a program and a script of responses.  The program is run against a scripted server, and the page shows
what it printed, what the server read from its socket, and what it wrote.  A test fails when the page is stale.
"""

import contextlib
import http
import io
import pathlib
import re
import sys
import textwrap
from collections.abc import Sequence
from typing import Any, NamedTuple

from .server import Answer, Seen, answer, completion, delta, event, serving, streamed

PAGE = pathlib.Path(__file__).parents[1] / "docs" / "wire.md"
PORT = "8080"  #: what the page calls the port of the server
BOUNDARY = re.compile(r"(?<=boundary=)[0-9a-f]{32}")
VERSIONS = re.compile(r"^User-Agent: rawchat/\S+ Python/\S+", re.MULTILINE)
MODEL = "gpt-4o-mini"
SETUP = f"""import rawchat

client = rawchat.Client(
    base_url="http://127.0.0.1:{PORT}/v1",
    api_key="sk-example-0123456789",
    model="{MODEL}",
    sleep=lambda seconds: print(f"waiting {{seconds}} s"),
)
"""
HEADING = f"""# The bytes of a call

What rawchat sends and receives, byte for byte: a scripted server on this machine wrote down what it read and what it
sent. The lines of a head end in CRLF, and an empty line ends it. A JSON body is a single line without a line end. Only the
versions in `User-Agent` are left out (`…`).

`python -m tests.wire_page` wrote this page, and a test fails when it is stale. `--trace` prints the same of a command of
yours, with the key hidden, and `rawchat.trace.traced` the same of a program.

Every program below begins with:

```python
{SETUP}```
"""


class Section(NamedTuple):
    title: str
    text: str
    code: str
    script: Sequence[Answer]


def said(text: str) -> dict[str, Any]:
    """Return a chat completion that says `text`."""
    return completion(text, model=MODEL)


def chunk(*args: Any, **kwargs: Any) -> bytes:
    """Return an event with a chunk."""
    return event(delta(*args, **kwargs, model=MODEL))


BUSY = answer({"error": {"message": "The server is busy."}}, 503, {"retry-after-ms": "250"})
NO_MODEL = answer(
    {
        "error": {
            "message": "The model 'gpt-9' does not exist",
            "type": "invalid_request_error",
            "param": "model",
            "code": "model_not_found",
        }
    },
    404,
    {"x-request-id": "req_1"},
)
CALL = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "get_weather", "arguments": '{"city": "Paris"}'},
}
TOOL_CALL = completion(
    model=MODEL,
    choices=[
        {
            "index": 0,
            "message": {"role": "assistant", "content": None, "tool_calls": [CALL]},
            "finish_reason": "tool_calls",
        }
    ],
)
SECTIONS = [
    Section(
        "A call",
        "The head is all that rawchat adds. The body is the arguments as compact JSON in UTF-8: parameters that rawchat does "
        "not know are passed on.",
        """reply = client.chat("Hi", temperature=0)
print(reply.text)
print(reply.finish_reason, reply.status, reply.retries)
""",
        [answer(said("Hello"))],
    ),
    Section(
        "A stream",
        "`stream` is true, and the server answers with server-sent events: `data:`, JSON, a blank line. HTTP/1.1 sends them "
        "in chunks of its own, each with its length in hexadecimal. The chunks of the model and the chunks of HTTP are "
        "two things: here, the second HTTP chunk ends in the middle of an event, and the text is still whole.",
        """with client.stream_chat("Hi") as stream:
    for text in stream.texts():
        print(repr(text))
print(stream.reply.message)
""",
        [
            streamed(
                [
                    chunk({"role": "assistant", "content": ""}),
                    chunk("Hel")[:60],
                    chunk("Hel")[60:] + chunk("lo"),
                    chunk(finish="stop") + event("[DONE]"),
                ]
            )
        ],
    ),
    Section(
        "A retry",
        "The first attempt fails with a status that is worth a retry, and the server says how long to wait. The second "
        "request is the first one again, byte for byte.",
        """reply = client.chat("Hi")
print(reply.text, reply.retries)
""",
        [BUSY, answer(said("Hello"))],
    ),
    Section(
        "An error",
        "A 404 is not worth a retry. Status and body become an exception with the class name of the official SDK.",
        """try:
    client.chat("Hi", model="gpt-9")
except rawchat.NotFoundError as error:
    print(error)
    print(error.status_code, error.code, error.param, error.request_id)
""",
        [NO_MODEL],
    ),
    Section(
        "A tool round",
        "The function's signature and docstring become the schema in `tools`. The model answers with a call, rawchat calls "
        "the function, and the second request repeats the messages, followed by the call and by what the function returned.",
        '''from rawchat import tools

def get_weather(city: str) -> str:
    """Return the weather in a city."""
    return "sunny, 24 degrees"

reply = tools.run("What is the weather in Paris?", tools=[get_weather], client=client)
print(reply.text)
''',
        [answer(TOOL_CALL), answer(said("It is sunny in Paris."))],
    ),
    Section(
        "An upload",
        "A body that holds a file becomes a form (RFC 7578): one part for each field, between lines with a boundary that "
        "occurs in none of them. The boundary is 32 random hexadecimal digits, here `…`. An open file or a path is read while it "
        "is sent.",
        """rows = b'{"custom_id": "1"}\\n{"custom_id": "2"}\\n'
file = client.post("/files", {"purpose": "batch", "file": ("rows.jsonl", rows)})
print(file["id"], file["bytes"])
""",
        [
            answer(
                {
                    "id": "file-1",
                    "object": "file",
                    "bytes": 38,
                    "filename": "rows.jsonl",
                    "purpose": "batch",
                }
            )
        ],
    ),
]


class Played(NamedTuple):
    """What a program printed, and what the server read."""

    printed: str
    requests: list[Seen]
    port: int


def with_reason(response: Answer) -> Answer:
    """Return a scripted response with the reason phrase of its status in place of "Whatever"."""
    steps = [response] if isinstance(response, bytes) else list(response)
    first = steps[0]
    assert isinstance(first, bytes)
    phrase = http.HTTPStatus(int(first.split(b" ", 2)[1])).phrase
    return [first.replace(b"Whatever", phrase.encode(), 1), *steps[1:]]


def played(section: Section) -> Played:
    """Run the program of a section against its script."""
    printed = io.StringIO()
    with serving(*map(with_reason, section.script)) as server:
        code = (SETUP + section.code).replace(f":{PORT}/", f":{server.port}/")
        with contextlib.redirect_stdout(printed):
            exec(compile(code, section.title, "exec"), {"__name__": "page"})
    return Played(printed.getvalue(), server.requests, server.port)


def steady(text: str, port: int) -> str:
    """Return a head with the port of the page, and without the versions of this machine."""
    text = text.replace(f":{port}", f":{PORT}")
    text = VERSIONS.sub("User-Agent: rawchat/… Python/…", text)
    boundary = BOUNDARY.search(text)
    return text.replace(boundary[0], "…") if boundary else text


def block(head_and_body: bytes, port: int) -> str:
    """Return the bytes of a request or a response as a block of a page."""
    text = steady(head_and_body.decode("utf-8").replace("\r\n", "\n"), port)
    return f"```http\n{text.rstrip(chr(10))}\n```\n"


def sent_by_server(script_item: Answer) -> bytes:
    """Return the bytes of a scripted response."""
    steps = [script_item] if isinstance(script_item, bytes) else script_item
    return b"".join(step for step in steps if isinstance(step, bytes))


def exchange(number: int, total: int, seen: Seen, response: Answer, port: int) -> str:
    """Return one request and its response."""
    which = f" {number}" if total > 1 else ""
    again = ", on the same connection" if number > 1 and seen.connection == 0 else ""
    request = block(seen.head + seen.body, port)
    return f"Request{which}{again}:\n\n{request}\nResponse{which}:\n\n{block(sent_by_server(with_reason(response)), port)}"


def section_text(section: Section) -> str:
    """Run a section and return its part of the page."""
    done = played(section)
    total = len(done.requests)
    exchanges = [
        exchange(number, total, seen, response, done.port)
        for number, (seen, response) in enumerate(zip(done.requests, section.script), 1)
    ]
    output = done.printed.replace(f":{done.port}/", f":{PORT}/")
    parts = [
        f"## {section.title}\n\n{textwrap.fill(section.text, 120)}\n",
        f"```python\n{section.code}```\n",
        f"It prints:\n\n```text\n{output}```\n",
        *exchanges,
    ]
    return "\n".join(parts)


def page() -> str:
    """Return docs/wire.md."""
    return "\n".join([HEADING, *map(section_text, SECTIONS)])


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(f"wrote {PAGE}", file=sys.stderr)
