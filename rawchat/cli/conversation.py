"""A conversation that a file keeps, so that a later command can go on with it.

saved = Saved("talk.jsonl")
saved.history.ask("and in French?")
saved.save(saved.history)
"""

import contextlib
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Optional

from ..errors import RawchatError
from .inputs import UsageError

if TYPE_CHECKING:
    from ..history import History
    from ..history.window import Message


CONTINUE_FLAGS = ("-c", "--continue")


POINTER = "; --continue=FILE names another one"


def expand_continue(words: Sequence[str], environ: Mapping[str, str]) -> list[str]:
    """`words` with the default file for each -c that names none: a FILE is written without a blank, as in GNU's tools.

    Raises UsageError where what follows a blank looks like a FILE.
    """
    for flag, word in zip(words, words[1:]):
        if flag in CONTINUE_FLAGS and (word.endswith(".jsonl") or os.path.isfile(word)):
            raise UsageError(
                f"{word} is part of the question here: --continue={word} goes on with a file; "
                f"{flag} -- {word} asks"
            )
    return [
        f"--continue={ensure_parent(default_path(environ))}" if word in CONTINUE_FLAGS else word
        for word in words
    ]


def default_path(environ: Mapping[str, str]) -> str:
    """The file; raises UsageError if there is no folder for it."""
    state = environ.get("XDG_STATE_HOME", "")
    if not os.path.isabs(state):  # "should consider the path invalid and ignore it"
        state = os.path.join(
            environ.get("HOME") or environ.get("USERPROFILE", ""), ".local", "state"
        )
    if not os.path.isabs(state):
        raise UsageError("HOME is not set, so there is no file for the conversation" + POINTER)
    return os.path.join(state, "rawchat", "conversation.jsonl")


def ensure_parent(path: str) -> str:
    """`path`, with the folder it lies in made for its owner only; raises UsageError if it cannot be."""
    try:
        os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{error.filename}: {error.strerror}{POINTER}") from None
    return path


class ConversationFile:
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
            self._seen = read_or_none(path)
            from ..history import History  # loads the client, which few commands need

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
    def turn(self, messages: "list[Message]") -> "Iterator[History]":
        """While the block runs, the conversation goes on as in `messages`; it is saved if that ends well."""
        with self.history.turn():
            self.history[:] = messages
            yield self.history
        self.save(self.history)

    def save(self, history: "History") -> None:
        """Write `history`, unless another process has written there meanwhile: its turns would be lost.

        Raises RawchatError if it is not written.
        """
        try:
            with locked(self._folder):
                if read_or_none(self.path) != self._seen:
                    raise RawchatError(
                        f"not saved: another process has changed {self.path} meanwhile"
                    )
                history.save(self.path)
                self._seen = read_or_none(self.path)
        except OSError as error:
            raise RawchatError(f"not saved: {self.path}: {error.strerror}") from None


def read_or_none(path: str) -> Optional[bytes]:
    """What is in a file; None if there is none."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return None


@contextlib.contextmanager
def locked(folder: str) -> Iterator[None]:
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
