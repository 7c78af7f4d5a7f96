"""python -m rawchat: the command line.

The process of a one-shot lives for a moment, and a fifth of its CPU would go to two things that bring it nothing: the
garbage collector, which looks at what the imports have just made, and the end of the interpreter, which frees one by one
what the end of the process frees at once.  So the collector runs rarely, and `leave` ends the process itself.
"""

import gc
import os
import sys

from .safe_path import remove_working_directory

# Before any other import: a file in the working directory could stand in for what follows.
remove_working_directory()

#: new objects between two runs of the garbage collector; Python's 700 come about a hundred times during the imports
GC_THRESHOLD = 100_000

#: modules that look at the process when it ends, which it has to do in the usual way then
OBSERVERS = {"cProfile", "coverage", "pdb", "profile", "trace", "tracemalloc"}


def leave(code: int) -> None:
    """End the process with an exit code, without taking down the interpreter.

    What would be done at its end is done before: functions registered with `atexit` run, and both outputs are flushed.
    Where anything else is left to do, the process ends in the usual way: another thread is waited for, an output that
    cannot be written is reported, a profiler prints what it has seen, `python -i` reads commands.
    """
    import atexit
    import threading

    if sys.flags.inspect or threading.active_count() > 1 or not OBSERVERS.isdisjoint(sys.modules):
        sys.exit(code)
    atexit._run_exitfuncs()
    try:
        for output in (sys.stdout, sys.stderr):
            if output is not None:
                output.flush()
    except (OSError, ValueError):
        sys.exit(code)
    os._exit(code)


try:
    if hasattr(gc, "set_threshold"):  # PyPy has another kind of collector
        gc.set_threshold(GC_THRESHOLD)
    from .cli import main

    leave(main())
except ImportError as error:  # a dependency is missing, or another package has its name
    sys.exit(f"rawchat: {error}")
except KeyboardInterrupt:  # before the command line is ready for it
    os._exit(130)
