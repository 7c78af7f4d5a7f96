"""`make bench`: rawchat beside the SDK, raw httpx and http.client; writes docs/benchmarks.md and its picture."""

import compileall
import contextlib
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any, NamedTuple, Optional

from pictures import bars, curves

HERE = pathlib.Path(__file__).parent
DOCS = HERE.parent / "docs"
TLS = HERE.parent / "tests" / "tls"
ROUNDS = 3


class Measure(NamedTuple):
    """What is compared: `most` bounds rawchat's ratio to the one `beside` it, `least` where more is better."""

    what: str
    title: str
    unit: str
    others: str = ""
    most: Optional[float] = None
    least: Optional[float] = None
    beside: str = "sdk"


MEASURES = [
    Measure("plain", "plain call, CPU", "µs", "httpx requests floor", most=0.30),
    Measure("plain", "plain call, CPU; ratio to raw httpx", "µs", most=0.75, beside="httpx"),
    Measure("chunk", "streamed chunk, CPU", "µs", "requests floor", most=0.10),
    Measure("chunk", "streamed chunk, CPU; ratio to the floor", "µs", most=1.0, beside="floor"),
    Measure("send", "until a request is on the socket, CPU", "µs", "httpx requests floor"),
    Measure(
        "send",
        "until a request is on the socket, CPU; ratio to bare requests",
        "µs",
        most=1.0,
        beside="requests",
    ),
    Measure("import", "import and a client, CPU", "ms", most=0.20),
    Measure("process", "a process that asks once, time", "ms", "httpx requests floor"),
    Measure("cold", "a cold start: one call over TLS, time", "ms", "requests"),
    Measure("size", "installed size", "MiB", "requests"),
    Measure("memory", "peak memory in a stream", "MiB", "requests floor", most=0.45),
    Measure("beyond", "peak memory beyond Python's own", "MiB", "requests floor", most=0.45),
    Measure("bulk", "128 at once, bulk: calls a second", "calls/s", least=4),
    Measure("aio", "128 at once, AsyncClient: calls a second", "calls/s", least=4),
    Measure("first", "first token of the embedded model, time", "ms"),
    Measure("help", "--help, CPU; ratio to bare requests", "ms", most=0.5, beside="requests"),
    Measure("curl", "--curl, CPU; ratio to bare requests", "ms", most=0.5, beside="requests"),
    Measure(
        "shot",
        "a command that asks once, CPU; ratio to bare requests",
        "ms",
        most=1.05,
        beside="requests",
    ),
    Measure("shot", "a command that asks once, CPU", "ms", most=0.25),
]
Figures = dict[tuple[str, str], float]


#: Streams at once, and the bounds at the most of them: seconds to aiohttp's, CPU to the SDK's.
STREAMS = (128, 1000, 4000)
MOST_OF_AIOHTTP, MOST_OF_SDK = 1.8, 1.0

#: A process that takes longer has lost its streams.
PATIENCE = 300

ManyStreams = dict[tuple[int, str], dict[str, float]]


@contextlib.contextmanager
def serving(file: str = "server.py", certificate: str = "") -> Iterator[str]:
    """Run a server in a process of its own; yield its base_url."""
    command = [sys.executable, str(HERE / file)]
    scheme = "http"
    if certificate:
        command.append(certificate)
        scheme = "https"
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout
        assert child.stdin
        yield f"{scheme}://127.0.0.1:{int(child.stdout.readline())}/v1"
        child.stdin.close()


def measured(who: str, what: str, url: str) -> float:
    """One figure, from a process of its own."""
    shown = subprocess.run(
        [sys.executable, str(HERE / "measure.py"), who, what, url],
        check=True,
        stdout=subprocess.PIPE,
    )
    return float(shown.stdout)


def figures(rounds: int) -> Figures:
    """The median of each figure; all take turns, so that a slow moment of the machine hits all."""
    from rawchat import local

    compileall.compile_dir(HERE.parent / "rawchat", quiet=1)  # as pip has done with the others
    found: dict[tuple[str, str], list[float]] = {}
    with contextlib.ExitStack() as stack:
        canned = stack.enter_context(serving())
        tls = stack.enter_context(serving(certificate=str(TLS / "loopback.pem")))
        model = stack.enter_context(local.serve()) if local.available() else None
        for number in range(rounds):
            for what, who in players():
                url = {"first": model, "cold": tls}.get(what, canned)
                if url:
                    print(f"round {number + 1}: {what}, {who}", file=sys.stderr)
                    found.setdefault((what, who), []).append(measured(who, what, url))
    return {name: statistics.median(values) for name, values in found.items()}


