"""Every option of the command line, declared once: its flags, its type, its help, its variable.

`Options` holds the values.  The parser, --help, the completion scripts and the RAWCHAT_… variables are made from the
`Option` that each of its fields carries: `parser` reads the command line, `resolve` adds the environment.
"""

import keyword
from collections.abc import Iterable, Iterator
from typing import Any, Callable, NamedTuple, Optional

from .inputs import natural_number, number, positive_number, whole_number


class Option(NamedTuple):
    """The declaration of one field of `Options`."""

    flags: tuple[str, ...]
    help: str
    metavars: tuple[str, ...] = ()  #: the names of its values; none for a flag
    type: Callable[[str], Any] = str
    choices: tuple[str, ...] = ()  #: the only values allowed
    repeatable: bool = False
    takes_file: bool = False  #: its value is the name of a file
    has_variable: bool = True  #: RAWCHAT_… sets it
    heading: str = ""  #: the heading of the group in --help that this option begins
    default: Any = None  #: its value where it is not given; an empty list if it is repeatable

    @property
    def flag(self) -> str:
        """Return the long flag."""
        return self.flags[-1]

    @property
    def name(self) -> str:
        """Return the name of its field in `Options`; `continue_`, as `continue` is a keyword."""
        name = self.flag.lstrip("-").replace("-", "_")
        if keyword.iskeyword(name):
            return f"{name}_"
        return name

    @property
    def variable(self) -> str:
        """Return the name of the environment variable that sets it."""
        return "RAWCHAT_" + self.flag.lstrip("-").replace("-", "_").upper()


def flag(*flags: str, help: str, has_variable: bool = True, heading: str = "") -> Any:
    """Declare an option without a value."""
    return Option(flags, help, has_variable=has_variable, heading=heading, default=False)


def value(
    *flags: str,
    metavar: str,
    help: str,
    type: Callable[[str], Any] = str,
    choices: tuple[str, ...] = (),
    takes_file: bool = False,
    has_variable: bool = True,
    heading: str = "",
    default: Any = None,
) -> Any:
    """Declare an option with one value; the last one given counts."""
    return Option(
        flags, help, (metavar,), type, choices, False, takes_file, has_variable, heading, default
    )


def values(*flags: str, metavars: tuple[str, ...], help: str, takes_file: bool = False) -> Any:
    """Declare an option that may be repeated: a list of its values."""
    return Option(flags, help, metavars, repeatable=True, takes_file=takes_file)


