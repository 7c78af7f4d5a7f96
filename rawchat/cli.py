"""The command line: one question, its answer on standard output, one line on standard error if something fails."""
import argparse
import contextlib
import io
import json
import os
import pathlib
import sys
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO, NoReturn, Optional

from . import endpoints, errors, local, reply
from .client import Client
from .errors import APIError, MissingKeyError, RawchatError
from .reply import Reply
from .stream import Stream
from .version import __version__
from .wire import Request, Response

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


class UsageError(RawchatError):
    """The command line cannot be used as it is."""


class Parser(argparse.ArgumentParser):
    """argparse, with errors of one line."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (--help shows how)")


def parser() -> Parser:
    """Every option, in the order of --help."""
    made = Parser(prog="rawchat", allow_abbrev=False, epilog=EXAMPLES, formatter_class=argparse.RawTextHelpFormatter,
                  usage="python -m rawchat [options] [prompt ...]", description="Ask a model one question.")
    made.add_argument("prompt", nargs="*", help="the question; - or {stdin} is standard input, @FILE a file's text\n"
                      "(@@ for a text that starts with @)")
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


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run the command line and give its exit code; --help and --version leave by SystemExit(0)."""
    out = Output(sys.stdout.buffer if sys.stdout else io.BytesIO())      # it may have been closed: >&-
    debug = "--debug" in (sys.argv if argv is None else argv)
    try:
        options = parser().parse_args(argv)
        prompt = prompt_of(options.prompt, sys.stdin)
        with connected(options) as client:
            return answer(client, options, prompt, out)
    except KeyboardInterrupt:
        out.end_line()
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())     # or Python complains when it ends
        return 141
    except Exception as error:
        if debug:
            raise
        with contextlib.suppress(BrokenPipeError):
            out.end_line()
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
    with contextlib.suppress(OSError):
        print(f"rawchat: {errors.one_line(text, 2000)}", file=sys.stderr, flush=True)


class Output:
    """Standard output: UTF-8 whatever the locale, at once, and exactly one newline at the end of an answer."""

    def __init__(self, file: BinaryIO):
        self._file = file
        self._held = ""                     # line ends that may turn out to be the last ones
        self._in_line = False

    def write(self, text: str) -> None:
        """Show `text` now, but for the line ends at its end."""
        text = self._held + text
        shown = text.rstrip("\r\n")
        self._held = text[len(shown):]
        if shown:
            self.put(shown.encode("utf-8", "replace"))
            self._in_line = True

    def put(self, data: bytes) -> None:
        """Show bytes as they are, now."""
        self._file.write(data)
        self._file.flush()

    def end(self) -> None:
        """End the answer with one newline."""
        self.put(b"\n")
        self._held, self._in_line = "", False

    def end_line(self) -> None:
        """End the line if something stands in it."""
        if self._in_line:
            self.end()


def prompt_of(words: Sequence[str], stdin: Any) -> str:
    """The prompt: the words, with standard input where - or {stdin} places it, else before them.

    Raises UsageError if that is nothing.
    """
    placed = any(word == "-" or "{stdin}" in word for word in words)
    piped = read_all(stdin).rstrip("\r\n") if stdin and (placed or not stdin.isatty()) else ""
    paragraphs: list[list[str]] = [[]]
    for word in words if placed else ["-", *words]:
        if word == "-":
            paragraphs += [[piped], []]     # standard input is a paragraph of its own
        else:
            paragraphs[-1].append(from_file(word) if word.startswith("@") else word.replace("{stdin}", piped))
    prompt = "\n\n".join(" ".join(texts) for texts in paragraphs if any(texts))
    if not prompt.strip():
        raise UsageError('nothing to ask: give a prompt ("…"), or pipe one in (--help shows how)')
    return prompt


def read_all(stdin: Any) -> str:
    """Standard input to its end, as UTF-8 whatever the locale."""
    return str(stdin.buffer.read().decode("utf-8-sig", "replace"))


def from_file(word: str) -> str:
    """The text of FILE for '@FILE', 'x' for '@@x', else the word itself.  Raises UsageError if it cannot be read."""
    if not word.startswith("@") or len(word) == 1:
        return word
    if word.startswith("@@"):
        return word[1:]
    try:
        return pathlib.Path(word[1:]).read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise UsageError(f"{word[1:]}: {reason} (@@ begins a text with @)") from None


