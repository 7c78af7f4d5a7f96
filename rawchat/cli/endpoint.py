"""Any endpoint: --post and --get, with --form for files, and --embed.

`endpoint_query` says what to send, `endpoint_request` makes the request of it, `send_endpoint` prints the answer.
"""

import json
import os
import pathlib
from collections.abc import Sequence
from typing import Any, Optional, TextIO

from ..config import Config
from ..errors import RawchatError
from ..reply import Reply
from ..resources.build import build_request
from ..resources.content import ByteStream, media_type
from ..resources.embeddings import Embeddings, embeddings_request, read_embeddings
from ..resources.events import EventStream
from ..resources.resource import decode_resource, is_json
from ..wire import Request, Response
from ..wire.json_text import encode_mended
from .context import Context
from .inputs import (
    UsageError,
    Warn,
    check_unicode,
    read_stdin,
    refuse_constant,
    wait_for_data,
)
from .options import Options
from .query import Query, extra_body, read_prompt
from .terminal import utf8

#: Inputs of --embed in one request.
EMBED_BATCH = 100

#: What makes `build_request` send a form.
FORM_TYPE = {"Content-Type": "multipart/form-data"}


# ---- what to send


def endpoint_query(kind: str, options: Options, stdin: Optional[TextIO], warn: Warn) -> Query:
    """Return the query of --post, --get or --embed; raise UsageError.

    The content is the path and the body, or the inputs of --embed; -o sets fields of the body, or of a query after
    the path.  Only a model of the command line counts: a variable names one for chats.
    """
    fields = extra_body(options)
    if "model" in options.given and kind != "get":
        fields["model"] = options.model
    params: dict[str, Any] = {"extra_body": fields}
    if kind == "embed":
        return Query(kind, read_inputs(options, stdin, warn), params)
    if kind == "get":
        if options.prompt or options.form:
            raise UsageError("--get sends no body: -o KEY VALUE adds to the query")
        return Query(kind, (options.get, None), params)
    if not options.form:
        return Query(kind, (options.post, read_json(options, stdin, warn)), params)
    if options.prompt:
        raise UsageError("--form is the whole body: it takes no prompt")
    params["extra_headers"] = FORM_TYPE
    return Query(kind, (options.post, form_fields(options.form)), params)


def read_inputs(options: Options, stdin: Optional[TextIO], warn: Warn) -> list[str]:
    """Return the inputs of --embed: the lines of the prompt and of standard input that are not blank."""
    prompt = read_prompt(options, stdin, warn)
    return [line for line in prompt.splitlines() if line.strip()]


def read_json(options: Options, stdin: Optional[TextIO], warn: Warn) -> Any:
    """Return the JSON of the prompt, else of standard input; None if both are empty."""
    text = ""
    if options.prompt:
        if "-" not in options.prompt:
            stdin = None
        text = read_prompt(options, stdin, warn)
    elif stdin is not None and not stdin.isatty():
        wait_for_data(stdin, warn)
        text = read_stdin(stdin, warn)
    if not text.strip():
        return None
    try:
        return json.loads(text, parse_constant=refuse_constant)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"the body is not JSON: {error}; -o KEY VALUE sets a field") from None


def form_fields(words: Sequence[str]) -> dict[str, Any]:
    """Return the fields of a form in words NAME=VALUE and NAME=@FILE; a name that is repeated has a list.

    >>> form_fields(["purpose=batch", "file=@rows.jsonl", "handle=@@ann"])
    {'purpose': 'batch', 'file': PosixPath('rows.jsonl'), 'handle': '@ann'}
    """
    fields: dict[str, Any] = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not name or not equals:
            raise UsageError("--form expects NAME=@FILE or NAME=VALUE")
        value: Any = text
        if text.startswith("@@"):
            value = text[1:]
        elif text.startswith("@"):
            value = pathlib.Path(os.path.expanduser(text[1:]))
        if isinstance(value, str):
            check_unicode(value, f"--form {name}")
        if name not in fields:
            fields[name] = value
        elif isinstance(fields[name], list):
            fields[name].append(value)
        else:
            fields[name] = [fields[name], value]
    return fields


def endpoint_request(query: Query, config: Config) -> Request:
    """Return the request of a query; raise UsageError for a file that cannot be read."""
    if query.kind == "embed":
        return embeddings_request(config, query.content, query.params)
    path, body = query.content
    try:
        return build_request(config, query.kind.upper(), path, body, query.params)
    except OSError as error:
        raise UsageError(f"{error.filename}: {error.strerror}") from None


# ---- the answer


def send_endpoint(context: Context) -> int:
    """Send the query, print the answer, and return the exit code, 0.

    Raises RawchatError for a call that failed.
    """
    if context.query.kind == "embed":
        inputs = context.query.content
        for start in range(0, len(inputs), EMBED_BATCH):
            print_embeddings(context, inputs[start : start + EMBED_BATCH])
    else:
        print_answer(context)
    return 0


def print_embeddings(context: Context, inputs: Sequence[str]) -> None:
    """Make one call, and print a line of JSON for each input: the input and its embedding."""
    client = context.client
    request = context.query._replace(content=list(inputs)).request(client.config)

    def read(response: Response) -> Embeddings:
        return read_embeddings(response, client.config.max_bytes, len(inputs))

    with context.log.call(client.config, request) as replies:
        reply = client.send(request, read)
        replies.append(reply)
    lines = []
    for text, vector in zip(inputs, reply.embeddings):
        lines.append(encode_mended({"input": text, "embedding": vector}) + b"\n")
    context.stdout.put(b"".join(lines))


def print_answer(context: Context) -> None:
    """Make one call and print its answer: JSON byte for byte, each event as a line of JSON, other bytes unchanged."""
    client = context.client
    request = context.query.request(client.config)
    limit = client.config.max_bytes

    def read(response: Response) -> Any:
        """Return the body of JSON with its value, or the stream of anything else."""
        if media_type(response) == "text/event-stream":
            return EventStream(response, limit)
        if not is_json(response):
            return ByteStream(response, limit)
        body = response.read(limit)
        value = decode_resource(body, response) if body.strip() else None
        return body, value

    with context.log.call(client.config, request) as replies:
        answer = client.send(request, read)
        if isinstance(answer, EventStream):
            print_events(context, answer)
            replies.append(answer.reply)
        elif isinstance(answer, ByteStream):
            print_bytes(context, answer)
        else:
            body, value = answer
            print_body(context, body)
            if isinstance(value, Reply):
                replies.append(value)


def print_events(context: Context, stream: EventStream) -> None:
    """Print the data of each event as a line of JSON, when it arrives."""
    with stream:
        for event in stream:
            context.stdout.put(encode_mended(event.data) + b"\n")


def print_bytes(context: Context, stream: ByteStream) -> None:
    """Print a body that is not JSON, as it arrives; a terminal shows text only.

    Raises RawchatError for anything else than text on a terminal.
    """
    with stream:
        if not context.stdout.terminal:
            for piece in stream:
                context.stdout.put(piece)
            return
        if stream.content_type and not stream.content_type.lower().startswith("text/"):
            raise RawchatError(f"the answer is {stream.content_type}, not text: add > FILE")
        print_body(context, stream.read())


def print_body(context: Context, body: bytes) -> None:
    """Print a whole body; on a terminal it ends its line."""
    context.stdout.put(body)
    if context.stdout.terminal and body and not body.endswith(b"\n"):
        context.stdout.put(utf8("\n"))
