"""Makes the tables and the picture of docs/performance.md from the figures of a run."""

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any, Final

from bench.rows import Row
from bench.tables import Table, tables
from infra.local.paths import ROOT

PAGE: Final = ROOT / "docs" / "performance.md"
PICTURE: Final = ROOT / "docs" / "images" / "performance.svg"
FONT: Final = 'font-family="system-ui, sans-serif" font-size="12"'
HEIGHT: Final = 20
LEFT: Final = 520
SCALE: Final = 130
TOP: Final = 30
LABEL_CHARS_MAX: Final = 86
COLOURS: Final = {True: "#2a7f62", False: "#c0392b", None: "#9aa5b1"}
CAP: Final = 4.0
"""The longest bar, as a ratio; the figure stands beside it."""


def block(name: str, figures: Mapping[str, Any]) -> str:
    """Return one area's tables, with the run they come from if the areas come from several."""
    areas: Mapping[str, Any] = figures["areas"]
    area = areas.get(name, {"rows": []})
    shown = tables(name, rows_of(area))
    parts = ["".join(f"{line}\n" for line in _markdown(table)) for table in shown]
    if len(_runs(areas)) > 1 and area["rows"]:
        parts.insert(0, f"Measured on {area['at']}, {area['machine']}.\n")
    return "\n".join(parts)


def source(figures: Mapping[str, Any]) -> str:
    """Return one sentence: when and on what the figures were measured."""
    areas: Mapping[str, Any] = figures["areas"]
    runs = _runs(areas)
    if len(runs) > 1:
        return f"The figures come from different runs of {len(areas)} areas; each area says when.\n"
    ((at, machine),) = runs
    return f"All figures come from one run ({machine}, {at}).\n"


def _runs(areas: Mapping[str, Any]) -> set[tuple[str, str]]:
    return {(area["at"], area["machine"]) for area in areas.values()}


def rows_of(area: Mapping[str, Any]) -> list[Row]:
    """Return an area's rows as they were measured."""
    return [
        Row(**{name: value for name, value in one.items() if name != "reached"})
        for one in area["rows"]
    ]


def picture(figures: Mapping[str, Any]) -> str:
    """Return an SVG with a bar for each ratio and a stroke at its goal.

    It is drawn by hand, because a plotting library would be the project's largest dependency.
    """
    rows = [row for area in figures["areas"].values() for row in rows_of(area) if row.unit == "x"]
    width = LEFT + int(CAP * SCALE) + 80
    height = TOP + HEIGHT * len(rows) + 20
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" {FONT}>',
        '<rect width="100%" height="100%" fill="#fff"/>',
        f'<text x="{LEFT}" y="18" fill="#555">ratio; the stroke is the goal</text>',
    ]
    for number, row in enumerate(rows):
        lines += _bar(row, TOP + number * HEIGHT)
    return "\n".join([*lines, "</svg>"]) + "\n"


def _bar(row: Row, y: int) -> Iterator[str]:
    """Yield one bar with its label, its figure, and a stroke at the goal."""
    wide = min(row.value, CAP) * SCALE
    colour = COLOURS[row.reached]
    label = escape(f"{row.area}: {row.what}"[:LABEL_CHARS_MAX])
    yield f'<text x="{LEFT - 8}" y="{y + 13}" text-anchor="end">{label}</text>'
    yield f'<rect x="{LEFT}" y="{y + 3}" width="{wide:.0f}" height="12" fill="{colour}"/>'
    yield f'<text x="{LEFT + wide + 6:.0f}" y="{y + 13}">{row.value:.3g}</text>'
    if row.goal is not None:
        goal = LEFT + row.goal * SCALE
        yield f'<path d="M{goal:.0f} {y} v18" stroke="#222" stroke-width="2"/>'


def _markdown(table: Table) -> Iterator[str]:
    yield f"| {' | '.join(table.headers)} |"
    yield "|" + "---|" * len(table.headers)
    for line in table.lines:
        yield f"| {' | '.join(line)} |"
