"""A conversation: a list of messages that is asked, kept whole when something fails, cut to size, saved and forked.

    history = History(system="You are a pirate.", max_tokens=3000)
    print(history.ask("Where is the treasure?").text)
    for piece in history.stream("And the map?"):
        print(piece, end="", flush=True)

A *turn* is a message of the user with all that follows it: answers, tool calls, their results.  The *window* is what
is sent: the system messages and the newest turns that fit.  The list itself, the record, stays whole.
"""

import copy
from collections.abc import Generator
from contextlib import AbstractContextManager
from typing import Any, Callable, Optional, TypeVar

from ..client import Client, default_client
from ..errors import APIResponseValidationError, ContextLengthExceededError
from ..normalise import normalise
from ..reply import Reply
from ..usage import Usage
from . import jsonl, window
from .jsonl import Path
from .tokens import Encoding
from .window import (
    SUMMARY,
    Message,
    TokenCounts,
    from_index,
    is_instruction,
    is_system,
    turn_starts,
)

Answer = TypeVar("Answer")


SUMMARY_PROMPT = "Summarise our conversation so far in a few sentences. Keep names, numbers, decisions and open questions."


class History(list[Message]):
    """A conversation.  It is a list: append to it, slice it, edit it.

    client          default: the client of the module's verbs
    system          instructions, the first message
    max_messages    bound on the messages that are sent, system messages included
    max_tokens      bound on their tokens; leave room for the answer
    encoding        the model's tokenizer, for exact counts (tiktoken's will do)
    """

    def __init__(
        self,
        client: Optional[Client] = None,
        system: Optional[str] = None,
        max_messages: Optional[int] = None,
        max_tokens: Optional[int] = None,
        encoding: Optional[Encoding] = None,
    ):
        super().__init__()
        self.system = system
        self._client = client
        self.max_messages, self.max_tokens = max_messages, max_tokens
        self.usage = Usage()  #: the sum over all replies
        self.sizes = TokenCounts(encoding)  #: the tokens of messages

    @property
    def client(self) -> Client:
        """Who is asked."""
        return self._client or default_client()

    @property
    def system(self) -> Optional[str]:
        """The instructions, None without any; what is set here replaces them.  A summary is none."""
        return next((text_of(message) for message in self if is_instruction(message)), None)

    @system.setter
    def system(self, text: Optional[str]) -> None:
        rest = [message for message in self if not is_instruction(message)]
        self[:] = rest if text is None else [{"role": "system", "content": text}, *rest]

    def ask(self, content: Any, **params: Any) -> Reply:
        """Ask (a text, or a list of parts) and add question and answer; if anything fails, neither."""
        with self.turn():
            self.append({"role": "user", "content": content})
            return self.add(*self.send_window(lambda sent: self.client.chat(sent, **params)))

    def stream(self, content: Any, **params: Any) -> Generator[str, None, None]:
        """Like `ask`, as pieces of text; the answer counts only if it is read to its end.

        Asks the server for usage at the end of the stream, from which the sizes of messages are learned.
        """
        params = {"stream_options": {"include_usage": True}, **params}
        question = {"role": "user", "content": content}
        with self.turn():
            self.append(question)
            stream, sent = self.send_window(lambda sent: self.client.stream_chat(sent, **params))
            self.pop()  # until the answer is whole: PyPy may end a generator that is left far later
        with stream:
            yield from stream.texts()
        with self.turn():
            self.append(question)
            self.add(stream.reply, sent)

    def turn(self) -> AbstractContextManager["History"]:
        """What the block adds stays if it ends well; whatever else ends it, Ctrl-C too, all is as it was before."""
        return window.transaction(self)

    def window(self) -> list[Message]:
        """What is sent: the system messages, then the newest whole turns that fit; the last one in any case."""
        return window.select(self, self.max_messages, self.max_tokens, self.sizes)

    def send_window(self, send: Callable[[list[Message]], Answer]) -> tuple[Answer, list[Message]]:
        """Send the window with `send`; return what that returns, and the messages that were sent.

        If the server finds them too long, they are sent again without their oldest turn, until they fit or one turn
        is left.  Raises ContextLengthExceededError if that is too long by itself, and what `send` raises.
        """
        sent = self.window()
        while True:
            try:
                return send(sent), sent
            except ContextLengthExceededError:
                starts = turn_starts(sent)
                if len(starts) < 2:
                    raise
                sent = from_index(sent, starts[1])

    def add(self, reply: Reply, sent: Optional[list[Message]] = None) -> Reply:
        """Add the message of `reply`, count its usage, learn the sizes of the messages in `sent`; return `reply`.

        sent    the messages that `reply` answers; default: the window

        Raises APIResponseValidationError if the reply holds no message.
        """
        usage = Usage.of(reply)
        self.usage += usage
        self.sizes.learn(usage.prompt, self.window() if sent is None else sent)
        self.append(window.to_store(reply.message))
        return reply

    def summarise(
        self, keep: int = 1, prompt: str = SUMMARY_PROMPT, **params: Any
    ) -> Optional[Reply]:
        """Replace all turns but the newest `keep` by one system message, which the model writes (`model=` may name
        a cheaper one).  An earlier summary goes into it.  If the call fails, nothing has changed; None if there is
        nothing to do.
        """
        starts = turn_starts(self)
        if len(starts) <= keep:
            return None
        cut = starts[-keep] if keep else len(self)
        fixed = [message for message in self[:cut] if is_instruction(message)]
        old = [message for message in self[:cut] if not is_instruction(message)]
        reply = self.client.chat([*old, {"role": "user", "content": prompt}], **params)
        self.usage += Usage.of(reply)
        if not reply.text.strip():
            raise APIResponseValidationError("the summary is empty; nothing was replaced")
        self[:cut] = [*fixed, {"role": "system", "content": SUMMARY + reply.text}]
        return reply

    def clear(self, keep_system: bool = True) -> None:
        """Forget the conversation, and its summary; the instructions stay."""
        self[:] = [message for message in self if keep_system and is_instruction(message)]

    def fork(self) -> "History":
        """A copy that goes its own way; its usage begins at 0."""
        twin = copy.copy(self)
        twin[:], twin.usage, twin.sizes = copy.deepcopy(list(self)), Usage(), copy.copy(self.sizes)
        return twin

    def show(self) -> str:
        """The conversation to read, without system messages."""
        return "\n\n".join(
            f"{message.get('role')}: {text_of(message)}"
            for message in self
            if not is_system(message)
        )

    def save(self, path: Path) -> None:
        """Write the messages as JSON Lines: for their owner only, and whole or not at all."""
        jsonl.write_messages(path, self)

    @classmethod
    def load(cls, path: Path, client: Optional[Client] = None, **settings: Any) -> "History":
        """The conversation that `save` wrote; `settings` as for a new one.  Raises RawchatError that names the line."""
        history = cls(client, **settings)
        history.extend(jsonl.read_messages(path))
        return history


def text_of(message: Message) -> str:
    """A message's content to read: pictures and tool calls in brackets."""
    message = normalise(message)  # one of the caller, or of a file, may have any shape
    content = message.get("content") or message.get("refusal") or ""
    if isinstance(content, str):
        parts = [content]
    else:
        parts = [str(part.get("text", f"[{part.get('type')}]")) for part in content]
    for call in message.get("tool_calls") or ():
        function = call.get("function") or {}
        parts.append(f"[{function.get('name')}({function.get('arguments')})]")
    return " ".join(filter(None, parts))
