"""Turn options and standard input into a `Query`: the endpoint, the content and the parameters of one request."""

import os
from collections.abc import Mapping, Sequence
from typing import Any, Callable, NamedTuple, Optional, TextIO

from .. import endpoints
from ..config import Config
from ..endpoints import INCLUDE_USAGE, choice_count, others
from ..wire import Request
from ..wire.json_text import Added
from .inputs import GIVE_PROMPT, UsageError, Warn, build_prompt, expand_at_file, json_or_text
from .options import Options

Message = dict[str, Any]


class Query(NamedTuple):
    """The query of one command."""

    kind: str  #: "chat", or the option that names another endpoint: one of ENDPOINT_OPTIONS
    content: Any  #: the messages of a chat, else a text; of ANY_ENDPOINT see `endpoint`
    params: Mapping[str, Any]
    stream: bool = False
    functions: Sequence[Callable[..., Any]] = ()  #: the functions of --tools

    @property
    def choices(self) -> int:
        """Return the number of answers that are requested."""
        return choice_count({**self.params, **self.params["extra_body"]}.get("n"))

    @property
    def schema(self) -> Optional[Mapping[str, Any]]:
        """Return the JSON schema that the answer has to match, {} for any JSON, None for any text."""
        form = self.params.get("response_format")
        if form is None:
            return None
        schema: Mapping[str, Any] = {}
        if "json_schema" in form:
            schema = form["json_schema"]["schema"]
        return schema

    def request(self, config: Config) -> Request:
        """Return the request; raises UsageError for a value that JSON cannot hold."""
        try:
            return build_request(self, config)
        except (TypeError, ValueError) as error:
            raise UsageError(str(error)) from None


ENDPOINT_OPTIONS = ("complete", "image", "moderate", "models", "post", "get", "embed")

#: the kinds of query that `endpoint` knows
ANY_ENDPOINT = ("post", "get", "embed")


def build_request(query: Query, config: Config) -> Request:
    """Return the request of a query to the endpoint of its kind."""
    if query.kind in ANY_ENDPOINT:
        from .endpoint import endpoint_request  # not above: few commands need it

        return endpoint_request(query, config)
    if query.kind == "complete":
        return others.completion(config, query.content, query.params, query.stream)
    if query.kind == "image":
        return others.image(config, query.content, query.params)
    if query.kind == "moderate":
        return others.moderation(config, query.content, query.params)
    if query.kind == "models":
        return others.models(config, query.params)
    return endpoints.chat(config, query.content, query.params, query.stream)


def build_query(
    options: Options,
    stdin: Optional[TextIO],
    warn: Warn,
    history: Sequence[Message] = (),
    prompt: Optional[str] = None,
) -> Query:
    """Return the query that the options describe; -o overrides every other option.

    history     the messages of the conversation before the prompt
    prompt      replaces the prompt of the command line and of standard input

    Raises UsageError.  `warn` receives a line about input that is not valid UTF-8.
    """
    if options.no_stdin:
        stdin = None
    kind = "chat"
    for name in ENDPOINT_OPTIONS:
        if getattr(options, name):
            kind = name
    if "form" in options.given and kind != "post":
        raise UsageError("--form needs --post PATH")
    if kind in ANY_ENDPOINT:
        from .endpoint import endpoint_query

        return endpoint_query(kind, options, stdin, warn)
    if kind == "models":
        if options.prompt:
            raise UsageError("--models takes no prompt")
        return Query(kind, "", {"extra_body": extra_body(options)})
    if options.image is not None:
        check_writable(options.image)
    if kind in ("image", "moderate"):
        text = read_prompt(options, stdin, warn)
        return Query(kind, text, other_params(options))
    return build_chat_query(kind, options, stdin, warn, history, prompt)


