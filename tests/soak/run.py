"""Plays histories until enough deliveries are made: in one process for each core, in an order that
does not depend on them.
"""

import json
import os
import signal
import time
import traceback
from collections import Counter, deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

from soak.progress import Display, Progress
from soak.world import History, faults_in

from infra.local.paths import ROOT

WHOLE: Final = 1_000_000
"""Deliveries of a run whose figures may be published."""
FIGURES: Final = ROOT / ".local" / "figures" / "soak.json"
BATCH: Final = 20
FRAMES: Final = -3


@dataclass(frozen=True)
class Wrong:
    """A history that ended otherwise than the model says, or broke a law."""

    history: History
    acts: tuple[str, ...]
    why: str

    def __str__(self) -> str:
        """What happened in it, and how to see it again."""
        told = "\n".join(f"  {act}" for act in self.acts)
        again = f"make soak SEED={self.history.seed} HISTORY={self.history.number}"
        return (
            f"history {self.history.number} of seed {self.history.seed} went wrong:\n{told}\n"
            f"{self.why}\nPlay just this one again: {again}"
        )


def tried(history: History) -> Counter[str] | Wrong:
    """Play one."""
    acts: list[str] = []
    try:
        return history.play(acts.append)
    except Exception:  # noqa: BLE001 - whatever it is, it is told
        return Wrong(history, tuple(acts), traceback.format_exc(limit=FRAMES))


def batch(seed: str, first: int) -> Counter[str] | Wrong:
    """Play a few, up to the first that goes wrong."""
    total = Counter[str]()
    for number in range(first, first + BATCH):
        found = tried(History(seed, number))
        if isinstance(found, Wrong):
            return found
        total += found
    return total


def soak(progress: Progress, asked: int, state: Path, cores: int = 0) -> Wrong | None:
    """Go on from ``progress`` until so many deliveries are made.

    Ctrl-C leaves ``state`` to go on from.
    """
    display = Display()
    begun, before = time.monotonic(), progress.seconds
    with ProcessPoolExecutor(cores or os.cpu_count(), get_context("fork"), _ignore_ctrl_c) as pool:
        results = _in_order(pool, progress, cores or os.cpu_count() or 1)
        try:
            while progress.deliveries < asked:
                found = next(results)
                if isinstance(found, Wrong):
                    return found
                progress.counts += found
                progress.begun += BATCH
                progress.seconds = before + time.monotonic() - begun
                progress.save(state)
                display.show(progress.line(asked, progress.seconds))
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            display.show(progress.line(asked, progress.seconds), is_last=True)
    state.unlink()
    return None


def _in_order(
    pool: ProcessPoolExecutor, progress: Progress, cores: int
) -> Iterator[Counter[str] | Wrong]:
    """Batches one after the other, some of them ahead of time."""
    waiting = deque[Future[Counter[str] | Wrong]]()
    number = progress.begun
    while True:
        while len(waiting) < 2 * cores:
            waiting.append(pool.submit(batch, progress.seed, number))
            number += BATCH
        yield waiting.popleft().result()


def _ignore_ctrl_c() -> None:
    """It is the parent's to stop, between two batches."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def figures(progress: Progress) -> dict[str, Any]:
    """For docs/guarantees.md. A run that found anything wrong does not come here."""
    counts = progress.counts
    faults = faults_in(counts)
    places = Counter[str]()
    for name, count in counts.items():
        if " at call " in name:
            places[name.partition(" at ")[2]] += count
    return {
        "deliveries": counts["deliveries"],
        "histories": counts["histories"],
        "steps": counts["steps"],
        "purchases": counts["purchases"],
        "units that the model found right": counts["units"],
        "histories with a unit lost or doubled": counts["histories"] - counts["right"],
        "seed": progress.seed,
        "seconds": round(progress.seconds),
        "faults": faults,
        "faults by place": dict(sorted(places.items())),
    }


def publish(progress: Progress, path: Path = FIGURES) -> None:
    """Leave the figures of a whole run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(figures(progress), indent=2))
