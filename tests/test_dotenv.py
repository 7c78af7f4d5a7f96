"""The lines of a .env file."""
import os

import pytest

from rawchat.dotenv import parse
from rawchat.errors import ConfigError

row = pytest.mark.row
NAMES = {"A", "B", "OPENAI_API_KEY"}


@row("1.13")
@pytest.mark.parametrize(("text", "value"), [
    ("A=one", "one"), ("  A = one  ", "one"), ("export A=one", "one"), ("A='one two'", "one two"),
    ('A="one\\ttwo\\"\\\\"', 'one\ttwo"\\'), ("A='no \\n escape'", "no \\n escape"), ("A=one # comment", "one"),
    ("A=one#two", "one#two"), ("A='one # two' # three", "one # two"), ("A=", ""), ("A= # nothing", ""), ("A=''", ""),
    ("A=it's", "it's"), ("A=a b", "a b"), ("A=http://h/v1?x=1", "http://h/v1?x=1"), ("A=$HOME/${B}", "$HOME/${B}"),
    ("\ufeffA=one", "one"), ("# A=two\r\nA=one\r\n\r\n", "one"), ("A=two\rA=one", "one"), ("A=ü\u2028x", "ü\u2028x")])
def test_a_value(text: str, value: str) -> None:
    assert parse(text, NAMES) == {"A": value}


@row("1.13")
def test_only_the_names_asked_for_and_nothing_of_the_process() -> None:
    before = dict(os.environ)
    assert parse("A=1\nPATH=/evil\nC=2\nB=$PATH", NAMES) == {"A": "1", "B": "$PATH"}
    assert dict(os.environ) == before


@row("1.13")
@pytest.mark.parametrize("line", ["A", "= 1", "1A=2", 'A="open', "A='open", "A='x' y", "A B=1"])
def test_a_bad_line_names_its_number_and_never_its_text(line: str) -> None:
    with pytest.raises(ConfigError, match=r"\.env, line 3") as caught:
        parse(f"\nB=1\n{line}", NAMES)
    assert "open" not in str(caught.value)
