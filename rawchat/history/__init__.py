"""A conversation: a list of messages that is sent, rolled back when a call fails, cut to size, saved and forked.

    history = History(system="You are a pirate.", max_tokens=3000)
    print(history.ask("Where is the treasure?").text)
    for piece in history.stream("And the map?"):
        print(piece, end="", flush=True)

A *turn* is a message of the user with all that follows it: answers, tool calls and their results.  The *window* is what
is sent: the system messages and the newest turns that fit.  The list itself is the record, and stays whole.
"""

import copy
from collections.abc import Generator
from contextlib import AbstractContextManager
from typing import Any, Callable, Optional, TypeVar, Union

from ..client import Client
from ..client.default import default_client
from ..compat.normalise import normalise
from ..endpoints import INCLUDE_USAGE
from ..errors import APIResponseValidationError, ContextLengthExceededError
from ..reply import Reply
from ..stream import Stream
from ..usage import Usage
from .jsonl import Path, read_messages, write_messages
from .record import Message, Record, appending, is_system, transaction
from .tokens import Encoding
from .window import (
    SUMMARY,
    TokenCounts,
    from_index,
    is_instruction,
    select,
    to_store,
    turn_starts,
)

Answer = TypeVar("Answer")

Content = Union[str, list[dict[str, Any]]]

SUMMARY_PROMPT = "Summarise our conversation so far in a few sentences. Keep names, numbers, decisions and open questions."


