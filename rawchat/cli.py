"""The command line: one question, its answer on standard output, one line on standard error if something fails."""
import argparse
import contextlib
import io
import re
import sys
import traceback
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, NoReturn, Optional

from . import endpoints, errors, local, reply
from .client import Client
from .errors import APIError, MissingKeyError, RawchatError
from .output import Output, abandon, utf8, visible
from .prompt import UsageError, from_file, json_or_text, prompt_of, read_file
from .reply import Reply
from .stream import Stream
from .version import __version__
from .wire import Response

EXAMPLES = """examples:
  python -m rawchat "Why is the sky blue?"
  git diff | python -m rawchat "Write a commit message for this"
  python -m rawchat "Translate to French:" - < letter.txt
  python -m rawchat -s @pirate.txt -t 0 -o seed 7 "Tell me about {stdin}" < topic.txt
  python -m rawchat --local "Say hi"            a small model on this machine, no key needed
  python -m rawchat --base-url http://localhost:11434/v1 -m llama3.2 "Say hi"

The key is read from OPENAI_API_KEY, a .env file here, or --key-file.

exit codes:
  0 answered   1 unexpected   2 wrong use   3 no key, 401, 403   4 refused (other 4xx)   5 server (5xx)
  6 rate limit or quota   7 network, TLS, timeout   8 the stream broke   9 answer cut (--strict)
  130 Ctrl-C   141 closed pipe"""

THREE_WAYS = ("no API key: set OPENAI_API_KEY (or --key-file FILE), or name a server that needs none with --base-url, "
              f"or install the local model and use --local ({local.INSTALL})")


class Parser(argparse.ArgumentParser):
    """argparse, with errors of one line."""

    def error(self, message: str) -> NoReturn:
        message = re.sub(r"(--[\w-]+)=\S+", r"\1", message)     # somebody may have tried --api-key=...
        raise UsageError(f"{message} (--help shows how)")

    def _print_message(self, message: str, file: Any = None) -> None:
        print(message, end="", file=file, flush=True)       # argparse's own swallows a closed pipe


def parser() -> Parser:
    """Every option, in the order of --help."""
    made = Parser(prog="rawchat", allow_abbrev=False, epilog=EXAMPLES, formatter_class=argparse.RawTextHelpFormatter,
                  usage="python -m rawchat [options] [prompt ...]", description="Ask a model one question.")
    made.add_argument("prompt", nargs="*", help="the question; - or {stdin} is standard input,\n@FILE a file's text "
                      "without the newlines at its end\n(@@ for a text that starts with @)")
    made.add_argument("--version", action="version", version=f"rawchat {__version__}")
    ask = made.add_argument_group("the question")
    ask.add_argument("-m", "--model", metavar="NAME", help="the model (default: OPENAI_MODEL, then gpt-4o-mini)")
    ask.add_argument("-s", "--system", metavar="TEXT", help="instructions before the question; @FILE reads them")
    ask.add_argument("-t", "--temperature", metavar="T", type=float, help="0 is sober, 2 is wild")
    ask.add_argument("--max-tokens", metavar="N", type=int, help="the longest answer")
    ask.add_argument("--top-p", metavar="P", type=float, help="only the likeliest words that make up P")
    ask.add_argument("-n", metavar="N", type=int, help="so many answers, a blank line between them")
    ask.add_argument("--stop", metavar="TEXT", action="append", help="end the answer before TEXT; may be repeated")
    ask.add_argument("-o", "--option", nargs=2, metavar=("KEY", "VALUE"), action="append", default=[],
                     help="any parameter of the API: VALUE is JSON, else text; @FILE reads it")
    ask.add_argument("--complete", action="store_true", help="go on with a text (/v1/completions)")
    show = made.add_argument_group("the answer")
    show.add_argument("--no-stream", action="store_true", help="wait for the whole answer")
    show.add_argument("--json", action="store_true", help="print the server's JSON, byte for byte")
    show.add_argument("--jsonl", action="store_true", help="print each part of the stream as a line of JSON")
    show.add_argument("--strict", action="store_true", help="exit with 9 if the answer was cut short")
    net = made.add_argument_group("the connection")
    net.add_argument("--base-url", metavar="URL", help="the server (default: OPENAI_BASE_URL, then OpenAI)")
    net.add_argument("--key-file", metavar="FILE", help="a file with the key")
    net.add_argument("--allow-http", action="store_true", help="let the key go over http:// to another machine")
    net.add_argument("-H", "--header", metavar="'Name: value'", action="append", default=[], help="one more header")
    net.add_argument("--timeout", metavar="S", type=float, help="seconds for each step (default: 5 to connect, 600)")
    net.add_argument("--deadline", metavar="S", type=float, help="seconds for everything")
    net.add_argument("--retries", metavar="N", type=int, help="further attempts (default: 2)")
    net.add_argument("--local", action="store_true", help="start the small local model for this question")
    net.add_argument("--debug", action="store_true", help="show tracebacks")
    return made


