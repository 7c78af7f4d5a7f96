"""Every option of the command line, once, as data.

The parser, --help, the completion scripts and the variables RAWCHAT_… are all made from it.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple


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
TOGETHER = "do not go together"
APART = [  # none of the first goes together with one of the second
    ("local", "base_url", "are two different servers"),
    ("jsonl", "json no_stream", "do not go together: --jsonl shows a stream"),
    ("complete", "system", "do not go together: put the system text into the prompt"),
    ("complete", "attach tools schema json_mode", TOGETHER),
    ("complete image moderate", "models", TOGETHER),
    ("complete image", "moderate", TOGETHER),
    ("complete", "image", TOGETHER),
    (
        "image moderate models",
        "system attach temperature max_tokens top_p stop tools schema json_mode jsonl strict",
        TOGETHER,
    ),
    ("complete image moderate models", "continue", TOGETHER),
    ("image", "json", TOGETHER),
    ("moderate models", "n", TOGETHER),
    ("models", "option", TOGETHER),
    ("schema", "json_mode tools", TOGETHER),
    ("json_mode", "tools", TOGETHER),
    ("tools", "json jsonl n", TOGETHER),
    ("dry_run", "curl", TOGETHER),
]
ONCE = "attach complete image moderate models json jsonl dry_run curl"  # with these there is no chat prompt


def every() -> Iterator[Option]:
    """All options, in the order of --help."""
    for options in OPTIONS.values():
        yield from options


def apart() -> Iterator[tuple[str, str, str]]:
    """The pairs of `APART`, one by one."""
    for ones, others, why in APART:
        for one in ones.split():
            for other in others.split():
                yield one, other, why
