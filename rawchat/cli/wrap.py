"""Wrap an answer between words at the right edge of the terminal, while it arrives piece by piece.

Every piece is printed at once.  If a word turns out not to fit into its line, what was printed of it is erased, and
the word begins a new line.  Fenced code is left to the terminal: a newline in it would be copied with it.
"""

import re
from typing import Callable

from .approval import width

# A newline, white space, or a word.
TOKEN = re.compile(r"\n|[^\S\n]+|\S+")

# The line that begins or ends a block of code in Markdown.
FENCE = re.compile(r"\s*(```|~~~)")

#: columns from one tab stop to the next
TAB = 8

# Carriage return, cursor forward, and erase to the end of the line (ECMA-48, 8.3.20 and 8.3.41).
ERASE_FROM = "\r\x1b[{column}C\x1b[K"


class WordWrapper:
    """The state of a line that is being printed; `columns` returns the width of the terminal, 0 if it is unknown."""

    def __init__(self, columns: Callable[[], int]):
        self._columns = columns
        self._line = ""  # the text of the answer's present line
        self._in_code = False
        self.reset()

    def reset(self) -> None:
        """Begin a new line: the cursor stands at the left edge."""
        self._column = 0
        self._word = ""  # what has been printed of the word at the end of the line
        self._word_column = 0  # where it begins

    def start_answer(self) -> None:
        """Begin a new answer."""
        self._line = ""
        self._in_code = False
        self.reset()

    def wrap(self, text: str) -> str:
        """Return what to print for the next piece of the answer."""
        columns = self._columns()
        if columns <= 0:
            return text
        return "".join(self._wrap_token(token, columns) for token in TOKEN.findall(text))

    def _wrap_token(self, token: str, columns: int) -> str:
        """Return what to print for a newline, white space, or a piece of a word."""
        if token == "\n":
            if FENCE.match(self._line):
                self._in_code = not self._in_code
            self._line = ""
            self.reset()
            return token
        self._line += token
        if token.isspace():
            return self._wrap_space(token, columns)
        return self._wrap_word(token, columns)

    def _wrap_space(self, space: str, columns: int) -> str:
        """Return white space; at the right edge it is left out, as the next word begins a new line."""
        self._word = ""
        end = self._column + len(space)
        if "\t" in space:
            end = (self._column // TAB + 1) * TAB
        if end >= columns and not self._in_code:
            space = ""
            end = columns
        self._column = self._word_column = end
        return space

    def _wrap_word(self, piece: str, columns: int) -> str:
        """Return a piece of a word, in a new line with what was printed of the word if it does not fit."""
        word = self._word + piece
        size = width(word)
        fits = self._word_column + size <= columns
        # a script of wide characters has no spaces, and is left to the terminal, except behind a space left out
        is_movable = size == len(word) or self._word_column >= columns
        printed = piece
        if not fits and is_movable and self._word_column > 0 and not self._in_code:
            printed = f"\n{word}"
            if self._word:
                printed = ERASE_FROM.format(column=self._word_column) + printed
            self._word_column = 0
        self._word = word
        # the terminal breaks a word that is longer than the line
        self._column = (self._word_column + size - 1) % columns + 1
        return printed
