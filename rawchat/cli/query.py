"""From options and standard input to what is asked."""

import os
from collections.abc import Mapping, Sequence
from typing import Any, Callable, NamedTuple, Optional

from .. import endpoints
from ..config import Config
from ..endpoints import choice_count
from ..wire import Request
from .inputs import UsageError, build_prompt, expand_at_file, json_or_text
from .options import Options

Message = dict[str, Any]


BUILDERS: dict[str, Callable[[Config, "Query"], Request]] = {
    "chat": lambda config, asked: endpoints.chat(config, asked.content, asked.params, asked.stream),
    "complete": lambda config, asked: endpoints.completion(
        config, asked.content, asked.params, asked.stream
    ),
    "image": lambda config, asked: endpoints.image(config, asked.content, asked.params),
    "moderate": lambda config, asked: endpoints.moderation(config, asked.content, asked.params),
    "models": lambda config, asked: endpoints.models(config, asked.params),
}


class Query(NamedTuple):
    """What to ask, whole."""

    kind: str  #: one of MAKE
    content: Any  #: a list of messages, or a text
    params: Mapping[str, Any]
    stream: bool = False
    functions: Sequence[Callable[..., Any]] = ()  #: of --tools

    @property
    def choices(self) -> int:
        """How many answers."""
        return choice_count({**self.params, **self.params["extra_body"]}.get("n"))

    @property
    def wanted(self) -> Optional[Mapping[str, Any]]:
        """The JSON schema that the answer has to fit; None if it may be any text."""
        form = self.params.get("response_format")
        shape: Optional[Mapping[str, Any]] = (
            form and form.get("json_schema", {"schema": {}})["schema"]
        )
        return shape

    def request(self, config: Config) -> Request:
        """The Request; raises UsageError for what JSON cannot carry."""
        try:
            return BUILDERS[self.kind](config, self)
        except (TypeError, ValueError) as error:
            raise UsageError(str(error)) from None


def build_query(
    options: Options,
    stdin: Any,
    warn: Callable[[str], Any],
    past: Sequence[Message] = (),
    prompt: Optional[str] = None,
) -> Query:
    """What the options ask for, after what was said in the `past`; -o has the last word.

    With a `prompt`, that is asked, not what the command line and standard input say.  Raises UsageError; `warn` is told
    of broken input.
    """
    kind = next((kind for kind in BUILDERS if getattr(options, kind, None)), "chat")
    params = {
        "extra_body": {name: json_or_text(expand_at_file(value)) for name, value in options.option}
    }
    if kind == "models":
        if options.prompt:
            raise UsageError("--models asks nothing: leave the prompt out")
        return Query(kind, "", params)
    if kind == "image":
        check_writable(options.image)
    if kind in ("image", "moderate"):  # a model from elsewhere is one for chats
        named = {"n": options.n, "model": options.model if "model" in options.given else None}
        return Query(
            kind, build_prompt(options.prompt, stdin, warn), {**without_none(named), **params}
        )
    stream = not (options.json or options.no_stream or params["extra_body"].get("stream") is False)
    if options.jsonl and not stream:
        raise UsageError("--jsonl shows a stream: leave out -o stream false")
    named = {
        "temperature": options.temperature,
        "max_tokens": options.max_tokens,
        "top_p": options.top_p,
        "n": options.n,
        "stop": options.stop or None,
        "response_format": response_format(options),
        "stream_options": {"include_usage": True} if stream else None,
    }
    functions: Sequence[Callable[..., Any]] = ()
    if options.tools:
        from .tools import load_functions, tool_specs

        functions = load_functions(options.tools)
        named["tools"] = tool_specs(functions)
    if prompt is None:
        prompt = build_prompt(options.prompt, stdin, warn)
    content = prompt if kind == "complete" else build_messages(options, past, prompt)
    return Query(kind, content, {**without_none(named), **params}, stream, functions)


def build_messages(options: Options, past: Sequence[Message], prompt: str) -> list[Message]:
    """The past and the prompt as messages, with the system text and what is attached."""
    content: Any = prompt
    if options.attach:
        from .inputs import with_attachments  # here, not above: few need it

        content = with_attachments(options.attach, prompt)
    system = (
        [{"role": "system", "content": expand_at_file(options.system)}] if options.system else []
    )
    if system and past:
        from ..history.window import is_instruction

        past = [message for message in past if not is_instruction(message)]
    return [*system, *past, {"role": "user", "content": content}]


def response_format(options: Options) -> Any:
    """The parameter that --schema and --json-mode stand for."""
    if options.schema:
        from .schema_arg import parse_schema_arg

        return {
            "type": "json_schema",
            "json_schema": {
                "name": "answer",
                "schema": parse_schema_arg(options.schema),
                "strict": True,
            },
        }
    return {"type": "json_object"} if options.json_mode else None


def without_none(named: Mapping[str, Any]) -> dict[str, Any]:
    """What has a value."""
    return {name: value for name, value in named.items() if value is not None}


def check_writable(path: str) -> None:
    """Raises UsageError if no file can be written there: better before the picture is paid for."""
    folder = os.path.dirname(path) or "."
    if os.path.islink(path):
        raise UsageError(f"{path}: a symbolic link, which is not followed")
    if os.path.isdir(path) or not os.access(path if os.path.exists(path) else folder, os.W_OK):
        raise UsageError(f"{path}: cannot be written")
