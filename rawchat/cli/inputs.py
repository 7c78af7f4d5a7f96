"""What the words on the command line stand for: standard input, files, JSON.

>>> import io
>>> build_prompt(["Translate:", "-"], io.TextIOWrapper(io.BytesIO(b"Guten Tag\\n")), warn=print)
'Translate:\\n\\nGuten Tag'
"""

import errno
import json
import os
import re
from collections.abc import Sequence
from typing import Any, Callable

from .. import safe_path
from ..errors import RawchatError
from ..images import image_part, mime_type, to_data_url


def open_private(path: str, flags: int = 0, mode: str = "r+b") -> Any:
    """Return an open file, made with mode 0600 if it is new.  Raises UsageError if that fails."""
    try:
        return os.fdopen(safe_path.open_private(path, flags), mode)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None


def with_attachments(names: Sequence[str], prompt: str) -> Any:
    """The content of a message: the attachments in their order, then the prompt; one text where all of it is text.

    Raises UsageError for a file that cannot be read, or is neither a picture nor text.
    """
    parts = [*map(attachment_part, names), {"type": "text", "text": prompt}]
    if all(each["type"] == "text" for each in parts):  # some servers take no parts
        return "\n\n".join(each["text"] for each in parts)
    return parts


def attachment_part(name: str) -> dict[str, Any]:
    """One attachment as a part of a message's content.  A URL is passed on: the server fetches the picture."""
    if name == "-":
        raise UsageError(
            "--attach takes files and URLs; standard input is part of the prompt without it"
        )
    if name.startswith(("https://", "http://", "data:")):
        return image_part(name)
    try:
        with open(name, "rb") as file:  # once: it may be a pipe
            data = file.read()
        return (
            image_part(to_data_url(data, name))
            if mime_type(data)
            else {"type": "text", "text": fenced(name, data)}
        )
    except OSError as error:
        raise UsageError(f"{name}: {error.strerror}") from None
    except ValueError as error:
        raise UsageError(str(error)) from None


def fenced(name: str, data: bytes) -> str:
    """A text under its name, between fences that are longer than any in it.  Raises ValueError if it is no text.

    >>> print(fenced("a.txt", b"Hello\\n"))
    a.txt:
    ```
    Hello
    ```
    """
    try:
        text = data.decode("utf-8-sig").rstrip("\r\n")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise ValueError(f"{name}: neither a picture (PNG, JPEG, GIF, WebP) nor text in UTF-8")
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{name}:\n{fence}\n{text}\n{fence}"


class UsageError(RawchatError):
    """The command line cannot be used as it is."""


def build_prompt(words: Sequence[str], stdin: Any, warn: Callable[[str], Any]) -> str:
    """The prompt: the words, with standard input where - or {stdin} places it, else before them.

    Raises UsageError if that is nothing, or no text; `warn` is told of bytes in it that are not UTF-8.
    """
    texts = [expand_at_file(word) for word in words]
    placed = any(text == "-" or "{stdin}" in text for text in texts)
    piped = read_stdin(stdin, warn) if stdin and (placed or not stdin.isatty()) else ""
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


def read_stdin(stdin: Any, warn: Callable[[str], Any]) -> str:
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


def expand_at_file(word: str) -> str:
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
