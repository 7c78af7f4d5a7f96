"""TODO."""

import contextlib
import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

from ..cli.inputs import UsageError, open_private
from .rows import Row, is_success


def read_rows(file: BinaryIO) -> Iterator[Row]:
    """The rows of a file: its lines that are not blank."""
    for number, line in enumerate(file, 1):
        text = line.decode("utf-8-sig" if number == 1 else "utf-8", "replace").rstrip("\r\n")
        if text.strip():
            yield Row(number, text)


def write_flushed(file: BinaryIO, data: bytes) -> None:
    """Write `data` and hand it to the system at once: so it outlives a kill."""
    file.write(data)
    file.flush()


def done_entry(line: bytes, place: str) -> dict[str, Any]:
    """The result in a line of an earlier output; raises UsageError if it is none."""
    with contextlib.suppress(ValueError, RecursionError):
        found = json.loads(line)
        if isinstance(found, dict) and "custom_id" in found:
            return found
    raise UsageError(f"{place} is no result; name another output")


def load_done(file: BinaryIO, path: str) -> Counter[str]:
    """The custom_ids in an earlier output, each as often as it is there; `file` stands at its end then.

    A last line that an end tore is taken away; one that lacks but its newline gets it.
    """
    done, end = Counter[str](), 0
    for number, line in enumerate(file, 1):
        try:
            done[str(done_entry(line, f"{path}: line {number}")["custom_id"])] += 1
        except UsageError:
            if line.endswith(b"\n"):
                raise
            break
        end += len(line)
        if not line.endswith(b"\n"):
            write_flushed(file, b"\n")
            end += 1
    file.seek(end)
    file.truncate()
    return done


def drop_failed(path: str) -> None:
    """Take the lines of rows that failed out of an earlier output; it is replaced whole, or not at all."""
    with open_private(path) as old, open_private(f"{path}.part", os.O_TRUNC) as new:
        load_done(old, path)
        old.seek(0)
        new.writelines(line for line in old if is_success(done_entry(line, path)))
    os.replace(f"{path}.part", path)


def skip_done(rows: Iterable[Row], done: Counter[str]) -> Iterator[Row]:
    """The rows that have no result yet: each one there is counts for one row with its custom_id."""
    for row in rows:
        if done[row.custom_id]:
            done[row.custom_id] -= 1
        else:
            yield row
