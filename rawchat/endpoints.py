"""From arguments to `Request`: URL, headers and JSON body of every endpoint.  Nothing is sent here.

>>> from rawchat.config import Config
>>> request = chat(Config(keys=tuple, base_url="http://localhost:8080/v1"), "Hi", {"model": "m", "seed": 1})
>>> request.summary
'POST http://localhost:8080/v1/chat/completions'
>>> request.body
b'{"model":"m","messages":[{"role":"user","content":"Hi"}],"seed":1}'
"""

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Optional, Union
from urllib.parse import quote

from .config import (
    DEFAULT_CHAT_MODEL,
    DEFAULT_COMPLETION_MODEL,
    Config,
    check_mapping,
    check_timeout,
    no_credentials,
)
from .normalise import mend
from .urls import SEGMENT_SAFE, join_url
from .wire import Headers, Request, default_headers, refuse_credentials, validate_headers

ENCODER = json.JSONEncoder(
    ensure_ascii=False, separators=(",", ":"), allow_nan=False
)  # made once, not in each call


def encode_json(body: Mapping[str, Any]) -> bytes:
    """Compact UTF-8 JSON.  What JSON cannot carry is refused with its place, never sent as something else."""
    try:
        return ENCODER.encode(body).encode()
    except (TypeError, ValueError, RecursionError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        try:
            place, reason = next(find_unencodable(body), ("the body", str(error)))
        except RecursionError:
            place, reason = "the body", "it holds itself, or is nested too deeply"
        raise kind(f"{place}: {reason}") from None


def encode_mended(body: Mapping[str, Any]) -> bytes:
    """Return the JSON of a record that may hold what came from the network: it is mended where that is needed."""
    try:
        return encode_json(body)
    except ValueError:
        return encode_json(mend(body))


def find_unencodable(value: Any, place: str = "") -> Iterator[tuple[str, str]]:
    """The places in `value` that JSON cannot carry, each with the reason."""
    if isinstance(value, (dict, list, tuple)):
        for name, item in value.items() if isinstance(value, dict) else enumerate(value):
            step = f"[{name}]" if isinstance(name, int) else f".{name}" if place else f"{name}"
            yield from find_unencodable(name, f"{place}{step!a}, the name itself")
            yield from find_unencodable(item, place + step)
    elif isinstance(value, str):
        for at, character in enumerate(value):
            if "\ud800" <= character <= "\udfff":
                yield (
                    place,
                    f"U+{ord(character):04X} at position {at + 1} is half of a character, not text",
                )
                return
    elif isinstance(value, float) and not math.isfinite(value):
        yield place, f"JSON has no {value}"
    elif not isinstance(value, (int, float, type(None))):
        yield (
            place,
            f"{type(value).__name__} has no form in JSON; send text, numbers, lists or dicts",
        )


def with_fallbacks(request: Request, body: dict[str, Any]) -> Request:
    """`request` with `body`; where it names several models, for the first, with what to ask instead.

    >>> request = with_fallbacks(Request("POST", "http://localhost"), {"model": ["a", "b"]})
    >>> request.body, request.fallback.body
    (b'{"model":"a"}', b'{"model":"b"}')
    """
    models = body.get("model")
    chain: Optional[Request] = None
    for model in reversed(models if isinstance(models, (list, tuple)) and models else [models]):
        each = {**body, "model": model} if "model" in body else body
        chain = request._replace(
            body=encode_json(each),
            fallback=chain,
            model=model,
            n_choices=choice_count(body.get("n")),
        )
    return chain or request


def choice_count(n: Any) -> int:
    """How many answers a body with this `n` asks for."""
    return n if isinstance(n, int) and n > 1 else 1


Message = Mapping[str, Any]


Messages = Union[str, Iterable[Message]]


def chat(
    config: Config, messages: Messages, params: Mapping[str, Any], stream: bool = False
) -> Request:
    """POST /chat/completions.  `messages` is a text, or any iterable of messages, read once."""
    body = {
        "model": config.model or DEFAULT_CHAT_MODEL,
        **config.params,
        "messages": as_messages(messages),
    }
    return build_request(config, "POST", "/chat/completions", body, params, stream)


def completion(
    config: Config, prompt: Any, params: Mapping[str, Any], stream: bool = False
) -> Request:
    """POST /completions: the older endpoint that goes on with a text."""
    body = {"model": config.model or DEFAULT_COMPLETION_MODEL, **config.params, "prompt": prompt}
    return build_request(config, "POST", "/completions", body, params, stream)


def moderation(config: Config, input: Any, params: Mapping[str, Any]) -> Request:
    """POST /moderations.  The server chooses its own model unless `params` names one."""
    return build_request(config, "POST", "/moderations", {"input": input}, params)


def image(config: Config, prompt: str, params: Mapping[str, Any]) -> Request:
    """POST /images/generations."""
    return build_request(config, "POST", "/images/generations", {"prompt": prompt}, params)


def models(config: Config, params: Mapping[str, Any]) -> Request:
    """GET /models."""
    return build_request(config, "GET", "/models", None, params)


def model(config: Config, id: str, params: Mapping[str, Any]) -> Request:
    """GET /models/{id}; the id is one path segment whatever it holds."""
    if not isinstance(id, str) or id in ("", ".", "..") or not id.isprintable():
        raise ValueError(f"not a model id: {id!r}")
    return build_request(config, "GET", f"/models/{quote(id, safe=SEGMENT_SAFE)}", None, params)


def as_messages(messages: Messages) -> list[Message]:
    """`messages` as a list; a text is one message of the user."""
    if isinstance(messages, str):
        return [{"role": "user", "content": messages}]
    if isinstance(messages, (Mapping, bytes)):
        raise TypeError(
            f"messages is a str or a list of messages, not one {type(messages).__name__}"
        )
    return list(messages)


def build_request(
    config: Config,
    method: str,
    path: str,
    body: Optional[dict[str, Any]],
    params: Mapping[str, Any],
    stream: bool = False,
) -> Request:
    """The Request: `params` go into the body untouched, but for the four names that the SDK keeps back too.

    Raises TypeError or ValueError for what JSON cannot carry, with its place: `messages[0].content`.
    """
    rest = dict(params)
    headers, query, extra = (
        check_mapping(f"extra_{what}", rest.pop(f"extra_{what}", None))
        for what in ("headers", "query", "body")
    )
    timeout = rest.pop("timeout", None)
    no_credentials(rest)
    if config.from_dotenv:
        refuse_credentials(headers, query, "the arguments")
    layers = (*config.headers, headers)
    request = Request(
        method,
        join_url(config.base_url, path, {**config.query, **query}),
        validate_headers(Headers(default_headers(body is not None), *layers)),
        timeout=config.timeout if timeout is None else check_timeout(timeout),
        send_key=all(name.lower() != "authorization" for layer in layers for name in layer),
    )
    if body is None:
        if rest:
            raise TypeError(f"a GET has no body for {', '.join(rest)}; use extra_query")
        return request
    whole = {**body, **rest, **({"stream": True} if stream else {}), **extra}
    if bool(whole.get("stream")) is not stream:
        raise TypeError(
            "stream= is another verb: stream_chat and stream_complete stream, chat and complete do not"
        )
    return with_fallbacks(request, whole)
