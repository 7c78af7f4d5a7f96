"""Decide which options apply: those of the command line, then RAWCHAT_… variables, then the defaults."""

import os
from collections.abc import Mapping
from typing import Any, NamedTuple

from .inputs import UsageError
from .options import Option, Options, all_options

# ---- options that exclude each other

# With one of these, no prompt on a terminal is an error, not a chat.
ONE_SHOT_ONLY = (
    "attach",
    "complete",
    "image",
    "moderate",
    "models",
    "post",
    "get",
    "form",
    "embed",
    "json",
    "jsonl",
    "dry_run",
    "curl",
    "no_stdin",
)
CHAT_ONLY = (
    "system",
    "attach",
    "temperature",
    "max_tokens",
    "top_p",
    "stop",
    "tools",
    "schema",
    "json_mode",
    "jsonl",
    "extract",
    "strict",
    "continue_",
    "conversation",
)


class Conflict(NamedTuple):
    """An option that cannot be combined with any of the others."""

    name: str
    others: tuple[str, ...]
    reason: str = "cannot be combined"


CONFLICTS = (
    Conflict("local", ("base_url",), "are two different servers"),
    Conflict("jsonl", ("json", "no_stream"), "cannot be combined: --jsonl prints a stream"),
    Conflict("post", ("get", "embed", "complete", "image", "moderate", "models", "n", *CHAT_ONLY)),
    Conflict("get", ("form", "embed", "complete", "image", "moderate", "models", "n", *CHAT_ONLY)),
    Conflict("embed", ("form", "complete", "image", "moderate", "models", "n", "json", *CHAT_ONLY)),
    Conflict("complete", ("system",), "cannot be combined: put the system text into the prompt"),
    Conflict(
        "complete",
        (
            "attach",
            "tools",
            "schema",
            "json_mode",
            "continue_",
            "conversation",
            "image",
            "moderate",
            "models",
        ),
    ),
    Conflict("image", ("moderate", "models", "json", *CHAT_ONLY)),
    Conflict("moderate", ("models", "n", *CHAT_ONLY)),
    Conflict("models", ("n", "option", *CHAT_ONLY)),
    Conflict("schema", ("json_mode", "tools")),
    Conflict("json_mode", ("tools",)),
    Conflict("tools", ("json", "jsonl", "n")),
    Conflict("extract", ("json", "jsonl", "schema", "json_mode", "tools")),
    Conflict("dry_run", ("curl",)),
    Conflict("replay", ("local",), "cannot be combined: --replay sends nothing"),
)


def check_conflicts(options: Options) -> None:
    """Raise UsageError for the first two options that cannot be combined."""
    flags = {option.name: option.flag for option in all_options()}
    for conflict in CONFLICTS:
        for other in conflict.others:
            if is_set(options, conflict.name) and is_set(options, other):
                raise UsageError(f"{flags[conflict.name]} and {flags[other]} {conflict.reason}")


def excluded_by(given: Mapping[str, Any]) -> set[str]:
    """Return the names of the options that a given option excludes."""
    excluded: set[str] = set()
    for conflict in CONFLICTS:
        if conflict.name in given:
            excluded.update(conflict.others)
        if given.keys() & set(conflict.others):
            excluded.add(conflict.name)
    return excluded


def is_set(options: Options, name: str) -> bool:
    """Return whether an option has a value; 0 counts as one, an empty text or list does not."""
    setting = getattr(options, name)
    return bool(setting) or (setting == 0 and setting is not False)


# ---- the command line, then the environment, then the defaults


def resolve(given: Mapping[str, Any], environ: Mapping[str, str]) -> Options:
    """Return what applies: the `given` options of the command line, then the environment, then the defaults.

    A variable is ignored if the command line sets its option, or one that it cannot be combined with.  Raises
    UsageError for a variable that cannot be used, an empty file name, and two options that cannot be combined.
    """
    check_file_names(given)
    settings: dict[str, Any] = {}
    ignored = excluded_by(given) | given.keys()
    for option in all_options():
        text = environ.get(option.variable, "")
        if text and option.has_variable and option.name not in ignored:
            settings[option.name] = parse_variable(option, text)
    settings.update(given)
    expand_home(settings)
    options = Options(**settings, given=set(given))
    check_conflicts(options)
    return options


def check_file_names(given: Mapping[str, Any]) -> None:
    """Raise UsageError for a file name that is empty, as "$FILE" is if the shell has no such variable."""
    for option in all_options():
        if not option.takes_file or option.name not in given:
            continue
        names = given[option.name]
        if not option.repeatable:
            names = [names]
        if "" in names:
            raise UsageError(f"{option.flag}: {option.metavars[0]} is empty")


def expand_home(settings: dict[str, Any]) -> None:
    """Replace a ~ that begins a file name by the home directory.

    Shells do that, but not for --log=~/x, not in a variable of a service, and not on Windows.
    """
    for option in all_options():
        if not option.takes_file or option.name not in settings:
            continue
        names = settings[option.name]
        if option.repeatable:
            settings[option.name] = [os.path.expanduser(name) for name in names]
        else:
            settings[option.name] = os.path.expanduser(names)


def parse_variable(option: Option, text: str) -> Any:
    """Return the value that the text of a variable stands for; each line is one value of a repeatable option."""
    if not option.repeatable:
        return parse_value(option, text, option.variable)
    return [parse_value(option, line, option.variable) for line in text.splitlines() if line]


# What a flag's variable may say.
BOOLEANS = {
    "1": True,
    "true": True,
    "yes": True,
    "on": True,
    "0": False,
    "false": False,
    "no": False,
    "off": False,
}


def parse_value(option: Option, text: str, source: str) -> Any:
    """Return the value that `text` stands for.  Raises UsageError that names the `source`, a flag or a variable."""
    if not option.metavars:
        if text.lower() not in BOOLEANS:
            raise UsageError(f"{source}: not 1 or 0: {text}")
        return BOOLEANS[text.lower()]
    if option.choices and text not in option.choices:
        raise UsageError(f"{source}: not {', '.join(option.choices)}: {text}")
    if len(option.metavars) > 1:
        parts = text.split(None, len(option.metavars) - 1)
        if len(parts) < len(option.metavars):
            raise UsageError(f"{source}: not {' '.join(option.metavars)}: {text}")
        return parts
    return convert(option, text, source)


def convert(option: Option, text: str, source: str) -> Any:
    """Return `text` as the type of an option; its ValueError says what the text is not."""
    try:
        return option.type(text)
    except ValueError as error:
        raise UsageError(f"{source}: {error}: {text}") from None
