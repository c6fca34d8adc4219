"""Stores the simulator's objects in one SQLite file, as Stripe's JSON, in order of creation."""

import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

Thing = dict[str, Any]
"""One of Stripe's objects, as JSON."""
_SCHEMA: Final = (
    "PRAGMA journal_mode=WAL",
    # survives a kill of the process; it need not survive a power cut
    "PRAGMA synchronous=NORMAL",
    """CREATE TABLE IF NOT EXISTS things
    (seq INTEGER PRIMARY KEY, id TEXT UNIQUE, kind TEXT, body TEXT)""",
    "CREATE TABLE IF NOT EXISTS notes (name TEXT PRIMARY KEY, body TEXT)",
    "CREATE INDEX IF NOT EXISTS by_kind ON things (kind, seq)",
    """CREATE INDEX IF NOT EXISTS open_sessions ON things (json_extract(body, '$.expires_at'))
    WHERE kind = 'checkout.session' AND json_extract(body, '$.status') = 'open'""",
)
_PUT: Final = """INSERT INTO things (id, kind, body) VALUES (?, ?, ?)
    ON CONFLICT (id) DO UPDATE SET body = excluded.body"""
_OVERDUE: Final = """SELECT id FROM things
    WHERE kind = 'checkout.session' AND json_extract(body, '$.status') = 'open'
    AND json_extract(body, '$.expires_at') <= ? ORDER BY json_extract(body, '$.expires_at')"""
_SEQUENCE_MAX: Final = 1 << 62


class Store:
    """Reads and writes one simulator's state in a SQLite file: Stripe objects, and notes.

    A note is any JSON value under a name, for what is not a Stripe object. With a real file both
    survive a restart; with ``:memory:`` they do not.
    """

    def __init__(
        self,
        file: Path | str,
        clock: Callable[[], float] = time.time,
        clock_file: Path | None = None,
    ) -> None:
        """Open ``file``, which is created if it is missing. ``:memory:`` keeps the state in memory.

        ``clock`` returns the real time. The simulator's time is ahead of it by an offset, which is
        written to ``clock_file`` (if one is given) for other programs to read.
        """
        self.db = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
        for line in _SCHEMA:
            self.db.execute(line)
        self._clock, self._clock_file = clock, clock_file
        self.offset_seconds: int = self.note("clock") or 0
        self._publish_offset(self.offset_seconds)

    def close(self) -> None:
        """Close the file."""
        self.db.close()

    def time(self) -> float:
        """Return the simulator's time in epoch seconds. The control API can advance it."""
        return self._clock() + self.offset_seconds

    def now(self) -> int:
        """Return the simulator's time in whole seconds, as Stripe writes it."""
        return int(self.time())

    def advance(self, seconds: int) -> None:
        """Advance the clock. It stays advanced after a restart."""
        offset = self.offset_seconds + seconds
        self.note("clock", offset)
        self._publish_offset(offset)
        self.offset_seconds = offset

    def _publish_offset(self, seconds: int) -> None:
        """Write the clock's offset for other programs, if there is a ``clock_file``.

        The file is replaced atomically, so that no program reads half of it.
        """
        if self._clock_file:
            part = self._clock_file.with_name(f"{self._clock_file.name}.part")
            part.write_text(str(seconds))
            part.replace(self._clock_file)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make all writes of a ``with`` block atomic. The block must not await."""
        self.db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self.db.execute("ROLLBACK")
            raise
        self.db.execute("COMMIT")

    def put(self, thing: Thing) -> Thing:
        """Add or replace an object, and return it."""
        self.db.execute(_PUT, (thing["id"], thing["object"], json.dumps(thing)))
        return thing

    def get(self, kind: str, name: str) -> Thing | None:
        """Return the object of type ``kind`` with the id ``name``, or None if there is none."""
        asked = "SELECT body FROM things WHERE id = ? AND kind = ?"
        row = self.db.execute(asked, (name, kind)).fetchone()
        return json.loads(row[0]) if row else None

    def remove(self, name: str) -> None:
        """Delete the object with the id ``name``. Does nothing if there is none."""
        self.db.execute("DELETE FROM things WHERE id = ?", (name,))

    def sequence(self, kind: str, name: str) -> int | None:
        """Return the object's number in order of creation, or None for an unknown object."""
        asked = "SELECT seq FROM things WHERE id = ? AND kind = ?"
        row = self.db.execute(asked, (name, kind)).fetchone()
        return int(row[0]) if row else None

    def newest_first(self, kind: str, below: int | None = None) -> Iterator[Thing]:
        """Yield the objects of a kind, newest first.

        With ``below``, only those with a smaller sequence number.
        """
        asked = "SELECT body FROM things WHERE kind = ? AND seq < ? ORDER BY seq DESC"
        rows = self.db.execute(asked, (kind, below or _SEQUENCE_MAX))
        return (json.loads(row[0]) for row in rows)

    def oldest_first(self, kind: str, above: int) -> Iterator[Thing]:
        """Yield the objects of a kind with a sequence number above ``above``, oldest first."""
        asked = "SELECT body FROM things WHERE kind = ? AND seq > ? ORDER BY seq"
        rows = self.db.execute(asked, (kind, above))
        return (json.loads(row[0]) for row in rows)

    def overdue_sessions(self) -> list[str]:
        """Return the ids of open Checkout Sessions that should have expired."""
        return [row[0] for row in self.db.execute(_OVERDUE, (self.now(),))]

    def note(self, name: str, value: Any = None) -> Any:
        """Return the JSON value that is stored under ``name``, or None.

        With ``value``, store it under ``name`` and return it. A note is what Stripe's objects do
        not show, for example whether a payment method was used up.
        """
        if value is not None:
            self.db.execute("INSERT OR REPLACE INTO notes VALUES (?, ?)", (name, json.dumps(value)))
            return value
        row = self.db.execute("SELECT body FROM notes WHERE name = ?", (name,)).fetchone()
        return json.loads(row[0]) if row else None
