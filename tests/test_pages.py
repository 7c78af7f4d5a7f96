"""The pages: every link leads to a file, the index names every page, and what a command writes is fresh."""

import pathlib
import re

import pytest

from . import fill, wire_page

ROOT = pathlib.Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("examples/*.md")])
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