def parsed(argv: Sequence[str]) -> argparse.Namespace:
    """The options in `argv`; words may stand between them, and after -- all are words."""
    end = argv.index("--") if "--" in argv else len(argv)
    options = parser().parse_intermixed_args(argv[:end])
    options.prompt += argv[end + 1:]
    return options


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run the command line and give its exit code; --help and --version leave by SystemExit(0)."""
    argv = list(sys.argv[1:] if argv is None else argv)
    out = Output(sys.stdout.buffer if sys.stdout else io.BytesIO())      # it may have been closed: >&-
    try:
        options = parsed(argv)
        question = question_of(options, sys.stdin)      # first of all: wrong use should cost no time
        with connected(options) as client:
            return answer(client, question, options, out)
    except KeyboardInterrupt:
        out.end_line()
        return 130
    except BrokenPipeError:
        abandon(sys.stdout)
        return 141
    except Exception as error:
        out.end_line()
        if "--debug" in argv and sys.stderr:
            traceback.print_exc()
        expected = isinstance(error, RawchatError)
        complain(str(error) if expected else f"unexpected {type(error).__name__}: {error} (--debug shows more)")
        return exit_code(error)


def exit_code(error: Exception) -> int:
    """The exit code that the README's table gives an error."""
    if isinstance(error, APIError) and error.partial is not None and (error.partial.choices or type(error) is APIError):
        return 8                            # out of a stream that had begun to answer
    kinds: list[tuple[Any, int]] = [
        (MissingKeyError, 3), ((UsageError, errors.ConfigError), 2),
        ((errors.AuthenticationError, errors.PermissionDeniedError), 3), (errors.RateLimitError, 6),
        (errors.InternalServerError, 5), (errors.APIStatusError, 4), (errors.StreamInterruptedError, 8),
        (errors.APIConnectionError, 7), (errors.APIResponseValidationError, 5)]
    return next((code for kind, code in kinds if isinstance(error, kind)), 1)


def complain(text: str) -> None:
    """One line on standard error."""
    if sys.stderr:                          # None if it was closed: 2>&-
        try:
            line = errors.one_line(text, 2000)
            print(f"rawchat: {visible(line) if sys.stderr.isatty() else line}", file=sys.stderr, flush=True)
        except OSError:
            abandon(sys.stderr)


class Question(NamedTuple):
    """What to ask, whole."""

    content: Any                            #: a list of messages, or the prompt of --complete
    params: dict[str, Any]
    stream: bool
    choices: int                            #: how many answers


def question_of(options: argparse.Namespace, stdin: Any) -> Question:
    """What the options ask for; -o has the last word.  Raises UsageError."""
    given = {name: json_or_text(from_file(value)) for name, value in options.option}
    stream = not (options.json or options.no_stream or given.get("stream") is False)
    if options.jsonl and not stream:
        raise UsageError("--jsonl shows a stream: leave out --json and --no-stream")
    if options.complete and options.system:
        raise UsageError("--complete has no place for a system text: put it into the prompt")
    system = [{"role": "system", "content": from_file(options.system)}] if options.system else []
    prompt = prompt_of(options.prompt, stdin)
    named = {"temperature": options.temperature, "max_tokens": options.max_tokens, "top_p": options.top_p,
             "n": options.n, "stop": options.stop, "stream_options": {"include_usage": True} if stream else None}
    params = {name: value for name, value in named.items() if value is not None}
    n = {**params, **given}.get("n")
    return Question(prompt if options.complete else [*system, {"role": "user", "content": prompt}],
                    {**params, "extra_body": given}, stream, n if isinstance(n, int) and n > 1 else 1)


