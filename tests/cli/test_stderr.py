"""Standard error: one line each, in UTF-8, harmless and coloured on a terminal."""

import io
from typing import Any

import pytest

from rawchat.cli.terminal import Stderr, use_color


def noted(
    terminal: bool, colour: bool = False, encoding: str = "ascii"
) -> tuple[Stderr, io.BytesIO]:
    class File(io.TextIOWrapper):
        def isatty(self) -> bool:
            return terminal

    raw = io.BytesIO()
    notes = Stderr(File(raw, encoding=encoding))
    notes.colour = colour
    return notes, raw


@pytest.mark.parametrize(
    ("when", "environ", "terminal", "expected"),
    [
        ("auto", {}, True, True),
        ("auto", {}, False, False),
        ("auto", {"NO_COLOR": "1"}, True, False),
        ("auto", {"NO_COLOR": ""}, True, True),
        ("auto", {"TERM": "dumb"}, True, False),
        ("auto", {"TERM": "xterm"}, True, True),
        ("always", {"NO_COLOR": "1", "TERM": "dumb"}, False, True),
        ("never", {}, True, False),
    ],
)
def test_colour_is_for_terminals_that_like_it(
    when: str, environ: Any, terminal: bool, expected: bool
) -> None:
    assert use_color(when, environ, terminal) is expected


def test_a_complaint_is_one_line_in_utf8_whatever_the_locale() -> None:
    notes, raw = noted(terminal=False)
    notes.warn("naïve\nand \x1b[2Jmore")
    assert raw.getvalue() == "rawchat: naïve and \x1b[2Jmore\n".encode()


def test_on_a_terminal_what_could_steer_it_is_shown_and_only_our_own_word_is_coloured() -> None:
    notes, raw = noted(terminal=True, colour=True)
    notes.warn("a\x1b[2Jb")
    notes.line("> GET /\x9b")
    notes.line("plain words")
    assert raw.getvalue().decode() == (
        "\x1b[31mrawchat:\x1b[0m a␛[2Jb\n\x1b[36m>\x1b[0m GET /<U+009B>\nplain words\n"
    )


def test_a_closed_standard_error_is_no_error() -> None:
    Stderr(None).warn("anything")
