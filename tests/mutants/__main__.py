"""Plants each bug of planted.py in a copy of the product and runs the tests that must notice:
``python -m tests.mutants``.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from time import monotonic
from typing import Annotated, Final, Literal

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.syntax import Syntax

from .bug import Bug, StaleBugError
from .planted import PLANTED
from .snapshot import ROOT, snapshot

FIGURES: Final = ROOT / ".local" / "figures" / "mutants.json"
AT_ONCE: Final = 2
SECONDS_MAX: Final = 120
"""For one mutant's tests, which take a second or two: a test that needs this long hangs."""
PASSED: Final = 0
FAILED: Final = 1
"""https://docs.pytest.org/en/stable/reference/exit-codes.html"""
Verdict = Literal["killed", "survived", "broken", "stale"]
console = Console()


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one bug.

    ``broken``: its tests did not run to an end, so that they say nothing.
    ``stale``: the product or its tests have changed, and the bug no longer fits.
    """

    bug: Bug
    verdict: Verdict
    seconds: float
    diff: str = ""
    output: str = ""


def main(
    only: Annotated[
        str, typer.Option(help="Plant only those whose name contains this.", show_default=False)
    ] = "",
    at_once: Annotated[int, typer.Option(help="How many are tried at the same time.")] = AT_ONCE,
) -> None:
    """Plant known bugs in a copy of the product, one at a time, and see whether the tests notice
    each of them.

    Exit code 0: all were killed. 1: some survived or no longer fit (each is shown), or the tests
    fail without any bug.
    """
    bugs = [bug for bug in PLANTED if only.lower() in bug.name.lower()]
    if not bugs:
        console.print(
            f"no planted bug's name contains {only!r}; all of them stand in tests/mutants"
        )
        raise typer.Exit(1)
    started = monotonic()
    with tempfile.TemporaryDirectory(prefix="topup-mutants-") as folder:
        whole = snapshot(Path(folder) / "unchanged")
        stale = _stale(bugs, whole)
        fitting = [bug for bug in bugs if bug not in {result.bug for result in stale}]
        _prove_unchanged(fitting, whole)
        results = [*_tried(fitting, whole, at_once), *stale]
    for result in results:
        _show_unless_killed(result)
    killed = sum(result.verdict == "killed" for result in results)
    if not only:
        _write_figures(results, round(monotonic() - started, 1))
    console.print(f"{killed}/{len(results)} killed, {len(stale)} stale")
    raise typer.Exit(killed != len(results))


def _stale(bugs: Iterable[Bug], whole: Path) -> list[Result]:
    """Return those that no longer fit the product: each must follow it, or go."""
    found = []
    for bug in bugs:
        try:
            bug.check(whole)
        except StaleBugError as stale:
            found.append(Result(bug, "stale", 0, output=str(stale)))
    return found


def _prove_unchanged(bugs: Iterable[Bug], whole: Path) -> None:
    """Tests that fail by themselves would kill everything."""
    killers = sorted({killer for bug in bugs for killer in bug.killers})
    with console.status(f"{len(killers)} tests on the unchanged copy"):
        code, output = _pytest(whole, killers)
    if code != PASSED:
        console.print(output, markup=False, highlight=False)
        console.print("[red]the tests do not pass on the unchanged product: fix that first[/]")
        raise typer.Exit(1)


def _tried(bugs: list[Bug], whole: Path, at_once: int) -> list[Result]:
    columns = (
        TextColumn("{task.description:<9}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[last]}"),
    )
    with Progress(*columns, console=console) as progress, ThreadPoolExecutor(at_once) as pool:
        bar = progress.add_task("bugs", total=len(bugs), last="")
        asked: dict[Future[Result], int] = {
            pool.submit(_try, bug, whole, whole.with_name(str(place))): place
            for place, bug in enumerate(bugs)
        }
        results: dict[int, Result] = {}
        for done in as_completed(asked):
            result = results[asked[done]] = done.result()
            progress.update(bar, advance=1, last=f"{result.verdict}: {result.bug.name}")
    return [results[place] for place in sorted(results)]


def _try(bug: Bug, whole: Path, root: Path) -> Result:
    started = monotonic()
    shutil.copytree(whole, root, symlinks=True)
    diff = bug.plant(root)
    code, output = _pytest(root, bug.killers)
    shutil.rmtree(root)
    verdict: Verdict = "killed" if code == FAILED else "survived" if code == PASSED else "broken"
    return Result(bug, verdict, round(monotonic() - started, 1), diff, output)


def _pytest(root: Path, killers: Iterable[str]) -> tuple[int, str]:
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-x",
        "-q",
        "-p",
        "no:cacheprovider",
        "--no-header",
        *killers,
    ]
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in ("PYTHONPATH", "PYTEST_ADDOPTS")
    }
    try:
        ran = subprocess.run(
            command,
            cwd=root,
            env={**environment, "PYTHONDONTWRITEBYTECODE": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=SECONDS_MAX,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return -1, f"no end after {SECONDS_MAX} s: {' '.join(command)}"
    return ran.returncode, ran.stdout


def _show_unless_killed(result: Result) -> None:
    if result.verdict == "killed":
        return
    console.print(
        f"\n[red]{result.verdict}[/]: {result.bug.name}\n  " + "\n  ".join(result.bug.killers),
        highlight=False,
    )
    console.print(Syntax(result.diff, "diff", background_color="default"))
    if result.verdict in ("broken", "stale"):
        console.print(result.output, markup=False, highlight=False)


def _write_figures(results: list[Result], seconds: float) -> None:
    rows = [
        {
            "name": one.bug.name,
            "verdict": one.verdict,
            "seconds": one.seconds,
            "killers": one.bug.killers,
            "noticed_by": _complaint(one.output),
        }
        for one in results
    ]
    killed = sum(one.verdict == "killed" for one in results)
    figures = {"killed": killed, "total": len(results), "seconds": seconds, "bugs": rows}
    FIGURES.parent.mkdir(parents=True, exist_ok=True)
    FIGURES.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


def _complaint(output: str) -> str:
    """The last output of the failed test: a bug should be noticed by what it does, not by a crash
    of the planting.
    """
    lines = output.splitlines()
    said = [
        line
        for before, line in pairwise(lines)
        if line.startswith("E  ") and not before.startswith("E  ")
    ]
    return said[-1][1:].strip() if said else ""


if __name__ == "__main__":
    typer.run(main)
