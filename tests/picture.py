"""docs/terminal.svg: a terminal with what two commands really print, in the rhythm in which they print it.

    python -m tests.picture          run the commands against the embedded model and write the picture

The pieces of the streamed answer appear one after the other, as they arrived; a program that does not animate SVG shows
all of them.  Lines end at the right edge, where a terminal would wrap them.
"""

import fcntl
import html
import os
import pathlib
import pty
import re
import shlex
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

ROOT = pathlib.Path(__file__).resolve().parents[1]
PICTURE = ROOT / "docs" / "terminal.svg"
PORT = re.compile(r"(?<=127\.0\.0\.1):\d+/")
COMMANDS = [
    'python -m rawchat --local -t 0 "In one sentence: what does HTTP do?"',
    'python -m rawchat --local -t 0 --max-tokens 4 --trace "Say hi" >/dev/null',
]
COLUMNS, CELL, LINE = (
    104,
    7.8,
    19,
)  #: characters of a line, width of one, height of a line, in pixels
MARGIN, BAR = 16, 36
LONGEST = 4.0  #: seconds in which the answer appears, if it took longer
SHORTEST = 0.05  #: seconds that two writes of one piece of text may be apart
FONTS = "ui-monospace, SFMono-Regular, Menlo, Consolas, DejaVu Sans Mono, monospace"
STYLE = """
text{fill:#d6dbe4;white-space:pre}
.prompt{fill:#7ee787}.sent{fill:#79c0ff}.got{fill:#9da7b3}.note{fill:#e3b341}
@media (prefers-reduced-motion:no-preference){.piece{animation:show .01s backwards}}
@keyframes show{from{opacity:0}}
"""


class Piece(NamedTuple):
    """A text, and the seconds since the command began to print."""

    at: float
    text: str


class Shown(NamedTuple):
    command: str
    pieces: list[Piece]

    @property
    def text(self) -> str:
        """All that the command printed."""
        return "".join(piece.text for piece in self.pieces)


def run(command: str) -> Shown:
    """Run a command on a terminal of its own and return what it prints, piece by piece."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, COLUMNS, 0, 0))
    typed, quiet, _ = command.partition(" >/dev/null")
    argv = [sys.executable, *shlex.split(typed)[1:]]
    pieces = []
    with tempfile.TemporaryDirectory() as folder:
        environ = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "HOME": folder,
            "TERM": "dumb",
            "LC_ALL": "C.UTF-8",
        }
        with subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL if quiet else slave,
            stderr=slave,
            cwd=folder,
            env=environ,
        ) as process:
            os.close(slave)
            start = time.monotonic()
            for data in pieces_of(master):
                text = data.decode().replace("\r\n", "\n")
                pieces.append(Piece(time.monotonic() - start, PORT.sub(":8080/", text)))
    os.close(master)
    assert process.returncode == 0, pieces
    first = pieces[0].at
    return Shown(command, [Piece(at - first, text) for at, text in pieces])


def pieces_of(master: int) -> Iterator[bytes]:
    """Yield what is written to a terminal, until its last writer has closed it."""
    while True:
        try:
            data = os.read(master, 65536)
        except OSError:  # Linux's way to say so
            return
        if not data:
            return
        yield data


def transcript() -> list[Shown]:
    """Run the commands with the embedded model, and return what they print."""
    return [run(command) for command in COMMANDS]


# ---- drawing


def draw(shown: Sequence[Shown]) -> str:
    """Return the picture."""
    body: list[str] = []
    row = 0
    for each in shown:
        body.append(text_at(row, 0, "$ ", "prompt") + text_at(row, 2, each.command))
        row += 1
        is_answer = "--trace" not in each.command
        if is_answer:
            row = draw_pieces(body, row, each)
        else:
            row = draw_trace(body, row, each)
        row += 1
    width = round(COLUMNS * CELL + 2 * MARGIN)
    height = BAR + row * LINE + MARGIN
    lights = "".join(
        f'<circle cx="{MARGIN + 6 + 20 * at}" cy="18" r="6" fill="{fill}"/>'
        for at, fill in enumerate(("#ff5f57", "#febc2e", "#28c840"))
    )
    title = "rawchat answers a question in a terminal, and shows the exchange with --trace"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" role="img" aria-label="{title}" '
        f'font-family="{FONTS}" font-size="13" xml:space="preserve">\n'
        "<!-- made by python -m tests.picture -->\n"
        f"<title>{title}</title>\n<style>{STYLE}</style>\n"
        f'<rect x=".5" y=".5" width="{width - 1}" height="{height - 1}" rx="9" fill="#161b22" stroke="#444c56"/>\n'
        f"{lights}\n" + "\n".join(body) + "\n</svg>\n"
    )


def draw_pieces(body: list[str], row: int, shown: Shown) -> int:
    """Draw a streamed answer, wrapped at words, each piece at its time; return the next row."""
    pieces = together(shown.pieces)
    speed = min(1.0, LONGEST / (pieces[-1].at or 1.0))
    column = 0
    for at, text in pieces:
        for word in re.findall(r"\n|[^\s]+\s?|[^\S\n]", text):
            if word == "\n":
                row, column = row + 1, 0
                continue
            if column + len(word.rstrip()) > COLUMNS:
                row, column = row + 1, 0
            if word.strip():
                body.append(
                    text_at(row, column, word.rstrip("\n"), "piece", delay=0.5 + at * speed)
                )
            column += len(word)
    return row + (1 if column else 0)


def together(pieces: Sequence[Piece]) -> list[Piece]:
    """Return the pieces with those joined that arrived at almost the same time, or in the middle of a word."""
    joined: list[Piece] = []
    for piece in pieces:
        at_once = joined and piece.at - joined[-1].at < SHORTEST
        in_word = joined and not piece.text[:1].isspace()
        if at_once or in_word:
            joined[-1] = Piece(joined[-1].at, joined[-1].text + piece.text)
        else:
            joined.append(piece)
    return joined


def draw_trace(body: list[str], row: int, shown: Shown) -> int:
    """Draw the lines of a trace, cut at the right edge; return the next row."""
    for line in shown.text.splitlines():
        kind = {">": "sent", "<": "got", "*": "note"}.get(line[:1], "")
        cut = line if len(line) <= COLUMNS else line[: COLUMNS - 1] + "…"
        if cut.strip():
            body.append(text_at(row, 0, cut, kind))
        row += 1
    return row


def text_at(row: int, column: int, text: str, kind: str = "", delay: float = 0.0) -> str:
    """Return a text at a place of the terminal, exactly as wide as its characters."""
    lead = len(text) - len(text.lstrip())
    text, column = text.strip(), column + lead
    attributes = f' class="{kind}"' if kind else ""
    if delay:
        attributes += f' style="animation-delay:{delay:.2f}s"'
    x, y = MARGIN + column * CELL, BAR + row * LINE + 14
    length = len(text) * CELL
    return (
        f'<text x="{x:.1f}" y="{y}" textLength="{length:.1f}" lengthAdjust="spacingAndGlyphs"{attributes}>'
        f"{html.escape(text, quote=False)}</text>"
    )


def texts(picture: str) -> list[str]:
    """Return the texts of a picture, in order."""
    return [html.unescape(found) for found in re.findall(r"<text [^>]*>(.*?)</text>", picture)]


if __name__ == "__main__":
    PICTURE.write_text(draw(transcript()), encoding="utf-8")
    print(f"wrote {PICTURE}", file=sys.stderr)