class Options:
    """The values of all options, in the order of --help.

    The class holds the declarations, an instance the values.  It is no dataclass, whose module imports `inspect` and
    `ast`: they would take a sixth of what rawchat adds to the start of a process.
    """

    prompt: list[str]
    given: set[
        str
    ]  #: the names of the options on the command line, not of those that a variable sets

    def __init__(self, given: Iterable[str] = (), **values: Any):
        self.prompt = []
        self.given = set(given)
        for option in all_options():
            default = option.default
            if option.repeatable:
                default = []
            setattr(self, option.name, default)
        vars(self).update(values)

    model: Optional[str] = value(
        "-m",
        "--model",
        heading="the prompt",
        metavar="NAME",
        help="the model (default: OPENAI_MODEL, then gpt-4o-mini)",
    )
    system: Optional[str] = value(
        "-s",
        "--system",
        metavar="TEXT",
        help="instructions placed before the prompt; @FILE reads them from a file",
    )
    attach: list[str] = values(
        "-a",
        "--attach",
        metavars=("FILE",),
        takes_file=True,
        help="attach a picture (PNG, JPEG, GIF, WebP; also by URL) or the content of a text file; "
        "may be repeated",
    )
    temperature: Optional[float] = value(
        "-t", "--temperature", metavar="T", type=number, help="sampling temperature, 0 to 2"
    )
    max_tokens: Optional[int] = value(
        "--max-tokens",
        metavar="N",
        type=whole_number,
        help="maximum number of tokens to generate; sent again as max_completion_tokens if the "
        "model requires that",
    )
    top_p: Optional[float] = value(
        "--top-p",
        metavar="P",
        type=number,
        help="nucleus sampling: keep tokens within probability mass P",
    )
    n: Optional[int] = value(
        "-n", metavar="N", type=whole_number, help="number of answers, separated by a blank line"
    )
    stop: list[str] = values(
        "--stop", metavars=("TEXT",), help="end the answer before TEXT; may be repeated"
    )
    option: list[list[str]] = values(
        "-o",
        "--option",
        metavars=("KEY", "VALUE"),
        help="any other parameter of the API: VALUE is JSON or else text, @FILE reads it from a "
        "file; may be repeated",
    )
    tools: Optional[str] = value(
        "--tools",
        metavar="FILE",
        takes_file=True,
        help="let the model call the public functions of a Python file; each call is shown and "
        "needs your approval",
    )
    yes: bool = flag("--yes", help="run tool calls without asking")
    no_stdin: bool = flag(
        "--no-stdin", help="leave standard input alone: a loop that reads it keeps its lines"
    )

    continue_: bool = flag(
        "-c",
        "--continue",
        heading="the conversation",
        help="continue the conversation of the last -c, or start one; it is kept in "
        "rawchat/conversation.jsonl in XDG_STATE_HOME (default: ~/.local/state; on Windows: "
        "LOCALAPPDATA)",
    )
    conversation: Optional[str] = value(
        "--conversation",
        metavar="FILE",
        takes_file=True,
        help="continue the conversation in FILE, or start one there",
    )

    complete: bool = flag(
        "--complete",
        heading="other endpoints",
        help="continue a text with the legacy completions endpoint",
    )
    image: Optional[str] = value(
        "--image",
        metavar="FILE",
        takes_file=True,
        help="generate an image, save it to FILE and print the path",
    )
    moderate: bool = flag(
        "--moderate",
        help="check a text for harmful content: print its categories and exit with 11 if there are "
        "any",
    )
    models: bool = flag("--models", help="list the models of the server, one per line")
    embed: bool = flag(
        "--embed",
        help="print the embedding of each line of the prompt, or of standard input, as a line of JSON",
    )
    post: Optional[str] = value(
        "--post",
        metavar="PATH",
        help="send JSON to any PATH below the base URL, and print the response; the body is the prompt, "
        "@FILE or standard input, and -o sets its fields",
    )
    get: Optional[str] = value(
        "--get",
        metavar="PATH",
        help="request any PATH, and print the response; -o adds to its query",
    )
    form: list[str] = values(
        "--form",
        metavars=("FIELD",),
        help="with --post, a field of a form: NAME=@FILE uploads a file, NAME=VALUE is a text; "
        "may be repeated",
    )

    schema: Optional[str] = value(
        "--schema",
        heading="the answer",
        metavar="SCHEMA",
        takes_file=True,
        help="request JSON that matches a schema: a FILE, the JSON itself, or a short form, "
        "'name, age int, likes str[]: what they like'; exit with 10 if the answer does not match",
    )
    json_mode: bool = flag(
        "--json-mode", help="request JSON of any shape; exit with 10 if the answer is not JSON"
    )
    no_stream: bool = flag("--no-stream", help="wait for the complete answer")
    json: bool = flag("--json", help="print the server's JSON, byte for byte")
    jsonl: bool = flag("--jsonl", help="print each chunk of the stream as a line of JSON")
    extract: bool = flag(
        "-x",
        "--extract",
        help="print only the first fenced code block of the answer; exit with 10 if there is none",
    )
    reasoning: str = value(
        "--reasoning",
        metavar="WHEN",
        choices=("show", "hide"),
        default="hide",
        help="show prints the model's reasoning to standard error (default: hide)",
    )
    strict: bool = flag(
        "--strict", help="exit with 9 if the answer was truncated or refused, or ended unusually"
    )

    base_url: Optional[str] = value(
        "--base-url",
        heading="the connection",
        metavar="URL",
        help="the server (default: OPENAI_BASE_URL, then OpenAI)",
    )
    key_file: Optional[str] = value(
        "--key-file", metavar="FILE", takes_file=True, help="read the API key from a file"
    )
    allow_http: bool = flag(
        "--allow-http", help="allow sending the key over http:// to another machine"
    )
    header: list[str] = values(
        "-H",
        "--header",
        metavars=("LINE",),
        help="an additional header; LINE is 'Name: value', or 'Name:' to leave one out; may be repeated",
    )
    timeout: Optional[float] = value(
        "--timeout",
        metavar="S",
        type=positive_number,
        help="seconds for each step (default: 5 to connect, 600 to read)",
    )
    deadline: Optional[float] = value(
        "--deadline", metavar="S", type=positive_number, help="seconds for the whole call"
    )
    retries: Optional[int] = value(
        "--retries", metavar="N", type=natural_number, help="number of retries (default: 2)"
    )
    proxy: Optional[str] = value(
        "--proxy",
        metavar="URL",
        help="send every request through this proxy (default: HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, "
        "but not to this machine)",
    )
    cacert: Optional[str] = value(
        "--cacert",
        metavar="FILE",
        takes_file=True,
        help="trust the certificates in FILE; 'system' trusts those of the operating system",
    )
    local: bool = flag("--local", help="start the small local model and send the prompt to it")

    dry_run: bool = flag(
        "--dry-run",
        heading="inspection",
        help="print the request with its key hidden; send nothing",
    )
    curl: bool = flag("--curl", help="print the request as a curl command; send nothing")
    trace: bool = flag(
        "--trace", help="print requests and responses to standard error as they are sent"
    )
    har: Optional[str] = value(
        "--har",
        metavar="FILE",
        takes_file=True,
        help="write requests and responses to an HTTP Archive, for a browser's developer tools",
    )
    replay: Optional[str] = value(
        "--replay",
        metavar="FILE",
        takes_file=True,
        help="answer from an HTTP Archive that --har has written; send nothing, need no key",
    )
    usage: bool = flag(
        "-v",
        "--usage",
        help="print tokens, cost, time, model and request id to standard error",
    )
    prices: Optional[str] = value(
        "--prices",
        metavar="FILE",
        takes_file=True,
        help='prices for -v and --log: JSON like {"gpt-4o": {"prompt": 2.5, "completion": 10}}, '
        "dollars per million tokens",
    )
    log: Optional[str] = value(
        "--log",
        metavar="FILE",
        takes_file=True,
        help="append a line of JSON for each call: prompt, answer, usage, error",
    )

    color: str = value(
        "--color",
        heading="this command",
        metavar="WHEN",
        choices=("auto", "always", "never"),
        default="auto",
        help="colour on standard error: auto (on a terminal), always, never",
    )
    debug: bool = flag("--debug", help="print tracebacks")
    completion: Optional[str] = value(
        "--completion",
        metavar="SHELL",
        choices=("bash", "zsh", "fish"),
        has_variable=False,
        help="print a script that completes options: bash, zsh, fish",
    )
    version: bool = flag("-V", "--version", has_variable=False, help="show the version and exit")
    help: bool = flag("-h", "--help", has_variable=False, help="show this help and exit")


def all_options() -> Iterator[Option]:
    """Yield all options, in the order of --help."""
    for declaration in vars(Options).values():
        if isinstance(declaration, Option):
            yield declaration
