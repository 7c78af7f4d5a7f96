"""Which messages of a conversation are sent: whole turns, the newest that fit, and every system message.

>>> talk = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"},
...         {"role": "assistant", "content": "Hello!"}, {"role": "user", "content": "How are you?"}]
>>> [message["content"] for message in select(talk, 2, None, TokenCounts())]
['Be brief.', 'How are you?']
"""

import contextlib
import hashlib
import json
from collections.abc import Iterator
from typing import Any, Callable, Optional, TypeVar

from ..errors import APIResponseValidationError
from ..normalise import normalise
from . import tokens

Message = dict[str, Any]


MessageList = TypeVar("MessageList", bound=list[Any])


SUMMARY = "Summary of the conversation so far: "  #: begins the system message that `History.summarise` makes


def is_system(message: Message) -> bool:
    """Is it an instruction, not a part of the conversation?"""
    return message.get("role") in ("system", "developer")


def is_instruction(message: Message) -> bool:
    """Is it a system message that `History.summarise` did not make?"""
    return is_system(message) and not str(message.get("content")).startswith(SUMMARY)


def turn_starts(messages: list[Message]) -> list[int]:
    """Where turns start: at each message of the user, and at what stands before the first one."""
    starts = [at for at, message in enumerate(messages) if message.get("role") == "user"]
    first = next((at for at, message in enumerate(messages) if not is_system(message)), None)
    return starts if first is None or first in starts else [first, *starts]


def from_index(messages: list[Message], start: int) -> list[Message]:
    """The messages from `start` on, and the system messages before it."""
    return [message for at, message in enumerate(messages) if at >= start or is_system(message)]


def select(
    messages: list[Message],
    max_messages: Optional[int],
    max_tokens: Optional[int],
    size: Callable[[Message], float],
) -> list[Message]:
    """The system messages and the newest whole turns, so many as fit; the last turn in any case."""
    fixed = [message for message in messages if is_system(message)]
    count, tokens = len(fixed), sum(map(size, fixed))
    oldest = end = len(messages)
    for start in reversed(turn_starts(messages)):
        turn = [message for message in messages[start:oldest] if not is_system(message)]
        count, tokens = count + len(turn), tokens + sum(map(size, turn))
        over = (max_messages is not None and count > max_messages) or (
            max_tokens is not None and tokens > max_tokens
        )
        if over and oldest < end:
            break
        oldest = start
    return from_index(messages, oldest)


def to_store(message: Message) -> Message:
    """An answer as it is added to a conversation: what is empty in it and not needed is left out."""
    if not message:
        raise APIResponseValidationError("the reply holds no message")
    return {
        name: value
        for name, value in normalise(message).items()
        if value or name in ("role", "content")
    }


@contextlib.contextmanager
def transaction(messages: MessageList) -> Iterator[MessageList]:
    """What the block adds stays if it ends well; whatever else ends it, Ctrl-C too, all is as it was before."""
    before = list(messages)
    try:
        yield messages
    except BaseException:
        messages[:] = before
        raise


class TokenCounts(dict[bytes, float]):
    """The tokens of messages, by the hash of their JSON: learned from the server's counts, estimated until then."""

    def __init__(self, encoding: Optional[tokens.Encoding] = None):
        super().__init__()
        self.encoding = encoding

    def __call__(self, message: Message) -> float:
        return self.get(message_key(message)) or tokens.count_message(message, self.encoding)

    def learn(self, total: int, sent: list[Message]) -> None:
        """The server has counted `total` tokens in `sent`: what is beyond the known messages is the new ones."""
        new = [message for message in sent if message_key(message) not in self]
        if total and new:
            known = sum(self.get(message_key(message), 0) for message in sent)
            scale = max(total - known, len(new)) / sum(map(self, new))
            self.update([(message_key(message), scale * self(message)) for message in new])


def message_key(message: Message) -> bytes:
    return hashlib.sha256(json.dumps(message, sort_keys=True, default=str).encode()).digest()
