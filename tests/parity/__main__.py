"""Play both sides, compare, write docs/parity.md and schemas.json; exit code 1 if rawchat is WORSE anywhere.

    python -m tests.parity --sdk PYTHON [--check]

PYTHON is the Python of an environment with the openai package; this one needs rawchat's dependencies only.  With
--check nothing is written: exit code 1 if one of the two is not what would be.
"""

import argparse
import json
import pathlib
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from .compare import Verdict, counts, table, verdict
from .scenario import VERSION
from .scenarios import GROUPS
from .typed import RECORD, SCENARIOS

ROOT = pathlib.Path(__file__).parents[2]
PAGE = ROOT / "docs" / "parity.md"
PATIENCE = 300  #: seconds until a side that hangs fails
HEADING = f"""# Beside the official SDK

One scripted server on loopback plays the same to openai-python {VERSION} and to rawchat. Compared are the requests as
they were on the wire (method, target, headers that matter, parsed body), their number and that of the connections, the
waits that were asked for, and what the caller saw (the reply, the text, chunks, the class of the error, its fields).
Where nothing differs the verdict is *same*, and the cells show what is out of the ordinary. Where something does, they
show just that, `absent` where one side has none; every such field is promised in `tests/parity/`, with the reason.
The ordinary is a POST to `/v1/chat/completions` that is answered with "Hello" at once. An AttributeError of the SDK is
that of its caller, who reads `reply.choices[0].message.content` from what is no reply. `tells` is whether the error's
text has what the server said, `changed.2` what the second request had different from the first. Of a schema in
`request.response_format`, titles and the order of what is required do not count.

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
    options = arguments.parse_args()
    sdk, ours = played(options.sdk, sys.executable)
    groups = judged(sdk, ours)
    verdicts = [one for group in groups.values() for one in group]
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
    parts = [HEADING, f"**{counts([one for group in groups.values() for one in group])}**\n"]
    parts += [f"## {name}\n\n{counts(group)}\n\n{table(group)}\n" for name, group in groups.items()]
    return "\n".join(parts)


if __name__ == "__main__":
    sys.exit(main())
