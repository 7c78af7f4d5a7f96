"""Measure rawchat, the SDK, llm, litellm and a bare requests script; write docs/comparison.md and the README's table.

    python -m tests.compare

Installs each client into build/compare (once), in an environment of its own.
"""

import json
import pathlib
import re
import resource
import select
import statistics
import subprocess
import sys
import time
import venv
from collections.abc import Sequence
from typing import Any, NamedTuple, Optional

from tests import test_servers
from tests.recordings import read_bytes
from tests.server import CLOSE, Answer, serving

from .drivers import KEY
from .faults import FAULTS, GOOD, TEXT, Fault

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "comparison.md"
READMES = [ROOT / "README.md", ROOT / "README.zh-CN.md"]
BUILD = ROOT / "build" / "compare"
DRIVER = pathlib.Path(__file__).with_name("drivers.py")
PATIENCE = 45  #: seconds until a call counts as hung
STARTS = 9  #: processes whose median is the start

#: the clients by the name that drivers.py knows, and what pip installs for each
PACKAGES = {
    "rawchat": [str(ROOT)],
    "openai": ["openai"],
    "llm": ["llm"],
    "litellm": ["litellm"],
    "requests": ["requests"],
}
TITLES = {
    "rawchat": "rawchat",
    "openai": "the SDK (openai)",
    "llm": "llm",
    "litellm": "litellm",
    "requests": "a requests script",
}
#: what venv installs by itself
TOOLS = {"pip", "setuptools", "wheel"}
FOLDERS_OF_TOOLS = TOOLS | {"pkg_resources", "_distutils_hack"}
TABLE = re.compile(r"(?<=<!-- comparison -->\n).*?(?=<!-- end -->)", re.DOTALL)


class Outcome(NamedTuple):
    """What a call came to."""

    text: Optional[str]
    error: str
    says: str
    ours: bool
    seconds: float


class Measured(NamedTuple):
    """The figures of one client."""

    version: str
    packages: int
    compiled: int
    mebibytes: float
    start: float  #: milliseconds of CPU time of a process that asks once
    faults: dict[str, bool]
    texts: dict[str, bool]  #: by recording: was the text right?
    errors: dict[str, bool]  #: by recording: was it an error in the server's words?


# ---- a client in its environment


def environment(name: str) -> pathlib.Path:
    """Return the Python of a client's environment, made if it is not there."""
    folder = BUILD / name
    python = folder / "bin" / "python"
    if not (folder / "done").exists():
        print(f"installing {name} ...", file=sys.stderr)
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "-q", *PACKAGES[name]], check=True)
        (folder / "done").touch()
    elif name == "rawchat":
        command = [
            python,
            "-m",
            "pip",
            "install",
            "-q",
            "--force-reinstall",
            "--no-deps",
            str(ROOT),
        ]
        subprocess.run(command, check=True)
    return python


def size(python: pathlib.Path) -> tuple[int, int, float]:
    """Return the number of packages that were installed, of those with compiled code, and their MiB."""
    folder = next(python.parents[1].glob("lib/python*/site-packages"))
    listed = subprocess.run(
        [python, "-m", "pip", "list", "--format=json"], capture_output=True, check=True
    )
    names = {each["name"].lower() for each in json.loads(listed.stdout)} - TOOLS
    total = 0
    compiled = set()
    for path in folder.rglob("*"):
        top = path.relative_to(folder).parts[0].lower()
        if (
            not path.is_file()
            or "__pycache__" in path.parts
            or top.split("-")[0] in FOLDERS_OF_TOOLS
        ):
            continue
        total += path.stat().st_size
        if path.suffix in (".so", ".pyd"):
            compiled.add(top.split(".")[0])
    return len(names), len(compiled), total / 2**20


def version(python: pathlib.Path, name: str) -> str:
    """Return the version of a client."""
    code = f"import importlib.metadata as m; print(m.version({name!r}))"
    return subprocess.run(
        [python, "-c", code], capture_output=True, text=True, check=True
    ).stdout.strip()


def start(python: pathlib.Path, name: str) -> float:
    """Return the median of the milliseconds of CPU time that a process takes to ask once."""
    times = []
    with serving(GOOD) as server:
        for _ in range(STARTS):
            began = cpu_of_children()
            command = [python, DRIVER, name, "--once", server.url]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            times.append(cpu_of_children() - began)
            assert TEXT in done.stdout
    return 1000 * statistics.median(times[1:])


