"""A conversation as a file: one message a line (JSON Lines), for its owner only, always whole."""

import json
import os
import tempfile
from collections.abc import Iterable
from typing import Union

from ..endpoints import encode_json
from ..errors import RawchatError
from .window import Message

Path = Union[str, "os.PathLike[str]"]


def write_messages(path: Path, messages: Iterable[Message]) -> None:
    """Make `path` hold `messages` and nothing else.

    They are written beside it and renamed, so no symbolic link is followed and no crash leaves half of them.
    """
    lines = b"".join(encode_json(message) + b"\n" for message in messages)
    folder, name = os.path.split(os.path.abspath(path))
    handle, beside = tempfile.mkstemp(".tmp", f".{name}.", folder)  # made new, with mode 0600
    try:
        with open(handle, "wb") as file:
            file.write(lines)
            file.flush()
            os.fsync(file.fileno())  # or a power cut could leave the new name with no content
        os.replace(beside, path)
    except BaseException:
        os.unlink(beside)
        raise


def read_messages(path: Path) -> list[Message]:
    """The messages that `write` wrote; raises RawchatError with the line where the file is torn, or not one of ours."""
    with open(path, "rb") as file:
        return [
            parse_message(line, f"{os.fspath(path)}, line {number}")
            for number, line in enumerate(file, 1)
        ]


def parse_message(line: bytes, where: str) -> Message:
    torn = not line.endswith(b"\n")
    try:
        message = None if torn else json.loads(line.decode())
    except (ValueError, RecursionError):
        message = None
    if not isinstance(message, dict) or not isinstance(message.get("role"), str):
        raise RawchatError(
            f"{where}: not a message of a saved conversation{'; the file is torn there' * torn}"
        )
    return message
