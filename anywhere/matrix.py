"""The tests on every Python found on this machine, each in an environment of its own, as a table.

    python anywhere/matrix.py [--write] [VERSION …]

--write puts the table into docs/anywhere.md.  With versions (3.9 3.13) only those Pythons are tried, and nothing may be
written.  Each runs with the newest dependencies; the oldest one found runs with the floors of setup.cfg as well.  Standard error
tells what was skipped, and why.
"""

import collections
import glob
import os
import re
import shutil
import subprocess
import sys
from typing import NamedTuple

from pyz import ROOT, dependencies

PAGE = ROOT / "docs" / "anywhere.md"
HOME = ROOT / "build" / "matrix"
OLDEST = [3, 9]
WANTED = [
    "CPython 3.9",
    "CPython 3.10",
    "CPython 3.11",
    "CPython 3.12",
    "CPython 3.13",
    "CPython 3.14",
    "PyPy 3.9",
]
FLOOR_BELOW = "urllib3==1.26.5"  # what RHEL 9 ships with requests 2.25.1
WHO = (
    "import venv, ensurepip, platform as p, sys; "
    "print(p.python_implementation(), '%d.%d' % sys.version_info[:2], p.python_version())"
)
VERSIONS = (
    "from importlib.metadata import version as v; "
    "print(', '.join(f'{n} {v(n)}' for n in ('requests', 'urllib3', 'sseclient-py')))"
)
HEAD = (
    "| where | version | with | tests run | passed | skipped |",
    "| --- | --- | --- | ---: | ---: | ---: |",
)


class Ran(NamedTuple):
    """One line of the table."""

    where: str
    version: str
    dependencies: str
    passed: int
    failed: int
    skipped: int

    def __str__(self) -> str:
        run = self.passed + self.failed
        return f"| {self.where} | {self.version} | {self.dependencies} | {run} | {self.passed} | {self.skipped} |"


def output(*command: object) -> str:
    """What a command prints; '' if it cannot be run."""
    try:
        return subprocess.run(
            [str(word) for word in command],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=ROOT,
        ).stdout.strip()
    except OSError:
        return ""


def numbers(version: str) -> list[int]:
    """The parts of a version, to be compared."""
    return [int(part) for part in re.findall(r"\d+", version)]


def pythons() -> dict[str, tuple[str, str]]:
    """The newest of each kind of Python that rawchat is for, oldest first: {'CPython 3.9': (version, path)}."""
    names = [f"{name}3.{minor}" for name in ("python", "pypy") for minor in range(9, 30)] + [
        "pypy3"
    ]
    paths = [path for path in map(shutil.which, names) if path] + [sys.executable]
    paths += glob.glob(os.path.expanduser("~/.pyenv/versions/*/bin/python"))
    found: dict[str, tuple[str, str]] = {}
    for path in paths:
        kind, _, version = output(path, "-c", WHO).rpartition(" ")
        if (
            kind
            and numbers(version) >= OLDEST
            and numbers(version) > numbers(found.get(kind, ("",))[0])
        ):
            found[kind] = version, path
    return dict(sorted(found.items(), key=lambda item: (item[0].split()[0], numbers(item[1][0]))))


def ran(kind: str, version: str, path: str, oldest: bool = False) -> Ran:
    """Run the tests with the Python at `path`, with the oldest or the newest dependencies."""
    folder = HOME / f"{kind}{' oldest' if oldest else ''}".replace(" ", "-")
    python = folder / "bin" / "python"
    asked = (
        [need.replace(">=", "==") for need in dependencies()] + [FLOOR_BELOW]
        if oldest
        else dependencies()
    )
    if not python.exists():
        subprocess.run([path, "-m", "venv", folder], check=True)
    subprocess.run(
        [
            python,
            "-m",
            "pip",
            "install",
            "-qq",
            "--disable-pip-version-check",
            "--upgrade",
            *asked,
            *dependencies("options.extras_require", "test"),
            "pytest-xdist",
        ],
        check=True,
    )
    workers = os.environ.get("WORKERS", "2")
    said = output(python, "-m", "pytest", "-q", "-rfEs", "-p", "no:cacheprovider", "-n", workers)
    last = said.splitlines()[-1] if said else ""
    passed, failed, errors, skipped = (
        sum(map(int, re.findall(rf"(\d+) {word}", last)))
        for word in ("passed", "failed", "error", "skipped")
    )
    if failed or errors or not passed:
        print(said, file=sys.stderr)
    for reason, count in reasons(said).items():
        print(f"{kind} skipped {count}: {reason}", file=sys.stderr)
    return Ran(
        kind,
        version,
        output(python, "-c", VERSIONS),
        passed,
        failed + errors or int(not passed),
        skipped,
    )


def reasons(said: str) -> "collections.Counter[str]":
    """Why tests were skipped, each as often as it was the reason."""
    found: collections.Counter[str] = collections.Counter()
    for count, reason in re.findall(r"^SKIPPED \[(\d+)\] \S+ (.*)$", said, re.MULTILINE):
        found[reason] += int(count)
    return found


def table(versions: list[str]) -> list[Ran]:
    """Run them all, or those of `versions`, and print each row as it comes; name what is wanted and not found."""
    found, rows = pythons(), []
    if versions:
        found = {kind: ours for kind, ours in found.items() if kind.split()[1] in versions}
        if len(found) < len(versions):
            sys.exit(f"of {', '.join(versions)} only these are here: {', '.join(found) or 'none'}")
    print(*HEAD, sep="\n")
    first = next(iter(found))
    runs = [(kind, False) for kind in found]
    # The floors of setup.cfg are those of the oldest Python; newer ones cannot run them.
    if numbers(first)[:2] == OLDEST:
        runs.insert(0, (first, True))
    for kind, oldest in runs:
        rows.append(ran(kind, *found[kind], oldest=oldest))
        print(rows[-1], flush=True)
    for kind in WANTED:
        if kind not in found:
            print(
                f"{kind}: skipped, as it is not on this machine (with venv and pip)",
                file=sys.stderr,
            )
    return rows


def main() -> int:
    """1 if anything failed."""
    arguments = sys.argv[1:]
    versions = [argument for argument in arguments if argument != "--write"]
    if versions and "--write" in arguments:
        sys.exit("the page has a row for every Python: --write takes no versions")
    rows = table(versions)
    if "--write" in arguments:
        text = PAGE.read_text(encoding="utf-8")
        lines = "\n".join([*HEAD, *map(str, rows)])
        start, end = text.index(HEAD[0]), text.index("\n\n", text.index(HEAD[0]))
        PAGE.write_text(text[:start] + lines + text[end:], encoding="utf-8")
    return int(any(row.failed for row in rows))


if __name__ == "__main__":
    sys.exit(main())
