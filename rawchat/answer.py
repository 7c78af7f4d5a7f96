"""Ask, and show the answer as the options want it."""
import re
from typing import Any, Callable

from . import reply
from .client import Client
from .errors import APIError
from .notes import Notes
from .options import Options
from .output import Output, utf8
from .question import Question
from .reply import Reply
from .stream import Stream
from .wire import Response

Turn = Callable[[Any, Callable[[Any], Reply]], Reply]


def answer(client: Client, question: Question, options: Options, out: Output, notes: Notes,
           turn: Turn = lambda content, say: say(content)) -> int:
    """Ask, show what comes, and give the exit code; `turn` may be that of a saved conversation."""
    def say(content: Any) -> Reply:
        return answered(client, question._replace(content=content), options, out)

    return verdict(turn(question.content, say), options, notes)


def answered(client: Client, question: Question, options: Options, out: Output) -> Reply:
    """Ask, and show what comes."""
    request = question.request(client.config)
    if options.json:
        body, whole = client.send(request, as_sent)
        out.put(body)
    elif question.stream:
        with client.send(request, lambda response: Stream(response, choices=question.choices)) as parts:
            whole = show(parts, options.jsonl, question.choices, out)
    else:
        whole = client.send(request, reply.read)
        out.write(text_of(whole, question.choices))
        out.end()
    return whole


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


def verdict(whole: Reply, options: Options, notes: Notes) -> int:
    """The exit code of an answer that came; says on standard error what its text does not show."""
    reasons = [choice.get("finish_reason") for choice in whole.choices]
    cut = [reason for reason in ("length", "content_filter") if reason in reasons]
    if cut:
        notes.complain(f"the answer was cut ({cut[0]})" + ("; --max-tokens allows more" if "length" in cut else ""))
    elif whole.message.get("refusal"):
        notes.complain(f"the model refused: {whole.message['refusal']}")
    elif whole.tool_calls and not whole.text:
        notes.complain("the answer is tool calls, no text; --json shows them")
    return 9 if cut and options.strict else 0
