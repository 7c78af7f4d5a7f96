"""Every option of the command line, once, as data.

The parser, --help, the completion scripts and the variables RAWCHAT_… are all made from it.
"""

import argparse
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from types import SimpleNamespace
from typing import Any, NamedTuple, NoReturn

from ..wire import __version__
from .conversation import expand_continue
from .inputs import UsageError
from .terminal import to_devnull, write_error


class Option(NamedTuple):
    """One option.  Without a metavar it is a flag; of two words, it takes two values."""

    flags: str
    help: str
    metavar: str = ""  #: what its value is called
    kind: Any = str
    many: bool = False  #: may it be repeated?
    choices: tuple[str, ...] = ()
    settable: bool = True  #: has it a variable?

    @property
    def name(self) -> str:
        """What it is called in `Options`."""
        return self.flags.split()[-1].lstrip("-").replace("-", "_")

    @property
    def variable(self) -> str:
        """The environment variable that sets it."""
        return f"RAWCHAT_{self.name.upper()}"

    @property
    def files(self) -> bool:
        """Is its value a file?"""
        return self.metavar in ("FILE", "[FILE]", "SCHEMA")

    @property
    def attached(self) -> bool:
        """May it stand without its value, which is therefore written without a blank?"""
        return self.metavar.startswith("[")

    @property
    def default(self) -> Any:
        """What it is if nobody sets it."""
        return [] if self.many else None if self.metavar else False


OPTIONS = {
    "the question": [
        Option("-m --model", "the model (default: OPENAI_MODEL, then gpt-4o-mini)", "NAME"),
        Option("-s --system", "instructions before the question; @FILE reads them", "TEXT"),
        Option(
            "-a --attach",
            "a picture (PNG, JPEG, GIF, WebP; a URL too), or a text file, by its content;\n"
            "may be repeated",
            "FILE",
            many=True,
        ),
        Option("-t --temperature", "0 is sober, 2 is wild", "T", float),
        Option("--max-tokens", "the longest answer", "N", int),
        Option("--top-p", "only the likeliest words that make up P", "P", float),
        Option("-n", "so many answers, a blank line between them", "N", int),
        Option("--stop", "end the answer before TEXT; may be repeated", "TEXT", many=True),
        Option(
            "-o --option",
            "any parameter of the API: VALUE is JSON, else text; @FILE reads it",
            "KEY VALUE",
            many=True,
        ),
        Option(
            "--tools",
            "the model may call the public functions of a Python file; each call is\n"
            "shown, and made if you say y",
            "FILE",
        ),
        Option("--yes", "make the calls of --tools without asking"),
    ],
    "the conversation": [
        Option(
            "-c --continue",
            "go on with the conversation in FILE, and keep it there; only as --continue=FILE or\n"
            "-cFILE (default: rawchat/conversation.jsonl in XDG_STATE_HOME, or in ~/.local/state)",
            "[FILE]",
        ),
    ],
    "another question": [
        Option("--complete", "go on with a text (/v1/completions)"),
        Option("--image", "draw what the prompt says, into FILE; prints where it is", "FILE"),
        Option(
            "--moderate", "is the text harmful?  prints the categories, and exits with 11 if it is"
        ),
        Option("--models", "the models of the server, one in a line"),
    ],
    "the answer": [
        Option(
            "--schema",
            "JSON that fits a schema: its FILE, the JSON itself, or a short form:\n"
            "'name, age int, likes str[]: what they like'; exits with 10 if it does not",
            "SCHEMA",
        ),
        Option("--json-mode", "JSON of any form; exits with 10 if it is none"),
        Option("--no-stream", "wait for the whole answer"),
        Option("--json", "print the server's JSON, byte for byte"),
        Option("--jsonl", "print each part of the stream as a line of JSON"),
        Option("--strict", "exit with 9 if the answer was cut short"),
    ],
    "the connection": [
        Option("--base-url", "the server (default: OPENAI_BASE_URL, then OpenAI)", "URL"),
        Option("--key-file", "a file with the key", "FILE"),
        Option("--allow-http", "let the key go over http:// to another machine"),
        Option(
            "-H --header",
            "one more header; LINE is 'Name: value'; may be repeated",
            "LINE",
            many=True,
        ),
        Option("--timeout", "seconds for each step (default: 5 to connect, 600)", "S", float),
        Option("--deadline", "seconds for everything", "S", float),
        Option("--retries", "further attempts (default: 2)", "N", int),
        Option("--local", "start the small local model for this question"),
    ],
    "what happens": [
        Option("--dry-run", "show the request, its key hidden; send nothing"),
        Option("--curl", "show the request as a curl command; send nothing"),
        Option("--trace", "show on standard error what goes out and what comes in, as it happens"),
        Option(
            "--har", "write all that to a HTTP Archive, for a browser's developer tools", "FILE"
        ),
        Option("-v --usage", "tell on standard error: tokens, cost, time, model, request id"),
        Option(
            "--prices",
            'for -v and --log: JSON like {"gpt-4o": {"prompt": 2.5, "completion": 10}},\n'
            "dollars per million tokens",
            "FILE",
        ),
        Option(
            "--log", "append a line of JSON for each call: question, answer, usage, error", "FILE"
        ),
    ],
    "this command": [
        Option(
            "--color",
            "colour on standard error: auto (on a terminal), always, never",
            "WHEN",
            choices=("auto", "always", "never"),
        ),
        Option("--debug", "show tracebacks"),
        Option(
            "--completion",
            "print a script that completes options: bash, zsh, fish",
            "SHELL",
            choices=("bash", "zsh", "fish"),
            settable=False,
        ),
        Option("--version", "show the version", settable=False),
        Option("-h --help", "show this", settable=False),
    ],
}


