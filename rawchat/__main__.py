"""python -m rawchat: the command line."""

import os
import sys

from .safe_path import remove_working_directory

remove_working_directory()  # first: what follows imports much that a file there could stand in for
try:
    from .cli import main

    sys.exit(main())
except ImportError as error:  # a dependency is missing, or another package has its name
    sys.exit(f"rawchat: {error}")
except KeyboardInterrupt:  # before the command line was ready for it
    os._exit(130)
