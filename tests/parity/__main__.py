"""Play both sides, compare, write docs/parity.md and schemas.json; exit code 1 if rawchat is WORSE anywhere.

    python -m tests.parity --sdk PYTHON [--check | --rows [WORD]]

PYTHON is the Python of an environment with the openai package; this one needs rawchat's dependencies only.  With
--check nothing is written: exit code 1 if one of the two is not what would be.  With --rows every scenario is printed.
"""

import argparse
import json
import pathlib
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from .compare import Verdict, counts, counts_table, reasons_table, table, verdict
from .reasons import by_group
from .scenario import VERSION
from .scenarios import GROUPS
from .typed import RECORD, SCENARIOS

ROOT = pathlib.Path(__file__).parents[2]
PAGE = ROOT / "docs" / "parity.md"
PATIENCE = 300  #: seconds until a side that hangs fails
HEADING = f"""# Beside the official SDK

One scripted server on loopback plays the same responses to openai-python {VERSION} and to rawchat, and a command compares
what both did: the requests on the wire (method, target, the headers that matter, parsed body), the number of requests and
of connections, the waits between attempts, and what the caller got (reply, text, chunks, class and fields of the error).

A scenario is *same* if nothing differs, *better* if every field that differs has a reason and a promised value in
`tests/parity/`, and *WORSE* otherwise; `make parity-check` fails if one is WORSE or if this page is stale.
"""
ALL_ROWS = """## Print every scenario

```console
$ make parity-rows              # all of them, as Markdown tables
$ make parity-rows ROWS=redirect    # those whose name, values or reason contain a word
```

In the tables, `absent` stands where one side has no such field, `changed.2` is what differed in the second request, and
`tells` is whether the text of the error holds what the server said. An AttributeError of the SDK is raised in the caller's
code, which reads `reply.choices[0].message.content` from an object without choices. In `request.response_format`, the
titles of a schema and the order of its required names do not count. *As usual* is a POST to `/v1/chat/completions` that is
answered with "Hello" at once.

`make parity` wrote this page.
"""


def main() -> int:
    arguments = argparse.ArgumentParser(
        prog="python -m tests.parity", description="rawchat beside openai-python"
    )
    arguments.add_argument(
        "--sdk", required=True, help="the Python of an environment that has openai"
    )
    arguments.add_argument(
        "--check", action="store_true", help="write nothing; fail if what is written is stale"
    )
    arguments.add_argument(
        "--rows",
        nargs="?",
        const="",
        metavar="WORD",
        help="write nothing; print every scenario as a row of a table, or those that contain WORD",
    )
    options = arguments.parse_args()
    sdk, ours = played(options.sdk, sys.executable)
    groups = judged(sdk, ours)
    verdicts = [one for group in groups.values() for one in group]
    if options.rows is not None:
        print(rows(groups, options.rows))
        return 0
    worse = [one for one in verdicts if one.word == "WORSE"]
    written = {PAGE: page(groups), RECORD: record(sdk)}
    for one in worse:
        print(f"{one.name}\n    {one.says}\n    SDK      {one.sdk}\n    rawchat  {one.ours}")
    stale = [
        path.name
        for path, text in written.items()
        if not path.exists() or path.read_text("utf-8") != text
    ]
    if not options.check:
        for path, text in written.items():
            path.write_text(text, "utf-8")
    elif stale:
        print(f"stale: {', '.join(stale)}; run `make parity`")
    print(counts(verdicts))
    return 1 if worse or (stale and options.check) else 0


def played(sdk: str, ours: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """What each side saw, by the names of the scenarios; both play at once."""
    sides = [
        subprocess.Popen(
            [python, "-W", "ignore", "-m", "tests.parity.play", side],
            cwd=ROOT,
            text=True,
            encoding="utf-8",
            stdout=subprocess.PIPE,
        )
        for python, side in ((sdk, "the_sdk"), (ours, "the_client"))
    ]
    try:
        outputs = [side.communicate(timeout=PATIENCE)[0] for side in sides]
    finally:
        for side in sides:
            side.kill()
    if any(side.returncode for side in sides):
        sys.exit("a side did not play to its end")
    first, second = (map(json.loads, output.splitlines()) for output in outputs)
    return {line["name"]: line["seen"] for line in first}, {
        line["name"]: line["seen"] for line in second
    }


def judged(sdk: Mapping[str, Any], ours: Mapping[str, Any]) -> dict[str, list[Verdict]]:
    """The verdicts, in their groups."""
    return {
        group: [
            verdict(scenario, sdk[scenario.name], ours[scenario.name]) for scenario in scenarios
        ]
        for group, scenarios in GROUPS.items()
    }


def record(sdk: Mapping[str, Any]) -> str:
    """What the SDK sent for each shape, as JSON, a line each."""
    lines = [
        json.dumps(scenario.calls[0].args[1])
        + ": "
        + json.dumps(sdk[scenario.name]["request.response_format"])
        for scenario in SCENARIOS
    ]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def page(groups: Mapping[str, list[Verdict]]) -> str:
    """Return docs/parity.md: the counts, the reasons, and how to print every scenario."""
    verdicts = [one for group in groups.values() for one in group]
    better = by_group(verdicts)
    parts = [
        HEADING,
        f"**{counts(verdicts)}**\n",
        counts_table(groups) + "\n",
        "## What differs, and why\n",
        reasons_table(better) + "\n",
        ALL_ROWS,
    ]
    return "\n".join(parts)


def rows(groups: Mapping[str, list[Verdict]], word: str) -> str:
    """Return a table for each group, of the scenarios that contain `word`."""
    parts = []
    for name, group in groups.items():
        found = [one for one in group if word.lower() in "\n".join(one).lower()]
        if found:
            parts.append(f"## {name}\n\n{counts(found)}\n\n{table(found)}\n")
    return "\n".join(parts)


if __name__ == "__main__":
    sys.exit(main())