NOT_TOGETHER = "do not go together"


CONFLICTS = [  # none of the first goes together with one of the second
    ("local", "base_url", "are two different servers"),
    ("jsonl", "json no_stream", "do not go together: --jsonl shows a stream"),
    ("complete", "system", "do not go together: put the system text into the prompt"),
    ("complete", "attach tools schema json_mode", NOT_TOGETHER),
    ("complete image moderate", "models", NOT_TOGETHER),
    ("complete image", "moderate", NOT_TOGETHER),
    ("complete", "image", NOT_TOGETHER),
    (
        "image moderate models",
        "system attach temperature max_tokens top_p stop tools schema json_mode jsonl strict",
        NOT_TOGETHER,
    ),
    ("complete image moderate models", "continue", NOT_TOGETHER),
    ("image", "json", NOT_TOGETHER),
    ("moderate models", "n", NOT_TOGETHER),
    ("models", "option", NOT_TOGETHER),
    ("schema", "json_mode tools", NOT_TOGETHER),
    ("json_mode", "tools", NOT_TOGETHER),
    ("tools", "json jsonl n", NOT_TOGETHER),
    ("dry_run", "curl", NOT_TOGETHER),
]


ONE_SHOT_ONLY = "attach complete image moderate models json jsonl dry_run curl"  # with these there is no chat prompt


def all_options() -> Iterator[Option]:
    """All options, in the order of --help."""
    for options in OPTIONS.values():
        yield from options


def conflicts() -> Iterator[tuple[str, str, str]]:
    """The pairs of `APART`, one by one."""
    for ones, others, why in CONFLICTS:
        for one in ones.split():
            for other in others.split():
                yield one, other, why


Options = SimpleNamespace  # options.max_tokens; options.given: the names on the command line


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


def resolve(given: Mapping[str, Any], environ: Mapping[str, str]) -> Options:
    """What applies: what was `given` on the command line, then what the environment says, then the defaults.

    A variable steps back for a given option that it does not go together with.  Raises UsageError for two options
    that do not, and for a variable that cannot be used.
    """
    rivals = {name for pair in conflicts() if {*pair[:2]} & given.keys() for name in pair[:2]}
    found = {
        option.name: read_variable(option, environ[option.variable])
        for option in all_options()
        if option.settable and environ.get(option.variable) and option.name not in {*given, *rivals}
    }
    options = {**{option.name: option.default for option in all_options()}, **found, **given}
    flags = {option.name: option.flags.split()[-1] for option in all_options()}
    for option in all_options():
        value = given.get(option.name)
        if option.metavar in ("FILE", "SCHEMA") and "" in (
            value if option.many and value else [value]
        ):
            raise UsageError(
                f"{flags[option.name]}: {option.metavar} is empty"
            )  # "$SCHEMA", which is not set
    for one, other, why in conflicts():
        if is_set(options[one]) and is_set(options[other]):
            raise UsageError(f"{flags[one]} and {flags[other]} {why}")
    return Options(**options, given=set(given))


def is_set(value: Any) -> bool:
    """Was an option given a value?  0 is one."""
    return bool(value) or (value == 0 and value is not False)


