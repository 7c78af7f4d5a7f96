"""Play both sides, compare, write docs/parity.md; exit code 1 if rawchat is WORSE anywhere.

    python -m tests.parity --sdk PYTHON [--check]

PYTHON is the Python of an environment with the openai package; this one needs rawchat's dependencies only.  With
--check nothing is written: exit code 1 if docs/parity.md is not what would be.
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

ROOT = pathlib.Path(__file__).parents[2]
PAGE = ROOT / "docs" / "parity.md"
PATIENCE = 300              #: seconds until a side that hangs fails
HEADING = f"""# Beside the official SDK

One scripted server on loopback plays the same to openai-python {VERSION} and to rawchat. Compared are the requests as
they were on the wire (method, target, headers that matter, parsed body), their number and that of the connections, the
waits that were asked for, and what the caller saw (the reply, the text, chunks, the class of the error, its fields).
Where nothing differs the verdict is *same*, and the cells show what is out of the ordinary. Where something does, they
show just that, `absent` where one side has none; every such field is promised in `tests/parity/`, with the reason.
The ordinary is a POST to `/v1/chat/completions` that is answered with "Hello" at once. An AttributeError of the SDK is
that of its caller, who reads `reply.choices[0].message.content` from what is no reply. `tells` is whether the error's
text has what the server said, `changed.2` what the second request had different from the first.

`make parity` wrote this page.
"""


def main() -> int:
    arguments = argparse.ArgumentParser(prog="python -m tests.parity", description="rawchat beside openai-python")
    arguments.add_argument("--sdk", required=True, help="the Python of an environment that has openai")
    arguments.add_argument("--check", action="store_true", help="write nothing; fail if docs/parity.md is stale")
    options = arguments.parse_args()
    groups = judged(*played(options.sdk, sys.executable))
    verdicts = [one for group in groups.values() for one in group]
    worse = [one for one in verdicts if one.word == "WORSE"]
    text = page(groups)
    for one in worse:
        print(f"{one.name}\n    {one.says}\n    SDK      {one.sdk}\n    rawchat  {one.ours}")
    stale = options.check and (not PAGE.exists() or PAGE.read_text(encoding="utf-8") != text)
    if not options.check:
        PAGE.parent.mkdir(exist_ok=True)
        PAGE.write_text(text, encoding="utf-8")
    print(counts(verdicts) + ("; docs/parity.md is stale: run `make parity`" if stale else ""))
    return 1 if worse or stale else 0


def played(sdk: str, ours: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """What each side saw, by the names of the scenarios; both play at once."""
    sides = [subprocess.Popen([python, "-W", "ignore", "-m", "tests.parity.play", side], cwd=ROOT, text=True,
                              encoding="utf-8", stdout=subprocess.PIPE)
             for python, side in ((sdk, "the_sdk"), (ours, "the_client"))]
    try:
        outputs = [side.communicate(timeout=PATIENCE)[0] for side in sides]
    finally:
        for side in sides:
            side.kill()
    if any(side.returncode for side in sides):
        sys.exit("a side did not play to its end")
    first, second = (map(json.loads, output.splitlines()) for output in outputs)
    return {line["name"]: line["seen"] for line in first}, {line["name"]: line["seen"] for line in second}


def judged(sdk: Mapping[str, Any], ours: Mapping[str, Any]) -> dict[str, list[Verdict]]:
    """The verdicts, in their groups."""
    return {group: [verdict(scenario, sdk[scenario.name], ours[scenario.name]) for scenario in scenarios]
            for group, scenarios in GROUPS.items()}


def page(groups: Mapping[str, list[Verdict]]) -> str:
    parts = [HEADING, f"**{counts([one for group in groups.values() for one in group])}**\n"]
    parts += [f"## {name}\n\n{counts(group)}\n\n{table(group)}\n" for name, group in groups.items()]
    return "\n".join(parts)


if __name__ == "__main__":
    sys.exit(main())
