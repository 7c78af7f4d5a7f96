"""Two observations of a scenario → a verdict; the verdicts → a table.  Pure: dicts in, text out.

A verdict is `same`, or `better, because …`, or `WORSE` with what is wrong:

>>> verdict(Scenario("s", "1"), {"text": "a"}, {"text": "b"}).word
'WORSE'
>>> verdict(Scenario("s", "1", better="b is right", ours={"text": "b"}), {"text": "a"}, {"text": "b"}).says
'better, because b is right'
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from .scenario import ORDINARY, Scenario

Seen = Mapping[str, Any]
LIKE_JSON = re.compile(r'$|[\[{"]|(-?[0-9.]+|true|false|null)$')
WIDEST = 160  #: characters of one value in the table


class Verdict(NamedTuple):
    name: str
    row: str
    sdk: str
    ours: str
    word: str  #: same, better or WORSE
    says: str
    reason: str = ""  #: why it is better, as the scenario says


def verdict(scenario: Scenario, sdk: Seen, ours: Seen) -> Verdict:
    """What to say of `scenario`, of which each side saw so much."""
    apart = differing(sdk, ours)
    faults = [*unexcused(scenario, apart, ours), *stale(scenario, apart)]
    word = "WORSE" if faults else "better" if apart else "same"
    says = (
        f"WORSE: {'; '.join(faults)}"
        if faults
        else f"better, because {scenario.better}"
        if apart
        else "same"
    )
    first, second = cells(apart, sdk, ours)
    return Verdict(scenario.name, scenario.row, first, second, word, says, scenario.better)


def differing(sdk: Mapping[Any, Any], ours: Mapping[Any, Any]) -> list[Any]:
    """The fields in which they differ, in a fixed order."""
    return [name for name in dict.fromkeys([*ours, *sdk]) if sdk.get(name) != ours.get(name)]


def unexcused(scenario: Scenario, apart: Iterable[str], ours: Seen) -> list[str]:
    """The differences that no reason covers, or where rawchat does not do what was promised."""
    faults = []
    for name in apart:
        if name not in scenario.ours:
            faults.append(f"{name} differs without a reason")
        elif scenario.ours[name] != ours.get(name):
            faults.append(f"{name} should be {short(scenario.ours[name])}")
    return faults


def stale(scenario: Scenario, apart: Sequence[str]) -> list[str]:
    """The promises whose difference is not there any more; a reason without a promise is none."""
    faults = [f"stale reason: {name} is the same" for name in scenario.ours if name not in apart]
    if bool(scenario.better) != bool(scenario.ours):
        faults.append("a reason and its values go together")
    return faults


def cells(apart: Sequence[str], sdk: Seen, ours: Seen) -> tuple[str, str]:
    """What the table shows of each side: where they differ, just that; else what is out of the ordinary."""
    if not apart:
        odd = ", ".join(
            f"{name}: {short(value)}" for name, value in ours.items() if ORDINARY.get(name) != value
        )
        return odd or "as usual", odd or "as usual"
    if 0 in (
        sdk.get("requests"),
        ours.get("requests"),
    ):  # of a request that only one of them made, that it did
        apart = [
            name for name in apart if not name.startswith(("request.", "connections", "reply"))
        ]
    fields = [field for name in apart for field in narrowed(name, sdk.get(name), ours.get(name))]
    return (
        ", ".join(f"{name}: {short(value)}" for name, value, _ in fields),
        ", ".join(f"{name}: {short(value)}" for name, _, value in fields),
    )


def narrowed(name: str, sdk: Any, ours: Any) -> Iterator[tuple[str, Any, Any]]:
    """The places in a field that differ.

    >>> list(narrowed("reply", {"a": [{"b": 1, "c": 2}]}, {"a": [{"b": 1, "c": 3}]}))
    [('reply.a.0.c', 2, 3)]
    """
    alike = isinstance(sdk, list) and isinstance(ours, list) and len(sdk) == len(ours)
    first, second = (dict(enumerate(sdk)), dict(enumerate(ours))) if alike else (sdk, ours)
    if not (isinstance(first, dict) and isinstance(second, dict)):
        yield name, sdk, ours
        return
    for place in differing(first, second):
        yield from narrowed(f"{name}.{place}", first.get(place), second.get(place))


def short(value: Any) -> str:
    """A value as JSON that fits into a cell; a text that looks like nothing else without its quotes."""
    if value is None:
        return "absent"
    plain = isinstance(value, str) and value.isprintable() and not LIKE_JSON.match(value)
    text = str(value) if plain else json.dumps(value, sort_keys=True)
    return text if len(text) <= WIDEST else text[:WIDEST] + "…"


def table(verdicts: Iterable[Verdict]) -> str:
    """A Markdown table."""
    rows = ["| scenario | SDK | rawchat | verdict |", "| --- | --- | --- | --- |"]
    rows += [
        f"| {cell(v.name)} | {cell(v.sdk)} | {cell(v.ours)} | {cell(v.says)} |" for v in verdicts
    ]
    return "\n".join(rows)


def cell(text: str) -> str:
    """`text` as it can stand in a cell: no bars, no line ends, no markup."""
    return "".join(f"\\{c}" if c in "\\|`*_<>[]" else c for c in text.replace("\n", " "))


def number_of(verdicts: Iterable[Verdict]) -> dict[str, int]:
    """Return how many of the verdicts are same, better and WORSE."""
    numbers = {"same": 0, "better": 0, "WORSE": 0}
    for one in verdicts:
        numbers[one.word] += 1
    return numbers


def counts_table(groups: Mapping[str, Sequence[Verdict]]) -> str:
    """Return a Markdown table with the counts of each group of scenarios."""
    rows = [
        "| scenarios about | all | same | better | WORSE |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for name, group in groups.items():
        numbers = " | ".join(str(number) for number in number_of(group).values())
        rows.append(f"| {name} | {len(group)} | {numbers} |")
    return "\n".join(rows)


def reasons_table(groups: Mapping[str, Sequence[Verdict]]) -> str:
    """Return a Markdown table of the reasons, each with its count and its shortest scenario as the example."""
    rows = [
        "| what rawchat does better | scenarios | example | SDK | rawchat |",
        "| --- | ---: | --- | --- | --- |",
    ]
    for reason, group in groups.items():
        example = min(group, key=lambda one: len(one.sdk + one.ours))
        cells_of_example = " | ".join(
            cell(text) for text in (example.name, example.sdk, example.ours)
        )
        rows.append(f"| {reason} | {len(group)} | {cells_of_example} |")
    return "\n".join(rows)


def counts(verdicts: Sequence[Verdict]) -> str:
    """'120 scenarios: 80 same, 40 better, 0 WORSE'"""
    each = number_of(verdicts)
    return f"{len(verdicts)} scenarios: " + ", ".join(
        f"{number} {word}" for word, number in each.items()
    )
