"""What the words on the command line stand for: standard input, files, JSON.

>>> import io
>>> prompt_of(["Translate:", "-"], io.TextIOWrapper(io.BytesIO(b"Guten Tag\\n")), warn=print)
'Translate:\\n\\nGuten Tag'
"""

import errno
import json
from collections.abc import Sequence
from typing import Any, Callable

from .errors import RawchatError


class UsageError(RawchatError):
    """The command line cannot be used as it is."""


def prompt_of(words: Sequence[str], stdin: Any, warn: Callable[[str], Any]) -> str:
    """The prompt: the words, with standard input where - or {stdin} places it, else before them.

    Raises UsageError if that is nothing, or no text; `warn` is told of bytes in it that are not UTF-8.
    """
    texts = [from_file(word) for word in words]
    placed = any(text == "-" or "{stdin}" in text for text in texts)
    piped = read_all(stdin, warn) if stdin and (placed or not stdin.isatty()) else ""
    paragraphs: list[list[str]] = [[]]
    for text in texts if placed else ["-", *texts]:
        if text == "-":
            paragraphs += [[piped], []]  # standard input is a paragraph of its own
        else:
            paragraphs[-1].append(text.replace("{stdin}", piped))
    prompt = "\n\n".join(" ".join(texts) for texts in paragraphs if any(texts))
    if not prompt.strip():
        raise UsageError('nothing to ask: give a prompt ("…"), or pipe one in (--help shows how)')
    return prompt


def read_all(stdin: Any, warn: Callable[[str], Any]) -> str:
    """Standard input to its end, without the newlines there; as UTF-8 whatever the locale."""
    try:
        data = bytes(stdin.buffer.read())
    except OSError as error:
        if error.errno == errno.EBADF:  # nohup gives one that cannot be read
            return ""
        raise
    if b"\0" in data:
        raise UsageError("standard input is not text but binary; a picture goes with --attach FILE")
    text = data.decode("utf-8-sig", "replace")
    broken = text.count("\ufffd") - data.count("\ufffd".encode())
    if broken:
        warn(f"standard input is not all UTF-8; U+FFFD stands for what is not ({broken} times)")
    return text.rstrip("\r\n")


def from_file(word: str) -> str:
    """The text of FILE for '@FILE', '@x' for '@@x', else the word itself."""
    if not word.startswith("@") or len(word) == 1:
        return word
    return word[1:] if word.startswith("@@") else read_file(word[1:], " (@@ begins a text with @)")


def read_file(path: str, hint: str = "") -> str:
    """The text in a file, without the newlines at its end.  Raises UsageError if it cannot be read."""
    try:
        with open(path, "rb") as file:
            return file.read().decode("utf-8-sig").rstrip("\r\n")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise UsageError(f"{path}: {reason}{hint}") from None


def json_or_text(text: str) -> Any:
    """`text` as JSON if it is (NaN is not), else as it stands."""
    try:
        return json.loads(text, parse_constant=int)  # int("NaN") is a ValueError
    except (ValueError, RecursionError):
        return text
