"""Build the Request for any path: its URL, and a body of JSON, a form with files, or bytes as they are."""

import re
from collections.abc import Mapping
from typing import Any, Optional, Union
from urllib.parse import parse_qsl, quote, urlsplit

from .. import endpoints
from ..config import Config
from ..config.checks import check_mapping
from ..config.misnamed import check_any_params
from ..urls import is_secure, origin
from ..wire import Request
from ..wire.json_text import encode_json
from .multipart import Form, flatten, holds_file

#: What of a call is not a parameter of the API, beside `extra_body`: the names that the SDK reserves too.
CALL_OPTIONS = ("extra_headers", "extra_query", "timeout")

#: Methods of requests without a body: their parameters go into the query.
WITHOUT_BODY = ("GET", "DELETE")

#: What a path and its query may hold as they are, beside letters, digits and -._~ (RFC 3986, 3.3 and 3.4).
URL_SAFE = "/?%:@!$&'()*+,;=[]"

#: A segment that leads out of the path before it, plain or percent-encoded (RFC 3986, 3.3 and 6.2.2).
DOT_SEGMENT = re.compile(r"(?:\.|%2e){1,2}", re.IGNORECASE)

#: The parts of a body that are sent in different ways.
Sent = Union[dict[str, Any], list[Any], bytes, Form, None]


def build_request(
    config: Config,
    method: str,
    path: str,
    body: Any,
    params: Mapping[str, Any],
    accept: Optional[str] = None,
) -> Request:
    """Return the request to `path`.

    path      below base_url, with or without a query; or an absolute URL (see `locate`)
    body      a dict, sent as JSON, or as a form if it holds a file; a list, sent as JSON; bytes; or None
    params    the call's extra_headers, extra_query, extra_body and timeout; all others are added to the dict, or to
              the query of a GET or DELETE
    accept    the Accept header; default: application/json, as in the SDK

    Raises TypeError or ValueError for what cannot be sent, ConfigError for a header or a URL, OSError for a file.
    """
    fields = dict(params)
    options = {name: fields.pop(name) for name in CALL_OPTIONS if name in fields}
    extra_body = check_mapping("extra_body", fields.pop("extra_body", None))
    check_any_params(fields)
    fields.update(extra_body)
    config, path = locate(config, path)
    if accept:
        config = with_default(config, "Accept", accept)
    if method in WITHOUT_BODY:
        query = check_mapping("extra_query", options.get("extra_query"))
        options["extra_query"] = {**query_of(fields), **query}
        return endpoints.build_request(config, method, path, None, options)
    headers = check_mapping("extra_headers", options.get("extra_headers"))
    content = merge_body(body, fields, wants_form(headers))
    if isinstance(content, Form):
        options["extra_headers"] = {**without_type(headers), "Content-Type": content.content_type}
    elif content is not None:
        config = with_default(config, "Content-Type", type_of(content))
    request = endpoints.build_request(config, method, path, None, options)
    if isinstance(content, dict):
        return endpoints.with_body(request, content)
    if isinstance(content, list):
        return request._replace(body=encode_json(content))
    return request._replace(body=content)


# ---- the URL


def locate(config: Config, path: str) -> tuple[Config, str]:
    """Return the settings and the path for a request to `path`.

    A path is below base_url.  An absolute URL of base_url's origin stands for itself, and gets what any request gets.
    One of another origin gets nothing of the client's: no key, no default header, no default query.

    Raises ValueError for a path that leads out of base_url, or an invalid URL; ConfigError from the request made
    with these settings, if a credential would travel unencrypted.
    """
    if not isinstance(path, str):
        raise TypeError(f"path must be a str, got {type(path).__name__}")
    if "://" in path.partition("?")[0]:
        return locate_url(config, path)
    path = "/" + path if not path.startswith("/") else path
    if path.startswith("//"):
        raise ValueError(f"a path must begin with exactly one slash: {path!r}")
    for segment in path.partition("?")[0].split("/"):
        if DOT_SEGMENT.fullmatch(segment):
            raise ValueError(f"the path leads out of base_url: {path!r}")
    return config, quote(path, safe=URL_SAFE)


def locate_url(config: Config, url: str) -> tuple[Config, str]:
    """Return the settings and the path, which is empty, for an absolute URL; see `locate`."""
    url = quote(url.partition("#")[0], safe=URL_SAFE)
    try:
        parts = urlsplit(url)
        same_origin = origin(url) == origin(config.base_url)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("the path is neither a path nor an http:// or https:// URL")
    if "@" in parts.netloc:
        raise ValueError("the URL must not hold user:password@; pass extra_headers=")
    if same_origin:
        # As below base_url, but a URL that the server gave, of the next page, may have the defaults in its query.
        named = {name for name, _ in parse_qsl(parts.query, keep_blank_values=True)}
        base_query = parse_qsl(urlsplit(config.base_url).query, keep_blank_values=True)
        defaults = {**dict(base_query), **config.query}
        query = {name: value for name, value in defaults.items() if name not in named}
        return config._replace(base_url=url, query=query), ""
    # To an http:// base_url on another machine, allow_http was given; for any other one it was not.
    allow_http = not config.unencrypted and not is_secure(config.base_url)
    unencrypted = not allow_http and not is_secure(url)
    config = config._replace(
        base_url=url, headers=(), query={}, from_dotenv=False, unencrypted=unencrypted
    )
    return config, ""


def query_of(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return parameters for a query; objects and lists get brackets, as in the SDK: `include[]`.

    >>> query_of({"include": ["a", "b"], "limit": 2})
    {'include[]': ['a', 'b'], 'limit': ['2']}
    """
    query: dict[str, list[str]] = {}
    for name, value in fields.items():
        for field, text in flatten(name, value):
            query.setdefault(field, []).append(text)
    return query


# ---- headers


def with_default(config: Config, name: str, value: str) -> Config:
    """Return settings with a header that the client's own and the call's headers override."""
    return config._replace(headers=({name: value}, *config.headers))


def wants_form(headers: Mapping[str, Any]) -> bool:
    """Return whether the caller asks by a header for a form, though no file may be in it."""
    return any(
        name.lower() == "content-type" and str(value).lower().startswith("multipart/form-data")
        for name, value in headers.items()
    )


def without_type(headers: Mapping[str, Any]) -> dict[str, Any]:
    """Return headers without a content type: only the form knows its boundary."""
    return {name: value for name, value in headers.items() if name.lower() != "content-type"}


# ---- the body


def merge_body(body: Any, fields: dict[str, Any], as_form: bool) -> Sent:
    """Return what is sent for `body` and the parameters that are added to it.

    Raises TypeError for a body of another type, or for one that nothing can be added to.
    """
    if body is None and not fields:
        return None
    if body is None or isinstance(body, Mapping):
        merged = {**(body or {}), **fields}
        if as_form or holds_file(merged):
            return Form(merged)
        return merged
    if fields:
        raise TypeError(f"only a dict body takes further parameters: {', '.join(fields)}")
    if isinstance(body, (bytes, bytearray)):
        return bytes(body)
    if isinstance(body, (list, tuple)):
        return list(body)
    raise TypeError(f"body must be a dict, a list or bytes, got {type(body).__name__}")


def type_of(content: Sent) -> str:
    """Return the content type of a body."""
    if isinstance(content, bytes):
        return "application/octet-stream"
    return "application/json"
