"""`make bench`: rawchat beside the SDK, raw httpx and http.client; writes docs/benchmarks.md and its picture."""

import compileall
import contextlib
import pathlib
import platform
import statistics
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from typing import NamedTuple, Optional

HERE = pathlib.Path(__file__).parent
DOCS = HERE.parent / "docs"
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
    Measure("plain", "plain call, CPU", "µs", "httpx requests floor", most=0.35),
    Measure("chunk", "streamed chunk, CPU", "µs", "requests floor", most=0.10),
    Measure("import", "import and a client, CPU", "ms", most=0.20),
    Measure("process", "a process that asks once", "ms", "httpx requests floor"),
    Measure("memory", "peak memory in a stream", "MiB", "requests floor", most=0.45),
    Measure("beyond", "... beyond Python's own", "MiB", "requests floor", most=0.45),
    Measure("bulk", "128 at once, bulk", "calls/s", least=4),
    Measure("aio", "128 at once, AsyncClient", "calls/s", least=4),
    Measure("first", "first token, embedded model", "ms"),
    Measure("help", "--help, CPU", "ms", most=0.5, beside="requests"),
    Measure("curl", "--curl, CPU", "ms", most=0.5, beside="requests"),
    Measure("shot", "a one-shot at a shell, CPU", "ms", most=1.15, beside="requests"),
    Measure("shot", "... beside the SDK", "ms", most=0.25),
]
Figures = dict[tuple[str, str], float]


@contextlib.contextmanager
def serving() -> Iterator[str]:
    """The canned server in a process of its own; gives its base_url."""
    with subprocess.Popen(
        [sys.executable, str(HERE / "server.py")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout
        assert child.stdin
        yield f"http://127.0.0.1:{int(child.stdout.readline())}/v1"
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
        model = stack.enter_context(local.serve()) if local.available() else None
        for number in range(rounds):
            for what, who in players():
                url = model if what == "first" else canned
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


def page(found: Figures) -> str:
    """docs/benchmarks.md."""
    bare = found["memory", "requests"] / found["memory", "sdk"]
    used = ", ".join(
        f"{name} {version(name)}" for name in ("openai", "httpx", "requests", "urllib3")
    )
    lines = [
        "# Benchmarks",
        "",
        f"`make bench` made this page: medians of {ROUNDS} rounds, each figure from a process of its own, against",
        "a server on loopback that plays canned bytes. The ratio counts; figures of two runs do not compare.",
        "",
        f"Python {platform.python_version()}, {used}.",
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
            "- A chunk is one event of a stream of 5000 that comes as fast as it can be read. rawchat merges them into",
            "  the whole reply as well, which the SDK and the floor do not.",
            "- `import` is what `import rawchat; rawchat.Client()` costs: requests is loaded by the first call, which is",
            "  in the row of the whole process.",
            "- The ratio is to the SDK; in the first rows for a shell to bare requests, there `bench/script.py`, the",
            "  lines that anybody would write; for --help and --curl its imports alone.",
            "- 128 at once: `bulk.run_rows` and `AsyncClient` beside `AsyncOpenAI`, all limited to 128.",
            "",
        ]
    )


def picture(found: Figures) -> str:
    """A bar for each ratio to the SDK, which is the line at 1; long bars are cut, their number is not."""
    rows = [
        measure
        for measure in MEASURES
        if measure.beside == "sdk" and (measure.what, "rawchat") in found
    ]
    height, left, scale = 28, 230, 260
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="720" height="{height * len(rows) + 50}" '
        'font-family="sans-serif" font-size="13">',
        f'<rect width="100%" height="100%" fill="#fff"/><line x1="{left + scale}" x2="{left + scale}" y1="22" '
        f'y2="{height * len(rows) + 30}" stroke="#888"/><text x="{left + scale}" y="16" text-anchor="middle" '
        'fill="#555">the SDK</text>',
    ]
    for number, measure in enumerate(rows):
        y, share = 28 + number * height, ratio(found, measure)
        better = "more" if measure.least else "less"
        parts.append(
            f'<text x="{left - 8}" y="{y + 15}" text-anchor="end">{measure.title}</text>'
            f'<rect x="{left}" y="{y}" width="{min(share, 1.6) * scale:.0f}" height="20" '
            f'fill="{"#2a7" if measure.least else "#47c"}"/>'
            f'<text x="{left + min(share, 1.6) * scale + 6:.0f}" y="{y + 15}">{share:.2f} ({better} is better)'
            "</text>"
        )
    parts.append(
        f'<text x="{left}" y="{height * len(rows) + 44}" fill="#555">rawchat / openai {version("openai")}, '
        "made by: make bench</text></svg>"
    )
    return "\n".join(parts) + "\n"


if __name__ == "__main__":
    result = figures(ROUNDS)
    (DOCS / "benchmarks.md").write_text(page(result), encoding="utf-8")
    (DOCS / "benchmarks.svg").write_text(picture(result), encoding="utf-8")
    print(page(result))
