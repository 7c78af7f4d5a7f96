"""Words wrap at the right edge of the terminal, however an answer is cut."""

import random
import sys

import pytest

from rawchat.cli.wrap import WordWrapper

from ..server import delta, event, streamed

if sys.platform == "win32":
    pytest.skip("no pseudo-terminals here", allow_module_level=True)

from ..server import serving
from ..terminal import Terminal, screen

FOX = "the quick brown fox jumps over the lazy dog"
LINES = ["the quick brown fox", "jumps over the lazy", "dog"]


def shown(pieces: list[str], columns: int) -> list[str]:
    """What a terminal shows of an answer in pieces."""
    wrapper = WordWrapper(lambda: columns)
    printed = "".join(wrapper.wrap(piece) for piece in pieces)
    return [line.rstrip() for line in screen(printed, columns)]


@pytest.mark.parametrize(
    ("text", "columns", "expected"),
    [
        (FOX, 20, LINES),
        (FOX, 19, LINES),
        (FOX, 80, [FOX]),
        ("a b\n\nlong words\n", 6, ["a b", "", "long", "words", ""]),
        ("see http://example.org/x ok", 10, ["see", "http://exa", "mple.org/x", "ok"]),
        (
            "```\nx = a + b + c\n```\nx is a sum",
            8,
            ["```", "x = a +", "b + c", "```", "x is a", "sum"],
        ),
        ("1234567890 ab", 10, ["1234567890", "ab"]),
        ("a 12345678 b", 10, ["a 12345678", "b"]),
        ("a     b", 4, ["a", "b"]),
        ("abc x漢", 4, ["abc", "x漢"]),
    ],
)
def test_words_wrap_wherever_the_answer_is_cut(
    text: str, columns: int, expected: list[str]
) -> None:
    generator = random.Random(7)
    assert shown([text], columns) == expected
    assert shown(list(text), columns) == expected
    for _ in range(50):
        cuts = sorted(generator.choices(range(len(text) + 1), k=3))
        pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)])]
        assert shown(pieces, columns) == expected, pieces


def test_without_a_width_text_stays_as_it_is() -> None:
    wrapper = WordWrapper(lambda: 0)
    assert wrapper.wrap(FOX) == FOX


@pytest.mark.skipif(
    sys.implementation.name == "pypy", reason="PyPy's own readline draws the prompt in another way"
)
def test_answers_of_the_chat_prompt_wrap() -> None:
    parts = [event(delta(FOX[at : at + 4])) for at in range(0, len(FOX), 4)]
    script = streamed([*parts, event(delta(finish="stop")), event("[DONE]")])
    with (
        serving(script) as server,
        Terminal(
            *("-m", "rawchat", "--base-url", server.url, "--color", "never"),
            columns=20,
            env={"TERM": "xterm"},
        ) as chat,
    ):
        chat.until("> ")
        for _ in range(2):
            chat.type("Q\r")
            chat.until("Q\n")
            lines = screen(chat.until("dog\n").replace("\x1b[?2004l\r", ""), 20)
            assert [line.rstrip() for line in lines] == [*LINES, ""]
            chat.until("> ")
