"""Holds the sums of each account's rows (its tally) in a temporary file.

In memory they would grow with the number of accounts.
"""

import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from threading import Lock
from typing import Final

from billing.audit.tallies import Tallies
from billing.audit.tally import Tally

ACCOUNTS_IN_MEMORY_MAX: Final = 5_000
"""The accounts that one reader keeps before it writes to the file: about four megabytes."""
NAMES: Final = tuple(field.name for field in fields(Tally))
_COLUMNS: Final = ", ".join(f"{name} INTEGER" for name in NAMES)
_SCHEMA: Final = f"CREATE TABLE tally (user_id TEXT PRIMARY KEY, {_COLUMNS}) WITHOUT ROWID"
_MARKS: Final = ", ".join("?" * (len(NAMES) + 1))
_SUMS: Final = ", ".join(f"{name} = {name} + excluded.{name}" for name in NAMES)
# S608: they are the fields of our own class.
_ADD: Final = (
    f"INSERT INTO tally VALUES ({_MARKS})"  # noqa: S608
    f" ON CONFLICT (user_id) DO UPDATE SET {_SUMS}"
)


class TallyFile:
    """Holds the sums of each account's rows (its tally) in an SQLite file.

    ``take`` adds to them, also from several threads. They are read after that.
    """

    def __init__(self, file: Path) -> None:
        """Create the SQLite database ``file``, without any sums."""
        self._lock = Lock()
        self._rows = sqlite3.connect(file, check_same_thread=False, isolation_level=None)
        self._rows.executescript(f"PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; {_SCHEMA}")

    def take(self, part: Tallies) -> None:
        """Add the sums of units in ``part`` to the file, and empty ``part``.

        ``part`` has the sums of each account's rows, as far as one reader of the tables has read
        them. They are added to the account's sums in the file.
        """
        rows = [
            (user_id, *(getattr(tally, name) for name in NAMES)) for user_id, tally in part.items()
        ]
        with self._lock:
            self._rows.execute("BEGIN")
            self._rows.executemany(_ADD, rows)
            self._rows.execute("COMMIT")
        part.clear()

    def items(self) -> Iterator[tuple[str, Tally]]:
        """Yield each account's user id with its tally (the sums of its rows)."""
        for user_id, *figures in self._rows.execute("SELECT * FROM tally"):
            yield user_id, Tally(*figures)

    def suspects(self) -> Iterator[str]:
        """Yield the user ids of accounts whose sums disagree, for example ledger and balance.

        Such an account may be right: perhaps it changed while its rows were read.
        """
        return (user_id for user_id, tally in self.items() if any(tally.differences(user_id)))

    @property
    def accounts(self) -> int:
        """Return how many accounts the file has."""
        return int(self._rows.execute("SELECT count(*) FROM tally").fetchone()[0])

    @property
    def units(self) -> int:
        """Return the sum of all ledger entries of all accounts, in units."""
        return int(self._rows.execute("SELECT coalesce(sum(booked), 0) FROM tally").fetchone()[0])

    def close(self) -> None:
        """Close the file."""
        self._rows.close()


@contextmanager
def tally_file() -> Iterator[TallyFile]:
    """Yield an empty SQLite file for the sums of each account's rows.

    The file is deleted at the end of the ``with`` block.
    """
    with tempfile.TemporaryDirectory(prefix="topup-verify-") as folder:
        made = TallyFile(Path(folder) / "tallies.sqlite")
        try:
            yield made
        finally:
            made.close()
