"""What the options are: the command line comes before RAWCHAT_…, that before OPENAI_…, that before `.env`.

>>> chosen({"model": "a"}, {"RAWCHAT_MODEL": "b", "RAWCHAT_MAX_TOKENS": "100"}).max_tokens
100
"""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from .options import Option, apart, every
from .prompt import UsageError

Options = SimpleNamespace  # options.max_tokens; options.given: the names on the command line
TRUTH = {
    "1": True,
    "true": True,
    "yes": True,
    "on": True,
    "0": False,
    "false": False,
    "no": False,
    "off": False,
}


def chosen(given: Mapping[str, Any], environ: Mapping[str, str]) -> Options:
    """What applies: what was `given` on the command line, then what the environment says, then the defaults.

    A variable steps back for a given option that it does not go together with.  Raises UsageError for two options
    that do not, and for a variable that cannot be used.
    """
    rivals = {name for pair in apart() if {*pair[:2]} & given.keys() for name in pair[:2]}
    found = {
        option.name: read(option, environ[option.variable])
        for option in every()
        if option.settable and environ.get(option.variable) and option.name not in {*given, *rivals}
    }
    options = {**{option.name: option.default for option in every()}, **found, **given}
    flags = {option.name: option.flags.split()[-1] for option in every()}
    for option in every():
        value = given.get(option.name)
        if option.metavar in ("FILE", "SCHEMA") and "" in (
            value if option.many and value else [value]
        ):
            raise UsageError(
                f"{flags[option.name]}: {option.metavar} is empty"
            )  # "$SCHEMA", which is not set
    for one, other, why in apart():
        if is_set(options[one]) and is_set(options[other]):
            raise UsageError(f"{flags[one]} and {flags[other]} {why}")
    return Options(**options, given=set(given))


def is_set(value: Any) -> bool:
    """Was an option given a value?  0 is one."""
    return bool(value) or (value == 0 and value is not False)


def read(option: Option, text: str) -> Any:
    """The value that the text of a variable gives an option; of one that may be repeated, each line is one."""
    if option.many:
        return [one(option, line) for line in text.splitlines() if line]
    return one(option, text)


def one(option: Option, text: str) -> Any:
    """One value; raises UsageError that names the variable."""
    try:
        if not option.metavar:
            return TRUTH[text.lower()]
        if option.choices:
            return option.choices[option.choices.index(text)]
        if " " in option.metavar:
            first, second = text.split(None, 1)
            return [first, second]
        return option.kind(text)
    except (KeyError, ValueError):
        wanted = {float: "a number", int: "a whole number"}.get(option.kind, option.metavar)
        wanted = wanted if option.metavar else "1 or 0"
        raise UsageError(
            f"{option.variable}: {text!r} is not {' or '.join(option.choices) or wanted}"
        ) from None
