"""What became of the faults: shown, and kept as figures for docs/guarantees.md."""

import json
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from mutants.fault import Fault
from mutants.snapshot import ROOT
from rich.console import Console

FIGURES: Final = ROOT / ".local" / "figures" / "mutants_machine.json"
GOAL_PERCENT: Final = 95
Verdict = Literal["killed", "lived"]


@dataclass(slots=True)
class Result:
    """What became of one fault. ``equivalent``: why no test can notice it, if it is named so."""

    fault: Fault
    verdict: Verdict
    by: str = ""
    said: str = ""
    seconds: float = 0.0
    equivalent: str = ""

    def as_row(self) -> dict[str, Any]:
        """Return it for a file."""
        fault = self.fault
        place = {
            "file": fault.file,
            "line": fault.span.line,
            "function": fault.function,
            "kind": fault.kind,
            "diff": fault.change,
        }
        return {
            **place,
            "verdict": self.verdict,
            "by": self.by,
            "said": self.said,
            "seconds": round(self.seconds, 2),
            "why": self.equivalent,
        }


def show(console: Console, results: list[Result]) -> None:
    """Print those that lived, with their change."""
    for result in sorted(results, key=lambda one: (one.fault.file, one.fault.span.line)):
        if result.verdict == "lived":
            fault = result.fault
            reason = (
                f"equivalent: {result.equivalent}"
                if result.equivalent
                else f"[red]lived[/] {result.said}"
            )
            console.print(
                f"\n{fault.file}:{fault.span.line} {fault.function} ({fault.kind}) {reason}",
                highlight=False,
            )
            console.print(fault.change, markup=False, highlight=False)


def write_figures(
    results: list[Result], seed: int, when: datetime, *, published: bool
) -> dict[str, Any]:
    """Return the score; keep it for the page if all modules took part."""
    lived = [result for result in results if result.verdict == "lived"]
    equivalent = sum(bool(result.equivalent) for result in lived)
    noticeable = len(results) - equivalent
    killed = len(results) - len(lived)
    percent = round(100 * killed / max(1, noticeable), 1)
    figures = {
        "faults tried": len(results),
        "noticed": killed,
        "no test can notice (named, with reasons)": equivalent,
        "percent": percent,
        "seed": seed,
        "date": when.date().isoformat(),
        "left": dict(Counter(result.fault.file for result in lived if not result.equivalent)),
    }
    if published:
        FIGURES.parent.mkdir(parents=True, exist_ok=True)
        FIGURES.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return figures
