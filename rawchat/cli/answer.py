"""Ask, and show the answer as the options want it."""

import contextlib
import re
import sys
from typing import TYPE_CHECKING, Any, Callable, Optional

from .. import reply
from ..client import Client
from ..errors import APIError, APIResponseValidationError
from ..reply import Reply, only_dicts
from ..stream import Stream
from ..wire import Request, Response
from .options import Options
from .query import Query
from .report import CallLog
from .terminal import Output, Stderr, utf8, write_error

EXIT_TRUNCATED, EXIT_SCHEMA, EXIT_FLAGGED = 9, 10, 11  # exit codes


def check_answer(whole: Reply, question: Query, options: Options, notes: Stderr) -> int:
    """The exit code of an answer that came."""
    reasons = [choice.get("finish_reason") for choice in whole.choices]
    cut = [reason for reason in ("length", "content_filter") if reason in reasons]
    wrong = schema_error(whole, question)
    if cut:
        notes.warn(
            f"the answer was cut ({cut[0]})"
            + ("; --max-tokens allows more" if "length" in cut else "")
        )
    elif whole.message.get("refusal"):
        notes.warn(f"the model refused: {whole.message['refusal']}")
    elif wrong:
        notes.warn(f"the answer does not fit: {wrong}")
    elif whole.tool_calls and not whole.text:
        notes.warn("the answer is tool calls, no text; --json shows them")
    if question.kind == "moderate":
        results = only_dicts(whole.get("results"))
        if not results or any(
            "flagged" not in result for result in results
        ):  # 0 would say that it is harmless
            raise APIResponseValidationError("the reply holds no verdict")
        if whole.flagged:
            return EXIT_FLAGGED
    return EXIT_SCHEMA if wrong else EXIT_TRUNCATED if cut and options.strict else 0


def schema_error(whole: Reply, question: Query) -> Optional[str]:
    """What does not fit in the first answer that is not as --schema or --json-mode want it."""
    if question.wanted is None:
        return None
    from ..schema.build import MismatchError, decode_json
    from ..schema.validate import first_error  # here, not above: few commands need them

    for text in whole.texts or [""]:
        try:
            wrong = first_error(decode_json(strip_fence(text)), question.wanted)
        except MismatchError as error:
            wrong = str(error)
        if wrong:
            return wrong
    return None


def strip_fence(text: str) -> str:
    """JSON without the fence that some models put around it."""
    from ..schema.build import FENCED

    fenced = FENCED.fullmatch(text)
    return fenced[1] if fenced else text


if TYPE_CHECKING:
    from ..history import History  # few commands need it


FORMATTERS: dict[str, Callable[[Reply, Options], list[str]]] = {
    "image": lambda whole, options: save_pictures(whole, options.image),
    "moderate": lambda whole, options: whole.categories or ["flagged"] * whole.flagged,
    "models": lambda whole, options: sorted(
        str(model.get("id")) for model in only_dicts(whole.get("data"))
    ),
}


def send_query(
    client: Client,
    question: Query,
    options: Options,
    out: Output,
    notes: Stderr,
    record: CallLog,
    history: "Optional[History]" = None,
) -> int:
    """Ask, show what comes, and give the exit code.  A `history` that ends with the question grows by the answer."""
    if question.functions:
        whole = run_tools(client, question, options, out, notes, record, history)
    else:

        def say(content: Any) -> Reply:
            asked = question._replace(content=content)
            request = asked.request(client.config)
            with record.call(client.config, request) as replies:
                replies.append(send_and_print(client, request, asked, options, out))
            return replies[0]

        if history is None:
            whole = say(question.content)
        else:
            whole = history.add(*history.send_window(say))
    return check_answer(whole, question, options, notes)


def send_and_print(
    client: Client, request: Request, question: Query, options: Options, out: Output
) -> Reply:
    """The Reply to a request, shown."""
    if options.json:
        body, whole = client.send(request, raw_and_reply)
        out.put(body)
    elif question.stream:
        with client.send(
            request, lambda response: Stream(response, choices=question.choices)
        ) as parts:
            whole = print_stream(parts, question, options.jsonl, out)
    else:
        whole = client.send(request, reply.read_reply)
        if question.kind in FORMATTERS:
            out.put(
                b"".join(
                    utf8(" ".join(line.split())) + b"\n"
                    for line in FORMATTERS[question.kind](whole, options)
                )
            )
        else:
            out.write(text_of(whole, question))
            out.end()
    return whole


def save_pictures(whole: Reply, path: str) -> list[str]:
    """Write the pictures in a reply, and give their paths.  Raises RawchatError for what cannot be written."""
    from ..images import as_pictures  # here, not above: few commands need it

    try:
        return as_pictures(whole).save(path)
    except OSError as error:
        raise write_error(error.filename or path, error) from None


def raw_and_reply(response: Response) -> tuple[bytes, Reply]:
    """The bytes of an answer, which are a JSON object, and the Reply in them."""
    body = response.read()
    return body, reply.decode_reply(body, response)


def text_of(whole: Reply, question: Query) -> str:
    """The text of the first choice; where several were asked for, all, with a blank line between two."""
    texts = (
        [strip_fence(text) for text in whole.texts] if question.wanted is not None else whole.texts
    )
    return (
        "\n\n".join(text.strip("\r\n") for text in texts)
        if question.choices > 1
        else (texts or [""])[0]
    )


def print_stream(stream: Stream, question: Query, jsonl: bool, out: Output) -> Reply:
    """Show a stream as it comes: its text, or its JSON in lines.

    At its end come several choices, which are mixed in it, and JSON, which is of no use before.
    """
    together = (question.choices > 1 or question.wanted is not None) and not jsonl
    try:
        for chunk in stream:
            if jsonl:
                out.put(
                    utf8(re.sub("[\r\n]+", " ", chunk.data)) + b"\n"
                )  # line ends in JSON are but blanks
            elif not together:
                out.write(chunk.text)
    except APIError as error:
        if together and error.partial is not None:
            out.write(text_of(error.partial, question))
        raise
    if together:
        out.write(text_of(stream.reply, question))
    if not jsonl:
        out.end()
    return stream.reply


def run_tools(
    client: Client,
    question: Query,
    options: Options,
    out: Output,
    notes: Stderr,
    record: CallLog,
    history: "Optional[History]",
) -> Reply:
    """Ask, and let the model call functions until it answers in words; what it says on the way is shown, too."""
    from ..tools import run as run_tool_loop
    from . import tools as approval

    question.request(client.config)  # raises UsageError for what cannot be sent

    def print_reply(whole: Reply, sent: list[Any]) -> None:
        record.add(client.config, {"messages": sent}, whole, None, whole.elapsed)
        if not question.stream:
            out.write(whole.text)
        if whole.text or not whole.tool_calls:
            out.end()

    ask = None if options.yes else approval.confirm_on_tty
    functions = [
        approval.with_confirmation(function, notes.warn, ask) for function in question.functions
    ]
    params = {name: value for name, value in question.params.items() if name != "tools"}
    messages = list(question.content) if history is None else history
    try:
        with contextlib.redirect_stdout(
            sys.stderr
        ):  # what functions print is not the answer; `out` has its own way
            return run_tool_loop(
                messages,
                functions,
                client,
                on_text=out.write if question.stream else None,
                on_reply=print_reply,
                **params,
            )
    except APIError as error:
        record.add(client.config, {"messages": messages}, None, error, 0)
        raise
