"""Send the query, and print the answer as the options want it.

`send_query` is the whole of it: `send_and_print` makes one call, `run_tools` makes one call per round of tools.
"""

import contextlib
import re
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Optional

from ..compat.normalise import choice_index
from ..errors import APIError
from ..reply import Reply, decode_reply, only_dicts, read_reply
from ..stream import Stream
from ..wire import Request, Response
from .check import check_answer, first_fenced_block
from .context import Context
from .query import ANY_ENDPOINT, Query
from .terminal import utf8, write_error

if TYPE_CHECKING:
    from ..history import History
    from ..history.record import Message

#: fields of a message that hold reasoning: of DeepSeek and most servers, of OpenRouter and vLLM
REASONING_FIELDS = ("reasoning_content", "reasoning")

#: kinds of query whose answer is a list, not a text
LISTED_KINDS = ("image", "moderate", "models")


class AnswerInterrupted(KeyboardInterrupt):
    """Ctrl-C stopped an answer while it was being printed; `partial` is the Reply so far."""

    def __init__(self, partial: Reply):
        # the message is what the log shows
        super().__init__("KeyboardInterrupt")
        self.partial = partial


def send_query(context: Context, history: "Optional[History]" = None) -> int:
    """Send the query, print the answer, and return the exit code.

    history     a conversation that ends with the question; the answer is added to it

    Raises RawchatError for a call that failed, UsageError for a query that cannot be sent, AnswerInterrupted for
    Ctrl-C while the answer is printed.
    """

    def send(messages: "list[Message]") -> Reply:
        """Send these messages of the conversation."""
        return send_and_print(context, context.query._replace(content=messages))

    try:
        if context.query.kind in ANY_ENDPOINT:
            from .endpoint import send_endpoint

            return send_endpoint(context)
        if context.query.functions:
            reply = run_tools(context, history)
        elif history is None:
            reply = send_and_print(context, context.query)
        else:
            reply = history.add(*history.send_window(send))
    except APIError as error:
        if error.partial is not None:
            error.hint = hint_for_person(error, in_conversation=history is not None)
        raise
    return check_answer(context, reply)


def hint_for_person(error: APIError, in_conversation: bool) -> str:
    """Return what a person has of an answer whose stream broke, and what to try; the library's hint names .partial."""
    if not error.partial.text:
        hint = "no part of the answer arrived"
    elif in_conversation:
        hint = "the answer is incomplete, and is not added to the conversation"
    else:
        hint = "the answer is incomplete"
    if error.hint and ".partial" not in error.hint:
        hint += f"; {error.hint}"
    return hint


# ---- one call


def send_and_print(context: Context, query: Query) -> Reply:
    """Make one call, print its answer, log it, and return its Reply."""
    client = context.client
    request = query.request(client.config)
    with context.log.call(client.config, request) as replies:
        if context.options.json:
            reply = print_body(context, request)
        elif query.stream:
            reply = print_stream(context, query, request)
        else:
            reply = client.send(request, read_reply)
            print_reply(context, query, reply)
        replies.append(reply)
    return reply


def print_body(context: Context, request: Request) -> Reply:
    """Print the JSON of the server, byte for byte; on a terminal it ends its line."""

    def read(response: Response) -> tuple[bytes, Reply]:
        """Return the body and the Reply in it."""
        body = response.read()
        return body, decode_reply(body, response)

    body, reply = context.client.send(request, read)
    print_reasoning(context, reply)
    context.stdout.put(body)
    if context.stdout.terminal and not body.endswith(b"\n"):
        context.stdout.put(b"\n")
    return reply


def print_stream(context: Context, query: Query, request: Request) -> Reply:
    """Print a stream as it arrives: its text, or with --jsonl its chunks.

    Several choices are mixed in a stream, and half of a JSON document is of no use: both are printed at the end, and
    so is what --extract takes out of an answer.
    """
    stdout = context.stdout
    jsonl = context.options.jsonl
    at_the_end = query.choices > 1 or query.schema is not None or context.options.extract
    at_the_end = at_the_end and not jsonl

    def read(response: Response) -> Stream:
        """Return the stream of as many choices as were asked for."""
        return Stream(response, choices=query.choices)

    with context.client.send(request, read) as stream:
        try:
            for chunk in stream:
                print_reasoning(context, chunk)
                if jsonl:
                    # line ends in JSON are white space
                    stdout.put(utf8(re.sub("[\r\n]+", " ", chunk.data)) + b"\n")
                elif not at_the_end:
                    stdout.write(chunk.text)
        except APIError as error:
            if at_the_end and error.partial is not None:
                stdout.write(answer_text(context, query, error.partial))
            raise
        except KeyboardInterrupt:
            if at_the_end:
                # nothing has been printed
                raise
            stream.close()
            raise AnswerInterrupted(stream.reply) from None
        reply = stream.reply
        if at_the_end:
            stdout.write(answer_text(context, query, reply))
        if not jsonl:
            end_answer(context, reply)
        return reply


