"""Speech to text and text to speech: /audio/transcriptions and /audio/speech."""

import pathlib
from typing import TYPE_CHECKING, Any, Union

from ..compat.error_responses import not_json_error
from ..errors import APIResponseValidationError, one_line
from ..reply import with_metadata
from ..wire import Response
from .build import build_request
from .content import ByteStream, media_type
from .events import EventStream
from .resource import Resource, decode_resource, is_json

if TYPE_CHECKING:
    from ..client.verbs import Verbs

#: Characters of a text in place of audio that a message quotes.
MAX_QUOTE = 120

#: Media types of a response to a request for speech that are not audio.
NOT_AUDIO = ("text/html", "text/plain", "text/event-stream", "application/json")


def transcribe(
    client: "Verbs",
    file: Any,
    model: str = "whisper-1",
    stream: bool = False,
    **params: Any,
) -> Union[Resource, EventStream]:
    """Return what is said in a recording: a Reply with `.text`, or with `stream` an EventStream with `.texts()`.

    file      a path, an open file, or (name, bytes)
    stream    True to receive the text while it is understood, where the server does that
    params    language, prompt, response_format …, and those of any call

    With response_format text, srt or vtt the server sends a text, which is the Reply's `.text`.  Raises OSError for a
    file that cannot be read.
    """
    if isinstance(file, str):
        file = pathlib.Path(file)
    body: dict[str, Any] = {"file": file, "model": model}
    if stream:
        body["stream"] = True
    request = build_request(client.config, "POST", "/audio/transcriptions", body, params)
    limit = client.config.max_bytes

    def open_events(response: Response) -> EventStream:
        return EventStream(response, limit, client.report)

    def read(response: Response) -> Resource:
        return read_transcription(response, limit)

    if stream:
        return client.send(request, open_events)
    return client.report(client.send(request, read))


def read_transcription(response: Response, limit: int) -> Resource:
    """Read a 2xx response: JSON, or a text (of response_format text, srt or vtt), which becomes the field `text`.

    Raises APIResponseValidationError for a web page, or JSON that is not an object.
    """
    body = response.read(limit)
    if is_json(response) or media_type(response) == "text/html":
        reply = decode_resource(body, response)
        if not isinstance(reply, Resource):
            raise not_json_error(body, response)
        return reply
    text = body.decode("utf-8-sig", "replace")
    return with_resource_metadata({"text": text}, response)


def with_resource_metadata(payload: dict[str, Any], response: Response) -> Resource:
    """Return `payload` as a Resource, with the metadata of its response."""
    resource = Resource(payload)
    with_metadata(resource, response)
    return resource


def speak(
    client: "Verbs", text: str, voice: str = "alloy", model: str = "gpt-4o-mini-tts", **params: Any
) -> ByteStream:
    """Return the sound of a text while it arrives: a ByteStream, to be iterated over, saved or read.

    params    instructions, response_format, speed …, and those of any call

    Raises APIResponseValidationError for a text in place of audio.
    """
    body = {"model": model, "input": text, "voice": voice}
    request = build_request(
        client.config, "POST", "/audio/speech", body, params, "application/octet-stream"
    )

    def read(response: Response) -> ByteStream:
        if media_type(response) in NOT_AUDIO:
            raise no_audio(response, client.config.max_bytes)
        return ByteStream(response, client.config.max_bytes)

    return client.send(request, read)


def no_audio(response: Response, limit: int) -> APIResponseValidationError:
    """Return the error for a text in place of audio; raise the error that the text holds, if it does."""
    body = response.read(limit)
    if is_json(response):
        decode_resource(body, response)
    excerpt = one_line(body.decode("utf-8", "replace"), MAX_QUOTE) or "empty body"
    error = APIResponseValidationError(
        f"{response.status}, but no audio ({media_type(response)}): {excerpt} ({response.summary})"
    )
    response.annotate(error)
    return error
