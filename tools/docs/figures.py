"""The generated blocks that need a run: outputs of commands, figures of tests and benchmarks.

Without ``--runs`` each of them stays as the page has it.
"""

import json
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any, Final

from soak.run import WHOLE

from bench import page as bench_page
from infra.local.paths import ROOT

__all__ = ["area", "bench_source", "counts", "planted", "run", "schedules", "soak"]

FROM_RUNS: Final = "DOCS_FROM_RUNS"
FIGURES: Final = ROOT / ".local" / "figures"
COMMANDS: Final = ROOT / ".local" / "docs" / "commands.json"
NONE: Final = "No figures: it was not run.\n"
STORIES: Final = ("schedules", "spending_schedules", "hold_schedules", "checkout_schedules")


def run(command: str) -> None:
    """Print what a command printed in the last run of ``tools.docs.runs``."""
    _fill(lambda: f"```console\n{json.loads(COMMANDS.read_text())[command]}\n```\n")


def area(name: str) -> None:
    """Print the tables of one area of the benchmarks."""
    _fill(lambda: bench_page.block(name, benchmarks()))


def bench_source() -> None:
    """Print when and on what the benchmarks ran."""
    _fill(lambda: bench_page.source(benchmarks()))


def counts(name: str) -> None:
    """Print the figures of one kind of test."""
    _fill(lambda: _table_or_none(_figures(name)))


def planted() -> None:
    """Print how many planted bugs the tests caught, and each with its verdict."""
    _fill(planted_text)


def schedules() -> None:
    """Print the explored schedules: the sums, and each story."""
    _fill(schedules_text)


def soak() -> None:
    """Print the figures of a whole run of ``make soak``."""
    _fill(soak_text)


def planted_text() -> str:
    """Return the table of the planted bugs and one line for each."""
    found = _figures("mutants")
    if found is None:
        return NONE
    bugs = found.pop("bugs", [])
    lines = "".join(f"- {bug['name']}: {bug['verdict']}\n" for bug in bugs)
    return f"{_table(found)}\n{lines}"


def schedules_text() -> str:
    """Return two tables: sums over all stories, and the stories."""
    found = {name: row for file in STORIES for name, row in (_figures(file) or {}).items()}
    total: dict[str, int] = {}
    for row in found.values():
        for what, count in row.items():
            total[what] = total.get(what, 0) + count
    lines = "".join(
        f"| {name} | {row['schedules']} | {row['joined an earlier one']} |\n"
        for name, row in found.items()
    )
    sums = _table({"stories": len(found), **total})
    return (
        f"{sums}\n| story | followed to the end | joined an earlier one |\n|---|---|---|\n{lines}"
    )


def soak_text() -> str:
    """Return the figures of a whole run without a fault, or that there was none.

    Raises:
        SystemExit: the run was not a whole one, or a history was wrong.
    """
    found = _figures("soak")
    if found is None:
        return NONE
    wrong = found["histories with a unit lost or doubled"]
    if found["deliveries"] < WHOLE or wrong:
        played = f"{found['deliveries']} of {WHOLE} deliveries were played"
        sys.exit(f"not published: {played}, {wrong} histories were wrong")
    return _table({**found, "seed": str(found["seed"])})


def benchmarks() -> Any:
    """Return the figures of the last run of ``make bench``."""
    return json.loads((ROOT / ".local" / "bench.json").read_text())


def _fill(text: Callable[[], str]) -> None:
    """Print a new text after a run, else what the block has."""
    if os.environ.get(FROM_RUNS):
        sys.stdout.write(text())
    else:
        sys.stdout.write(sys.modules["cog"].previous)


def _figures(name: str) -> Any:
    file = FIGURES / f"{name}.json"
    return json.loads(file.read_text()) if file.exists() else None


def _table_or_none(rows: Mapping[str, Any] | None) -> str:
    return NONE if rows is None else _table(rows)


def _table(rows: Mapping[str, Any]) -> str:
    lines = "".join(f"| {what} | {_shown(figure)} |\n" for what, figure in rows.items())
    return f"| what | figure |\n|---|---|\n{lines}"


def _shown(figure: object) -> str:
    if isinstance(figure, int) and not isinstance(figure, bool):
        return f"{figure:,}".replace(",", " ")
    if isinstance(figure, dict):
        return ", ".join(f"{name} {_shown(part)}" for name, part in figure.items())
    return str(figure)