def print_reply(context: Context, query: Query, reply: Reply) -> None:
    """Print a reply that arrived in one piece."""
    print_reasoning(context, reply)
    if query.kind in LISTED_KINDS:
        lines = list_reply(context, query, reply)
        # white space in a name must not break its line
        lines = [" ".join(line.split()) + "\n" for line in lines]
        context.stdout.put(utf8("".join(lines)))
    else:
        context.stdout.write(answer_text(context, query, reply))
        end_answer(context, reply)


def end_answer(context: Context, reply: Reply) -> None:
    """End the line of an answer; in the tool loop, a round that calls tools and holds no text has none."""
    is_round = bool(context.options.tools and reply.tool_calls)
    if reply.text or not is_round:
        context.stdout.end()


def answer_text(context: Context, query: Query, reply: Reply) -> str:
    """Return the text of the first choice; if several were asked for, all, with a blank line between two.

    With --extract it is the first fenced code block of each; a text without one stays as it is.
    """
    texts = reply.texts
    if context.options.extract:
        blocks = [first_fenced_block(text) for text in texts]
        texts = [text if block is None else block for text, block in zip(texts, blocks)]
    if query.schema is not None:
        # here, not above: few commands need it
        from ..schema.build import find_json

        texts = [find_json(text) for text in texts]
    if query.choices > 1:
        return "\n\n".join(text.strip("\r\n") for text in texts)
    return texts[0] if texts else ""


def print_reasoning(context: Context, payload: Mapping[str, Any]) -> None:
    """Print, with --reasoning show, the reasoning in the first choice of a reply or of a chunk.

    That of a chunk leaves its line open for the next; a chunk without any ends the line.
    """
    if context.options.reasoning != "show":
        return
    text = reasoning_of(payload)
    if text:
        context.stderr.write(text)
    if not text or isinstance(payload, Reply):
        context.stderr.end_line()


def reasoning_of(payload: Mapping[str, Any]) -> str:
    """Return the reasoning in the first choice of a reply or of a chunk, "" if there is none."""
    for choice in only_dicts(payload.get("choices")):
        if choice_index(choice):
            continue
        message = choice.get("delta") or choice.get("message")
        if not isinstance(message, dict):
            continue
        for name in REASONING_FIELDS:
            text = message.get(name)
            if isinstance(text, str) and text:
                return text
    return ""


def list_reply(context: Context, query: Query, reply: Reply) -> list[str]:
    """Return the lines to print for a reply that holds no text: the files of pictures, categories, names of models."""
    if context.options.image is not None:
        return save_pictures(context, reply, context.options.image)
    if query.kind == "moderate":
        if reply.flagged and not reply.categories:
            return ["flagged"]
        return reply.categories
    models = only_dicts(reply.get("data"))
    return sorted(str(model.get("id")) for model in models)


def save_pictures(context: Context, reply: Reply, path: str) -> list[str]:
    """Save the pictures of a reply and return their paths; raise RawchatError for what cannot be fetched or written.

    They are fetched by the transport of the client, so that --trace, --har and --replay have them too.
    """
    # here, not above: few commands need it
    from ..images import as_pictures

    try:
        return as_pictures(reply, context.client.config).save(path, context.client.transport)
    except OSError as error:
        raise write_error(error.filename or path, error) from None


# ---- the tool loop


def run_tools(context: Context, history: "Optional[History]") -> Reply:
    """Send the query and run the functions that the model calls, until it answers in text; return the last Reply.

    Every call is printed and logged as that of a query without tools.
    """
    from ..tools import run
    from .tools import confirmed_functions

    query = context.query
    # raises UsageError for what cannot be sent
    query.request(context.client.config)

    def send(messages: "list[Message]") -> Reply:
        """Send the messages of one round."""
        return send_and_print(context, query._replace(content=messages))

    functions = confirmed_functions(query.functions, context.options.yes, context.stderr.warn)
    messages: list[Any] = list(query.content) if history is None else history
    # what the functions print is not the answer; `stdout` writes to the real file
    with contextlib.redirect_stdout(sys.stderr):
        return run(messages, functions, send=send)
