"""The functions of a Python file as tools, each call of which the person allows or refuses."""

import contextlib
import functools
import inspect
import os
import sys
import types
from collections.abc import Sequence
from typing import Any, Callable, Optional

from .. import tools
from ..errors import one_line
from ..tools.calls import Function
from . import approval
from .approval import Call
from .inputs import UsageError

Confirm = Callable[[Call], Optional[bool]]  # None: there is nobody to ask


REFUSED = "error: the user refused this call"


NO_TTY = "error: refused, as there is no terminal on which the user could be asked"


def load_functions(path: str) -> list[Function]:
    """The public functions that are defined in a Python file, which is run; beside it, it may import others.

    Nothing is written: import would leave a __pycache__.  Raises UsageError, in one line, for whatever goes wrong.
    """
    module = types.ModuleType("__tools__")
    module.__file__ = path
    sys.modules[module.__name__] = module  # dataclasses look there for the types of their fields
    sys.path.append(os.path.dirname(os.path.abspath(path)))  # last: it must not hide what we need
    try:
        with open(path, "rb") as file, contextlib.redirect_stdout(sys.stderr):
            exec(compile(file.read(), path, "exec"), module.__dict__)
        found: list[Function] = [
            thing
            for name, thing in vars(module).items()
            if inspect.isfunction(thing)
            and thing.__module__ == module.__name__
            and not name.startswith("_")
        ]
        tool_specs(found)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}") from None
    except (Exception, SystemExit) as error:
        raise UsageError(f"{path}: {type(error).__name__}: {one_line(str(error))}") from None
    if not found:
        raise UsageError(f"{path}: no public function in it")
    return found


def tool_specs(functions: Sequence[Function]) -> list[dict[str, Any]]:
    """What the model is told of them."""
    return [tools.spec(function) for function in functions]


def with_confirmation(
    function: Function, say: Callable[[str], Any], ask: Optional[Confirm]
) -> Function:
    """`function`, with every call shown, and made only if `ask` says so; with None in its place it is."""

    @functools.wraps(function)
    def guarded(**arguments: Any) -> Any:
        call = Call(function.__name__, arguments)
        if ask is None:
            say(f"calls {call}")
            return function(**arguments)
        allowed = ask(call)
        if allowed:
            return function(**arguments)
        say(
            f"refused {call}"
            + ("" if allowed is False else ": no terminal to ask on; --yes allows all calls")
        )
        return NO_TTY if allowed is None else REFUSED

    return guarded


def confirm_on_tty(call: Call) -> Optional[bool]:
    """Ask for `call` on the terminal of this process: `approval.ask`."""
    return approval.ask(call)
