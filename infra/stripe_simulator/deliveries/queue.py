"""What is still to be delivered, to whom and when, in the simulator's file."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from infra.stripe_simulator.objects.store import Drawers

KEPT_SECONDS: Final = 3 * 86400
"""Stripe tries for up to three days. https://docs.stripe.com/webhooks#retries"""
_LAYOUT: Final = (
    """CREATE TABLE IF NOT EXISTS parcels (number INTEGER PRIMARY KEY AUTOINCREMENT, event_id TEXT, target_name TEXT,
    due REAL, tries INTEGER DEFAULT 0, counts INTEGER, posted REAL)""",
    "CREATE INDEX IF NOT EXISTS by_event ON parcels (event_id, target_name)",
    "CREATE INDEX IF NOT EXISTS by_due ON parcels (due)",
)


@dataclass(frozen=True, slots=True)
class Parcel:
    """One event for one endpoint, tried so many times."""

    number: int
    event_id: str
    target_name: str
    tries: int


class Postbag:
    """Parcels stay until they are delivered, given up, or their endpoint is gone.

    ``targets``: only what goes to these.
    """

    def __init__(self, drawers: Drawers) -> None:
        """In the same file as the objects, so that an event and its deliveries are written together."""
        self._drawers, self._db = drawers, drawers.db
        for line in _LAYOUT:
            self._db.execute(line)

    def add(self, event_id: str, target_name: str, due: float, *, counts: bool) -> None:
        """One more delivery.

        ``counts``: the event's ``pending_webhooks`` has one for it until it is delivered.
        """
        row = (event_id, target_name, due, counts, self._drawers.time())
        self._db.execute(
            "INSERT INTO parcels (event_id, target_name, due, counts, posted) VALUES (?, ?, ?, ?, ?)",
            row,
        )

    def due(self, targets: Collection[str], limit: int, *, shuffled: bool) -> list[Parcel]:
        """At most ``limit`` of what may be sent now, in the order of posting or in any."""
        order = "random()" if shuffled else "number"
        rows = self._db.execute(
            f"SELECT number, event_id, target_name, tries FROM parcels WHERE due <= ? AND target_name IN ({_marks(targets)})"  # noqa: S608 - marks only
            f" ORDER BY {order} LIMIT ?",
            (self._drawers.time(), *targets, limit),
        )
        return [Parcel(*row) for row in rows]

    def busy(self, targets: Collection[str]) -> bool:
        """Whether anything waits for something else than its next try."""
        row = self._db.execute(
            f"SELECT 1 FROM parcels WHERE (due <= ? OR tries = 0) AND target_name IN ({_marks(targets)}) LIMIT 1",  # noqa: S608 - marks only
            (self._drawers.time(), *targets),
        )
        return row.fetchone() is not None

    def seconds_until_due(self, longest: float) -> float:
        """Until the next one that is not due yet, at most ``longest``."""
        now = self._drawers.time()
        (first,) = self._db.execute("SELECT MIN(due) FROM parcels WHERE due > ?", (now,)).fetchone()
        return longest if first is None else min(longest, float(first) - now)

    def done(self, parcel: Parcel) -> None:
        """Accepted. Of several deliveries of one event to one endpoint the first settles its count."""
        with self._drawers.transaction():
            counted = self._db.execute(
                "SELECT counts FROM parcels WHERE number = ?", (parcel.number,)
            ).fetchone()
            event = self._drawers.get("event", parcel.event_id)
            if counted and counted[0] and event:
                self._drawers.put({**event, "pending_webhooks": event["pending_webhooks"] - 1})
                pair = (parcel.event_id, parcel.target_name)
                self._db.execute(
                    "UPDATE parcels SET counts = 0 WHERE event_id = ? AND target_name = ?", pair
                )
            self._db.execute("DELETE FROM parcels WHERE number = ?", (parcel.number,))

    def failed(self, parcel: Parcel, pauses_seconds: tuple[float, ...]) -> None:
        """Try again after the next pause; after the last one it is given up and stays pending at Stripe's."""
        if parcel.tries >= len(pauses_seconds):
            self._db.execute("DELETE FROM parcels WHERE number = ?", (parcel.number,))
            return
        due = self._drawers.time() + pauses_seconds[parcel.tries]
        self._db.execute(
            "UPDATE parcels SET tries = tries + 1, due = ? WHERE number = ?", (due, parcel.number)
        )

    def forget(self, target_name: str) -> None:
        """The endpoint is gone."""
        self._db.execute("DELETE FROM parcels WHERE target_name = ?", (target_name,))

    def give_up_tried(self, target_names: Collection[str]) -> None:
        """Endpoints that are disabled when a retry falls due get no more of that event: https://docs.stripe.com/webhooks#automatic-retries."""
        if target_names:
            rows = f"due <= ? AND tries > 0 AND target_name IN ({_marks(target_names)})"
            self._db.execute(
                f"DELETE FROM parcels WHERE {rows}", (self._drawers.time(), *target_names)
            )

    def give_up_old(self) -> None:
        """What nobody has accepted for three days; that of endpoints that never came back, too."""
        self._db.execute(
            "DELETE FROM parcels WHERE posted < ?", (self._drawers.time() - KEPT_SECONDS,)
        )


def _marks(values: Collection[str]) -> str:
    return ", ".join("?" * len(values))
