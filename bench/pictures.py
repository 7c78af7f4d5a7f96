"""The pictures of docs/benchmarks.md, as SVG that is readable on a light page and on a dark one."""

from collections.abc import Sequence
from html import escape

WIDTH = 760
STYLE = """<style>
  text { fill: #222; } .faint { fill: #666; } .line { stroke: #888; }
  .less { fill: #3a6fc4; } .more { fill: #1f9d68; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6e6e6; } .faint { fill: #a8a8a8; } .line { stroke: #999; }
    .less { fill: #6f9cf0; } .more { fill: #3cc48a; }
  }
</style>"""

#: Colours of the curves, readable on white and on black.
COLOURS = ("#3a7bd5", "#d1663a", "#1f9d68", "#a55fc2", "#b8901f", "#cf4b7d", "#5f8a9c")


def start(height: int) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        f'viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="13">\n{STYLE}'
    )


def text(x: float, y: float, shown: str, anchor: str = "start", faint: bool = False) -> str:
    kind = ' class="faint"' if faint else ""
    return f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}"{kind}>{escape(shown)}</text>'


def line(x1: float, y1: float, x2: float, y2: float, dashed: bool = False) -> str:
    dashes = ' stroke-dasharray="4 4"' if dashed else ""
    return f'<line class="line" x1="{x1:.0f}" y1="{y1:.0f}" x2="{x2:.0f}" y2="{y2:.0f}"{dashes}/>'


def bars(rows: Sequence[tuple[str, float, bool]], caption: str) -> str:
    """Return a bar for each (title, ratio to the SDK, whether more is better); the SDK is the line at 1.

    All bars have one scale, so that one of 4.57 is 4.57 times as long as the SDK's line is far away.
    """
    row_height, left, right = 28, 290, 150
    scale = (WIDTH - left - right) / max(1.0, *(share for _, share, _ in rows))
    bottom = 28 + row_height * len(rows)
    parts = [
        start(bottom + 34),
        line(left + scale, 22, left + scale, bottom),
        text(left + scale, 16, "the SDK", "middle", faint=True),
    ]
    for number, (title, share, more_is_better) in enumerate(rows):
        y = 28 + number * row_height
        kind, better = ("more", "more is better") if more_is_better else ("less", "less is better")
        parts.append(text(left - 8, y + 15, title, "end"))
        parts.append(
            f'<rect class="{kind}" x="{left}" y="{y}" width="{share * scale:.1f}" height="20"/>'
        )
        # Right of the SDK's line, which would cross the number.
        number_at = max(share, 1.0) * scale
        parts.append(text(left + number_at + 6, y + 15, f"{share:.2f} ({better})"))
    parts += [text(left, bottom + 22, caption, faint=True), "</svg>"]
    return "\n".join(parts) + "\n"


def curves(found: dict[str, list[float]], caption: str) -> str:
    """Return a curve for each kind of work: its cost at one to four times the work, in multiples of the first."""
    left, top, width, height, steps = 50, 20, 430, 300, 4
    x_of = [left + width * number / (steps - 1) for number in range(steps)]

    def y_of(cost: float) -> float:
        return top + height * (1 - cost / (steps + 0.5))

    parts = [start(top + height + 60), line(left, top, left, y_of(0))]
    parts.append(line(left, y_of(0), left + width, y_of(0)))
    for number in range(steps):
        parts.append(text(x_of[number], y_of(0) + 18, f"{number + 1}x", "middle", faint=True))
        parts.append(text(left - 8, y_of(number + 1) + 4, f"{number + 1}x", "end", faint=True))
    parts.append(line(x_of[0], y_of(1), x_of[-1], y_of(steps), dashed=True))
    label_at = top + 10
    for colour, (kind, costs) in zip(COLOURS, found.items()):
        multiples = [cost / costs[0] for cost in costs]
        points = " ".join(f"{x:.0f},{y_of(cost):.1f}" for x, cost in zip(x_of, multiples))
        parts.append(
            f'<polyline fill="none" stroke="{colour}" stroke-width="2" points="{points}"/>'
        )
        parts.append(
            f'<rect x="{left + width + 25}" y="{label_at - 9}" width="14" height="4" fill="{colour}"/>'
        )
        parts.append(text(left + width + 46, label_at, f"{kind}: {multiples[-1]:.2f}"))
        label_at += 22
    parts.append(text(left + width + 46, label_at + 8, "dashed: in proportion", faint=True))
    parts += [text(left, top + height + 46, caption, faint=True), "</svg>"]
    return "\n".join(parts) + "\n"
