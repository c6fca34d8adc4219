"""Tallies by the million: added up in a file beside, so that reading the books takes as much memory for any number of accounts."""

import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from threading import Lock
from typing import Final

from billing.reconciliation.audit import Tallies, Tally

ACCOUNTS_IN_MEMORY_MAX: Final = 5_000
"""Of one reader, before they go to the file: some four megabytes."""
NAMES: Final = tuple(field.name for field in fields(Tally))
_LAYOUT: Final = f"CREATE TABLE tally (user_id TEXT PRIMARY KEY, {', '.join(f'{name} INTEGER' for name in NAMES)}) WITHOUT ROWID"
_ADD: Final = (
    f"INSERT INTO tally VALUES ({', '.join('?' * (len(NAMES) + 1))}) "  # noqa: S608 - the fields of our own class
    f"ON CONFLICT (user_id) DO UPDATE SET {', '.join(f'{name} = {name} + excluded.{name}' for name in NAMES)}"
)


class TallyFile:
    """Several readers add to it; it is read when they have ended."""

    def __init__(self, file: Path) -> None:
        """Begin empty."""
        self._lock = Lock()
        self._rows = sqlite3.connect(file, check_same_thread=False, isolation_level=None)
        self._rows.executescript(f"PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; {_LAYOUT}")

    def take(self, part: Tallies) -> None:
        """Add what a reader has, and let it begin anew."""
        rows = [
            (user_id, *(getattr(tally, name) for name in NAMES)) for user_id, tally in part.items()
        ]
        with self._lock:
            self._rows.execute("BEGIN")
            self._rows.executemany(_ADD, rows)
            self._rows.execute("COMMIT")
        part.clear()

    def items(self) -> Iterator[tuple[str, Tally]]:
        """Every account, one after the other."""
        for user_id, *figures in self._rows.execute("SELECT * FROM tally"):
            yield user_id, Tally(*figures)

    def suspects(self) -> Iterator[str]:
        """The accounts on which something does not agree, as far as this reading goes."""
        return (user_id for user_id, tally in self.items() if any(tally.differences(user_id)))

    @property
    def accounts(self) -> int:
        """How many there are."""
        return int(self._rows.execute("SELECT count(*) FROM tally").fetchone()[0])

    @property
    def units(self) -> int:
        """What all ledger entries sum up to."""
        return int(self._rows.execute("SELECT coalesce(sum(booked), 0) FROM tally").fetchone()[0])

    def close(self) -> None:
        """Nothing can be read any more."""
        self._rows.close()


@contextmanager
def tally_file() -> Iterator[TallyFile]:
    """One that is gone when it is done with."""
    with tempfile.TemporaryDirectory(prefix="topup-verify-") as folder:
        made = TallyFile(Path(folder) / "tallies.sqlite")
        try:
            yield made
        finally:
            made.close()
