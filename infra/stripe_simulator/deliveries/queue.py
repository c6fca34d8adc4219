"""Stores pending deliveries in the simulator's file: which event, to which endpoint, and when."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from infra.stripe_simulator.store import Store

KEPT_SECONDS: Final = 3 * 86400
"""How long a delivery is retried. Stripe retries for up to three days:
https://docs.stripe.com/webhooks#retries
"""
_SCHEMA: Final = (
    """CREATE TABLE IF NOT EXISTS pending_deliveries
    (number INTEGER PRIMARY KEY AUTOINCREMENT, event_id TEXT, target_name TEXT,
    due REAL, tries INTEGER DEFAULT 0, counts INTEGER, posted REAL)""",
    "CREATE INDEX IF NOT EXISTS by_event ON pending_deliveries (event_id, target_name)",
    "CREATE INDEX IF NOT EXISTS by_due ON pending_deliveries (due)",
)
_ADD: Final = """INSERT INTO pending_deliveries (event_id, target_name, due, counts, posted)
    VALUES (?, ?, ?, ?, ?)"""
_SETTLE_COUNT: Final = """UPDATE pending_deliveries SET counts = 0
    WHERE event_id = ? AND target_name = ?"""


@dataclass(frozen=True, slots=True)
class PendingDelivery:
    """One event that is still to be sent to one webhook endpoint.

    ``number`` identifies it in the queue. ``tries`` counts the failed attempts so far.
    """

    number: int
    event_id: str
    target_name: str
    tries: int


class DeliveryQueue:
    """Stores the webhooks that are still to be sent. A delivery is one event for one endpoint.

    It is removed when it succeeds, when it is given up, or when its endpoint is deleted.
    """

    def __init__(self, store: Store) -> None:
        """Store the queue in the database of ``store``.

        The Stripe objects are there too, so an event and its deliveries can be written in one
        transaction.
        """
        self._store, self._db = store, store.db
        for line in _SCHEMA:
            self._db.execute(line)

    def add(self, event_id: str, target_name: str, due: float, *, counts: bool) -> None:
        """Add a delivery of an event to an endpoint, to be sent at the time ``due``.

        With ``counts`` the event's ``pending_webhooks`` includes the delivery until it succeeds.
        """
        row = (event_id, target_name, due, counts, self._store.time())
        self._db.execute(_ADD, row)

    def due(self, targets: Collection[str], limit: int, *, shuffled: bool) -> list[PendingDelivery]:
        """Return at most ``limit`` deliveries to these endpoints that must be sent now.

        ``targets`` has the endpoints' names. The deliveries are in order of addition or, with
        ``shuffled``, in random order.
        """
        order = "random()" if shuffled else "number"
        marks = _marks(targets)
        # S608: the marks are question marks alone.
        asked = f"""SELECT number, event_id, target_name, tries FROM pending_deliveries
            WHERE due <= ? AND target_name IN ({marks}) ORDER BY {order} LIMIT ?"""  # noqa: S608
        rows = self._db.execute(asked, (self._store.time(), *targets, limit))
        return [PendingDelivery(*row) for row in rows]

    def busy(self, targets: Collection[str]) -> bool:
        """Return whether any delivery to these endpoints is due, or has not been tried yet."""
        marks = _marks(targets)
        # S608: the marks are question marks alone.
        asked = f"""SELECT 1 FROM pending_deliveries
            WHERE (due <= ? OR tries = 0) AND target_name IN ({marks}) LIMIT 1"""  # noqa: S608
        row = self._db.execute(asked, (self._store.time(), *targets))
        return row.fetchone() is not None

    def seconds_until_due(self, longest: float) -> float:
        """Return the seconds until the next delivery is due, at most ``longest``."""
        now = self._store.time()
        asked = "SELECT MIN(due) FROM pending_deliveries WHERE due > ?"
        (first,) = self._db.execute(asked, (now,)).fetchone()
        return longest if first is None else min(longest, float(first) - now)

    def done(self, delivery: PendingDelivery) -> None:
        """Remove a delivery that succeeded, and lower the event's ``pending_webhooks``.

        If an event was delivered to an endpoint several times, only the first delivery lowers it.
        """
        with self._store.transaction():
            asked = "SELECT counts FROM pending_deliveries WHERE number = ?"
            counted = self._db.execute(asked, (delivery.number,)).fetchone()
            event = self._store.get("event", delivery.event_id)
            if counted and counted[0] and event:
                self._store.put({**event, "pending_webhooks": event["pending_webhooks"] - 1})
                self._db.execute(_SETTLE_COUNT, (delivery.event_id, delivery.target_name))
            self._remove(delivery)

    def failed(self, delivery: PendingDelivery, pauses_seconds: tuple[float, ...]) -> None:
        """Set the time of the next attempt after a failed one.

        ``pauses_seconds`` has the pause after each attempt. When no pause is left, the delivery is
        removed.
        """
        if delivery.tries >= len(pauses_seconds):
            self._remove(delivery)
            return
        due = self._store.time() + pauses_seconds[delivery.tries]
        change = "UPDATE pending_deliveries SET tries = tries + 1, due = ? WHERE number = ?"
        self._db.execute(change, (due, delivery.number))

    def forget(self, target_name: str) -> None:
        """Remove all deliveries of a deleted endpoint."""
        self._db.execute("DELETE FROM pending_deliveries WHERE target_name = ?", (target_name,))

    def give_up_tried(self, target_names: Collection[str]) -> None:
        """Delete the deliveries that would now be retried at disabled endpoints.

        ``target_names`` are the names of these endpoints. A delivery that was never tried stays.
        https://docs.stripe.com/webhooks#automatic-retries
        """
        if target_names:
            rows = f"due <= ? AND tries > 0 AND target_name IN ({_marks(target_names)})"
            change = f"DELETE FROM pending_deliveries WHERE {rows}"  # noqa: S608
            self._db.execute(change, (self._store.time(), *target_names))

    def give_up_old(self) -> None:
        """Remove deliveries older than three days.

        Those to webhook endpoints that no longer exist go then too.
        """
        oldest = self._store.time() - KEPT_SECONDS
        self._db.execute("DELETE FROM pending_deliveries WHERE posted < ?", (oldest,))

    def _remove(self, delivery: PendingDelivery) -> None:
        self._db.execute("DELETE FROM pending_deliveries WHERE number = ?", (delivery.number,))


def _marks(values: Collection[str]) -> str:
    return ", ".join("?" * len(values))
