"""Any endpoint: the verbs `post`, `get`, `delete` and `stream` of a client, and `embed`, `transcribe` and `speak`.

    client = rawchat.Client()
    response = client.post("/responses", {"model": "gpt-4o", "input": "Hi"})        # a Reply
    file = client.post("/files", {"purpose": "batch", "file": pathlib.Path("rows.jsonl")})
    client.get("/files/" + file["id"] + "/content").save("copy.jsonl")               # Content: bytes
    for event in client.stream("/responses", {"model": "gpt-4o", "input": "Hi"}):
        print(event.event, event.data)

The name is the SDK's, which has a resource for each endpoint.  The chapters: `build` makes the Request, with a form from
`multipart` and `files` if there are files in it; `resource`, `content` and `events` read the Response; `embeddings` and
`audio` know their endpoints.  Nothing else in rawchat needs this folder: without it, only these verbs are missing.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Union

from ..compat.error_responses import not_json_error
from ..reply import Reply
from ..wire import Request, Response
from .build import CALL_OPTIONS, build_request
from .content import ByteStream, Content, media_type
from .events import EventStream, ServerEvent
from .resource import Resource, read_resource

if TYPE_CHECKING:
    from ..client.verbs import Verbs

__all__ = [
    "ByteStream",
    "Content",
    "EventStream",
    "Resource",
    "ServerEvent",
    "call",
    "stream",
]

#: Bytes of a page in place of a stream that an error quotes.
MAX_PAGE = 2000


def call(client: "Verbs", method: str, path: str, body: Any, params: Mapping[str, Any]) -> Any:
    """Send one request to any path, and return its answer: `Client.post`, `get` and `delete`.

    path      below base_url, with or without a query.  An absolute URL of another origin gets no key, and nothing else
              of this client
    body      a dict, a list, or bytes; a dict that holds files, at any depth, becomes a form: an open file, a
              pathlib.Path, (name, bytes) or (name, bytes, content type)
    params    are added to the dict, or to the query of a GET or DELETE; and extra_headers, extra_query, extra_body,
              timeout.  The parameters of the client itself are for chats and completions, and are not added

    Returns a Reply for a JSON object, any other JSON value as it is, and Content, which is bytes, for any other
    content type; empty for an empty body.

    Raises TypeError or ValueError for what cannot be sent, and for a body that asks for a stream; OSError for a file
    that cannot be read, RawchatError for one that changes while it is sent; the APIError of the last attempt.
    """
    request = build_request(client.config, method, path, body, params)
    if request.draft and request.draft.get("stream"):
        raise TypeError("stream= is not a parameter of post(): use stream() to stream")

    def read(response: Response) -> Any:
        return read_resource(response, client.config.max_bytes)

    answer = client.send(request, read)
    return client.report(answer) if isinstance(answer, Reply) else answer


def stream(
    client: "Verbs", path: str, body: Any, params: Mapping[str, Any]
) -> Union[EventStream, ByteStream]:
    """Send one request to any path, and return its answer while it arrives: `Client.stream`.

    The parameters are those of `call`.  Without a body and fields for one it is a GET.  `stream: true` is added to a
    body, unless it holds `stream`; None leaves it out.

    Returns an EventStream for server-sent events, or for JSON in their place; a ByteStream for anything else.  Errors
    before the first byte are raised here, as by `call`.
    """
    has_fields = any(name not in CALL_OPTIONS for name in params)
    if body is None and not has_fields:
        return open_stream(client, build_request(client.config, "GET", path, None, params))
    if body is None or isinstance(body, Mapping):
        body = ask_for_stream(dict(body or {}))
    return open_stream(client, build_request(client.config, "POST", path, body, params))


def ask_for_stream(body: dict[str, Any]) -> dict[str, Any]:
    """Return a body with `stream`, unless the caller has decided about it; None leaves it out."""
    body.setdefault("stream", True)
    if body["stream"] is None:
        del body["stream"]
    return body


def open_stream(client: "Verbs", request: Request) -> Union[EventStream, ByteStream]:
    """Send `request` and return its events, or its bytes if its content type is neither that of events nor JSON.

    Raises APIResponseValidationError for a web page in answer to a POST.
    """

    def read(response: Response) -> Union[EventStream, ByteStream]:
        kind = media_type(response)
        is_download = request.method == "GET"
        if kind == "text/event-stream" or (not is_download and kind.endswith("json")):
            return EventStream(response, client.config.max_bytes, client.report)
        if kind == "text/html" and not is_download:
            raise not_json_error(response.read(client.config.max_bytes)[:MAX_PAGE], response)
        return ByteStream(response, client.config.max_bytes)

    return client.send(request, read)
