"""Guard two things on the file system: the module search path of a command, and files for their owner only.

`python -m` puts the working directory first on `sys.path`, so a file there could stand in for any module.  A command
takes it off before it imports anything else, so this module imports only what every Python has loaded by then.
"""

import os
import sys


def remove_working_directory() -> None:
    """Take the working directory off `sys.path` where `python -m` has put it; leave it if this package lies there.

    Python does the same by itself with -P, -I or PYTHONSAFEPATH=1, which are respected: the first entry is another one
    then.  A directory that PYTHONPATH names stays, because somebody chose it.
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
    flags |= os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    try:
        return os.open(path, flags, 0o600)
    except OSError as error:
        if os.path.islink(path):
            reason = "a symbolic link, which is not followed"
            raise OSError(error.errno, reason, path) from None
        raise
