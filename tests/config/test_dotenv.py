"""The lines of a .env file."""

import os
import socket
import subprocess
import sys
import threading
from typing import Any

import pytest

from rawchat.config.dotenv import parse_dotenv, read_dotenv
from rawchat.errors import ConfigError

from ..command import ROOT

row = pytest.mark.row
NAMES = {"A", "B", "OPENAI_API_KEY"}


@row("1.13")
@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("A=one", "one"),
        ("  A = one  ", "one"),
        ("export A=one", "one"),
        ("A='one two'", "one two"),
        ('A="one\\ttwo\\"\\\\"', 'one\ttwo"\\'),
        ("A='no \\n escape'", "no \\n escape"),
        ("A=one # comment", "one"),
        ("A=one#two", "one#two"),
        ("A='one # two' # three", "one # two"),
        ("A=", ""),
        ("A= # nothing", ""),
        ("A=''", ""),
        ("A=it's", "it's"),
        ("A=a b", "a b"),
        ("A=http://h/v1?x=1", "http://h/v1?x=1"),
        ("A=$HOME/${B}", "$HOME/${B}"),
        ("\ufeffA=one", "one"),
        ("# A=two\r\nA=one\r\n\r\n", "one"),
        ("A=two\rA=one", "one"),
        ("A=ü\u2028x", "ü\u2028x"),
    ],
)
def test_a_value(text: str, value: str) -> None:
    assert parse_dotenv(text, NAMES) == {"A": value}


@row("1.13")
def test_only_the_names_asked_for_and_nothing_of_the_process() -> None:
    before = dict(os.environ)
    assert parse_dotenv("A=1\nPATH=/evil\nC=2\nB=$PATH", NAMES) == {"A": "1", "B": "$PATH"}
    assert dict(os.environ) == before


@row("1.13", "12.8")
@pytest.mark.parametrize("line", ["A", 'A="open', "A='open", "A='x' y", "A B=1"])
def test_a_bad_line_names_its_number_and_never_its_text(line: str) -> None:
    with pytest.raises(ConfigError, match=r"\.env, line 3") as caught:
        parse_dotenv(f"\nB=1\n{line}", NAMES)
    assert "open" not in str(caught.value)


@row("1.13", "12.8")
@pytest.mark.parametrize(
    "line",
    [
        "= 1",
        "1A=2",
        "if [ -f x ]; then . x; fi",
        "source venv/bin/activate",
        "my-var=1",
        "A-B=1",
        "A.B=1",
        "FOO: bar",
        "<<<<<<< HEAD",
        'C="x" y',
        'C="open',
        "C=caf\udce9",
        "\0\0",
    ],
)
def test_a_line_of_another_tool_is_ignored(line: str) -> None:
    assert parse_dotenv(f"B=1\n{line}\nA=2", NAMES) == {"A": "2", "B": "1"}


@row("1.13", "12.8")
def test_a_file_in_another_encoding() -> None:
    with open(".env", "wb") as file:
        file.write(b"PASS=caf\xe9\nA=1\n")
    assert read_dotenv(".", NAMES) == {"A": "1"}
    with open(".env", "wb") as file:
        file.write("C=é\r\nA=ü\r\n".encode("utf-16"))
    assert read_dotenv(".", NAMES) == {"A": "ü"}
    with open(".env", "wb") as file:
        file.write(b"B=1\nA=caf\xe9\n")
    with pytest.raises(ConfigError, match=r"^\.env, line 2: not UTF-8 text$"):
        read_dotenv(".", NAMES)


# ---- a .env that is no file


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFO here")
@row("1.13")
def test_a_fifo_does_not_hang() -> None:
    os.mkfifo(".env")
    done: list[Any] = []

    def reading() -> None:
        try:
            read_dotenv(".", NAMES)
        except ConfigError as error:
            done.append(str(error))

    thread = threading.Thread(target=reading, daemon=True)
    thread.start()
    thread.join(10)
    assert done == [".env cannot be read: it is not a regular file"]


@pytest.mark.skipif(not os.path.exists("/dev/zero"), reason="no such devices here")
@row("1.13")
def test_a_device_is_refused_but_the_null_device_hides_a_dotenv() -> None:
    os.symlink("/dev/zero", ".env")
    with pytest.raises(ConfigError, match="not a regular file"):
        read_dotenv(".", NAMES)
    os.unlink(".env")
    os.symlink("/dev/null", ".env")
    assert read_dotenv(".", NAMES) == {}


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="no sockets of files here")
@row("1.13")
def test_a_socket_is_refused() -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(".env")
        with pytest.raises(ConfigError, match="not a regular file"):
            read_dotenv(".", NAMES)


@row("1.13")
def test_a_huge_file_is_refused() -> None:
    with open(".env", "wb") as file:
        file.truncate(2**33)  # sparse
    with pytest.raises(ConfigError, match="over 1048576 bytes"):
        read_dotenv(".", NAMES)


@row("1.13")
@pytest.mark.parametrize(
    "line", ["A={}'", "{}A=1 '", "A='x'{}y", 'A="x"{}y', "export{}1=x", "A{}B", "A=x{}", 'A="{}']
)
def test_a_line_of_a_million_blanks_takes_no_time(line: str) -> None:
    code = f"from rawchat.config.dotenv import parse_dotenv; parse_dotenv({line!r}.format(' ' * 1000000), ())"
    subprocess.run(
        [sys.executable, "-c", code], stderr=subprocess.DEVNULL, cwd=ROOT, timeout=60, check=False
    )
