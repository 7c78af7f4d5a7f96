"""Ask, and show the answer as the options want it."""

import contextlib
import re
import sys
from typing import TYPE_CHECKING, Any, Callable, Optional

from . import reply
from .client import Client
from .errors import APIError
from .notes import Notes
from .output import Output, unwritten, utf8
from .precedence import Options
from .question import Question
from .record import Record
from .refusals import objects
from .reply import Reply
from .stream import Stream
from .verdict import bare, verdict
from .wire import Request, Response

if TYPE_CHECKING:
    from .history import History  # few commands need it

LISTS: dict[str, Callable[[Reply, Options], list[str]]] = {
    "image": lambda whole, options: saved(whole, options.image),
    "moderate": lambda whole, options: whole.categories or ["flagged"] * whole.flagged,
    "models": lambda whole, options: sorted(
        str(model.get("id")) for model in objects(whole.get("data"))
    ),
}


def answer(
    client: Client,
    question: Question,
    options: Options,
    out: Output,
    notes: Notes,
    record: Record,
    history: "Optional[History]" = None,
) -> int:
    """Ask, show what comes, and give the exit code.  A `history` that ends with the question grows by the answer."""
    if question.functions:
        whole = with_tools(client, question, options, out, notes, record, history)
    else:

        def say(content: Any) -> Reply:
            asked = question._replace(content=content)
            request = asked.request(client.config)
            with record.call(client.config, request) as replies:
                replies.append(shown(client, request, asked, options, out))
            return replies[0]

        whole = say(question.content) if history is None else history.hear(say)
    return verdict(whole, question, options, notes)


def shown(
    client: Client, request: Request, question: Question, options: Options, out: Output
) -> Reply:
    """The Reply to a request, shown."""
    if options.json:
        body, whole = client.send(request, as_sent)
        out.put(body)
    elif question.stream:
        with client.send(
            request, lambda response: Stream(response, choices=question.choices)
        ) as parts:
            whole = streamed(parts, question, options.jsonl, out)
    else:
        whole = client.send(request, reply.read)
        if question.kind in LISTS:
            out.put(
                b"".join(
                    utf8(" ".join(line.split())) + b"\n"
                    for line in LISTS[question.kind](whole, options)
                )
            )
        else:
            out.write(text_of(whole, question))
            out.end()
    return whole


def saved(whole: Reply, path: str) -> list[str]:
    """Write the pictures in a reply, and give their paths.  Raises RawchatError for what cannot be written."""
    from .images import pictures  # here, not above: few commands need it

    try:
        return pictures(whole).save(path)
    except OSError as error:
        raise unwritten(error.filename or path, error) from None


def as_sent(response: Response) -> tuple[bytes, Reply]:
    """The bytes of an answer, which are a JSON object, and the Reply in them."""
    body = response.read()
    return body, reply.decode(body, response)


def text_of(whole: Reply, question: Question) -> str:
    """The text of the first choice; where several were asked for, all, with a blank line between two."""
    texts = [bare(text) for text in whole.texts] if question.wanted is not None else whole.texts
    return (
        "\n\n".join(text.strip("\r\n") for text in texts)
        if question.choices > 1
        else (texts or [""])[0]
    )


def streamed(stream: Stream, question: Question, jsonl: bool, out: Output) -> Reply:
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


def with_tools(
    client: Client,
    question: Question,
    options: Options,
    out: Output,
    notes: Notes,
    record: Record,
    history: "Optional[History]",
) -> Reply:
    """Ask, and let the model call functions until it answers in words; what it says on the way is shown, too."""
    from . import toolbox, tools  # here, not above: few need them

    question.request(client.config)  # raises UsageError for what cannot be sent

    def heard(said: list[Any], say: Callable[[], Reply]) -> Reply:
        with record.call(client.config, {"messages": said}) as replies:
            replies.append(say())
        if not question.stream:
            out.write(replies[0].text)
        if replies[0].text or not replies[0].tool_calls:
            out.end()
        return replies[0]

    ask = None if options.yes else toolbox.on_terminal
    functions = [toolbox.approved(function, notes.complain, ask) for function in question.functions]
    params = {name: value for name, value in question.params.items() if name != "tools"}
    said = (
        toolbox.Rounds(question.content, heard)
        if history is None
        else toolbox.Rounds(history, heard, history)
    )
    with contextlib.redirect_stdout(
        sys.stderr
    ):  # what functions print is not the answer; `out` has its own way
        return tools.run(
            said, functions, client, on_text=out.write if question.stream else None, **params
        )
