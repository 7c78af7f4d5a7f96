"""From arguments to `Request`: URL, headers and JSON body of every endpoint.  Nothing is sent here.

>>> from rawchat.config import Config
>>> request = chat(Config(keys=tuple, base_url="http://localhost:8080/v1"), "Hi", {"model": "m", "seed": 1})
>>> request.where
'POST http://localhost:8080/v1/chat/completions'
>>> request.body
b'{"model":"m","messages":[{"role":"user","content":"Hi"}],"seed":1}'
"""

from collections.abc import Iterable, Mapping
from typing import Any, Optional, Union
from urllib.parse import quote

from .bounds import mapping, no_credentials, timeouts
from .config import CHAT_MODEL, COMPLETION_MODEL, Config
from .fallback import each_model
from .headers import Headers, checked, fixed, refuse_credentials
from .urls import SEGMENT, at_path
from .wire import Request

Message = Mapping[str, Any]
Messages = Union[str, Iterable[Message]]


def chat(
    config: Config, messages: Messages, params: Mapping[str, Any], stream: bool = False
) -> Request:
    """POST /chat/completions.  `messages` is a text, or any iterable of messages, read once."""
    body = {"model": config.model or CHAT_MODEL, **config.params, "messages": listed(messages)}
    return build(config, "POST", "/chat/completions", body, params, stream)


def completion(
    config: Config, prompt: Any, params: Mapping[str, Any], stream: bool = False
) -> Request:
    """POST /completions: the older endpoint that goes on with a text."""
    body = {"model": config.model or COMPLETION_MODEL, **config.params, "prompt": prompt}
    return build(config, "POST", "/completions", body, params, stream)


def moderation(config: Config, input: Any, params: Mapping[str, Any]) -> Request:
    """POST /moderations.  The server chooses its own model unless `params` names one."""
    return build(config, "POST", "/moderations", {"input": input}, params)


def image(config: Config, prompt: str, params: Mapping[str, Any]) -> Request:
    """POST /images/generations."""
    return build(config, "POST", "/images/generations", {"prompt": prompt}, params)


def models(config: Config, params: Mapping[str, Any]) -> Request:
    """GET /models."""
    return build(config, "GET", "/models", None, params)


def model(config: Config, id: str, params: Mapping[str, Any]) -> Request:
    """GET /models/{id}; the id is one path segment whatever it holds."""
    if not isinstance(id, str) or id in ("", ".", "..") or not id.isprintable():
        raise ValueError(f"not a model id: {id!r}")
    return build(config, "GET", f"/models/{quote(id, safe=SEGMENT)}", None, params)


def listed(messages: Messages) -> list[Message]:
    """`messages` as a list; a text is one message of the user."""
    if isinstance(messages, str):
        return [{"role": "user", "content": messages}]
    if isinstance(messages, (Mapping, bytes)):
        raise TypeError(
            f"messages is a str or a list of messages, not one {type(messages).__name__}"
        )
    return list(messages)


def build(
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
        mapping(f"extra_{what}", rest.pop(f"extra_{what}", None))
        for what in ("headers", "query", "body")
    )
    timeout = rest.pop("timeout", None)
    no_credentials(rest)
    if config.from_dotenv:
        refuse_credentials(headers, query, "the arguments")
    layers = (*config.headers, headers)
    request = Request(
        method,
        at_path(config.base_url, path, {**config.query, **query}),
        checked(Headers(fixed(body is not None), *layers)),
        timeout=config.timeout if timeout is None else timeouts(timeout),
        keyed=all(name.lower() != "authorization" for layer in layers for name in layer),
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
    return each_model(request, whole)
