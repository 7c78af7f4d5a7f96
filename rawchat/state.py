"""Where a conversation lies that nobody has named a file for: in the folder of the XDG Base Directory Specification.

>>> place({"HOME": "/home/ann", "XDG_STATE_HOME": "relative"})
'/home/ann/.local/state/rawchat/conversation.jsonl'
"""
import os
from collections.abc import Mapping

from .prompt import UsageError

NAMED = "; --continue=FILE names another one"


def place(environ: Mapping[str, str]) -> str:
    """The file; raises UsageError if there is no folder for it."""
    state = environ.get("XDG_STATE_HOME", "")
    if not os.path.isabs(state):            # "should consider the path invalid and ignore it"
        state = os.path.join(environ.get("HOME") or environ.get("USERPROFILE", ""), ".local", "state")
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
