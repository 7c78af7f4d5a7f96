"""Make the client that the options describe, and the local server around it; print requests for --dry-run and --curl."""

import contextlib
import functools
import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Optional

from ..config import load_config
from ..errors import MissingKeyError
from ..urls import origin
from ..wire import Headers, Request, Response, Transport
from ..wire.headers import split_header_line
from .inputs import UsageError, read_file
from .options import Options
from .query import Query
from .terminal import Stderr

if TYPE_CHECKING:
    from ..client import Client
    from ..images import PictureNetwork

LOCAL_URL = "http://127.0.0.1:8080/v1"  #: where the README lets `python -m rawchat.local` serve

NO_KEY_HELP = (
    "no API key: set OPENAI_API_KEY (or --key-file FILE), or name a server that needs none with "
    "--base-url"
)


# ---- settings


def client_settings(options: Options) -> dict[str, Any]:
    """Return the arguments of `Client` or `load_config`; one that is None is looked up there.  Raises UsageError."""
    return {
        "base_url": options.base_url,
        "model": options.model,
        "timeout": options.timeout,
        "deadline": options.deadline,
        "max_retries": options.retries,
        "allow_http": options.allow_http,
        "proxy": options.proxy,
        "ca_bundle": options.cacert,
        "default_headers": parse_headers(options.header),
        "api_key": read_key(options.key_file),
    }


def local_settings(settings: dict[str, Any], base_url: str) -> dict[str, Any]:
    """Return the settings for a local server: neither a key nor the environment reaches it."""
    from .. import local

    model = settings["model"] or local.model_name()
    return {
        **settings,
        "base_url": base_url,
        "api_key": "",
        "environ": {},
        "model": model,
        "proxy": "",
    }


def read_key(path: Optional[str]) -> Optional[str]:
    """Return the key in a file, or None without a file."""
    if path is None:
        return None
    key = read_file(path).strip()
    if not key:
        raise UsageError(f"{path}: no key in it")
    return key


def parse_headers(lines: Sequence[str]) -> dict[str, Optional[str]]:
    """Return the headers in lines 'Name: value'; that of a line 'Name:' is None, and left out, as curl does."""
    headers: dict[str, Optional[str]] = {}
    for line in lines:
        header = split_header_line(line)
        if header is None:
            raise UsageError("--header expects 'Name: value'")
        name, value = header
        headers[name] = value or None
    return headers


# ---- --dry-run and --curl


def render_request(query: Query, options: Options, stderr: Stderr) -> str:
    """Return the request as text, or as a curl command.

    The key is hidden; if there is none, a placeholder is printed in its place, and a line on standard error says so.
    """
    settings = client_settings(options)
    if options.local:
        settings = local_settings(settings, LOCAL_URL)
        stderr.warn(
            f"--local serves on any free port; shown is {LOCAL_URL}, the default of "
            "python -m rawchat.local"
        )
    from ..trace import curl, format_request

    placeholder = "***"
    if options.curl:
        placeholder = "$OPENAI_API_KEY"
    environ = settings.pop("environ", os.environ)
    try:
        config = load_config(settings, environ)
    except MissingKeyError:
        config = load_config({**settings, "api_key": "none"}, environ)
        stderr.warn(f"no API key: {placeholder} is shown in its place")

    request = query.request(config)
    keys = config.keys()
    if keys and request.send_key and origin(request.url) == origin(config.base_url):
        authorization = {"Authorization": f"Bearer {keys[0]}"}
        request = request._replace(headers=Headers(request.headers, authorization))
    if options.curl:
        return curl(request)
    return format_request(request)


# ---- the client


@contextlib.contextmanager
def open_client(options: Options, stderr: Stderr) -> "Iterator[Client]":
    """Give the block the client that the options describe, and serve the local model around it if that is used.

    Raises MissingKeyError without a key, unless the local model may answer instead.
    """
    from ..client import Client

    settings = client_settings(options)
    with contextlib.ExitStack() as stack:
        wrap = None
        if options.trace or options.har or options.tools:
            from .tracing import tracing

            wrap = stack.enter_context(tracing(options, stderr))

        transport: Optional[Transport] = None
        if options.replay is not None:
            from ..trace.har import replay

            transport = replay(options.replay)
            settings["api_key"] = ""
        elif options.local or local_model_stands_in(settings, stderr):
            from .. import local

            settings = local_settings(settings, stack.enter_context(local.serve()))

        client = Client(**settings, transport=transport)
        transport = client.transport
        if options.image is not None and options.replay is None:
            from ..images import picture_network

            transport = with_pictures(transport, picture_network(client.config))
        if wrap is not None:
            transport = wrap(transport)
        if options.max_tokens is not None and not options.complete:
            from ..compat.unsupported import rename_max_tokens

            transport = rename_max_tokens(transport)
        if transport is not client.transport:
            client = Client(**settings, transport=transport)
        yield stack.enter_context(client)


def with_pictures(transport: Transport, network: "PictureNetwork") -> Transport:
    """Return a transport that fetches a picture, the only GET of --image, from wherever it is."""

    @functools.wraps(transport, assigned=())
    def send(request: Request) -> Response:
        if request.method == "GET":
            return network.send(request)
        return transport(request)

    return send


def local_model_stands_in(settings: dict[str, Any], stderr: Stderr) -> bool:
    """Return whether the local model answers as there is no key, and print a line that says so.

    It does if no server and no model were named, and a person reads standard error: a script must not take the words of
    a toy for those of the model that it wants.  Otherwise raises MissingKeyError.
    """
    try:
        load_config(settings, os.environ)
        return False
    except MissingKeyError:
        pass
    from .. import local

    config = load_config({**settings, "api_key": "none"}, os.environ)
    named = settings["base_url"] or config.model
    if not local.available():
        raise MissingKeyError(
            f"{NO_KEY_HELP}, or install the local model and use --local ({local.INSTALL})"
        )
    if named or not stderr.terminal:
        raise MissingKeyError(f"{NO_KEY_HELP}, or use the small local model with --local")
    stderr.warn("no API key: using the local model (--local hides this message)")
    return True