def cpu_of_children() -> float:
    """Return the seconds of CPU time of all processes that were started here and have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


class Driver:
    """A process that makes calls with one client."""

    def __init__(self, python: pathlib.Path, name: str):
        self._command = [str(python), "-W", "ignore", str(DRIVER), name]
        self._process: Optional[subprocess.Popen[str]] = None

    def __enter__(self) -> "Driver":
        return self

    def __exit__(self, *_: object) -> None:
        if self._process:
            self._process.kill()
            self._process.wait()
        self._process = None

    def call(self, url: str, stream: bool) -> Outcome:
        """Make a call; one that takes too long ends the process, and the next call starts another."""
        if self._process is None:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                encoding="utf-8",
                cwd=BUILD,
            )
        process = self._process
        assert process.stdin
        assert process.stdout
        began = time.monotonic()
        process.stdin.write(json.dumps({"url": url, "stream": stream}) + "\n")
        process.stdin.flush()
        ready, _, _ = select.select([process.stdout], [], [], PATIENCE)
        seconds = time.monotonic() - began
        line = process.stdout.readline() if ready else ""
        if not line:
            self.__exit__()
            return Outcome(None, "hung", "", False, seconds)
        result = json.loads(line)
        return Outcome(
            result.get("text"),
            result.get("error", ""),
            result.get("says", ""),
            bool(result.get("ours")),
            seconds,
        )


# ---- what is tried


def survives(driver: Driver, fault: Fault) -> bool:
    """Return whether a client makes the right thing of a fault."""
    with serving(*fault.script) as server:
        outcome = driver.call(server.url, fault.stream)
        requests = len(server.requests)
    if requests > fault.most_requests or outcome.seconds > fault.most_seconds:
        return False
    if fault.text is not None:
        return outcome.text == fault.text
    return outcome.ours and not (fault.hides_key and KEY in outcome.says)


def recordings() -> dict[str, test_servers.Want]:
    """Return the recordings of servers that hold a text or an error, by their names."""
    return {name: want for name, want in test_servers.RECORDINGS.items() if not want.calls}


def playable(name: str) -> Answer:
    """Return the bytes of a recording, without the wait that it asks for, and the end of its connection."""
    data = re.sub(rb"(?mi)^retry-after[^:]*:.*\r\n", b"", read_bytes(name))
    return [data, CLOSE]


def understands(driver: Driver, name: str, want: test_servers.Want) -> bool:
    """Return whether a client returns the text of a recording, or raises an error in the server's words."""
    with serving(playable(name)) as server:
        outcome = driver.call(server.url, test_servers.is_stream(name))
    if want.error is None:
        return outcome.text == want.text
    return outcome.ours and all(words in outcome.says for words in want.says)


def measure(name: str) -> Measured:
    """Return the figures of a client."""
    python = environment(name)
    packages, compiled, mebibytes = size(python)
    milliseconds = start(python, name)
    with Driver(python, name) as driver:
        faults = {fault.name: survives(driver, fault) for fault in FAULTS}
        print(f"{name}: {sum(faults.values())} of {len(faults)} faults", file=sys.stderr)
        texts, errors = {}, {}
        for recording, want in recordings().items():
            found = texts if want.error is None else errors
            found[recording] = understands(driver, recording, want)
    print(f"{name}: {sum(texts.values())} texts, {sum(errors.values())} errors", file=sys.stderr)
    return Measured(
        version(python, name), packages, compiled, mebibytes, milliseconds, faults, texts, errors
    )


# ---- what is written


def servers(results: dict[str, bool]) -> tuple[int, int]:
    """Return the number of servers of which every recording came out right, and of all servers."""
    right: dict[str, bool] = {}
    for name, ok in results.items():
        server = name.split("/")[0]
        right[server] = right.get(server, True) and ok
    return sum(right.values()), len(right)


