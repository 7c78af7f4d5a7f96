"""docs/cli.md: its examples still print what it shows, and it has one for every option."""

import doctest
import pathlib
import shutil
import sys
from collections.abc import Iterator

import pytest

import rawchat
from rawchat.cli.options import all_options

from ..conftest import need_model

if sys.platform == "win32":
    pytest.skip("no pseudo-terminals here", allow_module_level=True)

from .. import manual

TEXT = manual.PAGE.read_text(encoding="utf-8")
BLOCKS = manual.blocks(TEXT)
PLACES = [TEXT[: block.span[0]].count("\n") for block in BLOCKS]


@pytest.fixture(scope="module")
def again(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[list[manual.Block], bool]]:
    """The transcripts, made again, by a server that has answered nothing else; and does this machine add up like the
    one that wrote the page?
    """
    need_model()
    if not shutil.which("bash") or not shutil.which("curl"):
        pytest.skip("no bash or no curl here")
    with rawchat.local.serve() as base_url:
        alike = f"<!-- arithmetic: {manual.arithmetic(base_url)} -->" in TEXT
        yield manual.played(TEXT, base_url, pathlib.Path(tmp_path_factory.mktemp("page"))), alike


@pytest.mark.parametrize("at", range(len(BLOCKS)), ids=[f"line-{line}" for line in PLACES])
def test_an_example_prints_what_the_page_shows(
    again: tuple[list[manual.Block], bool], at: int
) -> None:
    shown, now = (
        manual.steady(manual.transcript(block.commands)) for block in (BLOCKS[at], again[0][at])
    )
    if shown != now and not again[1]:
        pytest.skip("this machine's arithmetic gives the model other words")
    assert now == shown


@pytest.mark.parametrize("option", [*all_options()], ids=lambda option: option.name)
def test_every_option_has_an_example(option: rawchat.cli.options.Option) -> None:
    typed = "\n".join(shown.command for block in BLOCKS for shown in block.commands)
    flags = option.flags
    assert f"`{option.flag}`" in TEXT
    assert any(f" {flag}{after}" in f"{typed}\n" for flag in flags for after in " =\n")


def test_what_the_page_is_made_with() -> None:
    assert doctest.testmod(manual).failed == 0
    assert manual.written(TEXT, BLOCKS) == TEXT