@contextlib.contextmanager
def connected(options: argparse.Namespace) -> Iterator[Client]:
    """The client to ask, and the local server around it where that is wanted or all there is."""
    settings = {"base_url": options.base_url, "model": options.model, "timeout": options.timeout,
                "deadline": options.deadline, "max_retries": options.retries, "allow_http": options.allow_http,
                "default_headers": headers_of(options.header), "api_key": key_in(options.key_file)}
    if options.local and options.base_url:
        raise UsageError("--local and --base-url are two different servers")
    client = None if options.local else keyed_client(settings)
    with contextlib.ExitStack() as stack:
        if client is None:
            settings.update(base_url=stack.enter_context(local.serve()), api_key="", environ={})
            client = Client(**settings)
        yield stack.enter_context(client)


def keyed_client(settings: dict[str, Any]) -> Optional[Client]:
    """The client for a server elsewhere; None, and a word of it, if there is no key but a local model to take over."""
    try:
        return Client(**settings)
    except MissingKeyError:
        if settings["base_url"] or not local.available():
            raise MissingKeyError(THREE_WAYS) from None
    complain("no API key, so the small local model answers; --local asks for it without this line")
    return None


def key_in(path: Optional[str]) -> Optional[str]:
    """The key in a file; None without a file."""
    key = read_file(path).strip() if path is not None else None
    if key == "":
        raise UsageError(f"{path}: no key in it")
    return key


def headers_of(lines: Sequence[str]) -> dict[str, str]:
    """{'Name': 'value'} of lines 'Name: value'."""
    for line in lines:
        if ":" not in line:
            raise UsageError("-H wants 'Name: value'")
    return {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}


def answer(client: Client, question: Question, options: argparse.Namespace, out: Output) -> int:
    """Ask, show the answer as the options want it, and give the exit code."""
    content, params, stream, choices = question
    make = endpoints.completion if options.complete else endpoints.chat
    try:
        request = make(client.config, content, params, stream)
    except (TypeError, ValueError) as error:
        raise UsageError(str(error)) from None
    if options.json:
        body, whole = client.send(request, as_sent)
        out.put(body)
    elif stream:
        with client.send(request, lambda response: Stream(response, choices=choices)) as parts:
            whole = show(parts, options.jsonl, choices, out)
    else:
        whole = client.send(request, reply.read)
        out.write(text_of(whole, choices))
        out.end()
    return verdict(whole, options.strict)


def as_sent(response: Response) -> tuple[bytes, Reply]:
    """The bytes of an answer, which are a JSON object, and the Reply in them."""
    body = response.read()
    return body, reply.decode(body, response)


def text_of(whole: Reply, choices: int) -> str:
    """The text of the first choice; where several were asked for, all, with a blank line between two."""
    return "\n\n".join(text.strip("\r\n") for text in whole.texts) if choices > 1 else whole.text


def show(stream: Stream, jsonl: bool, choices: int, out: Output) -> Reply:
    """Show a stream as it comes: its text, or its JSON in lines; several choices, which come mixed, at the end."""
    together = choices > 1 and not jsonl
    try:
        for chunk in stream:
            if jsonl:
                out.put(utf8(re.sub("[\r\n]+", " ", chunk.data)) + b"\n")     # line ends in JSON are but blanks
            elif not together:
                out.write(chunk.text)
    except APIError as error:
        if together and error.partial is not None:
            out.write(text_of(error.partial, choices))
        raise
    if together:
        out.write(text_of(stream.reply, choices))
    if not jsonl:
        out.end()
    return stream.reply


def verdict(whole: Reply, strict: bool) -> int:
    """The exit code of an answer that came; says on standard error what its text does not show."""
    reasons = [choice.get("finish_reason") for choice in whole.choices]
    cut = [reason for reason in ("length", "content_filter") if reason in reasons]
    if cut:
        complain(f"the answer was cut ({cut[0]})" + ("; --max-tokens allows more" if "length" in cut else ""))
    elif whole.message.get("refusal"):
        complain(f"the model refused: {whole.message['refusal']}")
    elif whole.tool_calls and not whole.text:
        complain("the answer is tool calls, no text; --json shows them")
    return 9 if cut and strict else 0
