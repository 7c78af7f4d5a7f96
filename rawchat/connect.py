"""The client that the options ask for, and the local server around it where that is wanted or all there is."""

import contextlib
from collections.abc import Iterator
from typing import Any, Optional

from .client import Client
from .errors import MissingKeyError
from .notes import Notes
from .precedence import Options
from .settings import settings_of

THREE_WAYS = (
    "no API key: set OPENAI_API_KEY (or --key-file FILE), or name a server that needs none with --base-url, "
    "or install the local model and use --local ({})"
)


@contextlib.contextmanager
def connected(options: Options, notes: Notes) -> Iterator[Client]:
    """The client to ask while the block runs."""
    settings = settings_of(options)
    with contextlib.ExitStack() as stack:
        if options.trace or options.har or options.tools:
            from .watch import watching  # here, not above, as all that few commands need

            watched = stack.enter_context(watching(options, notes))
        client = None if options.local else keyed_client(settings, notes)
        if client is None:
            from . import local

            settings.update(
                base_url=stack.enter_context(local.serve()),
                api_key="",
                environ={},
                model=settings["model"] or local.name(),
            )
            client = Client(**settings)
        if options.trace or options.har:
            client = Client(**settings, transport=watched(client.transport))
        yield stack.enter_context(client)


def keyed_client(settings: dict[str, Any], notes: Notes) -> Optional[Client]:
    """The client for a server elsewhere; None, and a word of it, if there is no key but a local model to take over."""
    try:
        return Client(**settings)
    except MissingKeyError:
        from . import local

        if settings["base_url"] or not local.available():
            raise MissingKeyError(THREE_WAYS.format(local.INSTALL)) from None
    notes.complain(
        "no API key, so the small local model answers; --local asks for it without this line"
    )
    return None
