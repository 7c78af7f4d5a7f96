"""Hide the credentials of a request in text that arrives in pieces.

A server may echo a key, in any encoding, and a read may cut it in two.  `secrets` lists the credentials of a request in
every form in which they may come back; a `Redactor` replaces them, and holds back the end of a piece for as long as it
may be the beginning of a secret.
"""

import codecs
from collections.abc import Sequence

from ..keys import redact, request_secrets
from ..wire import MIN_SECRET_LENGTH, Request

MASK = "***"


def secrets(request: Request) -> list[str]:
    """Return the credentials in the headers and URL of `request`, in every form in which a server may echo them.

    Values shorter than MIN_SECRET_LENGTH are left out.  The longest come first, as a Redactor needs them.
    """
    return request_secrets(request)


class Redactor:
    """Replaces secrets in a text that arrives in pieces, even one that is cut in two.

    >>> redactor = Redactor(["sk-secret"])
    >>> redactor.feed(b"key: sk-s"), redactor.feed(b"ecret, s"), redactor.end()
    ('key: ', '***, ', 's')
    """

    def __init__(self, secrets: Sequence[str]):
        # The longest first, so that a secret that begins with another one is hidden whole.
        self._secrets = sorted(secrets, key=len, reverse=True)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = ""

    def feed(self, piece: bytes) -> str:
        """Return the text that can be printed now; an end that may begin a secret waits for the next piece."""
        text = self._held + self._decoder.decode(piece)
        safe = len(text) - self._partial_length(text)
        # A complete secret must not be cut by the beginning of another one.
        for secret in self._secrets:
            start = text.find(secret, max(0, safe - len(secret) + 1))
            if 0 <= start < safe:
                safe = start
        self._held = text[safe:]
        return str(redact(self._secrets, text[:safe]))

    def end(self) -> str:
        """Return the text that was held back.  If the body was cut within a secret, its beginning is hidden too."""
        text = str(redact(self._secrets, self._held + self._decoder.decode(b"", True)))
        self._held = ""
        partial = self._partial_length(text)
        if partial >= MIN_SECRET_LENGTH:
            return text[: len(text) - partial] + MASK
        return text

    def _partial_length(self, text: str) -> int:
        """Return the length of the longest end of `text` that begins a secret without completing it."""
        longest = 0
        for secret in self._secrets:
            for length in range(min(len(secret) - 1, len(text)), longest, -1):
                if text.endswith(secret[:length]):
                    longest = length
                    break
        return longest
