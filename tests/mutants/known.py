"""What earlier runs have learnt about tests that have not changed since: which lines each one
reaches, and how long it takes.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

from mutants.snapshot import ROOT

FILE: Final = ROOT / ".local" / "mutants-known.json"
CHARS: Final = 12
"""Of each hash: nobody means to deceive."""


def remember(root: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Keep the rows of one run, by test."""
    FILE.parent.mkdir(exist_ok=True)
    kept = {row["test"]: {**row, "mark": _mark(root, row)} for row in rows}
    FILE.write_text(json.dumps(kept), encoding="utf-8")


def recall(root: Path) -> dict[str, dict[str, Any]]:
    """Return the rows that are still right, by test: neither what it reaches nor its file nor what
    tests share has changed.
    """
    if not FILE.exists():
        return {}
    rows = json.loads(FILE.read_text(encoding="utf-8"))
    return {name: row for name, row in rows.items() if row["mark"] == _mark(root, row)}


def _mark(root: Path, row: Mapping[str, Any]) -> str:
    files = {row["test"].partition("::")[0], *(file for file, _ in row["lines"])}
    return " ".join([_shared(root), *(_hash(root / file) for file in sorted(files))])


@cache
def _shared(root: Path) -> str:
    paths = sorted((root / "tests").glob("**/*.py"))
    shared = (
        path for path in paths if not path.name.startswith("test_") and "mutants" not in path.parts
    )
    return hashlib.sha256(b"".join(path.read_bytes() for path in shared)).hexdigest()[:CHARS]


@cache
def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:CHARS] if path.exists() else ""
