"""The pages: every link leads to a file, the index names every page, and what a command writes is fresh."""

import pathlib
import re

import pytest

import rawchat
from rawchat.cli import parser

from . import fill, picture, rows, wire_page
from .compare import __main__ as compare
from .compare import drivers
from .compare.faults import FAULTS, Fault
from .server import serving

ROOT = pathlib.Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("examples/*.md")])
READMES = [ROOT / "README.md", ROOT / "README.zh-CN.md"]
LINK = re.compile(r"\]\(([^)\s]+)\)|\b(?:src|srcset|href)=\"([^\"]+)\"")


def links(page: pathlib.Path) -> list[str]:
    """Return the targets of the links of a page that lead to files of the project."""
    text = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    targets = [first or second for first, second in LINK.findall(text)]
    return [target for target in targets if not re.match(r"https?:|#", target)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_of_a_page_leads_to_a_file(page: pathlib.Path) -> None:
    for target in links(page):
        assert (page.parent / target.split("#")[0]).exists(), target


def test_the_page_of_the_bytes_is_fresh() -> None:
    assert wire_page.PAGE.read_text("utf-8") == wire_page.page(), "stale: python -m tests.wire_page"


@pytest.mark.parametrize("page", fill.PAGES, ids=lambda page: page.name)
def test_the_code_and_the_output_on_a_page_are_fresh(page: pathlib.Path) -> None:
    text = page.read_text("utf-8")
    assert text == fill.filled(text), "stale: python -m tests.fill"


@pytest.mark.parametrize("page", READMES, ids=lambda page: page.name)
def test_the_search_of_the_readme_finds_the_same_with_real_embeddings(
    page: pathlib.Path, local_url: str
) -> None:
    text = page.read_text("utf-8")
    assert f"<!-- run: {fill.EMBEDDED_MODEL} -->\n" in text
    assert text == fill.filled_by_model(text, local_url), "stale: python -m tests.fill"


def test_a_program_gets_each_line_of_its_output_where_a_comment_asks_for_it() -> None:
    program = "print(1)  #> 7\nprint(2)  #>\nprint(3)\nprint(4)\n#> 5\n"
    wanted = "print(1)  #> 1\nprint(2)  #> 2\nprint(3)\nprint(4)\n#> 3\n#> 4\n"
    assert fill.with_output(program, "http://localhost/v1") == wanted
    assert fill.with_output("x = 1  #>\n", "http://localhost/v1") == "x = 1  #> (no output)\n"


def test_the_tour_has_eight_stops_and_each_ends_with_an_experiment() -> None:
    stops = re.split(
        r"^## \d\. ", (ROOT / "docs" / "tour.md").read_text("utf-8"), flags=re.MULTILINE
    )[1:]
    assert len(stops) == 8
    for stop in stops:
        assert "<!-- code: " in stop
        assert "**Experiment.** " in stop
        assert "<!-- run -->" in stop.partition("**Experiment.**")[2]


def test_the_index_names_every_page() -> None:
    index = links(ROOT / "docs" / "README.md")
    names = {page.name for page in ROOT.glob("docs/*.md")} - {"README.md"}
    assert names - set(index) == set()


def blocks(page: pathlib.Path) -> list[str]:
    """Return the code blocks of a page without the comments behind the code, which are translated."""
    found = re.findall(
        r"^```(?:python|console)\n.*?^```", page.read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    return [re.sub(r"[^\S\n]+# .*", "", block) for block in found]


def shape(page: pathlib.Path) -> list[str]:
    """Return the skeleton of a page: the levels of its headings, its code blocks, pictures and tables, in order."""
    pattern = r"^(#+) |^(<!-- .* -->)$|^(```\w+)$|^!\[.*\]\((.*)\)$|^\| *(`?[\d, -]+`?) *\|"
    found = re.findall(pattern, page.read_text("utf-8"), flags=re.MULTILINE)
    return ["".join(groups) for groups in found]


def test_the_two_readmes_have_the_same_shape_and_the_same_examples() -> None:
    english, chinese = READMES
    assert shape(english) == shape(chinese)
    assert blocks(english) == blocks(chinese)
    assert len(blocks(english)) >= 7
    assert {link for link in links(english) if "README." not in link} == {
        link for link in links(chinese) if "README." not in link
    }


def test_every_python_example_of_the_readme_is_run() -> None:
    text = READMES[0].read_text("utf-8")
    examples = text.count("```python\n")
    assert len(fill.SNIPPET.findall(text)) == examples >= 5
    assert len(text.splitlines()) <= 180


def test_the_exit_codes_of_the_readme_are_those_of_the_help() -> None:
    in_help = [int(code) for code in re.findall(r"^  (\d+) ", parser.EPILOG, flags=re.MULTILINE)]
    assert len(in_help) == 14
    for readme in READMES:
        # Two codes with their meanings stand in each row: 0 beside 7.
        pattern = r"^\| (\d+) \| [^|]+ \| ([\d, ]+) \| [^|]+ \|$"
        found = re.findall(pattern, readme.read_text("utf-8"), flags=re.MULTILINE)
        columns = ", ".join([left for left, _ in found] + [right for _, right in found])
        assert [int(code) for code in columns.split(", ")] == in_help


def test_the_comparison_is_the_same_on_all_pages() -> None:
    tables = {compare.TABLE.search(page.read_text("utf-8"))[0] for page in READMES}  # type: ignore[index]
    assert len(tables) == 1
    assert tables.pop() in compare.PAGE.read_text("utf-8")


def test_the_comparison_lists_the_faults_that_are_tried_now() -> None:
    page = compare.PAGE.read_text("utf-8")
    for fault in FAULTS:
        assert f"\n| {fault.name} | ✓ |" in page, "stale: python -m tests.compare"
    assert f"| faults survived, of {len(FAULTS)} | {len(FAULTS)} |" in page


# The one that is left out takes as long as its deadline; tests/transport has it with a shorter one.
QUICK_FAULTS = [fault for fault in FAULTS if "drips" not in fault.name]


@pytest.mark.parametrize("fault", QUICK_FAULTS, ids=lambda fault: fault.name)
def test_rawchat_survives_a_fault(fault: Fault) -> None:
    call, documented = drivers.rawchat_call()
    text, says = None, ""
    with serving(*fault.script) as server:
        try:
            text = call(server.url, fault.stream)
        except documented as error:
            says = str(error)
    assert text == fault.text
    assert bool(says) == (fault.text is None)
    assert drivers.KEY not in says
    assert len(server.requests) <= fault.most_requests


def test_the_picture_shows_the_commands_and_no_text_leaves_it() -> None:
    drawn = picture.PICTURE.read_text("utf-8")
    width = float(re.findall(r' width="(\d+)"', drawn)[0])
    for command in picture.COMMANDS:
        assert command in picture.texts(drawn)
    for x, length in re.findall(r'<text x="([\d.]+)" y="\d+" textLength="([\d.]+)"', drawn):
        assert float(x) + float(length) <= width - picture.MARGIN + picture.CELL
    assert f"rawchat/{rawchat.__version__}" in drawn, "stale: python -m tests.picture"


def test_a_picture_is_drawn_with_the_pieces_in_their_rhythm() -> None:
    pieces = [picture.Piece(0.0, "One"), picture.Piece(1.0, " two"), picture.Piece(2.0, "\n")]
    trace = [picture.Piece(0.0, "> POST\n< " + "x" * 200 + "\n")]
    commands = ["python -m rawchat Hi", "python -m rawchat --trace Hi"]
    drawn = picture.draw([picture.Shown(commands[0], pieces), picture.Shown(commands[1], trace)])
    assert picture.texts(drawn)[:4] == ["$", commands[0], "One", "two"]
    assert 'style="animation-delay:1.50s">two<' in drawn
    assert picture.texts(drawn)[-1].endswith("…")


def test_every_promise_of_security_names_rows_that_tests_prove() -> None:
    text = (ROOT / "SECURITY.md").read_text("utf-8")
    promises = text.partition("## What rawchat promises")[2].partition("## What it does not")[0]
    proved = rows.proofs()
    for promise in re.split(r"^- ", promises, flags=re.MULTILINE)[1:]:
        numbers = re.findall(r"\b\d+\.\d+\b", promise)
        if "tests/test_anywhere.py" not in promise:
            assert numbers, promise
        for number in numbers:
            assert proved[number], number
