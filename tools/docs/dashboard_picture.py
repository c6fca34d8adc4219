"""Draws docs/images/dashboard.svg with ``make docs``: the deployed dashboard over a run on a stand, for those who have no CloudWatch."""

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any, Final

from support.stand import running

from infra.local.paths import ROOT
from tools.docs.dashboard_day import Day
from tools.docs.dashboard_figures import STEPS, Curve, Run

PICTURE: Final = ROOT / "docs" / "images" / "dashboard.svg"
CELL: Final = (50, 32)
"""Pixels of one cell of the dashboard's grid."""
EDGE: Final = 5
LEGEND: Final = 16
STYLE: Final = """
svg { font: 12px system-ui, sans-serif; --paper: #fff; --card: #f6f8fa; --line: #d5dae0; --ink: #1b1f24; --faint: #66707a }
@media (prefers-color-scheme: dark) { svg { --paper: #12161b; --card: #1c2229; --line: #3b444d; --ink: #e4e8ec; --faint: #98a2ad } }
.paper { fill: var(--paper) } .card { fill: var(--card); stroke: var(--line) } .axis { stroke: var(--line) }
text { fill: var(--ink) } .faint { fill: var(--faint) } .title { font-weight: 600 } .head { font-size: 18px; font-weight: 600 }
"""


def svg(dashboard: Mapping[str, Any], curves: Sequence[Sequence[Curve]]) -> str:
    """``curves``: of each metric widget, in the dashboard's order.

    By hand: a plotting library would be the largest dependency.
    """
    rest = iter(curves)
    widgets = dashboard["widgets"]
    width, height = 24 * CELL[0], max(row["y"] + row["height"] for row in widgets) * CELL[1]
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height + 2 * EDGE}">',
        f"<style>{STYLE}</style>",
        '<rect width="100%" height="100%" class="paper"/>',
    ]
    for row in widgets:
        box = (
            row["x"] * CELL[0] + EDGE,
            row["y"] * CELL[1] + EDGE,
            row["width"] * CELL[0] - 2 * EDGE,
            row["height"] * CELL[1] - 2 * EDGE,
        )
        if row["type"] == "text":
            lines += _text(box, row["properties"]["markdown"])
        elif row["type"] == "alarm":
            lines += _alarms(box, row["properties"])
        else:
            lines += _graph(box, row["properties"], next(rest))
    return "\n".join([*lines, "</svg>"]) + "\n"


Box = tuple[int, int, int, int]


def _card(box: Box, title: str, note: str = "") -> Iterator[str]:
    x, y, width, height = box
    yield f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="4" class="card"/>'
    yield f'<text x="{x + 10}" y="{y + 18}" class="title">{escape(title)}</text>'
    yield f'<text x="{x + width - 10}" y="{y + 18}" text-anchor="end" class="faint">{escape(note)}</text>'


def _text(box: Box, markdown: str) -> Iterator[str]:
    head, _, body = markdown.replace("*", "").replace("`", "").partition("\n")
    yield f'<text x="{box[0]}" y="{box[1] + 26}" class="head">{escape(head.removeprefix("## "))}</text>'
    yield f'<text x="{box[0]}" y="{box[1] + 46}" class="faint">{escape(body)}</text>'


def _alarms(box: Box, shown: Mapping[str, Any]) -> Iterator[str]:
    """By name alone: their states are CloudWatch's."""
    yield from _card(box, shown["title"])
    columns = 5
    for number, arn in enumerate(shown["alarms"]):
        name = arn.rpartition(":")[2].rpartition("Alarm")[0].rpartition("-")[2]
        x, y = (
            box[0] + 10 + number % columns * (box[2] - 20) // columns,
            box[1] + 28 + number // columns * 18,
        )
        yield f'<circle cx="{x + 5}" cy="{y + 6}" r="4" fill="none" class="axis"/><text x="{x + 15}" y="{y + 10}">{name}</text>'


def _graph(box: Box, shown: Mapping[str, Any], curves: Sequence[Curve]) -> Iterator[str]:
    x, y, width, height = box
    rings = "".join(
        f", rings above {line['value']:,}"
        for line in shown.get("annotations", {}).get("horizontal", [])
    )
    yield from _card(box, shown["title"], shown["yAxis"]["left"].get("label", "") + rings)
    rows = (len(curves) + 1) // 2
    left, top, right, bottom = x + 44, y + 34, x + width - 14, y + height - 12 - rows * LEGEND
    largest = (
        max([value for curve in curves for value in curve.values if value is not None], default=0)
        or 1
    )
    for share, value in ((0, 0), (1, largest)):
        line = bottom - share * (bottom - top)
        yield f'<path d="M{left} {line} H{right}" class="axis"/>'
        yield f'<text x="{left - 6}" y="{line + 4}" text-anchor="end" class="faint">{_number(value)}</text>'
    if not any(curve.measured for curve in curves):
        yield f'<text x="{(left + right) / 2}" y="{(top + bottom) / 2 + 4}" text-anchor="middle" class="faint">only AWS has these</text>'
    for curve in reversed(curves):  # the first one on top
        yield from _curve(curve, (left, top, right, bottom), largest)
    for number, curve in enumerate(curves):
        yield from _legend(
            curve, x + 12 + number % 2 * (width - 20) // 2, bottom + 20 + number // 2 * LEGEND
        )


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _curve(curve: Curve, plot: Box, largest: float) -> Iterator[str]:
    """A dot for every step, and a line between neighbours."""
    left, top, right, bottom = plot
    path, dots, before = "", "", False
    for step, value in enumerate(curve.values):
        if value is not None:
            place = f"{left + step * (right - left) / (STEPS - 1):.0f} {bottom - value / largest * (bottom - top):.1f}"
            path += f"{'L' if before else 'M'}{place}"
            dots += f"M{place}h0"
        before = value is not None
    if dots:
        yield f'<path d="{path}" fill="none" stroke="{curve.color}" stroke-width="1.6"/>'
        yield f'<path d="{dots}" stroke="{curve.color}" stroke-width="4" stroke-linecap="round"/>'


def _legend(curve: Curve, x: float, y: float) -> Iterator[str]:
    """Hollow where nothing was counted."""
    fill, style = (curve.color, "") if curve.measured else ("none", ' class="faint"')
    yield f'<circle cx="{x}" cy="{y - 4}" r="4" fill="{fill}" stroke="{curve.color}"/>'
    yield f'<text x="{x + 9}" y="{y}"{style}>{escape(curve.label)}</text>'


def main() -> None:
    """Spend a day on a stand, and draw it."""
    with running() as stand:
        begun = time.time()
        Day(stand).spend()
        run = Run.of(stand, begun, time.time())
        dashboard = run.dashboard()
        curves = [
            run.curves(widget["properties"])
            for widget in dashboard["widgets"]
            if widget["type"] == "metric"
        ]
    PICTURE.write_text(svg(dashboard, curves))
    sys.stdout.write(f"{PICTURE.relative_to(ROOT)} is drawn\n")


if __name__ == "__main__":
    main()