def table(found: dict[str, Measured]) -> str:
    """Return the short table, a column for each client."""
    n_faults = len(FAULTS)
    first = next(iter(found.values()))
    all_texts, all_errors = servers(first.texts)[1], servers(first.errors)[1]
    rows = [
        ["", *(TITLES[name] for name in found)],
        ["---", *("---:" for _ in found)],
        [
            "packages (with compiled code)",
            *(f"{each.packages} ({each.compiled})" for each in found.values()),
        ],
        ["installed size, MiB", *(f"{each.mebibytes:.1f}" for each in found.values())],
        ["a process that asks once, ms of CPU", *(f"{each.start:.0f}" for each in found.values())],
        [
            f"faults survived, of {n_faults}",
            *(str(sum(each.faults.values())) for each in found.values()),
        ],
        [
            f"servers whose answers are read, of {all_texts}",
            *(str(servers(each.texts)[0]) for each in found.values()),
        ],
        [
            f"servers whose errors are reported, of {all_errors}",
            *(str(servers(each.errors)[0]) for each in found.values()),
        ],
    ]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def marks(found: dict[str, Measured], field: str) -> str:
    """Return a table with a row for each thing that was tried."""
    lines = [
        f"| | {' | '.join(TITLES[name] for name in found)} |",
        "| --- |" + " :-: |" * len(found),
    ]
    names: Sequence[str] = list(getattr(next(iter(found.values())), field))
    for name in names:
        cells = ["✓" if getattr(each, field)[name] else "" for each in found.values()]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def by_server(found: dict[str, Measured]) -> str:
    """Return a table with the right texts and errors of each server."""
    lines = [
        f"| | {' | '.join(TITLES[name] for name in found)} |",
        "| --- |" + " ---: |" * len(found),
    ]
    names = sorted({name.split("/")[0] for name in recordings()})
    for server in names:
        cells = []
        for each in found.values():
            results = {**each.texts, **each.errors}
            mine = [ok for name, ok in results.items() if name.startswith(f"{server}/")]
            cells.append(f"{sum(mine)}/{len(mine)}")
        lines.append(f"| {server} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def page(found: dict[str, Measured]) -> str:
    """Return docs/comparison.md."""
    versions = ", ".join(f"{name} {each.version}" for name, each in found.items())
    python = ".".join(map(str, sys.version_info[:3]))
    return f"""# rawchat beside other clients

`python -m tests.compare` made this page: {versions}; Python {python}.

{table(found)}
- Each client is used as its first page shows, with its default settings and a timeout of 2 s (`tests/compare/drivers.py`).
- *Packages* are what pip installs into an empty environment, *size* their files without bytecode. A package with compiled code
  needs a wheel for the platform, or a compiler; the one of rawchat and of requests, charset-normalizer, also comes as pure Python.
- *A process that asks once* imports the client, asks a server on this machine and prints the answer: its CPU
  time, the median of {STARTS - 1}. Only figures of one run compare.
- *Faults* are played by a scripted server (`tests/compare/faults.py`). A client survives one if it returns the right text, or raises
  an exception that it documents where no right text exists; not if it returns a wrong text, raises something else (an
  AttributeError, a KeyError), hangs, or asks again where that cannot help.
- *Servers* are the recorded exchanges in `tests/wire/`. An answer is read if the text is the one that the server sent; an error is
  reported if an exception of the client holds the server's words. A server counts if all of its recordings come out right.

The faults and the recordings were collected while rawchat was made, so their choice favours it. What the others have and rawchat
has not:

- **The SDK** has typed models for every response, realtime over WebSockets, Azure's sign-in, HTTP/2.
- **llm** logs every exchange in SQLite, and has plugins for the native APIs of other providers, templates and embeddings.
- **litellm** speaks the native APIs of many providers, and has a proxy server with budgets and a router.
- **A requests script** is yours: twenty lines, and nothing to learn.

## Faults

{marks(found, "faults")}
## Recordings that come out right, by server

{by_server(found)}"""


def main(names: Sequence[str]) -> None:
    """Measure the clients in `names`, or all, and write the pages if all were measured."""
    found: dict[str, Any] = {}
    for name in names or PACKAGES:
        found[name] = measure(name)
    print(table(found))
    if names:
        print(marks(found, "faults"), by_server(found), sep="\n")
        return
    PAGE.write_text(page(found), encoding="utf-8")
    for readme in READMES:
        if readme.exists():
            text = readme.read_text("utf-8")
            readme.write_text(TABLE.sub(table(found), text), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
