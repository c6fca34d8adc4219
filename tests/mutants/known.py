"""What earlier runs have learnt about tests that have not changed since: which lines each one reaches, and how long it takes."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from mutants.modules import FILES
from mutants.snapshot import ROOT

FILE: Final = ROOT / ".local" / "mutants-known.json"


def remember(root: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Keep the rows of one run, by test."""
    FILE.parent.mkdir(exist_ok=True)
    kept = {row["test"]: {**row, "mark": _mark(root, row["test"])} for row in rows}
    FILE.write_text(json.dumps(kept), encoding="utf-8")


def recall(root: Path) -> dict[str, dict[str, Any]]:
    """Return the rows that are still right, by test: neither the product nor the test's file nor what tests share has changed."""
    if not FILE.exists():
        return {}
    marks: dict[str, str] = {}
    found: dict[str, dict[str, Any]] = {}
    for name, row in json.loads(FILE.read_text(encoding="utf-8")).items():
        file = name.partition("::")[0]
        if row["mark"] == marks.setdefault(file, _mark(root, name)):
            found[name] = row
    return found


def _mark(root: Path, test: str) -> str:
    file = root / test.partition("::")[0]
    if file not in _marks:
        shared = (path for path in (root / "tests").glob("**/*.py") if not path.name.startswith("test_") and "mutants" not in path.parts)
        paths = [*(root / name for name in FILES), *sorted(shared), file]
        _marks[file] = hashlib.sha256(b"".join(path.read_bytes() for path in paths if path.exists())).hexdigest()
    return _marks[file]


_marks: Final[dict[Path, str]] = {}
