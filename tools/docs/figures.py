"""The generated blocks that need a run: outputs of commands, figures of tests and benchmarks.

A block stays as the page has it without ``--runs``, and where the last run left no figures.
"""

import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from soak.run import WHOLE
from support.schedules import FAULTS

from bench import page as bench_page
from infra.local.paths import ROOT

__all__ = ["area", "bench_source", "counts", "planted", "run", "schedules", "soak"]

FROM_RUNS: Final = "DOCS_FROM_RUNS"
FIGURES: Final = ROOT / ".local" / "figures"
COMMANDS: Final = ROOT / ".local" / "docs" / "commands.json"
STORIES: Final = {
    "schedules": "purchases, refunds, disputes, captures, recovery",
    "spending_schedules": "debits and holds, also after an expiry",
    "hold_schedules": "short holds, long holds, and the sweep",
    "checkout_schedules": "checkouts under one key",
    "key_schedules": "debits and holds by keys with limits",
    "lot_schedules": "two acts on an account with lots",
    "crossing_schedules": "two writes that cross a threshold",
    "charge_schedules": "an automatic charge beside another act",
}


def run(command: str) -> None:
    """Print what a command printed in the last run of ``tools.docs.runs``."""
    _fill(lambda: command_text(command))


def area(name: str) -> None:
    """Print the tables of one area of the benchmarks."""
    _fill(lambda: area_text(name))


def bench_source() -> None:
    """Print when and on what the benchmarks ran."""
    _fill(source_text)


def counts(name: str) -> None:
    """Print the figures of one kind of test."""
    _fill(lambda: counts_text(name))


def planted() -> None:
    """Print how many planted bugs the tests caught, and each with its verdict."""
    _fill(planted_text)


def schedules() -> None:
    """Print the explored schedules: the sums, and each story."""
    _fill(schedules_text)


def soak() -> None:
    """Print the figures of a whole run of ``make soak``."""
    _fill(soak_text)


def command_text(command: str) -> str | None:
    """Return a recorded command and its output, or None if none was recorded."""
    recorded = _read(COMMANDS)
    return f"```console\n{recorded[command]}\n```\n" if recorded else None


def area_text(name: str) -> str | None:
    """Return the tables of one area, or None without figures."""
    figures = benchmarks()
    return bench_page.block(name, figures) if figures else None


def source_text() -> str | None:
    """Return when and on what the benchmarks ran, or None without figures."""
    figures = benchmarks()
    return bench_page.source(figures) if figures else None


def counts_text(name: str) -> str | None:
    """Return the table of one kind of test, or None without figures."""
    figures = _figures(name)
    return _table(figures) if figures else None


def planted_text() -> str | None:
    """Return the table of the planted bugs and one line for each, or None without figures."""
    found = _figures("mutants")
    if found is None:
        return None
    bugs = found.pop("bugs", [])
    lines = "".join(f"- {bug['name']}: {bug['verdict']}\n" for bug in bugs)
    return f"{_table(found)}\n{lines}"


def schedules_text() -> str | None:
    """Return a row for each kind of story and their sum, or None if a kind has no figures."""
    found = {kind: _figures(name) for name, kind in STORIES.items()}
    if None in found.values():
        return None
    rows = {kind: _sums(stories) for kind, stories in found.items()}
    rows["**all**"] = sum(rows.values(), Counter())
    columns = ("stories", "schedules", "no fault", *FAULTS, "joined an earlier one")
    head = (
        f"| what happens at the same time | {' | '.join(columns)} |\n|---|{'---|' * len(columns)}"
    )
    lines = (
        f"| {kind} | {' | '.join(_shown(row[column]) for column in columns)} |"
        for kind, row in rows.items()
    )
    return "\n".join([head, *lines]) + "\n"


def _sums(stories: Mapping[str, Mapping[str, int]]) -> Counter[str]:
    """Return what all stories of a kind sum up to."""
    total = Counter({"stories": len(stories)})
    for row in stories.values():
        total.update(row)
    return total


def soak_text() -> str | None:
    """Return the figures of a whole run without a fault, or None without figures.

    Raises:
        SystemExit: the run was not a whole one, or a history was wrong.
    """
    found = _figures("soak")
    if found is None:
        return None
    wrong = found["histories with a unit lost or doubled"]
    if found["deliveries"] < WHOLE or wrong:
        played = f"{found['deliveries']} of {WHOLE} deliveries were played"
        sys.exit(f"not published: {played}, {wrong} histories were wrong")
    return _table({**found, "seed": str(found["seed"])})


def benchmarks() -> Any:
    """Return the figures of the last run of ``make bench``, or None if there was none."""
    return _read(ROOT / ".local" / "bench.json")


def _fill(text: Callable[[], str | None]) -> None:
    """Print the new text of a block, or what it has."""
    new = None
    if os.environ.get(FROM_RUNS):
        new = text()
    sys.stdout.write(new or sys.modules["cog"].previous)


def _figures(name: str) -> Any:
    return _read(FIGURES / f"{name}.json")


def _read(file: Path) -> Any:
    return json.loads(file.read_text()) if file.exists() else None


def _table(rows: Mapping[str, Any]) -> str:
    lines = "".join(f"| {what} | {_shown(figure)} |\n" for what, figure in rows.items())
    return f"| what | figure |\n|---|---|\n{lines}"


def _shown(figure: object) -> str:
    if isinstance(figure, int) and not isinstance(figure, bool):
        return f"{figure:,}".replace(",", " ")
    if isinstance(figure, dict):
        return ", ".join(f"{name} {_shown(part)}" for name, part in figure.items())
    return str(figure)
