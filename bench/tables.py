"""Arranges figures in the tables that `make bench` shows and docs/performance.md has."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from bench.rows import Row

WORK: Final = {
    "DynamoDB calls": "DynamoDB",
    "Stripe calls": "Stripe",
    "write units": "write units",
    "write units on the busiest table": "on the busiest table",
    "read units": "read units",
    "bytes both ways": "bytes",
}
HOT: Final = {
    "units lost or doubled": "units lost or doubled",
    "5xx that stay": "5xx that stay",
    "answered 5xx and asked again": "5xx asked again",
    "purchases brought again": "purchases brought again",
    "refused for want of units": "refused for want of units",
    "writes turned away for a conflict": "turned away: conflict",
    "writes turned away for a balance that had changed": "turned away: balance changed",
    "done": "done",
}
COLUMNS: Final[Mapping[str, tuple[str, Mapping[str, str]]]] = {
    "work": ("operation", WORK),
    "hot": ("who spends", HOT),
}
"""Areas whose rows are shown as one line a name."""
IMPORTS: Final = "largest imports of "


@dataclass(frozen=True, slots=True)
class Table:
    """Headers and cells, for a page or a terminal."""

    headers: tuple[str, ...]
    lines: Sequence[tuple[str, ...]]


def tables(area: str, rows: Sequence[Row]) -> Iterator[Table]:
    """Yield the tables of an area: rows of several figures as one line, and imports by handler."""
    title, columns = COLUMNS.get(area, ("", {}))
    pivoted = [row for row in rows if row.what.rpartition(": ")[2] in columns]
    imports = [row for row in rows if row.what.startswith(IMPORTS)]
    others = [row for row in rows if row not in pivoted and row not in imports]
    if pivoted:
        yield _pivot(title, columns, pivoted)
    if others:
        lines = [(row.what, row.shown, row.wanted, mark(row)) for row in others]
        yield Table(("what", "measured", "goal", ""), lines)
    if imports:
        yield _imports(imports)


def mark(row: Row) -> str:
    """In words."""
    return {True: "reached", False: "**missed**", None: ""}[row.reached]


def _pivot(title: str, columns: Mapping[str, str], rows: Sequence[Row]) -> Table:
    """One line a name; goals in brackets."""
    names: dict[str, dict[str, Row]] = {}
    for row in rows:
        name, _, column = row.what.rpartition(": ")
        names.setdefault(name, {})[column] = row
    lines = [
        (name, *(_cell(cells.get(column)) for column in columns)) for name, cells in names.items()
    ]
    return Table((title, *columns.values()), lines)


def _cell(row: Row | None) -> str:
    if row is None:
        return ""
    number = f"{row.value:,.3g}" if row.value != int(row.value) else f"{row.value:,.0f}"
    unit = " a second" if row.unit == "a second" else ""
    goal = f" ({row.wanted})" if row.goal is not None else ""
    return f"{number}{unit}{goal}{' **missed**' if row.reached is False else ''}"


def _imports(rows: Sequence[Row]) -> Table:
    names: dict[str, list[str]] = {}
    for row in rows:
        handler, _, package = row.what.removeprefix(IMPORTS).partition(": ")
        names.setdefault(handler, []).append(f"{package} {row.value:.3g}")
    return Table(
        ("handler", "its largest imports, ms of an importing interpreter"),
        [(name, ", ".join(found)) for name, found in names.items()],
    )
