"""Load the functions of a Python file as tools, and let the person allow or refuse each call (--tools, --yes)."""

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

# Return whether a call is allowed; None if no person can be asked.
Confirm = Callable[[Call], Optional[bool]]

# what the model receives as the result of a call that was not made
REFUSED = "error: the user refused this call"
NO_TTY = "error: refused, as there is no terminal on which the user could be asked"

#: the module name under which the file runs
MODULE = "__tools__"


# ---- loading


def load_functions(path: str) -> list[Function]:
    """Run a Python file and return the public functions that it defines, in their order.

    The file may import others beside it.  Nothing is written: an import of the file itself would leave a __pycache__.

    Raises UsageError, in one line, for whatever goes wrong, and for a file without a public function.
    """
    try:
        functions = public_functions(run_file(path))
        tool_specs(functions)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}") from None
    except (Exception, SystemExit) as error:
        raise UsageError(f"{path}: {type(error).__name__}: {one_line(str(error))}") from None
    if not functions:
        raise UsageError(f"{path}: no public function in it")
    return functions


def run_file(path: str) -> types.ModuleType:
    """Run a Python file as a module of its own, and return it; what it prints goes to standard error."""
    module = types.ModuleType(MODULE)
    module.__file__ = path
    # dataclasses look there for the types of their fields
    sys.modules[MODULE] = module
    # last: a file beside it must not hide a module that we need
    sys.path.append(os.path.dirname(os.path.abspath(path)))
    with open(path, "rb") as file, contextlib.redirect_stdout(sys.stderr):
        code = compile(file.read(), path, "exec")
        exec(code, module.__dict__)
    return module


def public_functions(module: types.ModuleType) -> list[Function]:
    """Return the functions that a module defines itself, without those whose names begin with an underscore."""
    functions: list[Function] = []
    for name, value in vars(module).items():
        if name.startswith("_") or not inspect.isfunction(value):
            continue
        if value.__module__ == module.__name__:
            functions.append(value)
    return functions


def tool_specs(functions: Sequence[Function]) -> list[dict[str, Any]]:
    """Return the tool dicts of functions, as the model receives them."""
    return [tools.spec(function) for function in functions]


# ---- allowing


def confirmed_functions(
    functions: Sequence[Function], allow_all: bool, warn: Callable[[str], Any]
) -> list[Function]:
    """Return functions that ask on the terminal before every call; with `allow_all` they only print it."""
    confirm = None if allow_all else confirm_on_tty
    return [with_confirmation(function, warn, confirm) for function in functions]


def with_confirmation(
    function: Function, warn: Callable[[str], Any], confirm: Optional[Confirm]
) -> Function:
    """Return `function` in a version that is called only if `confirm` allows it.

    warn        prints one line: a call that was refused, or that is made unasked
    confirm     None allows every call
    """

    @functools.wraps(function)
    def call_if_allowed(**arguments: Any) -> Any:
        """Call the function, or return why it was not called."""
        call = Call(function.__name__, arguments)
        if confirm is None:
            warn(f"calls {call}")
            return function(**arguments)
        allowed = confirm(call)
        if allowed:
            return function(**arguments)
        if allowed is None:
            warn(f"refused {call}: no terminal to ask on; --yes allows all calls")
            return NO_TTY
        warn(f"refused {call}")
        return REFUSED

    return call_if_allowed


def confirm_on_tty(call: Call) -> Optional[bool]:
    """Ask for `call` on the terminal of this process; see `approval.ask`."""
    return approval.ask(call)
