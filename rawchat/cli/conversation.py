"""Keep a conversation in a file, so that a later command can continue it (-c, --conversation FILE).

    conversation = ConversationFile("talk.jsonl")
    conversation.history.ask("and in French?")
    conversation.save(conversation.history)

A file that another process has changed since it was read is not overwritten: the turns of that process would be lost.
"""

import contextlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Optional

from ..errors import RawchatError
from .inputs import UsageError

if TYPE_CHECKING:
    from ..history import History
    from ..history.record import Message

OTHER_FILE = "; --conversation FILE names another one"


# ---- which file


def default_path(environ: Mapping[str, str]) -> str:
    """Return the path of the default conversation file, in the state directory of the XDG base directories.

    On Windows it is in LOCALAPPDATA.  Raises UsageError if no such directory and no home directory is set.
    """
    state = environ.get("XDG_STATE_HOME", "")
    if not os.path.isabs(state):
        # the specification: "should consider the path invalid and ignore it"
        state = environ.get("LOCALAPPDATA", "")
    if not os.path.isabs(state):
        home = environ.get("HOME") or environ.get("USERPROFILE", "")
        state = os.path.join(home, ".local", "state")
    if not os.path.isabs(state):
        raise UsageError("HOME is not set, so there is no file for the conversation" + OTHER_FILE)
    return os.path.join(state, "rawchat", "conversation.jsonl")


def ensure_parent(path: str) -> str:
    """Create the folder of `path`, for its owner only, and return `path`.

    Raises UsageError if the folder cannot be created.
    """
    try:
        os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{error.filename}: {error.strerror}{OTHER_FILE}") from None
    return path


# ---- the file


class ConversationFile:
    """A conversation file as this process last saw it.

    path        where it is; a file that does not exist is an empty conversation
    history     the conversation that was in it

    Raises UsageError, before anything is sent, if the file holds no conversation or could not be written again.
    """

    def __init__(self, path: str):
        if not path or (os.path.exists(path) and not os.path.isfile(path)):
            # `save` would put a file in the place of /dev/null
            raise UsageError(f"{path or repr(path)} is not a file")
        self.path = path
        self._folder = os.path.dirname(os.path.abspath(path))
        self._last_seen: Optional[bytes] = None
        self.history = self._load()
        try:
            tempfile.TemporaryFile(dir=self._folder).close()
        except OSError as error:
            raise UsageError(f"{self._folder}: {error.strerror}") from None

    @contextlib.contextmanager
    def turn(self, messages: "list[Message]") -> "Iterator[History]":
        """Give the block a history that holds `messages`; save it if the block ends without an error."""
        with self.history.turn():
            self.history[:] = messages
            yield self.history
        self.save(self.history)

    def save(self, history: "History") -> None:
        """Write `history` to the file.

        Raises RawchatError if another process has changed the file since, or if it cannot be written.
        """
        try:
            with folder_lock(self._folder):
                if read_or_none(self.path) != self._last_seen:
                    raise RawchatError(
                        f"not saved: another process has changed {self.path} meanwhile"
                    )
                history.save(self.path)
                self._last_seen = read_or_none(self.path)
        except OSError as error:
            raise RawchatError(f"not saved: {self.path}: {error.strerror}") from None

    def _load(self) -> "History":
        """Return the conversation in the file, and remember the bytes it was read from."""
        # here, not above: history loads the client, which few commands need
        from ..history import History

        try:
            self._last_seen = read_or_none(self.path)
            if self._last_seen is None:
                return History()
            return History.load(self.path)
        except OSError as error:
            raise UsageError(f"{self.path}: {error.strerror}") from None
        except RawchatError as error:
            raise UsageError(f"{error}; fix that line or choose another file") from None


def read_or_none(path: str) -> Optional[bytes]:
    """Return the bytes of a file, None if it does not exist; raise OSError if it cannot be read."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return None


@contextlib.contextmanager
def folder_lock(folder: str) -> Iterator[None]:
    """Hold an exclusive lock on `folder` while the block runs.

    Where there are no such locks (Windows, some network file systems) the block runs without one.
    """
    handle = None
    try:
        with contextlib.suppress(ImportError, OSError):
            import fcntl  # POSIX only

            handle = os.open(folder, os.O_RDONLY)
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        if handle is not None:
            # closing it releases the lock
            os.close(handle)
