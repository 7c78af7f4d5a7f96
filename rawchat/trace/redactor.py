"""Hide the credentials of a request in text that arrives in pieces.

A server may echo a key, in any encoding, and a read may cut it in two.  `secrets` lists the credentials of a request in
every form in which they may come back; a `Redactor` replaces them, and holds back the end of a piece for as long as it
may be the beginning of a secret.
"""

import codecs
import re
from collections.abc import Sequence

from ..keys.redaction import redact, request_secrets
from ..wire import Request
from ..wire.headers import MIN_SECRET_LENGTH

MASK = "***"

#: characters of an escape in JSON, such as \u0073, which may stand for any character (RFC 8259, 7)
ESCAPE_LENGTH = 6

# One character of a JSON text, escaped or not.
UNIT = re.compile(r"\\u[0-9a-fA-F]{4}|[\s\S]")

# The beginning of an escape at the end of a text.
INCOMPLETE_ESCAPE = re.compile(r"\\(?:u[0-9a-fA-F]{0,3})?\Z")


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
        end, starts = self._read_end(text)
        safe = len(end) - self._partial_length(end)
        # A complete secret must not be cut by the beginning of another one.
        for secret in self._secrets:
            start = end.find(secret, max(0, safe - len(secret) + 1))
            if 0 <= start < safe:
                safe = start
        self._held = text[starts[safe] :]
        return self._redact(text[: starts[safe]])

    def end(self) -> str:
        """Return the text that was held back.  If the body was cut within a secret, its beginning is hidden too."""
        text = self._redact(self._held + self._decoder.decode(b"", True))
        self._held = ""
        end, starts = self._read_end(text)
        partial = self._partial_length(end)
        if partial >= MIN_SECRET_LENGTH:
            return text[: starts[len(end) - partial]] + MASK
        return text

    def _redact(self, text: str) -> str:
        """Return `text` without secrets, also those of which characters are escaped as in JSON."""
        if self._secrets and "\\u" in text:
            text = re.sub(escaped_pattern(self._secrets), MASK, text)
        return str(redact(self._secrets, text))

    def _read_end(self, text: str) -> tuple[str, Sequence[int]]:
        """Return the end of `text` with its escapes decoded, and where in `text` each character of it starts.

        It is long enough for two secrets.  The position after the last character is the last of those returned; an
        incomplete escape comes after it.
        """
        longest = max(map(len, self._secrets), default=0)
        start = max(0, len(text) - ESCAPE_LENGTH * (2 * longest + 2))
        if "\\" not in text[start:]:
            return text[start:], range(start, len(text) + 1)
        incomplete = INCOMPLETE_ESCAPE.search(text, start)
        stop = incomplete.start() if incomplete else len(text)
        characters = []
        starts = []
        for unit in UNIT.finditer(text, start, stop):
            escaped = len(unit[0]) == ESCAPE_LENGTH
            characters.append(chr(int(unit[0][2:], 16)) if escaped else unit[0])
            starts.append(unit.start())
        return "".join(characters), [*starts, stop]

    def _partial_length(self, text: str) -> int:
        """Return the length of the longest end of `text` that begins a secret without completing it."""
        longest = 0
        for secret in self._secrets:
            for length in range(min(len(secret) - 1, len(text)), longest, -1):
                if text.endswith(secret[:length]):
                    longest = length
                    break
        return longest


def escaped_pattern(secrets: Sequence[str]) -> str:
    """Return a pattern that matches each of `secrets`, with any of its characters escaped as in JSON."""
    patterns = []
    for secret in secrets:
        characters = [rf"(?:{re.escape(sign)}|(?i:\\u{ord(sign):04x}))" for sign in secret]
        patterns.append("".join(characters))
    return "|".join(patterns)
