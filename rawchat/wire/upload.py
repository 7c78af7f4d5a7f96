"""`Upload`: a body that is read while it is sent, so that a file of any size takes constant memory.

A transport needs its `length`, and calls `open` for each attempt.  What only shows a request takes its `excerpt`.
`resources.multipart.Form` is the one in use; any object with these members will do.
"""

from collections.abc import Iterator
from typing import Protocol


class Upload(Protocol):
    """A body of known length that can be read several times."""

    @property
    def length(self) -> int:
        """Return the number of bytes that `open` yields: the Content-Length."""

    def open(self) -> Iterator[bytes]:
        """Yield the whole body in pieces of bounded size, from its beginning.

        Raises RawchatError if a file has changed or gone since `length` was determined.
        """

    @property
    def excerpt(self) -> bytes:
        """Return the body for a log, with the size of each file in place of its content."""

    @property
    def curl_options(self) -> list[tuple[str, str]]:
        """Return the body as options of curl, each with its value, not yet quoted for a shell."""
