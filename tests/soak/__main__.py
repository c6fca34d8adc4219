"""``make soak``: a million deliveries with every fault, on the proven twin, judged by the
independent model.
"""

import argparse
import secrets
import sys
from pathlib import Path

from soak.progress import STATE, Progress, shown
from soak.run import FIGURES, WHOLE, Wrong, figures, publish, soak, tried
from soak.world import History


def main() -> int:
    """Play one history, or as many as it takes."""
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("--deliveries", type=int, default=WHOLE)
    parser.add_argument("--seed", default="", help="of an earlier run; a new one without it")
    parser.add_argument(
        "--history", type=int, help="play just this one, and tell what happens in it"
    )
    parser.add_argument(
        "--state", type=Path, default=STATE, help="what Ctrl-C leaves to go on from"
    )
    asked = parser.parse_args()
    if asked.history is not None:
        return _one(History(asked.seed, asked.history))
    return _many(asked.deliveries, asked.seed, asked.state)


def _one(history: History) -> int:
    found = tried(history)
    if isinstance(found, Wrong):
        sys.stdout.write(f"{found}\n")
        return 1
    sys.stdout.write(
        f"history {history.number} of seed {history.seed} keeps the laws:"
        f" {shown(found['deliveries'])} deliveries\n"
    )
    return 0


def _many(deliveries: int, seed: str, state: Path) -> int:
    progress = Progress.resumed(state, seed) or Progress(seed or str(secrets.randbelow(10**9)))
    sys.stderr.write(f"seed {progress.seed}, from history {progress.begun}\n")
    try:
        wrong = soak(progress, deliveries, state)
    except KeyboardInterrupt:
        sys.stderr.write(f"stopped; make soak SEED={progress.seed} goes on from here\n")
        return 130
    if wrong:
        state.unlink(missing_ok=True)
        sys.stdout.write(f"{wrong}\n")
        return 1
    for name, figure in figures(progress).items():
        sys.stdout.write(f"{name}: {figure}\n")
    if progress.deliveries >= WHOLE:
        publish(progress)
        sys.stdout.write(f"the figures are in {FIGURES}, for make docs\n")
    else:
        sys.stdout.write(f"not published: only a run of {shown(WHOLE)} deliveries is\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
