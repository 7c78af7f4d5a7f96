"""Every option of the command line, once, as data; and what applies where some are given and others are not.

The parser, --help, the completion scripts and the variables RAWCHAT_… are all made from `OPTIONS`.  The command line
comes before RAWCHAT_…, that before OPENAI_…, that before `.env`.
"""
from collections.abc import Iterator, Mapping
from types import SimpleNamespace
from typing import Any, NamedTuple

from .prompt import UsageError

Options = SimpleNamespace                   # options.max_tokens; options.given: the names on the command line
TRUTH = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}


class Option(NamedTuple):
    """One option.  Without a metavar it is a flag; of two words, it takes two values."""

    flags: str
    help: str
    metavar: str = ""                       #: what its value is called; where it says FILE, files are completed
    kind: Any = str
    many: bool = False                      #: may it be repeated?
    choices: tuple[str, ...] = ()
    settable: bool = True                   #: has it a variable?

    @property
    def name(self) -> str:
        """What it is called in `Options`."""
        return self.flags.split()[-1].lstrip("-").replace("-", "_")

    @property
    def variable(self) -> str:
        """The environment variable that sets it."""
        return f"RAWCHAT_{self.name.upper()}"

    @property
    def default(self) -> Any:
        """What it is if nobody sets it."""
        return [] if self.many else None if self.metavar else False


SHELLS = ("bash", "zsh", "fish")
OPTIONS = {
    "the question": [
        Option("-m --model", "the model (default: OPENAI_MODEL, then gpt-4o-mini)", "NAME"),
        Option("-s --system", "instructions before the question; @FILE reads them", "TEXT"),
        Option("-t --temperature", "0 is sober, 2 is wild", "T", float),
        Option("--max-tokens", "the longest answer", "N", int),
        Option("--top-p", "only the likeliest words that make up P", "P", float),
        Option("-n", "so many answers, a blank line between them", "N", int),
        Option("--stop", "end the answer before TEXT; may be repeated", "TEXT", many=True),
        Option("-o --option", "any parameter of the API: VALUE is JSON, else text; @FILE reads it", "KEY VALUE",
               many=True),
        Option("--complete", "go on with a text (/v1/completions)"),
        Option("-c --continue", "go on with the conversation in FILE (only as --continue=FILE or -cFILE), or in\n"
               "$XDG_STATE_HOME/rawchat/conversation.jsonl, and keep it there", "[FILE]"),
    ],
    "the answer": [
        Option("--no-stream", "wait for the whole answer"),
        Option("--json", "print the server's JSON, byte for byte"),
        Option("--jsonl", "print each part of the stream as a line of JSON"),
        Option("--strict", "exit with 9 if the answer was cut short"),
    ],
    "the connection": [
        Option("--base-url", "the server (default: OPENAI_BASE_URL, then OpenAI)", "URL"),
        Option("--key-file", "a file with the key", "FILE"),
        Option("--allow-http", "let the key go over http:// to another machine"),
        Option("-H --header", "one more header, LINE is 'Name: value'", "LINE", many=True),
        Option("--timeout", "seconds for each step (default: 5 to connect, 600)", "S", float),
        Option("--deadline", "seconds for everything", "S", float),
        Option("--retries", "further attempts (default: 2)", "N", int),
        Option("--local", "start the small local model for this question"),
    ],
    "this command": [
        Option("--color", "colour on standard error (default: auto, on a terminal)", "WHEN",
               choices=("auto", "always", "never")),
        Option("--debug", "show tracebacks"),
        Option("-h --help", "show this", settable=False),
        Option("--version", "show the version", settable=False),
    ],
}
APART = [                                   # of the options in a line, one at most; and why
    ("local base_url", "are two different servers"),
    ("jsonl json", "are two different ways to show an answer"),
    ("jsonl no_stream", "do not go together: --jsonl shows a stream"),
    ("complete continue", "do not go together: it is no conversation that --complete makes"),
    ("complete system", "do not go together: put the system text into the prompt"),
]
ONCE = ("complete", "json", "jsonl")        #: those that want a question on the command line: no chat prompt


def every() -> Iterator[Option]:
    """All options, in the order of --help."""
    for options in OPTIONS.values():
        yield from options


def chosen(given: Mapping[str, Any], environ: Mapping[str, str]) -> Options:
    """What applies, with what was `given` on the command line before what the environment says.

    A variable steps back for an option that does not go together with it.  Raises UsageError for two options that
    were given and do not go together, or for a variable that cannot be used.
    """
    rivals = {other for names, _ in APART for other in names.split() if {*names.split()} & given.keys()}
    found = {option.name: read(option, environ[option.variable]) for option in every()
             if option.settable and environ.get(option.variable) and option.name not in {*given, *rivals}}
    flags = {option.name: option.flags.split()[-1] for option in every()}
    options = {**{option.name: option.default for option in every()}, **found, **given}
    for names, why in APART:
        pair = [flags[name] for name in names.split() if options[name]]
        if len(pair) > 1:
            raise UsageError(f"{pair[0]} and {pair[1]} {why}")
    return Options(**options, given=set(given))


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
        raise UsageError(f"{option.variable}: {text!r} is not {' or '.join(option.choices) or wanted}") from None
