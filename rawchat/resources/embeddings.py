"""Embeddings: texts to vectors, requested as base64, a quarter of the bytes of floats in JSON."""

import base64
import binascii
import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Optional

from ..config import Config
from ..errors import APIResponseValidationError
from ..reply import Reply, only_dicts
from ..wire import Request, Response
from ..wire.json_text import AddedText
from .build import build_request
from .resource import decode_resource

if TYPE_CHECKING:
    from ..client.verbs import Verbs

DEFAULT_MODEL = "text-embedding-3-small"

#: Bytes of a number in an embedding: a float of single precision, the least significant byte first, as OpenAI sends it.
FLOAT_SIZE = 4


class Embeddings(Reply):
    """The reply to `embed`: `.embeddings`, and all that the server sent."""

    def __repr__(self) -> str:
        vectors = self.embeddings
        dimensions = len(vectors[0]) if vectors else 0
        return f"<Embeddings {len(vectors)} x {dimensions}>"

    @property
    def embeddings(self) -> list[list[float]]:
        """The vectors, one for each input, in the order of the inputs."""
        return [item["embedding"] for item in self["data"]]


def embed(
    client: "Verbs",
    input: Any,
    model: str = DEFAULT_MODEL,
    dimensions: Optional[int] = None,
    batch_size: Optional[int] = None,
    **params: Any,
) -> Embeddings:
    """Return the vectors of texts in `.embeddings`, lists of floats in the order of `input`.

    input        a text, a list of texts, or tokens: integers, or lists of them
    model        default: DEFAULT_MODEL; the client's own model is one for chats
    dimensions   numbers in a vector; default: the model's
    batch_size   inputs in one request; default: all of them.  The usage of several requests is added up, and `on_reply`
                 is called for each.
    params       as of any call

    The vectors are requested as base64, as the SDK does, unless `encoding_format` says otherwise; a server may ignore
    that, or refuse it: then they are requested without it (see `compat`).

    Raises ValueError for a batch_size below 1; APIResponseValidationError for any other number of vectors than inputs.
    """
    if batch_size is not None and (not isinstance(batch_size, int) or batch_size < 1):
        raise ValueError(f"batch_size must be a positive integer, got {batch_size!r}")
    texts = as_list(input)
    batches: list[Any] = [input]
    if batch_size is not None and texts is not None and len(texts) > batch_size:
        batches = [texts[start : start + batch_size] for start in range(0, len(texts), batch_size)]
    replies = [embed_batch(client, batch, model, dimensions, params) for batch in batches]
    return merge(replies)


def as_list(input: Any) -> Optional[list[Any]]:
    """Return several inputs as a list; None for one input, a text or its tokens."""
    if isinstance(input, str) or not isinstance(input, Sequence):
        return None
    inputs = list(input)
    if inputs and isinstance(inputs[0], int):
        return None
    return inputs


def embed_batch(
    client: "Verbs",
    input: Any,
    model: str,
    dimensions: Optional[int],
    params: Mapping[str, Any],
) -> Embeddings:
    """Send one request and return its reply."""
    fields = {"model": model, **params}
    if dimensions is not None:
        fields["dimensions"] = dimensions
    request = embeddings_request(client.config, input, fields)
    inputs = as_list(input)
    count = 1 if inputs is None else len(inputs)

    def read(response: Response) -> Embeddings:
        return read_embeddings(response, client.config.max_bytes, count)

    return client.report(client.send(request, read))


def embeddings_request(config: Config, input: Any, params: Mapping[str, Any]) -> Request:
    """Return the request to POST /embeddings; `params` are as of any call."""
    body = {"model": DEFAULT_MODEL, "input": input, "encoding_format": AddedText("base64")}
    return build_request(config, "POST", "/embeddings", body, params)


def read_embeddings(response: Response, limit: int, count: int) -> Embeddings:
    """Read a 2xx response with `count` vectors.

    Raises APIResponseValidationError for any other number of them, or an entry that is not a vector.
    """
    reply = decode_resource(response.read(limit), response)
    data = reply.get("data") if isinstance(reply, dict) else None
    if not isinstance(data, list):
        raise no_embeddings(response, "no list of them in 'data'")
    items = sorted(enumerate(only_dicts(data)), key=index_of)
    if len(items) != count:
        raise no_embeddings(response, f"{len(items)} for {count} inputs")
    decoded = []
    for _, item in items:
        vector = decode_vector(item.get("embedding"))
        if vector is None:
            raise no_embeddings(response, "one is neither base64 nor a list of numbers")
        decoded.append({**item, "embedding": vector})
    embeddings = Embeddings({**reply, "data": decoded})
    embeddings.copy_metadata(reply)
    return embeddings


def index_of(item: tuple[int, dict[str, Any]]) -> int:
    """Return the index of the input that an entry of `data` belongs to; its own place if it names none."""
    place, fields = item
    index = fields.get("index")
    return index if isinstance(index, int) else place


def decode_vector(value: Any) -> Optional[list[float]]:
    """Return an embedding as floats, from base64 or a list of numbers; None for anything else.

    >>> decode_vector("AACAPwAAAMA=")
    [1.0, -2.0]
    """
    if isinstance(value, str):
        try:
            data = base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            return None
        if not data or len(data) % FLOAT_SIZE:
            return None
        return list(struct.unpack(f"<{len(data) // FLOAT_SIZE}f", data))
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], list):
        value = value[0]  # llama.cpp's own endpoint nests them
    if not isinstance(value, list) or not value:
        return None
    if not all(isinstance(number, (int, float)) for number in value):
        return None
    return [float(number) for number in value]


def no_embeddings(response: Response, problem: str) -> APIResponseValidationError:
    """Return the error for a reply that lacks the embeddings that were asked for."""
    error = APIResponseValidationError(
        f"{response.status}, but not the embeddings: {problem} ({response.summary})"
    )
    response.annotate(error)
    return error


# ---- several requests


def merge(replies: list[Embeddings]) -> Embeddings:
    """Return the replies to several batches as one: the vectors in their order, and the sum of their usage."""
    first = replies[0]
    if len(replies) == 1:
        return first
    data = []
    for number, item in enumerate(iter_data(replies)):
        data.append({**item, "index": number})
    merged = Embeddings({**first, "data": data})
    merged.copy_metadata(first)
    merged.retries = sum(reply.retries for reply in replies)
    merged.elapsed = sum(reply.elapsed for reply in replies)
    usages = [reply.usage for reply in replies if reply.usage]
    if usages:
        merged["usage"] = add_usages(usages)
    return merged


def iter_data(replies: list[Embeddings]) -> Iterator[dict[str, Any]]:
    """Yield the entries of `data` of all replies."""
    for reply in replies:
        yield from reply["data"]


def add_usages(usages: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the sum of several usages, field by field."""
    total: dict[str, Any] = {}
    for usage in usages:
        for name, count in usage.items():
            if isinstance(count, int):
                total[name] = total.get(name, 0) + count
    return total
