"""The file of -c without one: in the folder that the XDG Base Directory Specification has for such things.

>>> place({"HOME": "/home/ann", "XDG_STATE_HOME": "relative"})
'/home/ann/.local/state/rawchat/conversation.jsonl'
"""

import os
from collections.abc import Mapping, Sequence

from .prompt import UsageError

CONTINUE = ("-c", "--continue")
NAMED = "; --continue=FILE names another one"


def continued(words: Sequence[str], environ: Mapping[str, str]) -> list[str]:
    """`words` with the default file for each -c that names none: a FILE is written without a blank, as in GNU's tools.

    Raises UsageError where what follows a blank looks like a FILE.
    """
    for flag, word in zip(words, words[1:]):
        if flag in CONTINUE and (word.endswith(".jsonl") or os.path.isfile(word)):
            raise UsageError(
                f"{word} is part of the question here: --continue={word} goes on with a file; "
                f"{flag} -- {word} asks"
            )
    return [f"--continue={made(place(environ))}" if word in CONTINUE else word for word in words]


def place(environ: Mapping[str, str]) -> str:
    """The file; raises UsageError if there is no folder for it."""
    state = environ.get("XDG_STATE_HOME", "")
    if not os.path.isabs(state):  # "should consider the path invalid and ignore it"
        state = os.path.join(
            environ.get("HOME") or environ.get("USERPROFILE", ""), ".local", "state"
        )
    if not os.path.isabs(state):
        raise UsageError("HOME is not set, so there is no file for the conversation" + NAMED)
    return os.path.join(state, "rawchat", "conversation.jsonl")


def made(path: str) -> str:
    """`path`, with the folder it lies in made for its owner only; raises UsageError if it cannot be."""
    try:
        os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{error.filename}: {error.strerror}{NAMED}") from None
    return path