def build_chat_query(
    kind: str,
    options: Options,
    stdin: Optional[TextIO],
    warn: Warn,
    history: Sequence[Message],
    prompt: Optional[str],
) -> Query:
    """Return the query of a chat or a completion, which share most parameters and can be streamed."""
    stream = is_streamed(options)
    params = chat_params(options)
    if stream:
        params["stream_options"] = INCLUDE_USAGE
    functions: Sequence[Callable[..., Any]] = ()
    if options.tools:
        from .tools import load_functions, tool_specs

        functions = load_functions(options.tools)
        params["tools"] = tool_specs(functions)
    if prompt is None:
        prompt = read_prompt(options, stdin, warn)
    content: Any = prompt
    if kind == "chat":
        content = build_messages(options, history, prompt)
    return Query(kind, content, params, stream, functions)


def read_prompt(options: Options, stdin: Optional[TextIO], warn: Warn) -> str:
    """Return the prompt of the command line and of standard input.

    Raises UsageError if it is empty; after a `-o NAME "Say hi"` it says that -o takes two words.
    """
    advice = GIVE_PROMPT
    if "option" in options.given and not options.prompt:
        advice = f"-o takes KEY VALUE, two words; after them {GIVE_PROMPT}"
    return build_prompt(options.prompt, stdin, warn, advice)


# ---- parameters


def extra_body(options: Options) -> dict[str, Any]:
    """Return the parameters of -o."""
    body: dict[str, Any] = {}
    for name, text in options.option:
        body[name] = json_or_text(expand_at_file(text, f"-o {name}"))
    return body


def other_params(options: Options) -> dict[str, Any]:
    """Return the parameters of an image or a moderation.

    Only a model of the command line counts: a variable names one for chats.
    """
    params: dict[str, Any] = {"extra_body": extra_body(options)}
    if options.n is not None:
        params["n"] = options.n
    if "model" in options.given:
        params["model"] = options.model
    return params


def chat_params(options: Options) -> dict[str, Any]:
    """Return the parameters of a chat or a completion; an option that is not set has none."""
    params = {
        "temperature": options.temperature,
        "max_tokens": options.max_tokens,
        "top_p": options.top_p,
        "n": options.n,
        "stop": options.stop or None,
        "response_format": response_format(options),
        "extra_body": extra_body(options),
    }
    return {name: value for name, value in params.items() if value is not None}


def response_format(options: Options) -> Optional[dict[str, Any]]:
    """Return the parameter that --schema or --json-mode stands for."""
    if options.schema:
        from .schema_arg import parse_schema_arg

        schema = parse_schema_arg(options.schema)
        json_schema = {"name": "answer", "schema": schema, "strict": True}
        return Added({"type": "json_schema", "json_schema": json_schema})
    if options.json_mode:
        return {"type": "json_object"}
    return None


def is_streamed(options: Options) -> bool:
    """Return whether to request a stream.  Raises UsageError if --jsonl has none to print."""
    refused = extra_body(options).get("stream") is False
    if options.jsonl and refused:
        raise UsageError("--jsonl prints a stream: leave out -o stream false")
    return not (options.json or options.no_stream or refused)


# ---- content


def build_messages(options: Options, history: Sequence[Message], prompt: str) -> list[Message]:
    """Return the messages of a chat: instructions, history, and the prompt with its attachments.

    The instructions of --system replace those of the history.
    """
    content: Any = prompt
    if options.attach:
        from .inputs import with_attachments

        content = with_attachments(options.attach, prompt)
    question = {"role": "user", "content": content}
    if not options.system:
        return [*history, question]
    if history:
        from ..history.window import is_instruction

        history = [message for message in history if not is_instruction(message)]
    system = {"role": "system", "content": expand_at_file(options.system, "--system")}
    return [system, *history, question]


def check_writable(path: str) -> None:
    """Raise UsageError if no file can be written at `path`: better before the image is paid for."""
    if os.path.islink(path):
        raise UsageError(f"{path}: a symbolic link, which is not followed")
    target = path
    if not os.path.exists(path):
        target = os.path.dirname(path) or "."
    if os.path.isdir(path) or not os.access(target, os.W_OK):
        raise UsageError(f"{path}: cannot be written")
