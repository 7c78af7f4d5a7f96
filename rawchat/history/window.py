"""Select the messages of a conversation that are sent: the system messages, and the newest whole turns that fit.

>>> messages = Record([{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"},
...                    {"role": "assistant", "content": "Hello!"}, {"role": "user", "content": "How are you?"}])
>>> [message["content"] for message in select(messages, 2, None, TokenCounts())]
['Be brief.', 'How are you?']

A *turn* is a message of the user with all that follows it: answers, tool calls and their results.  It is sent whole or
not at all, as a server refuses the result of a call without the call.
"""

import hashlib
import json
from bisect import bisect_left
from collections.abc import Iterator
from typing import Any, Callable, Optional

from ..compat.normalise import normalise
from ..errors import APIResponseValidationError
from .record import Message, Record, is_system
from .tokens import Encoding, count_message

# What OpenAI's message of a reply has, and other servers send empty.
STUB_FIELDS = ("annotations", "audio", "function_call", "refusal", "tool_calls")

SUMMARY = "Summary of the conversation so far: "  #: begins the system message that `History.summarise` makes


# --- kinds of messages, and turns


def is_instruction(message: Message) -> bool:
    """Return whether `message` is a system message that `History.summarise` did not make."""
    return is_system(message) and not str(message.get("content")).startswith(SUMMARY)


def turn_starts(messages: list[Message]) -> list[int]:
    """Return the indexes at which turns start: each message of the user, and the first of those before it."""
    starts: list[int] = []
    for index, message in enumerate(messages):
        if message.get("role") == "user" or (not starts and not is_system(message)):
            starts.append(index)
    return starts


def from_index(messages: list[Message], start: int) -> list[Message]:
    """Return the messages from `start` on, and the system messages before it."""
    system = [message for message in messages[:start] if is_system(message)]
    return system + messages[start:]


# --- the window


def select(
    messages: Record,
    max_messages: Optional[int],
    max_tokens: Optional[int],
    count_tokens: Callable[[Message], float],
) -> list[Message]:
    """Return the system messages and the newest whole turns, as many as fit; the last turn in any case.

    max_messages    bound on their number, system messages included; None for none
    max_tokens      bound on the sum of their `count_tokens`; None for none

    The time depends on what is returned, not on the length of the record.
    """
    if max_messages is None and max_tokens is None:
        return list(messages)
    if max_tokens is None:
        # To count a message, its JSON is hashed.
        count_tokens = no_tokens
    system = [messages[index] for index in messages.system_indexes()]
    count = len(system)
    tokens = sum(count_tokens(message) for message in system)
    oldest = len(messages)
    for start in newest_turn_starts(messages):
        for index in range(start, oldest):
            if not is_system(messages[index]):
                count += 1
                tokens += count_tokens(messages[index])
        too_many = max_messages is not None and count > max_messages
        too_long = max_tokens is not None and tokens > max_tokens
        is_last_turn = oldest == len(messages)
        if (too_many or too_long) and not is_last_turn:
            break
        oldest = start
    before = messages.system_indexes()[: bisect_left(messages.system_indexes(), oldest)]
    return [messages[index] for index in before] + messages[oldest:]


def newest_turn_starts(messages: list[Message]) -> Iterator[int]:
    """Yield what `turn_starts` returns, the newest first, and look at no older message than needed."""
    first = None
    for index in reversed(range(len(messages))):
        if messages[index].get("role") == "user":
            first = None
            yield index
        elif not is_system(messages[index]):
            first = index
    if first is not None:
        yield first


def no_tokens(message: Message) -> float:
    """Count no tokens: they are not bounded."""
    return 0


# --- changes to a conversation


def to_store(message: Message) -> Message:
    """Return the message of a reply as a conversation stores it, and sends it back: as it was received, minus stubs.

    Fields of reasoning stay even if they are empty: DeepSeek refuses a message whose `reasoning_content` is missing.
    So does `content`, null or not.  Raises APIResponseValidationError if there is no message.
    """
    if not message:
        raise APIResponseValidationError("the reply holds no message")
    stored = {}
    for name, value in normalise(message).items():
        if not is_unused(name, value):
            stored[name] = value
    return stored


def is_unused(name: str, value: Any) -> bool:
    """Return whether a field of a reply's message only says that it is not used: null, or empty where OpenAI has it.

    OpenAI sends `refusal: null` and `annotations: []`; some servers send an empty function_call beside tool calls.
    """
    if name in ("role", "content") or "reasoning" in name or "thinking" in name:
        return False
    if value is None:
        return True
    return name in STUB_FIELDS and is_empty(value)


def is_empty(value: Any) -> bool:
    """Return whether a JSON value holds nothing: null, "", [], {}, or an object of such values."""
    if isinstance(value, dict):
        return all(is_empty(item) for item in value.values())
    return value is None or value == "" or value == []


# --- the sizes of messages


class TokenCounts(dict[bytes, float]):
    """The tokens of messages, by the hash of their JSON: learned from the server's counts, estimated until then.

    Only hashes are stored: a message may hold megabytes of pictures.
    """

    def __init__(self, encoding: Optional[Encoding] = None):
        super().__init__()
        self.encoding = encoding

    def __call__(self, message: Message) -> float:
        """Return the tokens of `message`."""
        return self.get(message_key(message)) or count_message(message, self.encoding)

    def learn(self, total: int, sent: list[Message]) -> None:
        """Learn from the server's count, `total`, of the tokens in `sent`; 0 teaches nothing.

        What the messages that were counted before leave of `total` is shared among the new ones, in proportion to
        their estimates; each has at least one token.
        """
        known = 0.0
        estimates: list[tuple[bytes, float]] = []
        for message in sent:
            key = message_key(message)
            count = self.get(key)
            if count is not None:
                known += count
                continue
            estimates.append((key, count_message(message, self.encoding)))
        if not total or not estimates:
            return
        estimated = sum(estimate for _, estimate in estimates)
        scale = max(total - known, len(estimates)) / estimated
        for key, estimate in estimates:
            self[key] = scale * estimate


def message_key(message: Message) -> bytes:
    """Return the hash by which TokenCounts knows a message."""
    text = json.dumps(message, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).digest()
