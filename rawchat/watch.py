"""What --trace and --har see: every attempt, through wrappers around the transport."""

import contextlib
import json
import logging
import os
import stat
from collections.abc import Iterator
from typing import Any, Callable

from . import har, trace
from .errors import RawchatError
from .notes import Notes
from .output import unwritten, utf8
from .precedence import Options
from .private import opened
from .wire import Transport


@contextlib.contextmanager
def watching(options: Options, notes: Notes) -> Iterator[Callable[[Transport], Transport]]:
    """While the block runs, what is to be put around its transport; the archive is written at its end, however it ends."""
    exchanges: list[trace.Exchange] = []

    def watched(transport: Transport) -> Transport:
        transport = trace.traced(transport, notes.say) if options.trace else transport
        return trace.observed(transport, har.into(exchanges)) if options.har else transport

    with contextlib.ExitStack() as stack:
        if options.har:
            stack.enter_context(archiving(options.har, exchanges, notes))
        stack.enter_context(logged(notes, logging.INFO if options.trace else logging.WARNING))
        yield watched


@contextlib.contextmanager
def archiving(path: str, exchanges: list[trace.Exchange], notes: Notes) -> Iterator[None]:
    """Replace what is in the file at `path` by an archive of `exchanges`, at the end of the block, however it ends.

    Raises UsageError if the file cannot be opened, RawchatError if it cannot be written; after an error of the block,
    which tells more, that is only said.
    """
    file = opened(path, 0, "wb")
    try:
        yield
    except BaseException:
        try:
            write(path, file, exchanges)
        except RawchatError as error:
            notes.complain(str(error))
        raise
    write(path, file, exchanges)


def write(path: str, file: Any, exchanges: list[trace.Exchange]) -> None:
    """Write the archive of `exchanges` to `file`, and close it; raises RawchatError that names `path`."""
    try:
        with file:
            if stat.S_ISREG(os.fstat(file.fileno()).st_mode):  # a device or a pipe has no length
                file.truncate()
            file.write(
                utf8(json.dumps(har.archive(exchanges), ensure_ascii=False, indent=1)) + b"\n"
            )
    except OSError as error:
        raise unwritten(path, error) from None


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
