r"""Read what the command line refers to: standard input, @FILE, attachments, JSON values, numbers.

>>> import io
>>> stdin = io.TextIOWrapper(io.BytesIO(b"Guten Tag\n"))
>>> build_prompt(["Translate:", "-"], stdin, warn=print)
'Translate:\n\nGuten Tag'
"""

import codecs
import contextlib
import errno
import json
import os
import re
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO, Callable, Optional, TextIO, Union

from .. import safe_path
from ..errors import RawchatError

SILENCE = 2.0  #: seconds without data on standard input before a notice

Warn = Callable[[str], object]  #: print one line to standard error
Part = dict[str, Any]  #: a part of the content of a message


class UsageError(RawchatError):
    """The command line cannot be used as it is."""


# ---- the prompt

GIVE_PROMPT = 'give a prompt ("…"), or pipe one in (see --help)'

# {stdin}, and {{stdin}} for the text "{stdin}" itself.
STDIN_PLACE = re.compile(r"\{\{stdin\}\}|\{stdin\}")


def build_prompt(
    words: Sequence[str], stdin: Optional[TextIO], warn: Warn, advice: str = GIVE_PROMPT
) -> str:
    """Return the prompt: the words, and standard input where - or {stdin} places it, else above them.

    stdin       None if there is none to read; a terminal is read only if a word places it
    warn        receives a line about input that is not valid UTF-8, or does not arrive
    advice      ends the error for an empty prompt

    Raises UsageError if the prompt is empty or not text.
    """
    texts = [expand_at_file(word) for word in words]
    placed = any(places_stdin(text) for text in texts)
    if placed and stdin is None:
        raise UsageError("the prompt has - or {stdin}, but there is no standard input to read")
    if not placed:
        texts = ["-", *texts]

    piped = ""
    if stdin is not None and (placed or not stdin.isatty()):
        if words and not stdin.isatty():
            wait_for_data(stdin, warn)
        piped = read_stdin(stdin, warn)

    # Standard input is a paragraph of its own; other words make one line.
    paragraphs: list[list[str]] = [[]]
    for text in texts:
        if text == "-":
            paragraphs += [[piped], []]
        else:
            paragraphs[-1].append(insert_stdin(text, piped))
    prompt = "\n\n".join(" ".join(line) for line in paragraphs if any(line))
    if not prompt.strip():
        raise UsageError(f"nothing to ask: {advice}")
    return prompt


def places_stdin(text: str) -> bool:
    """Return whether a text says where standard input goes."""
    return text == "-" or "{stdin}" in STDIN_PLACE.findall(text)


def insert_stdin(text: str, piped: str) -> str:
    """Replace {stdin} by the piped text, and {{stdin}} by {stdin}.

    >>> insert_stdin("{{stdin}} is {stdin}", "{stdin}")
    '{stdin} is {stdin}'
    """

    def replacement(match: "re.Match[str]") -> str:
        if match[0] == "{stdin}":
            return piped
        return "{stdin}"

    return STDIN_PLACE.sub(replacement, text)


# ---- standard input


def wait_for_data(stdin: TextIO, warn: Warn) -> None:
    """Wait until standard input has data or ends; say so after a moment.

    A pipe that is never written to and never closed, as many programs pass on, would block silently.
    """
    peek = getattr(stdin.buffer, "peek", None)
    if peek is None:
        return
    with notice_after(SILENCE, warn), contextlib.suppress(OSError):
        peek(1)


@contextlib.contextmanager
def notice_after(seconds: float, warn: Warn) -> Iterator[None]:
    """Print a notice if the block lasts longer than that."""
    import threading

    text = f"waiting for standard input; --no-stdin or <{os.devnull} runs without it"
    timer = threading.Timer(seconds, warn, [text])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def read_stdin(stdin: TextIO, warn: Warn) -> str:
    """Return standard input to its end, without the newlines there; UTF-8 or UTF-16 whatever the locale.

    Raises UsageError for binary data.  `warn` receives a line about bytes that are invalid in that encoding.
    """
    try:
        data = bytes(stdin.buffer.read())
    except OSError as error:
        if error.errno == errno.EBADF:  # nohup leaves one that cannot be read
            return ""
        raise
    encoding = detect_encoding(data)
    text = data.decode(encoding, "replace")
    if "\0" in text:
        raise UsageError("standard input is not text but binary; a picture goes with --attach FILE")
    valid = data.decode(encoding, "ignore")
    invalid = text.count("\ufffd") - valid.count("\ufffd")
    if invalid:
        name = encoding.upper().replace("-SIG", "")
        warn(f"standard input is not valid {name}: U+FFFD replaces what is not ({invalid} times)")
    return text.rstrip("\r\n")


# ---- text


def detect_encoding(data: bytes) -> str:
    """Return the encoding of text: UTF-16 by its byte order mark or its zero bytes, else UTF-8.

    Windows PowerShell redirects in UTF-16, with a mark.  Without one, text that is Latin has a zero in every pair.

    >>> detect_encoding("Hi".encode("utf-16-le"))
    'utf-16-le'
    """
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if data and len(data) % 2 == 0:
        if not data[1::2].strip(b"\0"):
            return "utf-16-le"
        if not data[0::2].strip(b"\0"):
            return "utf-16-be"
    return "utf-8-sig"


