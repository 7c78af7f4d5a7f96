"""What has to work in the browser's Python, where there are no sockets; `requests` is not installed here."""

import dataclasses
import os
import sys

import rawchat
from rawchat.stream import events

try:
    from js import XMLHttpRequest
except ImportError:
    sys.exit("this runs in Pyodide only")


def over_xhr(request):
    xhr = XMLHttpRequest.new()
    xhr.open(request.method, request.url, False)
    for name, value in request.headers.items():
        xhr.setRequestHeader(name, value)
    xhr.send(request.body.decode() if request.body else None)
    headers = dict(line.split(": ", 1) for line in xhr.getAllResponseHeaders().splitlines() if line)
    return rawchat.Response(xhr.status, headers, [xhr.responseText.encode()])


@dataclasses.dataclass
class Fair:
    """A day out."""

    name: str
    people: list[str]


assert "requests" not in sys.modules
request = rawchat.endpoints.chat(
    rawchat.config.load_config({"base_url": "http://host/v1"}, {}), "Hi", {}
)
assert request.url == "http://host/v1/chat/completions", request
assert [event.data for event in events([b"data: \xc3", b"\xbc\r", b"\n\r\n"])] == ["\u00fc"]

client = rawchat.Client(base_url=os.environ["BASE_URL"], api_key="sk-1", transport=over_xhr)
assert client.chat("Gr\u00fc\u00df dich").text == "Hello"
assert list(client.stream_chat("Hi").texts()) == ["Hel", "lo"]
try:
    client.models()
    sys.exit("a 404 is an error here too")
except rawchat.NotFoundError as error:
    said = str(error)
assert "no such thing" in said

history = rawchat.History(client, system="Be brief.", max_messages=4)
assert history.ask("Hi").text == "Hello"
assert "".join(history.stream("And?")) == "Hello"
assert [message["role"] for message in history] == ["system", *["user", "assistant"] * 2]
assert history.window() == [history[0], *history[3:]]
history.save("talk.jsonl")
assert rawchat.History.load("talk.jsonl") == history == history.fork()
try:
    history.ask("No")
    sys.exit("a question that is refused leaves no trace here too")
except rawchat.BadRequestError:
    assert len(history) == 5

assert rawchat.schema.schema(Fair)["required"] == ["name", "people"]
assert client.parse("Who goes where?", into=Fair) == Fair("fair", ["Ann", "Bob"])
assert "requests" not in sys.modules
print("well: Python", sys.version.split()[0], "on", sys.platform)
