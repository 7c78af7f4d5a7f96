"""From arguments to `Request`: URL, headers and JSON body of every endpoint.  Nothing is sent here.

>>> from rawchat.config import Config
>>> request = chat(Config(keys=tuple, base_url="http://localhost:8080/v1"), "Hi", {"model": "m", "seed": 1})
>>> request.where
'POST http://localhost:8080/v1/chat/completions'
>>> request.body
b'{"model":"m","messages":[{"role":"user","content":"Hi"}],"seed":1}'
"""
import sys
from collections.abc import Iterable, Mapping
from typing import Any, Optional, Union
from urllib.parse import quote, urlencode, urlsplit

from .config import CHAT_MODEL, COMPLETION_MODEL, Config, timeouts
from .encode import encode
from .headers import Headers, checked
from .version import __version__
from .wire import Request

Message = Mapping[str, Any]
Messages = Union[str, Iterable[Message]]
SEGMENT = "!$&'()*+,;=:@"           # what a path segment may hold as it is, beside letters and digits (RFC 3986, 3.3)


def chat(config: Config, messages: Messages, params: Mapping[str, Any], stream: bool = False) -> Request:
    """POST /chat/completions.  `messages` is a text, or any iterable of messages, read once."""
    body = {"model": config.model or CHAT_MODEL, **config.params, "messages": listed(messages)}
    return build(config, "POST", "/chat/completions", body, params, stream)


def completion(config: Config, prompt: Any, params: Mapping[str, Any], stream: bool = False) -> Request:
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
        raise TypeError(f"messages is a str or a list of messages, not one {type(messages).__name__}")
    return list(messages)


def build(config: Config, method: str, path: str, body: Optional[dict[str, Any]],
          params: Mapping[str, Any], stream: bool = False) -> Request:
    """The Request: `params` go into the body untouched, but for the four names that the SDK keeps back too.

    Raises TypeError or ValueError for what JSON cannot carry, with its place: `messages[0].content`.
    """
    rest = dict(params)
    extra_headers, extra_query, extra_body, timeout = (
        rest.pop(name, None) for name in ("extra_headers", "extra_query", "extra_body", "timeout"))
    for name, value in (("extra_headers", extra_headers), ("extra_query", extra_query), ("extra_body", extra_body)):
        if not isinstance(value, (Mapping, type(None))):
            raise TypeError(f"{name} is a dict, not {type(value).__name__}")
    bodies: list[Optional[dict[str, Any]]] = [None]
    if body is not None:
        whole = {**body, **rest, **({"stream": True} if stream else {}), **(extra_body or {})}
        if bool(whole.get("stream")) is not stream:
            raise TypeError("stream= is another verb: stream_chat and stream_complete stream, chat and complete do not")
        bodies = each_model(whole)
    elif rest:
        raise TypeError(f"a GET has no body for {', '.join(rest)}; use extra_query")
    layers = (*config.headers, extra_headers or {})
    keyed = all(name.lower() != "authorization" for layer in layers for name in layer)
    request = Request(method, url(config, path, extra_query or {}), checked(Headers(fixed(body), *layers)), None,
                      config.timeout if timeout is None else timeouts(timeout), keyed=keyed)
    chain = None
    for each in reversed(bodies):
        chain = request._replace(body=each and encode(each), instead=chain, model=(each or {}).get("model"),
                                 choices=answers((each or {}).get("n")))
    return chain or request


def answers(n: Any) -> int:
    """How many answers a body with this `n` asks for."""
    return n if isinstance(n, int) and n > 1 else 1


def each_model(body: dict[str, Any]) -> list[Optional[dict[str, Any]]]:
    """`body` for its model, or once for each of them: `model=["a", "b"]` asks b when a cannot answer.

    >>> each_model({"model": ["a", "b"], "n": 1})
    [{'model': 'a', 'n': 1}, {'model': 'b', 'n': 1}]
    """
    models = body.get("model")
    return [{**body, "model": model} for model in models] if isinstance(models, (list, tuple)) else [body]


def fixed(body: Optional[Mapping[str, Any]]) -> dict[str, str]:
    """The headers that every request has; a stream accepts JSON too, which is what the SDK sends."""
    headers = {"Accept": "application/json", "Accept-Encoding": "gzip, deflate",
               "User-Agent": f"rawchat/{__version__} Python/{sys.version_info[0]}.{sys.version_info[1]}"}
    return headers if body is None else {**headers, "Content-Type": "application/json"}


def url(config: Config, path: str, extra: Mapping[str, Any]) -> str:
    """base_url + path.  The query of base_url stays as it is, then come default_query and `extra`, which wins."""
    parts = urlsplit(config.base_url)
    added = urlencode([(name, text) for name, value in {**config.query, **extra}.items()
                       for text in _texts(name, value)], quote_via=quote)
    query = "&".join(part for part in (parts.query, added) if part)
    return parts._replace(path=parts.path + path, query=query).geturl()


def _texts(name: str, value: Any) -> list[str]:
    """A query value as texts: a list repeats its name, booleans are true and false, None is left out."""
    if isinstance(value, (list, tuple)):
        return [text for item in value for text in _texts(name, item)]
    if isinstance(value, (Mapping, bytes)):
        raise TypeError(f"query parameter {name!r}: no place for {type(value).__name__}; use str, numbers, lists")
    return [] if value is None else [str(value).lower() if isinstance(value, bool) else str(value)]
