"""A conversation: a list of messages that is asked, kept whole when something fails, cut to size, saved and forked.

    history = History(system="You are a pirate.", max_tokens=3000)
    print(history.ask("Where is the treasure?").text)
    for piece in history.stream("And the map?"):
        print(piece, end="", flush=True)

A *turn* is a message of the user with all that follows it: answers, tool calls, their results.  The *window* is what
is sent: the system messages and the newest turns that fit.  The list itself, the record, stays whole.
"""
import contextlib
import copy
import json
import os
import tempfile
from collections.abc import Generator, Iterator
from typing import Any, Callable, Optional, TypeVar

from . import window
from .client import Client
from .default import default_client
from .encode import encode
from .errors import APIResponseValidationError, ContextLengthExceededError, RawchatError
from .estimate import Encoding
from .images import Path
from .reply import Reply
from .usage import Usage
from .window import SUMMARY, Message, Sizes, is_instruction, is_system, since, turns

Answer = TypeVar("Answer")
SUMMARISE = "Summarise our conversation so far in a few sentences. Keep names, numbers, decisions and open questions."


class History(list[Message]):
    """A conversation.  It is a list: append to it, slice it, edit it.

    client          default: the client of the module's verbs
    system          instructions, the first message
    max_messages    bound on the messages that are sent, system messages included
    max_tokens      bound on their tokens; leave room for the answer
    encoding        the model's tokenizer, for exact counts (tiktoken's will do)
    """

    def __init__(self, client: Optional[Client] = None, system: Optional[str] = None,
                 max_messages: Optional[int] = None, max_tokens: Optional[int] = None,
                 encoding: Optional[Encoding] = None):
        super().__init__()
        self.system = system
        self._client = client
        self.max_messages, self.max_tokens = max_messages, max_tokens
        self.usage = Usage()                #: the sum over all replies
        self.sizes = Sizes(encoding)        #: the tokens of messages

    @property
    def client(self) -> Client:
        """Who is asked."""
        return self._client or default_client()

    @property
    def system(self) -> Optional[str]:
        """The instructions, None without any; what is set here replaces them.  A summary is none."""
        return next((shown(message) for message in self if is_instruction(message)), None)

    @system.setter
    def system(self, text: Optional[str]) -> None:
        rest = [message for message in self if not is_instruction(message)]
        self[:] = rest if text is None else [{"role": "system", "content": text}, *rest]

    def ask(self, content: Any, **params: Any) -> Reply:
        """Ask (a text, or a list of parts) and add question and answer; if anything fails, neither."""
        with self.turn():
            self.append({"role": "user", "content": content})
            return self.hear(lambda messages: self.client.chat(messages, **params))

    def stream(self, content: Any, **params: Any) -> Generator[str, None, None]:
        """Like `ask`, as pieces of text; the answer counts only if it is read to its end.

        Asks the server for usage at the end of the stream, from which the sizes of messages are learned.
        """
        params = {"stream_options": {"include_usage": True}, **params}
        with self.turn():
            self.append({"role": "user", "content": content})
            stream, sent = self._fit(lambda messages: self.client.stream_chat(messages, **params))
            with stream:
                yield from stream.texts()
            self._add(stream.reply, sent)

    @contextlib.contextmanager
    def turn(self) -> Iterator["History"]:
        """What the block adds stays if it ends well; whatever else ends it, Ctrl-C too, all is as it was before."""
        with window.turn(self):
            yield self

    def hear(self, say: Callable[[list[Message]], Reply]) -> Reply:
        """Let `say` answer the window, and add its message."""
        reply, sent = self._fit(say)
        self._add(reply, sent)
        return reply

    def window(self) -> list[Message]:
        """What is sent: the system messages, then the newest whole turns that fit; the last one in any case."""
        return window.fitting(self, self.max_messages, self.max_tokens, self.sizes)

    def summarise(self, keep: int = 1, prompt: str = SUMMARISE, **params: Any) -> Optional[Reply]:
        """Replace all turns but the newest `keep` by one system message, which the model writes (`model=` may name
        a cheaper one).  An earlier summary goes into it.  If the call fails, nothing has changed; None if there is
        nothing to do.
        """
        starts = turns(self)
        if len(starts) <= keep:
            return None
        cut = starts[-keep] if keep else len(self)
        fixed = [message for message in self[:cut] if is_instruction(message)]
        old = [message for message in self[:cut] if message not in fixed]
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
        return "\n\n".join(f"{message['role']}: {shown(message)}" for message in self if not is_system(message))

    def save(self, path: Path) -> None:
        """Write the messages as JSON Lines; the file is for its owner only, and is the old one or the new one whole.

        It is written beside `path` and renamed, so no symbolic link is followed and no crash leaves half of it.
        """
        lines = b"".join(encode(message) + b"\n" for message in self)
        folder, name = os.path.split(os.path.abspath(path))
        handle, beside = tempfile.mkstemp(".tmp", f".{name}.", folder)         # made new, with mode 0600
        try:
            with open(handle, "wb") as file:
                file.write(lines)
                file.flush()
                os.fsync(file.fileno())     # or a power cut could leave the new name with no content
            os.replace(beside, path)
        except BaseException:
            os.unlink(beside)
            raise

    @classmethod
    def load(cls, path: Path, client: Optional[Client] = None, **settings: Any) -> "History":
        """The conversation that `save` wrote; `settings` as for a new one.  Raises RawchatError that names the line."""
        history = cls(client, **settings)
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            for number, line in enumerate(file, 1):
                history.append(_loaded(line, f"{os.fspath(path)}, line {number}"))
        return history

    def _fit(self, say: Callable[[list[Message]], Answer]) -> tuple[Answer, list[Message]]:
        """What `say` makes of the window, and what was sent: without its oldest turns, while that is too long."""
        sent = self.window()
        while True:
            try:
                return say(sent), sent
            except ContextLengthExceededError:
                starts = turns(sent)
                if len(starts) < 2:
                    raise
                sent = since(sent, starts[1])

    def _add(self, reply: Reply, sent: list[Message]) -> None:
        """Add the message of `reply`, the answer to `sent`; what is empty in it and not needed is left out."""
        self.usage += Usage.of(reply)
        self.sizes.learn(Usage.of(reply).prompt, sent)
        if not reply.message:
            raise APIResponseValidationError("the reply holds no message")
        self.append({name: value for name, value in reply.message.items() if value or name in ("role", "content")})


def shown(message: Message) -> str:
    """A message's content to read: pictures and tool calls in brackets."""
    content = message.get("content") or ""
    parts = [content] if isinstance(content, str) else [part.get("text", f"[{part['type']}]") for part in content]
    calls = [call.get("function") or {} for call in message.get("tool_calls", ())]
    return " ".join(filter(None, [*parts, *(f"[{call.get('name')}({call.get('arguments')})]" for call in calls)]))


def _loaded(line: str, where: str) -> Message:
    """The message in a line of a saved conversation."""
    try:
        message = json.loads(line) if line.endswith("\n") else None
    except (ValueError, RecursionError):
        message = None
    if not isinstance(message, dict) or not isinstance(message.get("role"), str):
        torn = "" if line.endswith("\n") else "; the file is torn there"
        raise RawchatError(f"{where}: not a message of a saved conversation{torn}")
    return message
