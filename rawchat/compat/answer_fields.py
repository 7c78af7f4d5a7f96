"""Leave out of the messages a field of an earlier answer that a server refuses by name.

History and the tool loop send an answer back as it was received, with its reasoning.  Some servers want that (DeepSeek,
Moonshot), most ignore it, and some refuse the whole request: Groq (tashfeenahmed/freellmapi#1070), Mistral
(charmbracelet/crush#1590), Cerebras (Kilo-Org/kilocode#10375).  It happens where one server's answer goes to another,
as with fallback models and saved conversations, and behind gateways whose answers have more fields than their requests.
What a caller writes into a message has other names, and is never left out.
"""

import re
from collections.abc import Collection, Iterator
from typing import Any, Optional

#: Fields that a message of an answer has, and none that a caller writes.
ANSWER_FIELD = re.compile(
    r"(?:reasoning|thinking)(?:_[a-z]+)*|annotations|citations|refusal|provider_specific_fields"
)

# DeepSeek's "the reasoning_content must be passed back" says the opposite of a refusal.
REFUSED = re.compile(
    r"not permitted|not allowed|forbidden|unsupported|not support|unknown|unrecogni|unexpected|additional propert"
)
WANTED = re.compile(r"must be (?:passed|provided|sent|included)")


def find_refused_field(
    words: str, messages: Collection[Any], model: Optional[str], known: Collection[str]
) -> Optional[str]:
    """Return what to leave out, as `name_for` names it, of a field that an error refuses; None if it refuses none.

    words    all that the error says, in lower case
    known    what has been left out already

    >>> message = {"role": "assistant", "content": "Hi", "reasoning": "They greet me."}
    >>> find_refused_field("messages.1: property 'reasoning' is unsupported", [message], "m", ())
    'messages[].reasoning for m'
    """
    if WANTED.search(words) or not REFUSED.search(words):
        return None
    for field in answer_fields(messages):
        name = name_for(field, model)
        if name not in known and re.search(rf"\b{field}\b", words):
            return name
    return None


def name_for(field: str, model: Optional[str]) -> str:
    """Return what is remembered of a refused field: behind a gateway, another model may want it."""
    return f"messages[].{field} for {model}"


def answer_fields(messages: Collection[Any]) -> Iterator[str]:
    """Yield the name of each field in `messages` that only answers have, as often as it occurs."""
    for message in messages:
        if is_answer(message):
            for name in message:
                if isinstance(name, str) and ANSWER_FIELD.fullmatch(name):
                    yield name


def without_fields(
    messages: Collection[Any], model: Optional[str], refused: Collection[str]
) -> Optional[list[Any]]:
    """Return `messages` without the fields that are `refused`; None if they have none of them."""
    names = {field for field in answer_fields(messages) if name_for(field, model) in refused}
    if not names:
        return None
    result = []
    for message in messages:
        if is_answer(message):
            message = {name: value for name, value in message.items() if name not in names}
        result.append(message)
    return result


def is_answer(message: Any) -> bool:
    """Return whether a message is an answer of a model."""
    return isinstance(message, dict) and message.get("role") == "assistant"
