"""What a soak shows while it runs, and how far it has come: kept in a file, so that it can go on
after Ctrl-C.
"""

import hashlib
import json
import shutil
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Final

from soak.world import faults_in

from infra.local.paths import ROOT

STATE: Final = ROOT / ".local" / "soak.json"
CODE: Final = (
    "functions/**/*.py",
    "functions/**/*.json",
    "tests/*.py",
    "tests/soak/*.py",
    "tests/properties/test_histories.py",
)
"""What a history depends on.

If any of it changes, the run begins anew: its figures are of one state of the code.
"""
BAR: Final = 24
QUIET_SECONDS: Final = 30
"""How often a line is printed where there is no terminal."""


@dataclass
class Progress:
    """Everything up to history ``begun`` is played."""

    seed: str
    begun: int = 0
    seconds: float = 0.0
    counts: Counter[str] = field(default_factory=Counter)

    @property
    def deliveries(self) -> int:
        """So far."""
        return self.counts["deliveries"]

    def save(self, path: Path) -> None:
        """Whole or not at all."""
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(".new")
        draft.write_text(json.dumps({**vars(self), "code": code()}))
        draft.replace(path)

    @classmethod
    def resumed(cls, path: Path, seed: str) -> "Progress | None":
        """Where an earlier run stopped, if it was of this seed (any, if none is given) and of this
        code.
        """
        if not path.exists():
            return None
        kept = json.loads(path.read_text())
        if kept.pop("code") != code() or seed not in ("", kept["seed"]):
            return None
        return cls(kept["seed"], kept["begun"], kept["seconds"], Counter(kept["counts"]))

    def line(self, asked: int, seconds: float) -> str:
        """One line."""
        share = min(1.0, self.deliveries / asked)
        bar = "#" * int(share * BAR)
        rate = self.deliveries / max(self.seconds, 0.001)
        left = max(0, asked - self.deliveries) / max(rate, 0.001)
        faults = ", ".join(
            f"{kind} {shown(count)}" for kind, count in faults_in(self.counts).items()
        )
        return (
            f"[{bar:.<{BAR}}] {shown(self.deliveries)} of {shown(asked)} deliveries, "
            f"{shown(round(rate))}/s, {_clock(left)} left after {_clock(seconds)}; "
            f"{shown(self.counts['histories'])} histories; {faults}"
        )


class Display:
    """A bar that is drawn over in a terminal, and a line now and then elsewhere."""

    def __init__(self) -> None:
        """Nothing shown."""
        self._shown_at = -float(QUIET_SECONDS)

    def show(self, line: str, *, is_last: bool = False) -> None:
        """Show it, if it is time."""
        if sys.stderr.isatty():
            width = shutil.get_terminal_size().columns - 1
            sys.stderr.write(f"\r{line[:width]:<{width}}" + ("\n" if is_last else ""))
        elif is_last or time.monotonic() - self._shown_at >= QUIET_SECONDS:
            self._shown_at = time.monotonic()
            sys.stderr.write(line + "\n")
        sys.stderr.flush()


@cache
def code() -> str:
    """Of all that a history depends on."""
    files = sorted({path for pattern in CODE for path in ROOT.glob(pattern)})
    whole = hashlib.sha256(sys.version.encode())
    for path in files:
        whole.update(path.read_bytes())
    return whole.hexdigest()


def shown(figure: int) -> str:
    """With spaces between thousands."""
    return f"{figure:,}".replace(",", " ")


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02d}"
