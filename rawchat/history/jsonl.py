"""Save a conversation as JSON Lines, one message a line: readable by its owner only, and written whole or not at all."""

import json
import os
import tempfile
from collections.abc import Iterable
from typing import Any, Union

from ..errors import RawchatError
from ..safe_path import replace_file
from ..wire.json_text import encode_json
from .record import Message

Path = Union[str, "os.PathLike[str]"]


def write_messages(path: Path, messages: Iterable[Message]) -> None:
    """Replace the file at `path` by one with `messages`.

    They are written to a temporary file beside it, with mode 0600, which is then renamed: no symbolic link is followed,
    and no crash leaves half of them.  Raises OSError, and TypeError or ValueError for what JSON cannot carry; the old
    file is then as it was.
    """
    lines = b"".join(encode_json(message) + b"\n" for message in messages)
    folder, name = os.path.split(os.path.abspath(path))
    handle, temporary = tempfile.mkstemp(".tmp", f".{name}.", folder)
    try:
        with open(handle, "wb") as file:
            file.write(lines)
            file.flush()
            # Without it, a power cut could leave the new name with no content.
            os.fsync(file.fileno())
        replace_file(temporary, os.fspath(path))
    except BaseException:
        os.unlink(temporary)
        raise


def read_messages(path: Path) -> list[Message]:
    """Return the messages that `write_messages` wrote.

    Raises OSError, and RawchatError that names the first line that is incomplete or not a message.
    """
    messages = []
    with open(path, "rb") as file:
        for number, line in enumerate(file, 1):
            messages.append(parse_message(line, f"{os.fspath(path)}, line {number}"))
    return messages


def parse_message(line: bytes, place: str) -> Message:
    """Return the message in a line of a saved conversation; raise RawchatError, with `place`, if it is not a message."""
    torn = not line.endswith(b"\n")
    message = None
    if not torn:
        message = decode_line(line)
    if isinstance(message, dict) and isinstance(message.get("role"), str):
        return message
    failure = f"{place}: not a message of a saved conversation"
    if torn:
        failure += "; the file is torn there"
    raise RawchatError(failure)


def decode_line(line: bytes) -> Any:
    """Return the JSON value of a line, or None if it is not JSON."""
    try:
        return json.loads(line.decode())
    except (ValueError, RecursionError):
        return None
