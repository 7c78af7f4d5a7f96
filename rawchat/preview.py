"""The request that would be sent, shown instead: --dry-run, --curl."""

import os

from . import trace
from .config import load
from .errors import MissingKeyError
from .headers import Headers
from .notes import Notes
from .precedence import Options
from .question import Question
from .settings import settings_of

LOCAL = "http://127.0.0.1:8080/v1"  # where `python -m rawchat.local` serves


def preview(question: Question, options: Options, notes: Notes) -> str:
    """The request as text, or as a curl command.  Where no key is, a word says what stands for it."""
    settings, shown = settings_of(options), "$OPENAI_API_KEY" if options.curl else "***"
    if options.local:
        from . import local  # few commands need it

        settings.update(
            base_url=LOCAL, api_key="", environ={}, model=settings["model"] or local.name()
        )
        notes.complain(
            f"--local serves on any free port; {LOCAL} stands for it, where python -m rawchat.local serves"
        )
    environ = settings.pop("environ", os.environ)
    try:
        config = load(settings, environ)
    except MissingKeyError:
        config = load({**settings, "api_key": "none"}, environ)
        notes.complain(f"no API key: {shown} stands for it")
    request = question.request(config)
    if config.keys() and request.keyed:
        request = request._replace(
            headers=Headers(request.headers, {"Authorization": f"Bearer {config.keys()[0]}"})
        )
    return trace.curl(request) if options.curl else trace.text(request)
