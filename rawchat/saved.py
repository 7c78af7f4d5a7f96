"""A conversation that a file keeps, so that a later command can go on with it.

    saved = Saved(place("", os.environ))
    history = saved.load()
    history.ask("and in French?")
    saved.save(history)
"""
import contextlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from typing import Optional

from .errors import RawchatError
from .history import History
from .prompt import UsageError

NAME = os.path.join("rawchat", "conversation.jsonl")
ELSEWHERE = "; --continue=FILE names another one"


class Saved:
    """The file at `path`, as it was when this process last read or wrote it."""

    def __init__(self, path: str):
        self.path = path
        self._folder = os.path.dirname(os.path.abspath(path))
        self._seen = version(path)

    def load(self) -> History:
        """The conversation in the file; a new one where there is none yet.

        Raises UsageError, so that nothing is asked, if the file is no conversation or could not be saved again.
        """
        self._seen = version(self.path)
        try:
            history = History.load(self.path) if self._seen else History()
        except OSError as error:
            raise UsageError(f"{self.path}: {error.strerror}{ELSEWHERE}") from None
        except RawchatError as error:
            raise UsageError(f"{error}: mend it, or move the file away{ELSEWHERE}") from None
        try:
            tempfile.TemporaryFile(dir=self._folder).close()
        except OSError as error:
            raise UsageError(f"{self._folder}: {error.strerror}{ELSEWHERE}") from None
        return history

    def save(self, history: History) -> None:
        """Write the conversation, unless another process has written there meanwhile: its turns would be lost.

        Raises RawchatError if it is not written.
        """
        try:
            with alone(self._folder):
                if version(self.path) != self._seen:
                    raise RawchatError(f"not saved: another process has changed {self.path} meanwhile")
                history.save(self.path)
                self._seen = version(self.path)
        except OSError as error:
            raise RawchatError(f"not saved: {self.path}: {error.strerror}") from None


def place(path: str, environ: Mapping[str, str]) -> str:
    """The file that -c means: `path`, else the one in the folder that the XDG specification has for such things.

    Makes that folder, for its owner only.  Raises UsageError if there can be none.

    >>> place("talk.jsonl", {})
    'talk.jsonl'
    """
    if path:
        return path
    state = environ.get("XDG_STATE_HOME", "")
    if not os.path.isabs(state):            # "should consider the path invalid and ignore it"
        state = os.path.join(environ.get("HOME") or environ.get("USERPROFILE", ""), ".local", "state")
    if not os.path.isabs(state):
        raise UsageError("there is no place for the conversation, as HOME is not set; --continue=FILE names one")
    file = os.path.join(state, NAME)
    try:
        os.makedirs(os.path.dirname(file), 0o700, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{error.filename}: {error.strerror}{ELSEWHERE}") from None
    return file


def version(path: str) -> Optional[tuple[int, int, int]]:
    """What is another when a file has been written or replaced; None if there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


@contextlib.contextmanager
def alone(folder: str) -> Iterator[None]:
    """No other process is in such a block for `folder`, where the system can promise that."""
    handle = None
    try:
        with contextlib.suppress(ImportError, OSError):     # Windows has no such lock, nor have some network folders
            import fcntl
            handle = os.open(folder, os.O_RDONLY)
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        if handle is not None:
            os.close(handle)                # which ends the lock
