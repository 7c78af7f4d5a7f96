"""Serve a small real model on this machine; the code is in `server`."""

import importlib

# `typing` is not imported here: this file runs before `python -m rawchat.local` takes the working
# directory off sys.path.
TYPE_CHECKING = False  # type checkers take this name for True, wherever it comes from
if TYPE_CHECKING:
    from typing import Any

    from .server import INSTALL as INSTALL
    from .server import available as available
    from .server import model_name as model_name
    from .server import serve as serve
    from .server import weights as weights

__all__ = ["INSTALL", "available", "model_name", "serve", "weights"]
HOMES = {
    "serve": "server",
    "available": "server",
    "weights": "server",
    "model_name": "server",
    "INSTALL": "server",
}

if not TYPE_CHECKING:

    def __getattr__(name: str) -> "Any":
        """Return a public name, loaded when it is first used (PEP 562)."""
        if name in HOMES:
            return getattr(importlib.import_module(f".{HOMES[name]}", __name__), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