@contextlib.contextmanager
def connected(options: argparse.Namespace) -> Iterator[Client]:
    """The client to ask, and the local server around it where that is wanted or all there is."""
    settings = {"base_url": options.base_url, "model": options.model, "timeout": options.timeout,
                "deadline": options.deadline, "max_retries": options.retries, "allow_http": options.allow_http,
                "default_headers": headers_of(options.header),
                "api_key": from_file("@" + options.key_file).strip() if options.key_file else None}
    with contextlib.ExitStack() as stack:
        if not options.local:
            try:
                yield stack.enter_context(Client(**settings))
                return
            except MissingKeyError:
                if not local.available():
                    raise MissingKeyError(THREE_WAYS) from None
                complain("no API key, so the small local model answers (--local says so in silence)")
        elif options.base_url:
            raise UsageError("--local and --base-url are two different servers")
        settings.update(base_url=stack.enter_context(local.serve()), api_key="", environ={})
        yield stack.enter_context(Client(**settings))


def headers_of(lines: Sequence[str]) -> dict[str, str]:
    """{'Name': 'value'} of lines 'Name: value'."""
    for line in lines:
        if ":" not in line:
            raise UsageError("-H wants 'Name: value'")
    return {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}


def request_of(client: Client, options: argparse.Namespace, prompt: str, stream: bool) -> Request:
    """The request that the options ask for; -o has the last word."""
    named = {"temperature": options.temperature, "max_tokens": options.max_tokens, "top_p": options.top_p,
             "n": options.n, "stop": options.stop, "stream_options": {"include_usage": True} if stream else None}
    params = {name: value for name, value in named.items() if value is not None}
    params["extra_body"] = {name: json_or_text(value) for name, value in options.option}
    if options.complete and options.system:
        raise UsageError("--complete has no place for a system text: put it into the prompt")
    try:
        if options.complete:
            return endpoints.completion(client.config, prompt, params, stream)
        system = [{"role": "system", "content": from_file(options.system)}] if options.system else []
        return endpoints.chat(client.config, [*system, {"role": "user", "content": prompt}], params, stream)
    except (TypeError, ValueError) as error:
        raise UsageError(str(error)) from None


def json_or_text(value: str) -> Any:
    """`value` as JSON if it is, else as it stands."""
    text = from_file(value)
    try:
        return json.loads(text, parse_constant=lambda name: name)
    except ValueError:
        return text


def answer(client: Client, options: argparse.Namespace, prompt: str, out: Output) -> int:
    """Ask, show the answer as the options want it, and give the exit code."""
    if options.jsonl and (options.json or options.no_stream):
        raise UsageError("--jsonl shows a stream: leave out --json and --no-stream")
    request = request_of(client, options, prompt, stream=not (options.json or options.no_stream))
    if options.json:
        body, whole = client.send(request, as_sent)
        out.put(body)
    elif options.no_stream:
        whole = client.send(request, reply.read)
        out.write(in_paragraphs(whole))
        out.end()
    else:
        several = json.loads(request.body or b"{}").get("n") or 1
        with client.send(request, lambda response: Stream(response, choices=several)) as stream:
            whole = show(stream, options.jsonl, several > 1, out)
    return verdict(whole, options.strict)


def as_sent(response: Response) -> tuple[bytes, Reply]:
    """The bytes of an answer, which are a JSON object, and the Reply in them."""
    body = response.read()
    return body, reply.decode(body, response)


def in_paragraphs(whole: Reply) -> str:
    """The texts of all choices, with a blank line between two."""
    return "\n\n".join(text.strip("\r\n") if len(whole.texts) > 1 else text for text in whole.texts)


def show(stream: Stream, jsonl: bool, several: bool, out: Output) -> Reply:
    """Show a stream as it comes: its text, or its JSON in lines; of several choices, which come mixed, the texts at
    the end."""
    for chunk in stream:
        if jsonl:
            out.put(chunk.data.replace("\n", " ").encode("utf-8", "replace") + b"\n")
        elif not several:
            out.write(chunk.text)
    if several and not jsonl:
        out.write(in_paragraphs(stream.reply))
    if not jsonl:
        out.end()
    return stream.reply


def verdict(whole: Reply, strict: bool) -> int:
    """The exit code of an answer that came; says on standard error what its text does not show."""
    reasons = {choice.get("finish_reason") for choice in whole.choices}
    cut = [reason for reason in ("length", "content_filter") if reason in reasons]
    if cut:
        complain(f"the answer was cut ({cut[0]})" + ("; --max-tokens allows more" if "length" in cut else ""))
    elif whole.message.get("refusal"):
        complain(f"the model refused: {whole.message['refusal']}")
    elif whole.tool_calls and not whole.text:
        complain("the answer is tool calls, no text; --json shows them")
    return 9 if cut and strict else 0
