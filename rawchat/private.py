"""Files that hold what was said: made for their owner only, and never by way of a link."""

import os
from typing import Any

from .prompt import UsageError


def opened(path: str, flags: int = 0, mode: str = "r+b") -> Any:
    """An open file, made 0600 if it is new.  Raises UsageError if that cannot be."""
    flags |= os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    try:
        number = os.open(path, flags, 0o600)
    except OSError as error:
        reason = (
            "a symbolic link, which is not followed" if os.path.islink(path) else error.strerror
        )
        raise UsageError(f"{path}: {reason}") from None
    return os.fdopen(number, mode)
