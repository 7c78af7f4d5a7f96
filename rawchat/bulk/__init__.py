"""Many prompts at once: rows go in, results come out as they are ready."""

import importlib

# `typing` is not imported here: this file runs before `python -m rawchat.bulk` takes the working
# directory off sys.path.
TYPE_CHECKING = False  # type checkers take this name for True, wherever it comes from
if TYPE_CHECKING:
    from typing import Any

    from .__main__ import main as main
    from .rows import succeeded as succeeded
    from .run import run_rows as run_rows

__all__ = ["main", "run_rows", "succeeded"]
HOMES = {"run_rows": "run", "succeeded": "rows", "main": "__main__"}

if not TYPE_CHECKING:

    def __getattr__(name: str) -> "Any":
        """Return a public name, loaded when it is first used (PEP 562)."""
        if name in HOMES:
            return getattr(importlib.import_module(f".{HOMES[name]}", __name__), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
