"""Makes one-line faults in the money modules and sees whether the tests notice: ``python -m
mutants.machine``.
"""

import json
import random
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import typer
from mutants import known
from mutants.equals import load
from mutants.fault import Fault, bare
from mutants.faults import faults_in
from mutants.modules import FILES
from mutants.report import GOAL_PERCENT, Result, show, write_figures
from mutants.run import BrokenRunError, Run
from mutants.snapshot import ROOT, snapshot
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

SAMPLE: Final = 700
console = Console()


def main(  # noqa: PLR0917 - the command line's own arguments
    seed: Annotated[int, typer.Option(help="The same seed draws the same faults.")] = 1,
    sample: Annotated[int, typer.Option(help="How many faults are tried; 0 for all.")] = SAMPLE,
    only: Annotated[
        str, typer.Option(help="Files whose name contains one of these words.", show_default=False)
    ] = "",
    at_once: Annotated[int, typer.Option(help="How many are tried at the same time.")] = 2,
    seconds: Annotated[
        float, typer.Option(help="So long, without a fault, may the tests of one fault take.")
    ] = 16,
    lived: Annotated[
        str,
        typer.Option(
            help="Only those that lived in an earlier run, by its --out file.", show_default=False
        ),
    ] = "",
    kinds: Annotated[
        str,
        typer.Option(
            help="Only faults whose kind contains one of these words.", show_default=False
        ),
    ] = "",
    out: Annotated[
        str,
        typer.Option(
            help="Also append every result to this file, as lines of JSON.", show_default=False
        ),
    ] = "",
) -> None:
    """Make faults, try them, and show which lived.

    Exit code 1 if too few were noticed of those that can be.
    """
    files = [file for file in FILES if not only or any(word in file for word in only.split(","))]
    found = [
        fault
        for fault in _all(files)
        if not kinds or any(word in fault.kind for word in kinds.split(","))
    ]
    faults = _lived(found, lived) if lived else _draw(found, seed, sample)
    with tempfile.TemporaryDirectory(prefix="topup-machine-") as folder:
        root = snapshot(Path(folder) / "whole")
        run = Run(root, Path(folder), at_once, known.recall(root), seconds)
        try:
            results = [_keep(result, out) for result in _followed(run, faults)]
        except BrokenRunError as broken:
            console.print(str(broken), markup=False, highlight=False)
            raise typer.Exit(2) from broken
    show(console, results)
    stale = _stale(files)
    for file, function, change in stale:
        console.print(f"stale in equivalent.toml: {file} {function}: {change}", highlight=False)
    figures = write_figures(
        results, seed, datetime.now(UTC), published=not (only or lived or kinds)
    )
    console.print(
        f"{figures['percent']} % of what can be noticed"
        f" ({figures['noticed']} of {len(results)} faults; seed {seed});"
        f" {len(stale)} stale in equivalent.toml"
    )
    raise typer.Exit(figures["percent"] < GOAL_PERCENT)


def _all(files: list[str]) -> list[Fault]:
    return [
        fault
        for file in files
        for fault in faults_in(file, (ROOT / file).read_text(encoding="utf-8"))
    ]


def _stale(files: list[str]) -> list[tuple[str, str, str]]:
    """Return the faults that equivalent.toml names and that can no longer be made."""
    made = {fault.key for fault in _all(files)}
    return sorted(key for key in load() if key[0] in files and key not in made)


def _draw(faults: list[Fault], seed: int, sample: int) -> list[Fault]:
    return random.Random(seed).sample(faults, min(sample or len(faults), len(faults)))


def _lived(faults: list[Fault], file: str) -> list[Fault]:
    rows = [json.loads(line) for line in Path(file).read_text(encoding="utf-8").splitlines()]
    kept = {
        (row["file"], row["function"], bare(row["diff"]))
        for row in rows
        if row["verdict"] == "lived"
    }
    return [fault for fault in faults if fault.key in kept]


def _keep(result: Result, out: str) -> Result:
    """Write it down as it comes: a whole run takes long."""
    if out:
        with Path(out).open("a", encoding="utf-8") as file:
            file.write(json.dumps(result.as_row()) + "\n")
    return result


def _followed(run: Run, faults: list[Fault]) -> Iterator[Result]:
    """Show how far it is, and the time left."""
    named = load()
    columns = (
        TextColumn("{task.description:<24}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[last]}"),
    )
    with Progress(*columns, console=console, speed_estimate_period=120) as progress:
        begun = progress.add_task("tests without a fault", total=None, last="")
        bar = progress.add_task("faults", total=len(faults), start=False, last="")
        killed = lived = 0
        for result in run.results(faults, lambda ready: progress.update(begun, completed=ready)):
            progress.start_task(bar)
            result.equivalent = named.get(result.fault.key, "")
            killed += result.verdict == "killed"
            lived += result.verdict == "lived" and not result.equivalent
            progress.update(bar, advance=1, last=f"{killed} killed, {lived} lived")
            yield result


if __name__ == "__main__":
    typer.run(main)
