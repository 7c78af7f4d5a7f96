"""Read the response of any endpoint: a `Resource` for a JSON object, another JSON value, or `Content`."""

from typing import Any, Union

from ..compat.error_bodies import is_error
from ..compat.error_responses import error_in_success, looks_truncated, not_json_error
from ..reply import Reply, decode_body, only_dicts, with_metadata
from ..wire import Response
from ..wire.json_text import mend
from .content import as_content, media_type


class Resource(Reply):
    """The JSON object of any endpoint: a Reply whose `.text` knows /responses and transcriptions too."""

    @property
    def text(self) -> str:
        """The text of the first choice, of a response's messages (the SDK's `output_text`), or of a transcription."""
        if self.choices:
            return super().text
        if isinstance(self.get("output"), list):
            return "".join(output_texts(self["output"]))
        text = self.get("text")
        return text if isinstance(text, str) else ""


def output_texts(output: list[Any]) -> list[str]:
    """Return the texts in the output of /responses: those of type output_text, in its items of type message."""
    texts = []
    for item in only_dicts(output):
        if item.get("type") != "message":
            continue
        for part in only_dicts(item.get("content")):
            if part.get("type") == "output_text" and isinstance(part.get("text"), str):
                texts.append(part["text"])
    return texts


def is_json(response: Response) -> bool:
    """Return whether the content type of a response is JSON: application/json, or any that ends in +json (RFC 6839)."""
    kind = media_type(response)
    return kind in ("application/json", "text/json") or kind.endswith("+json")


def read_resource(response: Response, limit: int) -> Any:
    """Read a 2xx response, at most `limit` bytes: by its content type it is JSON, or bytes.

    Returns a Resource for a JSON object, any other JSON value as it is, Content for another type and for an empty
    body.  Raises APIResponseValidationError for invalid JSON, or JSON that holds only an error; JSON that is
    cut off may be requested again.  Raises what the transport raises.
    """
    body = response.read(limit)
    if not body.strip() or not is_json(response):
        return as_content(body, response)
    return decode_resource(body, response)


def decode_resource(body: bytes, response: Response) -> Union[Resource, Any]:
    """Return the JSON value in `body`, an object as a Resource; raise as `read_resource` does."""
    payload, invalid = decode_body(body)
    if invalid:
        raise not_json_error(body, response, truncated=looks_truncated(body))
    if is_nothing_but_error(payload):
        raise error_in_success(payload, response)
    payload = mend(payload)
    if isinstance(payload, dict):
        return with_metadata(Resource(payload), response)
    return payload


def is_nothing_but_error(payload: Any) -> bool:
    """Return whether JSON is an error in place of an answer.

    An object with an id is a resource that reports its own state: a fine-tuning job, a response, a batch.
    """
    if isinstance(payload, dict) and "id" in payload and payload.get("object") != "error":
        return False
    return is_error(payload)