class History(Record):
    """A conversation.  It is a list: append to it, slice it, edit it.

    client          default: the client of the module's functions
    system          instructions, the first message
    max_messages    bound on the messages that are sent, system messages included; default none
    max_tokens      bound on their tokens; leave room for the answer; default none
    encoding        the model's tokenizer, for exact counts (tiktoken's will do); default: an estimate

    The last turn is sent even if it alone exceeds the bounds.
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
        self.max_messages = max_messages
        self.max_tokens = max_tokens
        self.usage = Usage()  #: the sum over all replies
        self.sizes = TokenCounts(encoding)  #: the tokens of messages

    @property
    def client(self) -> Client:
        """The client that sends: the one that was given, else the default client."""
        return self._client or default_client()

    @property
    def system(self) -> Optional[str]:
        """The instructions, or None; setting it replaces them.  A summary does not count as instructions."""
        for message in self:
            if is_instruction(message):
                return text_of(message)
        return None

    @system.setter
    def system(self, text: Optional[str]) -> None:
        others = [message for message in self if not is_instruction(message)]
        if text is not None:
            others.insert(0, {"role": "system", "content": text})
        self[:] = others

    # --- turns

    def ask(self, content: Content, **params: Any) -> Reply:
        """Send a message of the user, a text or a list of parts; add it and its answer, and return the Reply.

        `params` are those of `Client.chat`.  Raises what that raises; nothing is added then.
        """

        def send(messages: list[Message]) -> Reply:
            try:
                return self.client.chat(messages, **params)
            except APIResponseValidationError as error:
                if error.reply is not None:
                    # An answer without a choice has its price, too.
                    self.usage += Usage.of(error.reply)
                raise

        with appending(self):
            self.append({"role": "user", "content": content})
            reply, sent = self.send_window(send)
            return self.add(reply, sent)

    def stream(self, content: Content, **params: Any) -> Generator[str, None, None]:
        """Like `ask`, but yield the pieces of the answer's text; the turn is added once it has been read to its end.

        Asks the server for its count of the tokens at the end of the stream, unless `stream_options` says otherwise.
        """
        params = {"stream_options": INCLUDE_USAGE, **params}

        def send(messages: list[Message]) -> Stream:
            stream = self.client.stream_chat(messages, **params)
            # Some servers report in the first event that the window is too long (SGLang, TGI, Bedrock).
            stream.start()
            return stream

        message = {"role": "user", "content": content}
        with appending(self):
            self.append(message)
            stream, sent = self.send_window(send)
            # It is added again at the end: PyPy ends a generator that is left at some later time.
            self.pop()
        with stream:
            yield from stream.texts()
        with appending(self):
            self.append(message)
            self.add(stream.reply, sent)

    def turn(self) -> AbstractContextManager["History"]:
        """Return a context manager that restores the messages if its block raises, even KeyboardInterrupt."""
        return transaction(self)

    # --- the steps of a turn

    def window(self) -> list[Message]:
        """Return what is sent: the system messages, then the newest whole turns that fit; the last one in any case."""
        return select(self, self.max_messages, self.max_tokens, self.sizes)

    def send_window(self, send: Callable[[list[Message]], Answer]) -> tuple[Answer, list[Message]]:
        """Send the window with `send`; return what that returns, and the messages that were sent.

        If the server finds them too long, they are sent again without the older half of their turns, until they fit
        or one turn is left: of 300 turns, 10 are left after 5 refusals.  Raises ContextLengthExceededError if that one
        is too long by itself, and what `send` raises.
        """
        sent = self.window()
        while True:
            try:
                return send(sent), sent
            except ContextLengthExceededError:
                starts = turn_starts(sent)
                if len(starts) < 2:
                    raise
                sent = from_index(sent, starts[len(starts) // 2])

    def add(self, reply: Reply, sent: Optional[list[Message]] = None) -> Reply:
        """Add the message of `reply`, count its usage, learn the sizes of the messages in `sent`; return `reply`.

        sent    the messages that `reply` answers; default: the window

        Raises APIResponseValidationError if the reply holds no message.
        """
        if sent is None:
            sent = self.window()
        usage = Usage.of(reply)
        self.usage += usage
        self.sizes.learn(usage.prompt, sent)
        self.append(to_store(reply.message))
        return reply

    # --- the whole conversation

    def summarise(
        self, keep: int = 1, prompt: str = SUMMARY_PROMPT, **params: Any
    ) -> Optional[Reply]:
        """Replace all turns but the newest `keep` by one system message that the model writes; return its Reply.

        An earlier summary goes into the new one.  `params` are those of `Client.chat`; `model=` may name a cheaper
        model.  Returns None if there are no older turns.  Raises what `Client.chat` raises, and
        APIResponseValidationError for an empty summary; nothing has changed then.
        """
        starts = turn_starts(self)
        if len(starts) <= keep:
            return None
        end = starts[-keep] if keep else len(self)
        instructions = []
        replaced = []
        for message in self[:end]:
            if is_instruction(message):
                instructions.append(message)
            else:
                replaced.append(message)
        reply = self.client.chat([*replaced, {"role": "user", "content": prompt}], **params)
        self.usage += Usage.of(reply)
        if not reply.text.strip():
            raise APIResponseValidationError("the summary is empty; nothing was replaced")
        summary = {"role": "system", "content": SUMMARY + reply.text}
        self[:end] = [*instructions, summary]
        return reply

    def clear(self, keep_system: bool = True) -> None:
        """Delete the messages, and a summary of them; instructions stay, unless `keep_system` is false."""
        self[:] = [message for message in self if keep_system and is_instruction(message)]

    def fork(self) -> "History":
        """Return an independent copy; its usage begins at 0."""
        twin = copy.copy(self)
        twin[:] = copy.deepcopy(list(self))
        twin.usage = Usage()
        twin.sizes = copy.copy(self.sizes)
        return twin

    def show(self) -> str:
        """Return the conversation as text to read, without system messages."""
        paragraphs = []
        for message in self:
            if not is_system(message):
                paragraphs.append(f"{message.get('role')}: {text_of(message)}")
        return "\n\n".join(paragraphs)

    def save(self, path: Path) -> None:
        """Write the messages as JSON Lines, readable by their owner only, and whole or not at all.

        Raises OSError, and TypeError or ValueError for what JSON cannot carry.
        """
        write_messages(path, self)

    @classmethod
    def load(cls, path: Path, client: Optional[Client] = None, **settings: Any) -> "History":
        """Return the conversation that `save` wrote; `settings` are those of a new one.

        Raises OSError, and RawchatError that names the first line that is incomplete or not a message.
        """
        history = cls(client, **settings)
        history.extend(read_messages(path))
        return history


def text_of(message: Message) -> str:
    """Return the content of a message as text to read, with pictures and tool calls in brackets."""
    # A message of the caller, or of a file, may have any shape.
    message = normalise(message)
    content = message.get("content") or message.get("refusal") or ""
    if isinstance(content, str):
        content = [{"type": "text", "text": content}]
    texts = []
    for part in content:
        text = part.get("refusal") or part.get("text", f"[{part.get('type')}]")
        texts.append(str(text))
    for call in message.get("tool_calls") or []:
        function = call.get("function") or {}
        texts.append(f"[{function.get('name')}({function.get('arguments')})]")
    return " ".join(text for text in texts if text)
