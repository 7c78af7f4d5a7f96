"""What --attach adds to the question: pictures as they are, text files as text under their names."""

import re
from collections.abc import Sequence
from typing import Any

from .images import image_part, inline, mime_type
from .prompt import UsageError


def attached(names: Sequence[str], prompt: str) -> Any:
    """The content of a message: the attachments in their order, then the prompt; one text where all of it is text.

    Raises UsageError for a file that cannot be read, or is neither a picture nor text.
    """
    parts = [*map(part, names), {"type": "text", "text": prompt}]
    if all(each["type"] == "text" for each in parts):  # some servers take no parts
        return "\n\n".join(each["text"] for each in parts)
    return parts


def part(name: str) -> dict[str, Any]:
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
            image_part(inline(data, name))
            if mime_type(data)
            else {"type": "text", "text": labelled(name, data)}
        )
    except OSError as error:
        raise UsageError(f"{name}: {error.strerror}") from None
    except ValueError as error:
        raise UsageError(str(error)) from None


def labelled(name: str, data: bytes) -> str:
    """A text under its name, between fences that are longer than any in it.  Raises ValueError if it is no text.

    >>> print(labelled("a.txt", b"Hello\\n"))
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
