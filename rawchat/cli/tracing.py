"""Write the wire of a command while it runs: to standard error (--trace), and to an HTTP Archive (--har).

`tracing` gives a function that wraps a transport.  The archive is written when the command ends, however it ends.
"""

import contextlib
import json
import logging
import os
import stat
from collections.abc import Iterator
from typing import BinaryIO, Callable

from .. import trace
from ..errors import RawchatError
from ..trace import har
from ..wire import Transport
from .inputs import open_private
from .options import Options
from .terminal import Stderr, utf8, write_error


@contextlib.contextmanager
def tracing(options: Options, stderr: Stderr) -> Iterator[Callable[[Transport], Transport]]:
    """Give the block a function that wraps a transport for --trace and --har.

    While the block runs, what rawchat logs goes to standard error.  The archive is written at its end.
    """
    exchanges: list[trace.Exchange] = []

    def wrap(transport: Transport) -> Transport:
        """Return the transport with what --trace and --har want around it."""
        if options.trace:
            transport = trace.traced(transport, stderr.line)
        if options.har:
            transport = trace.observe(transport, har.collector(exchanges))
        return transport

    level = logging.INFO if options.trace else logging.WARNING
    with contextlib.ExitStack() as stack:
        if options.har:
            stack.enter_context(archiving(options.har, exchanges, stderr))
        stack.enter_context(logging_to_stderr(stderr, level))
        yield wrap


@contextlib.contextmanager
def archiving(path: str, exchanges: list[trace.Exchange], stderr: Stderr) -> Iterator[None]:
    """Write `exchanges` as an archive into the file at `path` when the block ends, however it ends.

    Raises UsageError if the file cannot be opened, RawchatError if it cannot be written.  If the block fails, its
    error says more: then a failure to write is printed only.
    """
    file = open_private(path, 0, "wb")
    try:
        yield
    except BaseException:
        try:
            write_har(path, file, exchanges)
        except RawchatError as error:
            stderr.warn(str(error))
        raise
    write_har(path, file, exchanges)


def write_har(path: str, file: BinaryIO, exchanges: list[trace.Exchange]) -> None:
    """Write the archive of `exchanges` to `file` and close it; raise RawchatError that names `path`."""
    text = json.dumps(har.archive(exchanges), ensure_ascii=False, indent=1)
    try:
        with file:
            # a device or a pipe has no length
            if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                file.truncate()
            file.write(utf8(text) + b"\n")
    except OSError as error:
        raise write_error(path, error) from None


class StderrHandler(logging.Handler):
    """Print log records: a warning as one, anything less as a line of the trace."""

    def __init__(self, stderr: Stderr):
        super().__init__()
        self._stderr = stderr

    def emit(self, record: logging.LogRecord) -> None:
        """Print one record."""
        text = record.getMessage()
        if record.levelno < logging.WARNING:
            self._stderr.line(f"* {text}")
        else:
            self._stderr.warn(text)


@contextlib.contextmanager
def logging_to_stderr(stderr: Stderr, level: int) -> Iterator[None]:
    """Print what rawchat logs while the block runs.

    level       INFO prints each wait before a retry and its reason, WARNING what goes wrong with a tool
    """
    logger = logging.getLogger("rawchat")
    handler = StderrHandler(stderr)
    previous = logger.level
    logger.setLevel(level)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(previous)
