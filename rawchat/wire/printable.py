"""Text that came over the wire and is printed on a terminal, which some characters would steer."""

import re

# C0 but tab and newline, DEL and C1; marks, overrides and isolates of bidirectional text; tags; halves of characters.
CONTROL = re.compile(
    "[\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\\u061c\\u200e\\u200f\\u202a-\\u202e\\u2066-\\u2069"
    "\\ud800-\\udfff\\U000e0000-\\U000e007f]"
)


def escape_control(text: str) -> str:
    """Return `text` with every character that can steer a terminal, or turn text around, as a symbol or its number.

    Characters are replaced one by one, so that a sequence that arrives in two parts cannot slip through.  Tab and
    newline stay; a carriage return, which would write over the line, is dropped.

    >>> escape_control("a\\x1b[31mb\\u202ec\\r\\n")
    'a␛[31mb<U+202E>c\\n'
    """
    return CONTROL.sub(control_symbol, text)


def control_symbol(match: "re.Match[str]") -> str:
    """Return the visible form of a control character: a control picture (U+2400 and up), or its number."""
    code = ord(match[0])
    if code == 0x0D:
        return ""
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "\u2421"
    return f"<U+{code:04X}>"
