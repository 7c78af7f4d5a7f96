"""Two observations of a scenario → a verdict; the verdicts → a table.  Pure: dicts in, text out.

A verdict is `same`, or `better, because …`, or `WORSE` with what is wrong:

>>> verdict(Scenario("s", "1"), {"text": "a"}, {"text": "b"}).word
'WORSE'
>>> verdict(Scenario("s", "1", better="b is right", ours={"text": "b"}), {"text": "a"}, {"text": "b"}).told
'better, because b is right'
"""
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from .scenario import Scenario

Seen = Mapping[str, Any]
SUMMARY = ("error", "status", "code", "request id", "text", "reply", "chunks", "partial", "tells")
WIDEST = 160                #: characters of one value in the table


class Verdict(NamedTuple):
    name: str
    row: str
    sdk: str
    ours: str
    word: str               #: same, better or WORSE
    told: str


def verdict(scenario: Scenario, sdk: Seen, ours: Seen) -> Verdict:
    """What to say of `scenario`, of which each side saw so much."""
    apart = differing(sdk, ours)
    faults = [*unexcused(scenario, apart, ours), *stale(scenario, apart)]
    word = "WORSE" if faults else "better" if apart else "same"
    told = f"WORSE: {'; '.join(faults)}" if faults else f"better, because {scenario.better}" if apart else "same"
    return Verdict(scenario.name, scenario.row, shown(sdk, apart), shown(ours, apart), word, told)


def differing(sdk: Seen, ours: Seen) -> list[str]:
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


def shown(seen: Seen, apart: Sequence[str]) -> str:
    """A cell: where they differ, those fields; else in short what came."""
    if apart:
        return ", ".join(f"{name}: {short(seen.get(name))}" for name in apart)
    waits = seen.get("waits")
    facts = [f"{seen[name]}" if name == "error" else f"{name} {short(seen[name])}" for name in SUMMARY if name in seen]
    asked = [f"{seen['requests']} requests"] if seen.get("requests", 1) > 1 else []
    return ", ".join([*facts, *asked, *([f"waits {short(waits)}"] if waits else [])])


def short(value: Any) -> str:
    """A value as JSON that fits into a cell."""
    if value is None:
        return "absent"
    plain = isinstance(value, str) and value.isprintable() and value
    text = str(value) if plain else json.dumps(value)
    return text if len(text) <= WIDEST else text[:WIDEST] + "…"


def table(verdicts: Iterable[Verdict]) -> str:
    """A Markdown table."""
    rows = ["| scenario | SDK | rawchat | verdict |", "| --- | --- | --- | --- |"]
    rows += [f"| {cell(v.name)} | {cell(v.sdk)} | {cell(v.ours)} | {cell(v.told)} |" for v in verdicts]
    return "\n".join(rows)


def cell(text: str) -> str:
    """`text` as it can stand in a cell: no bars, no line ends, no markup."""
    return "".join(f"\\{c}" if c in "\\|`*_<>[]" else c for c in text.replace("\n", " "))


def counts(verdicts: Sequence[Verdict]) -> str:
    """'120 scenarios: 80 same, 40 better, 0 WORSE'"""
    each = {word: sum(v.word == word for v in verdicts) for word in ("same", "better", "WORSE")}
    return f"{len(verdicts)} scenarios: " + ", ".join(f"{number} {word}" for word, number in each.items())
