"""What a person types: lines, edited with readline where there is one, and the messages that they make.

>>> lines = iter(["a line that goes \\\\", "on", '\"\"\"of', 'several\"\"\"', "pasted\\nlines"])
>>> [message(lambda prompt: next(lines)) for _ in range(3)]
[('a line that goes \\non', False), ('of\\nseveral', True), ('pasted\\nlines', True)]
"""

import contextlib
from collections.abc import Iterable
from typing import Any, Callable

from .output import visible

Read = Callable[[str], str]  # a line, without its end, after a prompt
PROMPT, MORE, BLOCK = "> ", ". ", '"""'
BOLD, PLAIN = "\x1b[1m", "\x1b[0m"  # ECMA-48, 8.3.117


def message(read: Read) -> tuple[str, bool]:
    """What is said next; and is it meant as it stands, as it was pasted or quoted?  Raises what `input` raises."""
    text = read(PROMPT)
    if "\n" in text:  # only what is pasted holds line ends
        return text, True
    if text.startswith(BLOCK):
        text = text[len(BLOCK) :]
        while not text.rstrip().endswith(BLOCK):
            text += "\n" + read(MORE)
        return text.rstrip()[: -len(BLOCK)].strip("\n"), True
    while text.endswith("\\"):
        text = text[:-1] + "\n" + read(MORE)
    return text, False


def editor(stdin: Any, colour: bool, dumb: bool, earlier: Iterable[str]) -> Read:
    """`input`, in UTF-8 whatever the locale; where there is a readline, and the terminal is not too `dumb` for it, with
    editing, with `earlier` texts under the up arrow, and with pasted lines kept together.
    """
    stdin.reconfigure(encoding="utf-8", errors="replace")
    try:
        if dumb:
            raise ImportError  # PyPy's readline cannot even be loaded on one
        import readline
    except ImportError:
        return lambda prompt: input(f"{BOLD}{prompt}{PLAIN}" if colour else prompt)
    for text in earlier:
        if text == visible(text):  # readline would show some of what can steer a terminal as it is
            with contextlib.suppress(UnicodeError):  # one that the locale has no characters for
                readline.add_history(text)
    readline.parse_and_bind("set enable-bracketed-paste on")  # on by itself since 8.1
    # \001 and \002 hold what takes no room on the line: readline counts columns
    return lambda prompt: input(f"\001{BOLD}\002{prompt}\001{PLAIN}\002" if colour else prompt)
