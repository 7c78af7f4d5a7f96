"""Endpoints: one function for each turns its arguments into a Request: URL, headers, JSON body.  Nothing is sent here.

Here is that of a chat; `others` has those of completions, moderations, images and models.  A new endpoint is a function
there and a verb in `client.verbs`, `__init__` and `aio`.  The client adds the key (`keys.authorize`), the transport Host
and Content-Length; nothing else is sent.

>>> from rawchat.config import Config
>>> request = chat(Config(keys=tuple, base_url="http://localhost:8080/v1"), "Hi", {"model": "m", "seed": 1})
>>> request.summary
'POST http://localhost:8080/v1/chat/completions'
>>> request.body
b'{"model":"m","messages":[{"role":"user","content":"Hi"}],"seed":1}'
"""

import sys
from collections.abc import Iterable, Mapping
from typing import Any, Optional, Union

from ..config import DEFAULT_CHAT_MODEL, Config
from ..config.checks import check_mapping, check_timeout
from ..config.misnamed import check_call_params
from ..keys.credentials import refuse_credentials, refuse_unencrypted
from ..urls import join_url
from ..wire import Headers, Request, __version__
from ..wire.headers import validate_headers
from ..wire.json_text import Added, encode_json

Message = Mapping[str, Any]
Messages = Union[str, Iterable[Message]]

#: the `stream_options` that ask for the usage of a stream
INCLUDE_USAGE = Added(include_usage=True)


def chat(
    config: Config, messages: Messages, params: Mapping[str, Any], stream: bool = False
) -> Request:
    """Return the request to POST /chat/completions.

    `messages` is a text, which becomes one message of the user, or any iterable of messages, which is read once.
    """
    body = {
        "model": config.model or DEFAULT_CHAT_MODEL,
        **config.params,
        "messages": as_messages(messages),
    }
    return build_request(config, "POST", "/chat/completions", body, params, stream)


def as_messages(messages: Messages) -> list[Message]:
    """Return `messages` as a list; a text is one message of the user.

    Raises TypeError, in the caller's words, for what cannot be messages.
    """
    if isinstance(messages, str):
        return [{"role": "user", "content": messages}]
    if isinstance(messages, Mapping):
        raise TypeError("messages must be a str or a list of messages, got one message: use [...]")
    if isinstance(messages, (bytes, bytearray)) or not isinstance(messages, Iterable):
        kind = "None" if messages is None else type(messages).__name__
        raise TypeError(f"messages must be a str or a list of messages, got {kind}")
    found = list(messages)
    for index, message in enumerate(found):
        if not isinstance(message, Mapping):
            kind = "None" if message is None else type(message).__name__
            raise TypeError(
                f"messages[{index}] must be a message, {{'role': …, 'content': …}}, got {kind}"
            )
    return found


def build_request(
    config: Config,
    method: str,
    path: str,
    body: Optional[dict[str, Any]],
    params: Mapping[str, Any],
    stream: bool = False,
) -> Request:
    """Return the request to `path` below base_url.

    `params` go into the body untouched, except for the four names that the SDK reserves too: extra_headers,
    extra_query, extra_body and timeout.  Raises TypeError or ValueError for what JSON cannot represent, with its place
    (`messages[0].content`), and ConfigError for a header that cannot be sent.
    """
    body_params = dict(params)
    extra_headers = check_mapping("extra_headers", body_params.pop("extra_headers", None))
    extra_query = check_mapping("extra_query", body_params.pop("extra_query", None))
    extra_body = check_mapping("extra_body", body_params.pop("extra_body", None))
    timeout = body_params.pop("timeout", None)
    check_call_params(body_params)
    if config.from_dotenv:
        refuse_credentials(extra_headers, extra_query, "the arguments")
    if config.unencrypted:
        refuse_unencrypted(config.base_url, extra_headers, extra_query)
    layers = (*config.headers, extra_headers)
    headers = Headers(default_headers(has_body=body is not None), *layers)
    request = Request(
        method,
        join_url(config.base_url, path, {**config.query, **extra_query}),
        validate_headers(headers),
        timeout=config.timeout if timeout is None else check_timeout(timeout),
        send_key=not any(names_authorization(layer) for layer in layers),
    )
    if body is None:
        if body_params:
            names = ", ".join(body_params)
            raise TypeError(f"this request has no body: pass {names} with extra_query")
        return request
    merged = {**body, **body_params}
    if stream:
        merged["stream"] = True
    merged.update(extra_body)
    if bool(merged.get("stream")) is not stream:
        raise TypeError(
            "stream= is not a parameter: use stream_chat() or stream_complete() to stream, "
            "chat() or complete() not to"
        )
    return with_body(request, merged)


def default_headers(has_body: bool) -> dict[str, str]:
    """Return the headers of every request, as the SDK sends them; a streaming request accepts JSON too."""
    headers = {
        "Accept": "application/json",
        "Accept-Encoding": "gzip, deflate",
        "User-Agent": f"rawchat/{__version__} Python/{sys.version_info[0]}.{sys.version_info[1]}",
    }
    if has_body:
        headers["Content-Type"] = "application/json"
    return headers


def names_authorization(headers: Mapping[str, Any]) -> bool:
    """Return True if the caller gives, or by None forbids, the Authorization header."""
    return any(name.lower() == "authorization" for name in headers)


def with_body(request: Request, body: dict[str, Any]) -> Request:
    """Return `request` with `body`; if that names several models, for the first one, with a fallback for each other.

    >>> request = with_body(Request("POST", "http://localhost"), {"model": ["a", "b"]})
    >>> request.body, [fallback.body for fallback in request.fallbacks]
    (b'{"model":"a"}', [b'{"model":"b"}'])
    """
    request = request._replace(n_choices=choice_count(body.get("n")))
    models: Any = body.get("model")
    names_several = isinstance(models, (list, tuple)) and len(models) > 0
    if not names_several:
        return request._replace(body=encode_json(body), model=models, draft=body)
    candidates = []
    for model in models:
        draft = {**body, "model": model}
        candidates.append(request._replace(body=encode_json(draft), model=model, draft=draft))
    first, *others = candidates
    return first._replace(fallbacks=tuple(others))


def choice_count(n: Any) -> int:
    """Return the number of choices that a body with this `n` asks for."""
    return n if isinstance(n, int) and n > 1 else 1
