"""A conversation that a file keeps, so that a later command can go on with it.

saved = Saved("talk.jsonl")
saved.history.ask("and in French?")
saved.save(saved.history)
"""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from typing import Optional

from .errors import RawchatError
from .history import History
from .prompt import UsageError
from .window import Message


class Saved:
    """The file at `path`, as this process knows it, and the conversation that was in it; none where there is no file.

    Raises UsageError, before anything is asked, if it is no conversation or could not be written again.
    """

    def __init__(self, path: str):
        self.path = path
        self._folder = os.path.dirname(os.path.abspath(path))
        if not path or (os.path.exists(path) and not os.path.isfile(path)):
            raise UsageError(
                f"{path or repr(path)} is no file"
            )  # `save` would put one in the place of /dev/null
        try:
            self._seen = content(path)
            self.history = History() if self._seen is None else History.load(path)
        except OSError as error:
            raise UsageError(f"{path}: {error.strerror}") from None
        except RawchatError as error:
            raise UsageError(f"{error}; mend that line, or name another file") from None
        try:
            tempfile.TemporaryFile(dir=self._folder).close()
        except OSError as error:
            raise UsageError(f"{self._folder}: {error.strerror}") from None

    @contextlib.contextmanager
    def turn(self, messages: list[Message]) -> Iterator[History]:
        """While the block runs, the conversation goes on as in `messages`; it is saved if that ends well."""
        with self.history.turn():
            self.history[:] = messages
            yield self.history
        self.save(self.history)

    def save(self, history: History) -> None:
        """Write `history`, unless another process has written there meanwhile: its turns would be lost.

        Raises RawchatError if it is not written.
        """
        try:
            with alone(self._folder):
                if content(self.path) != self._seen:
                    raise RawchatError(
                        f"not saved: another process has changed {self.path} meanwhile"
                    )
                history.save(self.path)
                self._seen = content(self.path)
        except OSError as error:
            raise RawchatError(f"not saved: {self.path}: {error.strerror}") from None


def content(path: str) -> Optional[bytes]:
    """What is in a file; None if there is none."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return None


@contextlib.contextmanager
def alone(folder: str) -> Iterator[None]:
    """No other process is in such a block for `folder`, where the system can promise that."""
    handle = None
    try:
        with contextlib.suppress(
            ImportError, OSError
        ):  # Windows has no such lock, nor have some network folders
            import fcntl

            handle = os.open(folder, os.O_RDONLY)
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        if handle is not None:
            os.close(handle)  # which ends the lock
