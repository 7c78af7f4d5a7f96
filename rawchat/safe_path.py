"""Guard what a command does on the file system: its module search path, files for their owner only, replacing a file.

`python -m` puts the working directory first on `sys.path`, so a file there could stand in for any module.  A command
takes it off before it imports anything else, so this module imports only what every Python has loaded by then.
"""

import os
import sys

# `typing` is not imported, for the same reason.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Optional

#: seconds between two tries to replace a file that another program has open
REPLACE_DELAYS = (0.05, 0.1, 0.2, 0.4)


def remove_working_directory() -> None:
    """Take the working directory off `sys.path` where `python -m` has put it; leave it if this package lies there.

    Python does the same by itself with -P, -I or PYTHONSAFEPATH=1, which are respected: the first entry is another one
    then.  A directory that PYTHONPATH names stays, because the user chose it.
    """
    if sys.flags.isolated or getattr(sys.flags, "safe_path", False) or not sys.path:
        return
    home = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    try:
        first = os.path.realpath(sys.path[0] or os.curdir)
        if first == os.path.realpath(os.curdir) and first != os.path.realpath(home):
            del sys.path[0]
    except OSError:
        # The working directory was deleted: nothing can be imported from it.
        return


def open_private(path: str, flags: int = 0) -> int:
    """Return the descriptor of a file that is open for reading and writing; a new one gets the mode 0600.

    `flags` are added to those of os.open.  Raises OSError with the path and the reason; a symbolic link is an error.
    """
    # Windows has no O_NOFOLLOW.
    if not hasattr(os, "O_NOFOLLOW") and os.path.islink(path):
        raise link_error(path)
    flags |= os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    try:
        return os.open(path, flags, 0o600)
    except OSError:
        if os.path.islink(path):
            raise link_error(path) from None
        raise


def link_error(path: str) -> OSError:
    """Return the error for a symbolic link where a file of our own is to be."""
    import errno

    return OSError(errno.ELOOP, "a symbolic link, which is not followed", path)


def replace_file(
    source: str, target: str, sleep: "Optional[Callable[[float], object]]" = None
) -> None:
    """Rename `source` to `target`, in the place of a file that may be there.

    Windows refuses that while another program has `target` open, as a virus scanner or an indexer has for a moment:
    it is tried again a few times.  Raises OSError that names `target`; both files are then as they were.

    sleep       default: time.sleep
    """
    import time

    wait = time.sleep if sleep is None else sleep
    for delay in REPLACE_DELAYS:
        try:
            os.replace(source, target)
            return
        except PermissionError:
            wait(delay)
    try:
        os.replace(source, target)
    except PermissionError as error:
        reason = f"{error.strerror} (does another program have it open?)"
        raise PermissionError(error.errno, reason, target) from None
