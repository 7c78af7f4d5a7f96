"""The client that the options ask for, and the local server around it where that is wanted or all there is."""

import contextlib
import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Optional

from .. import trace
from ..config import load_config
from ..errors import MissingKeyError
from ..wire import Headers
from .inputs import UsageError, read_file
from .options import Options
from .query import Query
from .terminal import Stderr

if TYPE_CHECKING:
    from ..client import Client


def client_settings(options: Options) -> dict[str, Any]:
    """The arguments for `Client`, or for `config.load`; None is what they look up themselves.  Raises UsageError."""
    return {
        "base_url": options.base_url,
        "model": options.model,
        "timeout": options.timeout,
        "deadline": options.deadline,
        "max_retries": options.retries,
        "allow_http": options.allow_http,
        "default_headers": parse_headers(options.header),
        "api_key": read_key(options.key_file),
    }


def read_key(path: Optional[str]) -> Optional[str]:
    """The key in a file; None without a file."""
    key = read_file(path).strip() if path is not None else None
    if key == "":
        raise UsageError(f"{path}: no key in it")
    return key


def parse_headers(lines: Sequence[str]) -> dict[str, str]:
    """{'Name': 'value'} of lines 'Name: value'."""
    for line in lines:
        if ":" not in line:
            raise UsageError("-H wants 'Name: value'")
    return {
        name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)
    }


LOCAL_URL = "http://127.0.0.1:8080/v1"  # where `python -m rawchat.local` serves


def render_request(question: Query, options: Options, notes: Stderr) -> str:
    """The request as text, or as a curl command.  Where no key is, a word says what stands for it."""
    settings, shown = client_settings(options), "$OPENAI_API_KEY" if options.curl else "***"
    if options.local:
        from .. import local  # few commands need it

        settings.update(
            base_url=LOCAL_URL,
            api_key="",
            environ={},
            model=settings["model"] or local.model_name(),
        )
        notes.warn(
            f"--local serves on any free port; {LOCAL_URL} stands for it, where python -m rawchat.local serves"
        )
    environ = settings.pop("environ", os.environ)
    try:
        config = load_config(settings, environ)
    except MissingKeyError:
        config = load_config({**settings, "api_key": "none"}, environ)
        notes.warn(f"no API key: {shown} stands for it")
    request = question.request(config)
    if config.keys() and request.send_key:
        request = request._replace(
            headers=Headers(request.headers, {"Authorization": f"Bearer {config.keys()[0]}"})
        )
    return trace.curl(request) if options.curl else trace.format_request(request)


NO_KEY_HELP = (
    "no API key: set OPENAI_API_KEY (or --key-file FILE), or name a server that needs none with --base-url, "
    "or install the local model and use --local ({})"
)


@contextlib.contextmanager
def open_client(options: Options, notes: Stderr) -> "Iterator[Client]":
    """The client to ask while the block runs."""
    from ..client import Client  # loads requests

    settings = client_settings(options)
    with contextlib.ExitStack() as stack:
        if options.trace or options.har or options.tools:
            from .report import tracing  # here, not above, as all that few commands need

            watched = stack.enter_context(tracing(options, notes))
        client = None if options.local else client_or_none(settings, notes)
        if client is None:
            from .. import local

            settings.update(
                base_url=stack.enter_context(local.serve()),
                api_key="",
                environ={},
                model=settings["model"] or local.model_name(),
            )
            client = Client(**settings)
        if options.trace or options.har:
            client = Client(**settings, transport=watched(client.transport))
        yield stack.enter_context(client)


def client_or_none(settings: dict[str, Any], notes: Stderr) -> "Optional[Client]":
    """The client for a server elsewhere; None, and a word of it, if there is no key but a local model to take over."""
    from ..client import Client

    try:
        return Client(**settings)
    except MissingKeyError:
        from .. import local

        if settings["base_url"] or not local.available():
            raise MissingKeyError(NO_KEY_HELP.format(local.INSTALL)) from None
    notes.warn(
        "no API key, so the small local model answers; --local asks for it without this line"
    )
    return None
