"""parity: what counts as the same, as better, and as WORSE; and that the page counts these scenarios."""

import doctest
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from .parity import compare, play, reasons, the_client, typed
from .parity.__main__ import rows
from .parity.compare import verdict
from .parity.scenario import HI, Scenario
from .parity.scenarios import ALL, GROUPS

PAGE = Path(__file__).parents[1] / "docs" / "parity.md"
BETTER = Scenario("s", "1", better="it is", ours={"requests": 1})


@pytest.mark.parametrize(
    ("scenario", "sdk", "ours", "told"),
    [
        (Scenario("s", "1"), {"text": "a"}, {"text": "a"}, "same"),
        (Scenario("s", "1"), {"text": "a"}, {"text": "b"}, "WORSE: text differs without a reason"),
        (Scenario("s", "1"), {"text": "a"}, {}, "WORSE: text differs without a reason"),
        (BETTER, {"requests": 3}, {"requests": 1}, "better, because it is"),
        (BETTER, {"requests": 3}, {"requests": 2}, "WORSE: requests should be 1"),
        (
            BETTER,
            {"requests": 3, "text": "a"},
            {"requests": 1},
            "WORSE: text differs without a reason",
        ),
        (BETTER, {"requests": 1}, {"requests": 1}, "WORSE: stale reason: requests is the same"),
        (
            Scenario("s", "1", better="it is"),
            {"text": "a"},
            {"text": "a"},
            "WORSE: a reason and its values go together",
        ),
        (
            Scenario("s", "1", ours={"text": "b"}),
            {"text": "a"},
            {"text": "b"},
            "WORSE: a reason and its values go together",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_verdict(scenario: Scenario, sdk: Any, ours: Any, told: str) -> None:
    assert verdict(scenario, sdk, ours).says == told


def test_a_table_shows_what_differs_and_nothing_breaks_out_of_its_cells() -> None:
    one = verdict(
        BETTER._replace(name="a|b\nc"), {"requests": 3, "text": "x"}, {"requests": 1, "text": "x"}
    )
    assert (
        compare.table([one]).splitlines()[2]
        == "| a\\|b c | requests: 3 | requests: 1 | better, because it is |"
    )
    assert compare.counts([one]) == "1 scenarios: 0 same, 1 better, 0 WORSE"


def test_the_examples_in_compare() -> None:
    failures, tried = doctest.testmod(compare)
    assert (failures, tried > 0) == (0, True)


def test_every_scenario_has_a_name_and_a_row_of_its_own() -> None:
    assert len({scenario.name for scenario in ALL}) == len(ALL) >= 120
    assert all(re.match(r"([1-7]|10|14) \S", scenario.row) for scenario in ALL)


def test_the_page_counts_these_scenarios() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert f"**{len(ALL)} scenarios: " in page
    assert ", 0 WORSE**" in page
    for group, found in GROUPS.items():
        better = sum(bool(scenario.better) for scenario in found)
        numbers = f"{len(found)} | {len(found) - better} | {better} | 0"
        assert f"\n| {group} | {numbers} |\n" in page, "stale: make parity"


def test_the_page_groups_every_reason_and_stays_short() -> None:
    page = PAGE.read_text(encoding="utf-8")
    groups = Counter(reasons.group_of(scenario.better) for scenario in ALL if scenario.better)
    for group, number in groups.items():
        assert f"\n| {group} | {number} | " in page, "stale: make parity"
    assert len(groups) <= 30, (
        "put the reasons that come to the same into a group of tests/parity/reasons.py"
    )
    assert len(page) < 16_000


def test_no_group_of_reasons_is_stale_and_no_reason_is_in_two() -> None:
    grouped = [reason for group in reasons.GROUPS.values() for reason in group]
    assert len(set(grouped)) == len(grouped)
    assert set(grouped) <= {scenario.better for scenario in ALL}


def test_every_scenario_can_be_printed() -> None:
    one = verdict(BETTER._replace(name="a redirect"), {"requests": 3}, {"requests": 1})
    other = verdict(Scenario("a key", "1"), {"text": "x"}, {"text": "x"})
    groups = {"First": [one], "Second": [other]}
    assert rows(groups, "").count("\n| a ") == 2
    assert "a key" not in rows(groups, "REDIRECT")
    assert rows(groups, "REDIRECT").startswith("## First\n")


@pytest.mark.parametrize(
    "scenario",
    [scenario for scenario in ALL if scenario.ours and not scenario.environ][::7],
    ids=lambda scenario: scenario.name,
)
def test_rawchat_is_as_promised(scenario: Scenario) -> None:
    seen = play.played(scenario, the_client)
    assert {name: seen.get(name) for name in scenario.ours} == dict(scenario.ours)


def test_what_is_seen_of_a_typed_answer() -> None:
    seen = play.played(
        next(scenario for scenario in typed.SCENARIOS if "Review" in scenario.name), the_client
    )
    assert seen["built"] == {
        "Review": {"flagged": True, "category": "violence", "severity": "Severity.HIGH", "score": 1}
    }
    assert (
        seen["request.response_format"]
        == json.loads(typed.RECORD.read_text(encoding="utf-8"))["Review"]
    )
    assert "error" not in seen


def test_what_is_seen_of_a_call() -> None:
    seen = play.played(Scenario("s", "1"), the_client)
    assert (seen["request.line"], seen["requests"], seen["connections"]) == (
        "POST /v1/chat/completions",
        1,
        1,
    )
    assert (seen["request.body"], seen["request.user-agent"]) == (
        {"model": "m", "messages": HI},
        "its own",
    )
    assert (seen["text"], seen["waits"]) == ("Hello", [])
