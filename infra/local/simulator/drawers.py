"""Where the simulator keeps its objects: one SQLite file, each object as Stripe's JSON, in the order they were made."""

import json
import secrets
import sqlite3
import string
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

Thing = dict[str, Any]
_LETTERS: Final = string.ascii_letters + string.digits
PREFIXES: Final = {
    "checkout.session": ("cs_test_a1", 56),
    "payment_intent": ("pi_3", 23),
    "charge": ("ch_3", 23),
    "refund": ("re_3", 23),
    "dispute": ("du_1", 23),
    "balance_transaction": ("txn_1", 23),
    "event": ("evt_1", 23),
    "webhook_endpoint": ("we_1", 23),
    "item": ("li_1", 23),
    "price": ("price_1", 23),
    "product": ("prod_", 14),
}


def new_id(kind: str) -> str:
    """An id of the form that Stripe gives such an object."""
    prefix, length = PREFIXES[kind]
    return prefix + "".join(secrets.choice(_LETTERS) for _ in range(length))


class Drawers:
    """Read and write objects. A stop keeps them."""

    def __init__(self, file: Path | str) -> None:
        """``file`` may be ``:memory:``."""
        self._db = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("CREATE TABLE IF NOT EXISTS things (seq INTEGER PRIMARY KEY, id TEXT UNIQUE, kind TEXT, body TEXT)")
        self._db.execute("CREATE TABLE IF NOT EXISTS notes (name TEXT PRIMARY KEY, body TEXT)")
        self._db.execute("CREATE INDEX IF NOT EXISTS by_kind ON things (kind, seq)")
        self.offset_seconds: int = self.note("clock") or 0

    def now(self) -> int:
        """Epoch seconds, moved by the control API."""
        return int(time.time()) + self.offset_seconds

    def put(self, thing: Thing) -> Thing:
        """Add or replace."""
        body = json.dumps(thing)
        self._db.execute(
            "INSERT INTO things (id, kind, body) VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE SET body = excluded.body",
            (thing["id"], thing["object"], body),
        )
        return thing

    def get(self, kind: str, name: str) -> Thing | None:
        """One object, or None."""
        row = self._db.execute("SELECT body FROM things WHERE id = ? AND kind = ?", (name, kind)).fetchone()
        return json.loads(row[0]) if row else None

    def remove(self, name: str) -> None:
        """For what Stripe lets one delete."""
        self._db.execute("DELETE FROM things WHERE id = ?", (name,))

    def place(self, name: str) -> int | None:
        """The object's place in the order of making."""
        row = self._db.execute("SELECT seq FROM things WHERE id = ?", (name,)).fetchone()
        return int(row[0]) if row else None

    def newest_first(self, kind: str, below: int | None = None) -> Iterator[Thing]:
        """All objects of a kind made before the place ``below``."""
        rows = self._db.execute("SELECT body FROM things WHERE kind = ? AND seq < ? ORDER BY seq DESC", (kind, below or 1 << 62))
        return (json.loads(row[0]) for row in rows)

    def oldest_first(self, kind: str, above: int) -> Iterator[Thing]:
        """All objects of a kind made after the place ``above``."""
        rows = self._db.execute("SELECT body FROM things WHERE kind = ? AND seq > ? ORDER BY seq", (kind, above))
        return (json.loads(row[0]) for row in rows)

    def note(self, name: str, value: Any = None) -> Any:  # noqa: ANN401 - any JSON
        """Read a note, or write one where a value is given."""
        if value is not None:
            self._db.execute("INSERT OR REPLACE INTO notes VALUES (?, ?)", (name, json.dumps(value)))
            return value
        row = self._db.execute("SELECT body FROM notes WHERE name = ?", (name,)).fetchone()
        return json.loads(row[0]) if row else None
