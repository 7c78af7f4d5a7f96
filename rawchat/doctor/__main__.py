"""python -m rawchat.doctor [BASE_URL]: which step to a model fails, and what to do about it."""

import sys

from ..safe_path import remove_working_directory

remove_working_directory()  # first: what follows imports much that a file there could stand in for
try:
    from .command import main
except ImportError as error:  # no ssl module, or a dependency is missing
    sys.exit(f"rawchat.doctor: {error}")

if __name__ == "__main__":
    sys.exit(main())
