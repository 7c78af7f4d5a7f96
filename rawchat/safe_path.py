"""The module search path of a command: `python -m` puts the working directory first, and whoever wrote there runs.

It must be called before anything is imported that a file in that directory could stand in for, so it imports only
what every Python has loaded by then.
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
    except OSError:  # the working directory was deleted: nothing can be imported from it
        return
