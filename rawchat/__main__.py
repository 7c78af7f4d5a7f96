"""python -m rawchat: the command line."""
import os
import sys

try:
    from .cli import main
    sys.exit(main())
except KeyboardInterrupt:                   # before the command line was ready for it
    os._exit(130)
