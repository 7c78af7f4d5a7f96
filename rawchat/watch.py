"""What --trace and --har see: every attempt, through wrappers around the transport."""
import contextlib
import json
import logging
from collections.abc import Iterator
from typing import Any, Callable

from . import har, trace
from .notes import Notes
from .output import utf8
from .precedence import Options
from .private import opened
from .wire import Transport


@contextlib.contextmanager
def watching(options: Options, notes: Notes) -> Iterator[Callable[[Transport], Transport]]:
    """While the block runs, what is to be put around its transport; the archive is written at its end, however it ends.
    """
    exchanges: list[trace.Exchange] = []

    def watched(transport: Transport) -> Transport:
        transport = trace.traced(transport, notes.say) if options.trace else transport
        return trace.observed(transport, har.into(exchanges)) if options.har else transport

    with contextlib.ExitStack() as stack:
        if options.har:
            file = stack.enter_context(opened(options.har, 0, "wb"))
            stack.callback(written, file, exchanges)
        stack.enter_context(logged(notes, logging.INFO if options.trace else logging.WARNING))
        yield watched


def written(file: Any, exchanges: list[trace.Exchange]) -> None:
    """Replace what is in `file` by an archive."""
    file.truncate()
    file.write(utf8(json.dumps(har.archive(exchanges), ensure_ascii=False, indent=1)) + b"\n")


@contextlib.contextmanager
def logged(notes: Notes, level: int) -> Iterator[None]:
    """Say what rawchat logs: at INFO each wait before a retry, and why; at WARNING what goes wrong with a tool."""
    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            text = record.getMessage()
            if record.levelno < logging.WARNING:
                notes.say(f"* {text}")
            else:
                notes.complain(text)

    log, handler = logging.getLogger("rawchat"), Handler()
    before = log.level
    log.setLevel(level)
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(before)