def expand_at_file(word: str, name: str = "the prompt") -> str:
    """Return the text of FILE for '@FILE', '@x' for '@@x', else the word itself.

    Raises UsageError for a file that cannot be read, and for a word that is not valid UTF-8; `name` says what it is.
    """
    if word.startswith("@@"):
        word = word[1:]
    elif word.startswith("@") and word != "@":
        return read_file(word[1:], " (@@ begins a text with @)")
    check_unicode(word, name)
    return word


def check_unicode(text: str, name: str) -> None:
    """Raise UsageError for an argument that was not valid UTF-8; Python keeps its bytes as surrogates (PEP 383)."""
    surrogate = re.search("[\ud800-\udfff]", text)
    if not surrogate:
        return
    code = ord(surrogate[0])
    what = f"U+{code:04X}"
    if 0xDC80 <= code <= 0xDCFF:
        what = f"byte 0x{code - 0xDC00:02X}"
    raise UsageError(f"{name} is not valid UTF-8: {what} at position {surrogate.start() + 1}")


def read_file(path: str, hint: str = "") -> str:
    """Return the text in a file, without the newlines at its end; ~ is the home directory.

    Raises UsageError if it cannot be read.
    """
    try:
        with open(os.path.expanduser(path), "rb") as file:
            data = file.read()
        return data.decode(detect_encoding(data)).rstrip("\r\n")
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}{hint}") from None
    except ValueError:
        raise UsageError(f"{path}: not UTF-8 text{hint}") from None


# ---- values


def json_or_text(text: str) -> Any:
    """Return `text` as JSON if it is JSON, else as it stands; NaN and Infinity are not JSON."""
    try:
        return json.loads(text, parse_constant=refuse_constant)
    except (ValueError, RecursionError):
        return text


def refuse_constant(name: str) -> Any:
    """Raise ValueError for NaN, Infinity and -Infinity, which RFC 8259 does not have."""
    raise ValueError(f"{name} is not JSON")


def number(text: str) -> float:
    """Return a number; the ValueError of these four says what `text` is not."""
    try:
        return float(text)
    except ValueError:
        raise ValueError("not a number") from None


def whole_number(text: str) -> int:
    """Return a whole number."""
    try:
        return int(text)
    except ValueError:
        raise ValueError("not a whole number") from None


def positive_number(text: str) -> float:
    """Return a finite number above 0."""
    seconds = number(text)
    if not 0 < seconds < float("inf"):
        raise ValueError("not a positive number")
    return seconds


def natural_number(text: str) -> int:
    """Return a whole number that is not negative."""
    count = whole_number(text)
    if count < 0:
        raise ValueError("must be 0 or more")
    return count


# ---- attachments


def with_attachments(names: Sequence[str], prompt: str) -> Union[str, list[Part]]:
    """Return the content of a message: the attachments in their order, then the prompt.

    It is one text if no attachment is a picture: some servers accept no parts.  Raises UsageError for a file that
    cannot be read, or is neither a picture nor text.
    """
    parts = [attachment_part(name) for name in names]
    parts.append({"type": "text", "text": prompt})
    if any(part["type"] != "text" for part in parts):
        return parts
    return "\n\n".join(part["text"] for part in parts)


def attachment_part(name: str) -> Part:
    """Return one attachment as a part of a message.  A URL is passed on: the server fetches the picture."""
    from ..images import image_part, mime_type, to_data_url

    if name == "-":
        raise UsageError("--attach takes files and URLs; standard input is part of the prompt")
    if name.startswith(("https://", "http://", "data:")):
        return image_part(name)
    try:
        with open(name, "rb") as file:
            data = file.read()  # once: it may be a pipe
        if mime_type(data):
            return image_part(to_data_url(data, name))
        return {"type": "text", "text": fence_text(name, data)}
    except OSError as error:
        raise UsageError(f"{name}: {error.strerror}") from None
    except ValueError as error:
        raise UsageError(str(error)) from None


def fence_text(name: str, data: bytes) -> str:
    r"""Return a text under its name, between fences that are longer than any in it.

    Raises ValueError if `data` is not text.

    >>> print(fence_text("a.txt", b"Hello\n"))
    a.txt:
    ```
    Hello
    ```
    """
    try:
        text = data.decode(detect_encoding(data)).rstrip("\r\n")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise ValueError(f"{name}: neither a picture (PNG, JPEG, GIF, WebP) nor text in UTF-8")
    longest = max((len(ticks) for ticks in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{name}:\n{fence}\n{text}\n{fence}"


# ---- files of the user's own


def open_private(path: str, flags: int = 0, mode: str = "r+b") -> BinaryIO:
    """Return an open file, made with mode 0600 if it is new.  Raises UsageError if that fails."""
    try:
        return os.fdopen(safe_path.open_private(path, flags), mode)  # type: ignore[return-value]
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None
