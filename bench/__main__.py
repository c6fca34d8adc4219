"""Runs the benchmarks: ``python -m bench [work cpu cold distance growth lease hot load]``.

Without names it runs all of them.
"""

import importlib
import json
import os
import platform
import sys
from datetime import UTC, datetime
from typing import Final

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table

from bench import page
from bench.rows import Row
from bench.tables import tables
from infra.local.paths import ROOT

AREAS: Final = ("work", "cpu", "cold", "distance", "growth", "lease", "hot", "load")
FIGURES: Final = ROOT / ".local" / "bench.json"
PLOT: Final = ROOT / ".local" / "bench.svg"
WIDTH_OF_FILES: Final = 200
MARKS: Final = {"reached": "[green]reached[/]", "**missed**": "[bold red]MISSED[/]"}


def main(named: list[str]) -> int:
    """Return 0 if every goal is reached, 1 otherwise, 2 for an unknown name."""
    if unknown := set(named) - set(AREAS):
        sys.stderr.write(
            f"no such benchmark: {', '.join(sorted(unknown))}. There are: {', '.join(AREAS)}\n"
        )
        return 2
    console = Console(width=None if sys.stdout.isatty() else WIDTH_OF_FILES)
    found: dict[str, list[Row]] = {}
    at = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    for area in named or AREAS:
        found[area] = list(_measured(area, console))
        _keep(found, at)
    missed = [row for rows in found.values() for row in rows if row.reached is False]
    reached = sum(row.reached is True for rows in found.values() for row in rows)
    files = f"{FIGURES.relative_to(ROOT)}, {PLOT.relative_to(ROOT)}"
    console.print(f"{reached} goals reached, {len(missed)} missed; figures in {files}")
    for row in missed:
        console.print(f"[red]missed[/] {row.area}: {row.what}: {row.shown}, {row.wanted}")
    return 1 if missed else 0


def _measured(area: str, console: Console) -> list[Row]:
    """One area's rows, shown as they come."""
    module = importlib.import_module(f"bench.{area}")
    rows: list[Row] = []
    with Live(Spinner("dots", f"{area}: measuring ..."), console=console, transient=True) as live:
        for row in module.rows():
            rows.append(row)
            live.update(Spinner("dots", f"{area}: {row.what} {row.shown}"))
    title = (module.__doc__ or "").splitlines()[0]
    for number, made in enumerate(tables(area, rows)):
        table = Table(*made.headers, title="" if number else title, title_justify="left")
        for line in made.lines:
            table.add_row(
                *(
                    MARKS.get(cell, cell.replace("**missed**", "[bold red]MISSED[/]"))
                    for cell in line
                )
            )
        console.print(table)
    return rows


def _keep(found: dict[str, list[Row]], at: str) -> None:
    """Areas that were not run keep what they had, with its date."""
    before = json.loads(FIGURES.read_text())["areas"] if FIGURES.exists() else {}
    run = {"at": at, "machine": f"{os.cpu_count()} cores, Python {platform.python_version()}"}
    now = {area: {**run, "rows": [row.as_answer() for row in rows]} for area, rows in found.items()}
    kept = {"areas": {area: one for area in AREAS if (one := {**before, **now}.get(area))}}
    FIGURES.parent.mkdir(exist_ok=True)
    FIGURES.write_text(json.dumps(kept, indent=1) + "\n")
    PLOT.write_text(page.picture(kept))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
