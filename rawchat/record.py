"""The calls of a command, told when they are over: in a line on standard error by -v, in a line of JSON by --log."""

import contextlib
import os
import time
from collections.abc import Iterator, Mapping
from typing import Any, Optional, Union

from .config import Config
from .headers import Headers
from .keys import without
from .notes import Notes
from .output import unwritten
from .precedence import Options
from .private import opened
from .reply import Reply
from .wire import Request


class Record:
    """What was called; raises UsageError for a log or prices that cannot be used."""

    def __init__(self, options: Options, notes: Notes):
        self._notes = notes if options.usage else None
        self._log: Any = None
        self._prices = None
        self._stderr = notes
        self.code = 0  #: the exit code of a command that is well but for its log
        self._replies: list[Reply] = []
        self._seconds = 0.0
        if options.usage or options.log:  # else nobody has to wait for them
            from . import encode, facts

            self._facts, self._encode = facts, encode.encode_mended
            self._prices = facts.prices_in(options.prices) if options.prices else None
        if options.log:
            self._path = options.log
            self._log = opened(options.log, os.O_APPEND, "ab")

    @contextlib.contextmanager
    def call(
        self, config: Config, asked: Union[Request, Mapping[str, Any]]
    ) -> Iterator[list[Reply]]:
        """A call, made by the block, which adds its Reply to the list that it is given; `asked` is what goes out."""
        replies: list[Reply] = []
        failure: Optional[BaseException] = None
        now, start = time.time(), time.monotonic()
        try:
            yield replies
        except BaseException as error:
            failure = error
            raise
        finally:
            seconds = time.monotonic() - start
            self._replies += replies
            self._seconds += seconds
            if self._log:
                whole = replies[0] if replies else getattr(failure, "partial", None)
                line = self._facts.entry(asked, whole, failure, now, seconds, self._prices)
                self._write(self._encode(without(secrets(config), line)) + b"\n")

    def _write(self, line: bytes) -> None:
        """Add a line to the log.  One that cannot be written ends no conversation: it is said, and told by the code."""
        try:
            self._log.write(line)
            self._log.flush()
        except OSError as error:
            self.code = 1
            self._stderr.complain(
                f"{unwritten(self._path, error)}; this call is not logged, nor are later ones"
            )
            with contextlib.suppress(OSError):
                self._log.close()  # it tries once more to write what it still holds
            self._log = None

    def tell(self) -> None:
        """Say for -v what the calls since the last time used."""
        if self._notes and self._replies:
            self._notes.complain(self._facts.summary(self._replies, self._seconds, self._prices))
        self._replies, self._seconds = [], 0.0

    def __enter__(self) -> "Record":
        return self

    def __exit__(self, *_: object) -> None:
        self.tell()
        if self._log:
            self._log.close()


def secrets(config: Config) -> list[str]:
    """The credentials that a client sends; what is shorter than any real key is left to be a word."""
    keys = config.keys()
    return [*(key for key in keys if len(key) >= 5), *Headers(*config.headers).secrets]