def read_variable(option: Option, text: str) -> Any:
    """The value that the text of a variable gives an option; of one that may be repeated, each line is one."""
    if option.many:
        return [parse_value(option, line) for line in text.splitlines() if line]
    return parse_value(option, text)


def parse_value(option: Option, text: str) -> Any:
    """One value; raises UsageError that names the variable."""
    try:
        if not option.metavar:
            return BOOLEANS[text.lower()]
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


PROMPT = (
    "the question; - or {stdin} is standard input,\n@FILE a file's text without the newlines at its end\n"
    "(@@ for a text that starts with @); without one, on a terminal: a chat prompt"
)


EXAMPLES = """examples:
  python -m rawchat "Why is the sky blue?"
  git diff | python -m rawchat "Write a commit message for this"
  python -m rawchat "Translate to French:" - < letter.txt
  python -m rawchat -s @pirate.txt -t 0 -o seed 7 "Tell me about {stdin}" < topic.txt
  python -m rawchat -a cat.png "What is it?"
  python -m rawchat --schema "name, age int" "Invent a pirate" | jq .name
  python -m rawchat --trace --har calls.har "Say hi"
  python -m rawchat -c "and in French?"         goes on with the conversation of the last -c
  python -m rawchat                             talks, on a terminal
  python -m rawchat --local "Say hi"            a small model on this machine, no key needed
  python -m rawchat --base-url http://localhost:11434/v1 -m llama3.2 "Say hi"

The key is read from OPENAI_API_KEY, a .env file here, or --key-file.  Every option can be set by a variable, as
RAWCHAT_MAX_TOKENS=100 or RAWCHAT_NO_STREAM=1; the command line comes first, then RAWCHAT_…, then OPENAI_…, then .env.

exit codes:
  0 answered   1 unexpected   2 wrong use   3 no key, 401, 403   4 refused (other 4xx)   5 server (5xx)
  6 rate limit or quota   7 network, TLS, timeout   8 the stream broke   9 answer cut (--strict)
  10 it does not fit (--schema, --json-mode)   11 harmful (--moderate)   130 Ctrl-C   141 closed pipe"""


class Parser(argparse.ArgumentParser):
    """argparse, with errors of one line."""

    def error(self, message: str) -> NoReturn:
        message = re.sub(
            r"(?<![\w-])([\w-]+)=\S+", without_value, message
        )  # somebody may have tried --api-key=...
        raise UsageError(f"{message} (--help shows how)")

    def _print_message(self, message: str, file: Any = None) -> None:
        try:
            print(message, end="", file=file, flush=True)  # argparse's own swallows a closed pipe
        except BrokenPipeError:
            raise
        except OSError as error:
            to_devnull(sys.stdout)
            raise write_error("standard output", error) from None


def without_value(match: "re.Match[str]") -> str:
    """Return `--name` for a `--name=value`; what is no option stays as it is."""
    return match[1] if "--" in match[1] else match[0]


def make_parser() -> Parser:
    """Every option, in the order of --help."""
    made = Parser(
        prog="rawchat",
        allow_abbrev=False,
        add_help=False,
        argument_default=argparse.SUPPRESS,
        usage="python -m rawchat [options] [prompt ...]",
        description="Ask a model one question.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    made.add_argument("prompt", nargs="*", default=[], help=PROMPT)
    for title, options in OPTIONS.items():
        group = made.add_argument_group(title)
        for option in options:
            group.add_argument(*option.flags.split(), **argparse_kwargs(option))
    return made


def argparse_kwargs(option: Option) -> dict[str, Any]:
    """An option as argparse wants to be told of it."""
    common = {"dest": option.name, "help": option.help}
    if option.name == "version":
        return {**common, "action": "version", "version": f"rawchat {__version__}"}
    if not option.metavar:
        return {**common, "action": "help" if option.name == "help" else "store_true"}
    names = tuple(option.metavar.split())
    values = (
        {"nargs": len(names), "metavar": names}
        if len(names) > 1
        else {"metavar": names[0], "type": option.kind}
    )
    return {
        **common,
        **values,
        "choices": option.choices or None,
        "action": "append" if option.many else "store",
    }


def parse_args(argv: Sequence[str]) -> Options:
    """The options in `argv`, and those in the environment; words may stand between them, and after -- all are words."""
    end = argv.index("--") if "--" in argv else len(argv)
    given = vars(make_parser().parse_intermixed_args(expand_continue(argv[:end], os.environ)))
    return resolve({**given, "prompt": [*given["prompt"], *argv[end + 1 :]]}, os.environ)
