"""Wrap an answer between words at the right edge of the terminal, while it arrives piece by piece.

Every piece is printed at once.  If a word turns out not to fit into its line, what was printed of it is erased, and
the word begins a new line.  Fenced code is left to the terminal: a newline in it would be copied with it.
"""

import re
from typing import Callable, Optional

from .approval import width

# A newline, white space, or a word.
TOKEN = re.compile(r"\n|[^\S\n]+|\S+")

# What begins the line before and after a block of code in Markdown.
FENCES = ("```", "~~~")
FENCE_LENGTH = 3

#: columns from one tab stop to the next
TAB = 8

# Carriage return, cursor forward, and erase to the end of the line (ECMA-48, 8.3.20 and 8.3.41).
ERASE_FROM = "\r\x1b[{column}C\x1b[K"


class WordWrapper:
    """The state of a line that is being printed; `columns` returns the width of the terminal, 0 if it is unknown.

    Text is kept no longer than it can still be moved: a line of a script without spaces is one long word.
    """

    def __init__(self, columns: Callable[[], int]):
        self._columns = columns
        self._line_start = ""  # first characters of the answer's present line, without indentation
        self._in_code = False
        self.reset()

    def reset(self) -> None:
        """Begin a new line: the cursor stands at the left edge."""
        self._start_word(0)

    def start_answer(self) -> None:
        """Begin a new answer."""
        self._line_start = ""
        self._in_code = False
        self.reset()

    def wrap(self, text: str) -> str:
        """Return what to print for the next piece of the answer."""
        columns = self._columns()
        if columns <= 0:
            return text
        return "".join(self._wrap_token(token, columns) for token in TOKEN.findall(text))

    def _start_word(self, column: int) -> None:
        """Expect the next word in this column, where the cursor stands."""
        self._column = self._word_column = column
        self._word: Optional[str] = ""  # what has been printed of it; None if it stays where it is
        self._word_width = 0
        self._word_is_narrow = True  # no character of it takes two columns

    def _wrap_token(self, token: str, columns: int) -> str:
        """Return what to print for a newline, white space, or a piece of a word."""
        if token == "\n":
            if self._line_start in FENCES:
                self._in_code = not self._in_code
            self._line_start = ""
            self.reset()
            return token
        if len(self._line_start) < FENCE_LENGTH:
            self._line_start = (self._line_start + token).lstrip()[:FENCE_LENGTH]
        if token.isspace():
            return self._wrap_space(token, columns)
        return self._wrap_word(token, columns)

    def _wrap_space(self, space: str, columns: int) -> str:
        """Return white space; at the right edge it is left out, as the next word begins a new line."""
        end = self._column + len(space)
        if "\t" in space:
            end = (self._column // TAB + 1) * TAB
        if end >= columns and not self._in_code:
            space = ""
            end = columns
        self._start_word(end)
        return space

    def _wrap_word(self, piece: str, columns: int) -> str:
        """Return a piece of a word, in a new line with what was printed of the word if it does not fit."""
        piece_width = width(piece)
        self._word_width += piece_width
        if piece_width > len(piece):
            self._word_is_narrow = False
        printed = piece
        if self._word is not None and self._is_movable(columns):
            self._word += piece
            if self._word_column + self._word_width > columns:
                printed = f"\n{self._word}"
                if self._word != piece:
                    printed = ERASE_FROM.format(column=self._word_column) + printed
                self._word_column = 0
                self._word = None
        else:
            self._word = None
        # the terminal breaks a word that is longer than the line
        self._column = (self._word_column + self._word_width - 1) % columns + 1
        return printed

    def _is_movable(self, columns: int) -> bool:
        """Return whether the present word may begin a new line.

        A script of wide characters has no spaces, and is left to the terminal, except behind a space left out.
        """
        if self._in_code or self._word_column == 0:
            return False
        return self._word_is_narrow or self._word_column >= columns
