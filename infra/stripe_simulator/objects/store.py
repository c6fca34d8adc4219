"""Where the simulator keeps its objects: one SQLite file, each object as Stripe's JSON, in the order they were made."""

import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

Thing = dict[str, Any]
_LAYOUT: Final = (
    "PRAGMA journal_mode=WAL",
    # outlives a kill of the process; a power cut is not this simulator's business
    "PRAGMA synchronous=NORMAL",
    "CREATE TABLE IF NOT EXISTS things (seq INTEGER PRIMARY KEY, id TEXT UNIQUE, kind TEXT, body TEXT)",
    "CREATE TABLE IF NOT EXISTS notes (name TEXT PRIMARY KEY, body TEXT)",
    "CREATE INDEX IF NOT EXISTS by_kind ON things (kind, seq)",
    """CREATE INDEX IF NOT EXISTS open_sessions ON things (json_extract(body, '$.expires_at'))
    WHERE kind = 'checkout.session' AND json_extract(body, '$.status') = 'open'""",
)


class Drawers:
    """Read and write objects. A stop keeps them."""

    def __init__(self, file: Path | str, clock: Callable[[], float] = time.time) -> None:
        """``file`` may be ``:memory:``."""
        self.db = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
        for line in _LAYOUT:
            self.db.execute(line)
        self._clock = clock
        self.offset_seconds: int = self.note("clock") or 0

    def close(self) -> None:
        """Nothing can be read or written any more."""
        self.db.close()

    def time(self) -> float:
        """Epoch seconds, moved by the control API."""
        return self._clock() + self.offset_seconds

    def now(self) -> int:
        """The same in whole seconds, as Stripe writes it."""
        return int(self.time())

    def advance(self, seconds: int) -> None:
        """Move the clock; it stays moved over a stop."""
        self.offset_seconds += seconds
        self.note("clock", self.offset_seconds)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All of it or nothing. Nothing may be awaited inside."""
        self.db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self.db.execute("ROLLBACK")
            raise
        self.db.execute("COMMIT")

    def put(self, thing: Thing) -> Thing:
        """Add or replace."""
        self.db.execute(
            "INSERT INTO things (id, kind, body) VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE SET body = excluded.body",
            (thing["id"], thing["object"], json.dumps(thing)),
        )
        return thing

    def get(self, kind: str, name: str) -> Thing | None:
        """One object, or None."""
        row = self.db.execute(
            "SELECT body FROM things WHERE id = ? AND kind = ?", (name, kind)
        ).fetchone()
        return json.loads(row[0]) if row else None

    def remove(self, name: str) -> None:
        """For what Stripe lets one delete."""
        self.db.execute("DELETE FROM things WHERE id = ?", (name,))

    def place(self, kind: str, name: str) -> int | None:
        """The object's place in the order of making."""
        row = self.db.execute(
            "SELECT seq FROM things WHERE id = ? AND kind = ?", (name, kind)
        ).fetchone()
        return int(row[0]) if row else None

    def newest_first(self, kind: str, below: int | None = None) -> Iterator[Thing]:
        """All objects of a kind made before the place ``below``."""
        rows = self.db.execute(
            "SELECT body FROM things WHERE kind = ? AND seq < ? ORDER BY seq DESC",
            (kind, below or 1 << 62),
        )
        return (json.loads(row[0]) for row in rows)

    def oldest_first(self, kind: str, above: int) -> Iterator[Thing]:
        """All objects of a kind made after the place ``above``."""
        rows = self.db.execute(
            "SELECT body FROM things WHERE kind = ? AND seq > ? ORDER BY seq", (kind, above)
        )
        return (json.loads(row[0]) for row in rows)

    def overdue_sessions(self) -> list[str]:
        """Ids of open Checkout Sessions whose time is over."""
        rows = self.db.execute(
            "SELECT id FROM things WHERE kind = 'checkout.session' AND json_extract(body, '$.status') = 'open'"
            " AND json_extract(body, '$.expires_at') <= ? ORDER BY json_extract(body, '$.expires_at')",
            (self.now(),),
        )
        return [row[0] for row in rows]

    def note(self, name: str, value: Any = None) -> Any:
        """Read a note, or write one where a value is given."""
        if value is not None:
            self.db.execute("INSERT OR REPLACE INTO notes VALUES (?, ?)", (name, json.dumps(value)))
            return value
        row = self.db.execute("SELECT body FROM notes WHERE name = ?", (name,)).fetchone()
        return json.loads(row[0]) if row else None
