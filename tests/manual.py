"""The examples of docs/cli.md, run for real against the embedded model.

    python -m tests.manual      writes into the page what they print

A block ```console is a transcript of a shell: `$ ` starts a command, `> ` goes on with one that has a `<<`, the rest is
what it printed, standard error too.  One shell runs them all, in an empty folder.  A block ```console screen is one
command on a terminal: what a person types stands after its `> `.  `make test` runs the page again and compares.
"""

import math
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from typing import NamedTuple

import rawchat

from .terminal import Terminal, plain

ROOT = pathlib.Path(rawchat.__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "cli.md"
BLOCK = re.compile(r"^```console(?P<screen> screen)?\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
PATIENCE = 1800  # seconds: a busy machine takes minutes where an idle one takes ten seconds
PORT = "8080"  # what the page calls the server's
AFTER = "{}\nafter=$?; printf '\\0'; (exit $after)\n"  # what ends a command's output leaves its $? as it is
HOME = "/home/ann"  # what it calls the folder


ARITHMETIC = re.compile(r"<!-- arithmetic: (.*) -->")
# What is another each time: times, speeds, sizes that hold times, names of answers, what the server has at hand.
VARYING = re.compile(
    "|".join(
        [
            r"[\d.]+(?= (?:s|bytes|cached|(?:tokens )?a second)\b)",
            r"(?m:(?<=^<) +[\d.]+)",
            r"(?<=chatcmpl-)\w+",
            r"(?<=Python/)[\d.]+",
            r'(?<="created":) ?\d+',
            r'(?<="cached_tokens": )\d+',
            r'(?<="seconds": )[\d.]+',
            r'(?<="time": ).*',
        ]
    )
)


class Shown(NamedTuple):
    """A command, and what it printed."""

    command: str
    output: str


class Block(NamedTuple):
    """A transcript, and where it stands in the page."""

    commands: list[Shown]
    screen: bool
    span: tuple[int, int]


def blocks(page: str) -> list[Block]:
    """The transcripts of a page."""
    return [
        Block(
            list((on_terminal if found["screen"] else commands)(found["text"])),
            bool(found["screen"]),
            found.span("text"),
        )
        for found in BLOCK.finditer(page)
    ]


def on_terminal(text: str) -> Iterator[Shown]:
    """The command of a screen."""
    command, _, output = text[len("$ ") :].partition("\n")
    yield Shown(command, output)


def commands(text: str) -> Iterator[Shown]:
    """The commands of a transcript.

    >>> list(commands("$ cat <<END\\n> a\\n> END\\na\\n$ true\\n"))
    [Shown(command='cat <<END\\na\\nEND', output='a\\n'), Shown(command='true', output='')]
    """
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        first, *lines = part.splitlines()
        typed = 0
        while "<<" in first and typed < len(lines) and lines[typed].startswith("> "):
            typed += 1
        yield Shown(
            "\n".join([first, *(line[2:] for line in lines[:typed])]),
            "".join(f"{line}\n" for line in lines[typed:]),
        )


def transcript(shown: list[Shown]) -> str:
    """What `commands` reads."""
    return "".join(
        "$ " + command.replace("\n", "\n> ") + "\n" + output for command, output in shown
    )


def played(page: str, base_url: str, folder: pathlib.Path) -> list[Block]:
    """The transcripts of a page, run again in `folder`."""
    found, port = blocks(page), base_url.split(":")[-1].split("/")[0]
    environ = {
        "HOME": str(folder),
        "PYTHONPATH": str(ROOT),
        "LC_ALL": "C.UTF-8",
        "PYTHON": sys.executable,
        "PATH": os.environ["PATH"],
    }
    exported = dict(word.split("=", 1) for word in shlex.split(found[0].commands[0].command)[1:])

    def run_again(block: Block, outputs: Iterator[str]) -> Block:
        again = [
            Shown(
                each.command,
                next(outputs).replace(f":{port}", f":{PORT}").replace(str(folder), HOME),
            )
            for each in block.commands
        ]
        return block._replace(commands=again)

    def here(text: str) -> str:
        return text.replace(f":{PORT}", f":{port}")

    shell = iter(
        in_shell(
            [here(each.command) for block in found if not block.screen for each in block.commands],
            folder,
            environ,
        )
    )
    environ.update({name: here(value) for name, value in exported.items()})
    return [
        run_again(
            block,
            (on_screen(each, folder, environ) for each in block.commands)
            if block.screen
            else shell,
        )
        for block in found
    ]


def steady(text: str) -> str:
    """`text` without what is another each time.

    >>> steady('36 tokens in (24 cached), 8 out; 0.15 s, 52.9 tokens a second; "created": 179')
    '36 tokens in (… cached), 8 out; … s, … tokens a second; "created":…'
    """
    return VARYING.sub("…", text)


def arithmetic(base_url: str) -> str:
    """How this machine adds up: the model's words can be others where that is another number (-O3, AVX, …)."""
    reply = rawchat.Client(base_url=base_url, environ={}).chat(
        "Name a colour.", temperature=0, max_tokens=8, logprobs=True, cache_prompt=False
    )
    return repr(math.fsum(token["logprob"] for token in reply["choices"][0]["logprobs"]["content"]))


def in_shell(typed: list[str], folder: pathlib.Path, environ: dict[str, str]) -> list[str]:
    """What each of these commands prints, one shell for all of them."""
    script = 'python() { "$PYTHON" "$@"; }\n' + "".join(AFTER.format(command) for command in typed)
    ran = subprocess.run(
        ["bash", "-c", script],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=folder,
        env=environ,
        timeout=PATIENCE,
    )
    return ran.stdout.decode().split("\0")[:-1]


def on_screen(shown: Shown, folder: pathlib.Path, environ: dict[str, str]) -> str:
    """What a terminal shows while a person types what `shown` says."""
    typed = [line[2:] for line in shown.output.splitlines() if line.startswith("> ")]
    argv = shlex.split(shown.command)[1:]
    with Terminal(
        *argv, env={**environ, "TERM": "dumb"}, patience=PATIENCE, cwd=str(folder)
    ) as terminal:
        for line in typed:
            terminal.until("> ")
            terminal.type(line + "\r")
        terminal.rest()
        return plain(terminal.all)


def written(page: str, again: list[Block]) -> str:
    """The page with these transcripts."""
    for block in reversed(again):
        start, end = block.span
        page = page[:start] + transcript(block.commands) + page[end:]
    return page


def main() -> None:
    """Write the page."""
    page = PAGE.read_text(encoding="utf-8")
    with rawchat.local.serve() as base_url, tempfile.TemporaryDirectory() as folder:
        number = arithmetic(base_url)
        page = written(page, played(page, base_url, pathlib.Path(folder)))
    PAGE.write_text(ARITHMETIC.sub(f"<!-- arithmetic: {number} -->", page), encoding="utf-8")


if __name__ == "__main__":
    main()
