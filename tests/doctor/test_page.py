"""docs/doctor.md still shows what the doctor prints."""

import doctest

from . import page


def test_the_page_is_fresh() -> None:
    written = page.PAGE.read_text(encoding="utf-8")
    assert page.mask(written) == page.mask(page.page()), "stale: python -m tests.doctor.page"


def test_what_the_page_is_made_with() -> None:
    assert doctest.testmod(page).failed == 0
