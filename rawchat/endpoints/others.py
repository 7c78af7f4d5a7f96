"""The endpoints beside chat: completions, moderations, images, models.  Each verb of `client.verbs` has one function here."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from ..config import DEFAULT_COMPLETION_MODEL, Config
from ..wire import Request
from . import build_request

# What a path segment may hold as it is, beside letters, digits and -._~ (RFC 3986, 3.3).
SEGMENT_SAFE = "!$&'()*+,;=:@"


def completion(
    config: Config, prompt: Any, params: Mapping[str, Any], stream: bool = False
) -> Request:
    """Return the request to POST /completions, the older endpoint that continues a text."""
    body = {"model": config.model or DEFAULT_COMPLETION_MODEL, **config.params, "prompt": prompt}
    return build_request(config, "POST", "/completions", body, params, stream)


def moderation(config: Config, input: Any, params: Mapping[str, Any]) -> Request:
    """Return the request to POST /moderations.  The server chooses its own model unless `params` names one."""
    return build_request(config, "POST", "/moderations", {"input": input}, params)


def image(config: Config, prompt: str, params: Mapping[str, Any]) -> Request:
    """Return the request to POST /images/generations."""
    return build_request(config, "POST", "/images/generations", {"prompt": prompt}, params)


def models(config: Config, params: Mapping[str, Any]) -> Request:
    """Return the request to GET /models."""
    return build_request(config, "GET", "/models", None, params)


def model(config: Config, id: str, params: Mapping[str, Any]) -> Request:
    """Return the request to GET /models/{id}.

    The id becomes one path segment, whatever it holds.  Raises ValueError for an id that no path can hold.
    """
    if not isinstance(id, str) or id in ("", ".", "..") or not id.isprintable():
        raise ValueError(f"not a model id: {id!r}")
    return build_request(config, "GET", f"/models/{quote(id, safe=SEGMENT_SAFE)}", None, params)