def players() -> list[tuple[str, str]]:
    """What is measured of whom, each once."""
    return list(
        dict.fromkeys(
            (measure.what, who)
            for measure in MEASURES
            for who in ["rawchat", measure.beside, *measure.others.split()]
        )
    )


def ratio(found: Figures, measure: Measure) -> float:
    """rawchat's figure over that of the one beside it."""
    return found[measure.what, "rawchat"] / found[measure.what, measure.beside]


def goal(found: Figures, measure: Measure) -> str:
    """What was aimed at, and whether it is reached."""
    if measure.most is None and measure.least is None:
        return ""
    reached = (
        ratio(found, measure) <= measure.most
        if measure.most
        else ratio(found, measure) >= (measure.least or 0)
    )
    return f"{f'≤ {measure.most:.2f}' if measure.most else f'≥ {measure.least}'} {'✓' if reached else 'missed'}"


def shown(figure: Optional[float], unit: str) -> str:
    """A figure with three digits; '' for none."""
    return (
        ""
        if figure is None
        else f"{figure:.0f} {unit}"
        if figure >= 100
        else f"{figure:.3g} {unit}"
    )


def page(found: Figures, many: ManyStreams) -> str:
    """docs/benchmarks.md."""
    bare = found["memory", "requests"] / found["memory", "sdk"]
    used = ", ".join(
        f"{name} {version(name)}" for name in ("openai", "httpx", "aiohttp", "requests", "urllib3")
    )
    lines = [
        "# Benchmarks",
        "",
        f"`make bench` made this page: medians of {ROUNDS} rounds, each figure from a process of its own, against",
        "a server on loopback that plays canned bytes. The ratio counts; figures of two runs do not compare.",
        "",
        f"{machine()}; Python {platform.python_version()}, {used}.",
        "",
        "![rawchat beside the SDK](benchmarks.svg)",
        "",
        "| | rawchat | SDK | raw httpx | bare requests | floor | ratio | aim |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for measure in MEASURES:
        if (measure.what, "rawchat") in found:
            cells = [
                shown(found.get((measure.what, who)), measure.unit)
                for who in ("rawchat", "sdk", "httpx", "requests", "floor")
            ]
            cells += [f"{ratio(found, measure):.2f}", goal(found, measure)]
            lines.append(f"| {measure.title} | {' | '.join(cells)} |")
    return "\n".join(
        [
            *lines,
            "",
            "- The floor is `http.client` and `json.loads`, for a caller who writes the rest alone; bare requests is",
            "  `requests.Session().post` and `sseclient`, with no retries and nothing merged.",
            f"- Bare requests takes {bare:.2f} of the SDK's peak memory, nearly all of it by being imported: no client",
            "  that stands on requests can come below that. The next row is without what Python itself takes.",
            "- A chunk is one event of a stream of 5000 that arrives as fast as it can be read. rawchat merges them into",
            "  the whole reply as well, which the SDK and the floor do not.",
            "- A request is on the socket when its first byte is given to the socket of an open connection.",
            "- `import` is what `import rawchat; rawchat.Client()` costs: requests is loaded by the first call, which is",
            "  in the row of a process that asks once.",
            "- The ratio is to the SDK, unless its row says otherwise. In the rows of a command, bare requests is",
            "  `bench/script.py`, the shortest script that asks once; for --help and --curl its imports alone.",
            "- 128 at once: `bulk.run_rows` and `AsyncClient` beside `AsyncOpenAI`, all limited to 128.",
            "- A cold start is that of a function-as-a-service: a fresh process, the import, one call over TLS to loopback.",
            "- Installed size: the package with all that it depends on, without Python and without bytecode.",
            "",
            f"Missed: {'; '.join(missed(found, many)) or 'nothing'}.",
            "",
            *streams_section(many),
            "",
            *growth_section(),
            "",
        ]
    )


def missed(found: Figures, many: ManyStreams) -> list[str]:
    """Return what was aimed at and missed, in words."""
    names = []
    for measure in MEASURES:
        if (measure.what, "rawchat") in found and "missed" in goal(found, measure):
            aim = goal(found, measure).split(" missed")[0]
            names.append(f"{measure.title} ({ratio(found, measure):.2f}, aim {aim})")
    most = STREAMS[-1]
    ours, aiohttp, sdk = (many[most, who] for who in ("rawchat", "aiohttp", "sdk"))
    if ours["seconds"] > MOST_OF_AIOHTTP * aiohttp["seconds"]:
        times = ours["seconds"] / aiohttp["seconds"]
        names.append(f"{most} streams, seconds ({times:.2f} of aiohttp's, aim ≤ {MOST_OF_AIOHTTP})")
    if ours["cpu"] > MOST_OF_SDK * sdk["cpu"]:
        names.append(f"{most} streams, CPU ({ours['cpu'] / sdk['cpu']:.2f} of the SDK's)")
    if ours["errors"]:
        names.append(f"{most} streams, {ours['errors']:.0f} errors")
    return names


# ---- many streams, and growth


def many_streams() -> ManyStreams:
    """Return the figures of `bench/streams.py` for each number of streams and each client, once."""
    found: ManyStreams = {}
    with serving("many_server.py") as url:
        for count in STREAMS:
            for who in ("rawchat", "aiohttp", "sdk"):
                print(f"{count} streams, {who}", file=sys.stderr)
                found[count, who] = from_script("streams.py", who, str(count), url)
    return found


def from_script(name: str, *arguments: str) -> Any:
    """Return the JSON that a script of this folder prints."""
    command = [sys.executable, str(HERE / name), *arguments]
    shown = subprocess.run(command, check=True, stdout=subprocess.PIPE, timeout=PATIENCE)
    return json.loads(shown.stdout)


def streams_section(many: ManyStreams) -> list[str]:
    """Return the part of the page about many streams at once."""
    lines = [
        "## Many streams at once",
        "",
        "Streams of ten chunks, a tenth of a second apart, all opened at once: one run each. CPU is that of the client.",
        "",
        "| streams | | seconds | CPU | errors | memory of each |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for (count, who), figures in many.items():
        name = {"rawchat": "AsyncClient", "aiohttp": "bare aiohttp", "sdk": "AsyncOpenAI"}[who]
        lines.append(
            f"| {count} | {name} | {figures['seconds']:.1f} s | {figures['cpu']:.1f} s "
            f"| {figures['errors']:.0f} | {figures['memory']:.0f} KiB |"
        )
    return [
        *lines,
        "",
        "AsyncClient opens a thousand at a time, in threads, and waits for the chunks of an open stream in the event loop. Bare",
        "aiohttp decodes the JSON of each chunk; it merges nothing and repeats nothing.",
    ]


def growth_section() -> list[str]:
    """Return the part of the page about growth."""
    return [
        "## Growth",
        "",
        "![what four times the work costs](growth.svg)",
        "",
        "Each curve is the client's CPU time at one to four times the work, from 1,000 chunks and 200 rows; or with one to",
        "four times as much beside the same work: turns of a conversation of which 20 messages are sent, from 1,000; API keys,",
        "from 100; entries of a cache, from 500. `tests/test_growth.py` proves the same by counting operations.",
    ]


def machine() -> str:
    """Return the processor of this machine, and how many of it there are."""
    name = platform.processor() or platform.machine()
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8") as info:
        models = [line.partition(":")[2].strip() for line in info if line.startswith("model name")]
        name = models[0] if models else name
    return f"{os.cpu_count()} cores of {name}, {platform.system()}"


def picture(found: Figures) -> str:
    """Return the bars: a ratio to the SDK each."""
    rows = []
    for measure in MEASURES:
        if measure.beside == "sdk" and (measure.what, "rawchat") in found:
            rows.append((measure.title, ratio(found, measure), bool(measure.least)))
    return bars(rows, f"rawchat / openai {version('openai')}, made by: make bench")


if __name__ == "__main__":
    result = figures(ROUNDS)
    streams = many_streams()
    growth = from_script("growth.py")
    text = page(result, streams)
    (DOCS / "benchmarks.md").write_text(text, encoding="utf-8")
    (DOCS / "benchmarks.svg").write_text(picture(result), encoding="utf-8")
    (DOCS / "growth.svg").write_text(
        curves(growth, "CPU of the client at 1x to 4x the work, made by: make bench"),
        encoding="utf-8",
    )
    print(text)
