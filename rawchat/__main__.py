"""python -m rawchat: the command line."""

import os
import sys

from .safe_path import remove_working_directory

# Before any other import: a file in the working directory could stand in for what follows.
remove_working_directory()
try:
    from .cli import main

    sys.exit(main())
except ImportError as error:  # a dependency is missing, or another package has its name
    sys.exit(f"rawchat: {error}")
except KeyboardInterrupt:  # before the command line is ready for it
    os._exit(130)
