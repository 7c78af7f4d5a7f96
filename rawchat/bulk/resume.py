"""Keep the results of a run in its output, so that the same command continues where the last one ended.

Each result is one line, written and flushed as soon as it arrives.  A later run reads them, skips their rows, and
removes a last line that a crash tore.  A lock on the file keeps a second run away from it.
"""

import contextlib
import errno
import json
import os
import stat
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

from ..errors import RawchatError
from ..safe_path import open_private, replace_file
from .rows import Row, hash_in, is_success

#: errors of a file that another process has locked: of flock, and of Windows
LOCKED = (errno.EAGAIN, errno.EWOULDBLOCK, errno.EACCES, errno.EDEADLK)

#: where the locked byte lies on Windows
LOCKED_OFFSET = 2**40


class OutputError(RawchatError):
    """The output cannot be used."""


# ---- the file


def open_output(path: str) -> BinaryIO:
    """Return the output, open and locked; a new file gets the mode 0600.

    Raises OutputError if it cannot be opened, is not a regular file, or another process writes to it.  The results of
    an earlier run could never be read to their end from a device (/dev/full) or a pipe.
    """
    while True:
        try:
            descriptor = open_private(path)
        except OSError as error:
            raise OutputError(f"{path}: {error.strerror}") from None
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise OutputError(f"{path}: not a regular file; use - for standard output")
        file = os.fdopen(descriptor, "r+b")
        try:
            lock(file, path)
            # Before it was locked, another run may have replaced the file by a new one.
            if os.path.samestat(os.fstat(file.fileno()), os.stat(path)):
                return file
        except FileNotFoundError:
            pass
        except BaseException:
            file.close()
            raise
        file.close()


def lock(file: BinaryIO, path: str) -> None:
    """Lock a file for this process; raise OutputError if another process has locked it.

    Some network folders, and the browser's Python, have no locks: there, nothing happens.
    """
    try:
        lock_descriptor(file.fileno())
    except ImportError:
        return
    except OSError as error:
        if error.errno in LOCKED:
            raise OutputError(
                f"{path}: another process writes its results there; "
                "wait for it, or choose another file"
            ) from None


def lock_descriptor(descriptor: int) -> None:
    """Lock an open file until it is closed; raise OSError if that cannot be done."""
    try:
        import fcntl
    except ImportError:
        # Windows: a byte is locked, and others cannot read it, so it is one that no file reaches.
        import msvcrt

        os.lseek(descriptor, LOCKED_OFFSET, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
        finally:
            os.lseek(descriptor, 0, os.SEEK_SET)
    else:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def write_flushed(file: BinaryIO, data: bytes) -> None:
    """Write `data` and hand it to the operating system at once, so that it outlives a kill."""
    file.write(data)
    file.flush()


# ---- results of earlier runs


class DoneRows:
    """The rows that have a result in the output.  Each result counts for one row."""

    def __init__(self) -> None:
        self._results = Counter[str]()
        self._failures = Counter[str]()
        self.total = 0  #: results in the output
        self.skipped = 0  #: rows that were found among them
        self.skipped_failures = 0  #: of these, the ones that had failed

    def add(self, result: dict[str, Any]) -> None:
        """Add a result of the output."""
        key = hash_in(result.get("id")) or str(result["custom_id"])
        self.total += 1
        self._results[key] += 1
        if not is_success(result):
            self._failures[key] += 1

    def take(self, row: Row) -> bool:
        """Return whether `row` has a result, and count that as used."""
        # Results of earlier versions of this program hold no hash.
        for key in (row.content_hash, row.custom_id):
            if key and self._results[key]:
                self._results[key] -= 1
                self.skipped += 1
                if self._failures[key]:
                    self._failures[key] -= 1
                    self.skipped_failures += 1
                return True
        return False


def done_entry(line: bytes, place: str) -> dict[str, Any]:
    """Return the result in a line of an earlier output; raise OutputError if the line is not a result."""
    with contextlib.suppress(ValueError, RecursionError):
        result = json.loads(line)
        if isinstance(result, dict) and "custom_id" in result and "response" in result:
            return result
    raise OutputError(f"{place} is not a result; choose another output")


def load_done(file: BinaryIO, path: str) -> DoneRows:
    """Return the rows done in an earlier output, and place `file` at its end.

    A last line that a crash tore is removed; one that lacks only its newline gets it.
    """
    done = DoneRows()
    end = 0
    for number, line in enumerate(file, 1):
        complete = line.endswith(b"\n")
        try:
            done.add(done_entry(line, f"{path}: line {number}"))
        except OutputError:
            if complete:
                raise
            break
        end += len(line)
        if not complete:
            write_flushed(file, b"\n")
            end += 1
    file.seek(end)
    file.truncate()
    return done


def drop_failed(path: str) -> None:
    """Remove the results of rows that failed from an earlier output.

    The file is replaced whole or not at all, and stays locked until it is.
    """
    part = f"{path}.part"
    with open_output(path) as old:
        load_done(old, path)
        old.seek(0)
        with os.fdopen(open_private(part, os.O_TRUNC), "wb") as new:
            for line in old:
                if is_success(done_entry(line, path)):
                    new.write(line)
        if os.name == "nt":
            # Windows does not replace an open file.
            old.close()
        replace_file(part, path)


def skip_done(rows: Iterable[Row], done: DoneRows) -> Iterator[Row]:
    """Yield the rows that have no result yet."""
    for row in rows:
        if not done.take(row):
            yield row
