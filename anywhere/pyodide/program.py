"""What has to work in the browser's Python, where there are no sockets; `requests` is not installed here."""
import os
import sys

import rawchat
from rawchat.stream import events

try:
    from js import XMLHttpRequest
except ImportError:
    sys.exit("this runs in Pyodide only")


def over_xhr(request: rawchat.Request) -> rawchat.Response:
    """A network of your own: any function Request -> Response."""
    xhr = XMLHttpRequest.new()
    xhr.open(request.method, request.url, False)
    for name, value in request.headers.items():
        xhr.setRequestHeader(name, value)
    xhr.send(request.body.decode() if request.body else None)
    return rawchat.Response(xhr.status, {"content-type": xhr.getResponseHeader("content-type") or ""},
                            [xhr.responseText.encode()])


assert "requests" not in sys.modules
request = rawchat.endpoints.chat(rawchat.config.load({"base_url": "http://host/v1"}, {}), "Hi", {})
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

if "history" in rawchat.HOMES:
    history = rawchat.History(client)
    assert history.ask("Hi").text == "Hello"
    assert len(history) == 2
if "schema" in rawchat.HOMES:
    import rawchat.schema
print("well: Python", sys.version.split()[0], "on", sys.platform)
