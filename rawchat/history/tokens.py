"""About how many tokens a text has, where no server has counted them yet and there is no tokenizer.

>>> count_text("How many tokens are there in this sentence?")
10
"""

import json
import re
from collections.abc import Mapping
from typing import Any, Optional, Protocol

from ..normalise import normalise


class Encoding(Protocol):
    """A real tokenizer, such as `tiktoken.encoding_for_model("gpt-4o")`."""

    def encode(self, text: str) -> Any: ...


# The rule of thumb, fitted to SmolLM2's tokenizer (49,152 entries, digits one by one): within 15 % of it on 40 texts,
# English, Chinese and code, of 26 to 22,000 tokens (`python -m tests.tokens` shows some).  A larger vocabulary needs
# fewer, for Chinese down to half of them: it errs on the safe side.
WORD, TAIL = 5, 5  #: a word is one token, and a further one for every 5 letters beyond 5


SIGN, MORE = 0.9, 0.1  #: signs that stand together are about one token, however many


TOKENS_PER_BYTE = 0.58  #: of other scripts, for each byte of UTF-8: 1.7 for a Chinese character


MESSAGE_OVERHEAD = 5  #: what frames one message (role, ends; ChatML)


TOKENS_PER_PICTURE = 1000  #: a picture in a message: OpenAI takes 85 to about 1500 for one


TOKEN_PARTS = re.compile(
    r"([A-Za-z]+)|([!-/:-@\[-`{-~]+)|([^\x00-\x7f]+)|[0-9]|\n|\s\s+"
)  # one blank belongs to its word


def count_text(text: str, encoding: Optional[Encoding] = None) -> int:
    """About how many tokens `text` has; exactly, if `encoding` is the model's."""
    if encoding:  # tiktoken's `encode` raises at text like <|endoftext|>
        return len(getattr(encoding, "encode_ordinary", encoding.encode)(text))
    return round(sum(map(part_weight, TOKEN_PARTS.finditer(text))))


def part_weight(part: "re.Match[str]") -> float:
    word, signs, other = part.groups()
    if word:
        return 1 + max(0, len(word) - WORD) / TAIL
    if signs:
        return SIGN + (len(signs) - 1) * MORE
    return len(other.encode("utf-8", "surrogatepass")) * TOKENS_PER_BYTE if other else 1


def count_message(message: Mapping[str, Any], encoding: Optional[Encoding] = None) -> int:
    """About how many tokens a message has: its texts, its pictures, its tool calls and its frame."""
    message = normalise(message)  # one of the caller, or of a file, may have any shape
    content = message.get("content") or ""
    parts = [{"text": content}] if isinstance(content, str) else content
    texts = [str(part["text"]) if "text" in part else "" for part in parts]
    if message.get("tool_calls"):
        texts.append(json.dumps(message["tool_calls"], ensure_ascii=False))
    pictures = sum("image_url" in part for part in parts)
    return (
        MESSAGE_OVERHEAD
        + pictures * TOKENS_PER_PICTURE
        + sum(count_text(text, encoding) for text in texts)
    )
