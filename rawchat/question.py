"""From options and standard input to what is asked."""
from collections.abc import Mapping, Sequence
from itertools import filterfalse
from typing import Any, NamedTuple, Optional

from . import endpoints
from .config import Config
from .options import Options
from .prompt import UsageError, from_file, json_or_text, prompt_of
from .window import Message, is_instruction
from .wire import Request


class Question(NamedTuple):
    """What to ask, whole."""

    content: Any                            #: a list of messages, or the prompt of --complete
    params: Mapping[str, Any]
    stream: bool
    make: Any                               #: the endpoint

    @property
    def choices(self) -> int:
        """How many answers."""
        return endpoints.answers({**self.params, **self.params["extra_body"]}.get("n"))

    def request(self, config: Config) -> Request:
        """The Request; raises UsageError for what JSON cannot carry."""
        try:
            request: Request = self.make(config, self.content, self.params, self.stream)
        except (TypeError, ValueError) as error:
            raise UsageError(str(error)) from None
        return request


def question_of(options: Options, stdin: Any, past: Sequence[Message] = (), prompt: Optional[str] = None) -> Question:
    """What the options ask for, after what has been said in the `past`; -o has the last word.  Raises UsageError.

    With a `prompt`, that is asked, not what the command line and standard input say.
    """
    given = {name: json_or_text(from_file(value)) for name, value in options.option}
    stream = not (options.json or options.no_stream or given.get("stream") is False)
    if options.jsonl and not stream:
        raise UsageError("--jsonl shows a stream: leave out -o stream false")
    if options.system:
        past = [{"role": "system", "content": from_file(options.system)}, *filterfalse(is_instruction, past)]
    if prompt is None:
        prompt = prompt_of(options.prompt, stdin)
    named = {"temperature": options.temperature, "max_tokens": options.max_tokens, "top_p": options.top_p,
             "n": options.n, "stop": options.stop or None,
             "stream_options": {"include_usage": True} if stream else None}
    params = {name: value for name, value in named.items() if value is not None}
    return Question(prompt if options.complete else [*past, {"role": "user", "content": prompt}],
                    {**params, "extra_body": given}, stream,
                    endpoints.completion if options.complete else endpoints.chat)
