"""One lot: units that came in together, and its row's key, which is its place in the burn order."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from billing.storage.writes import Write, creates, equals

Source = Literal["purchase", "grant", "welcome"]
PREFIX: Final = "lot#"
LAST: Final = "lot$"
"""Sorts after the keys of all lots."""
NEVER: Final = 999_999_999_999
"""Stands for the expiry in the key of a lot that never expires: those burn last."""
DAY_SECONDS: Final = 86_400
REMINDERS: Final = (7 * DAY_SECONDS, DAY_SECONDS)
"""Seconds before its expiry at which a lot's customer is told, once each."""
MARKS: Final = ("expires_7", "expires_1", "open")
"""The marks of the index that sweeps read, by the reminders that are past. Expiring lots with units
in them carry one."""


@dataclass(frozen=True, slots=True)
class Lot:
    """One lot. ``units`` came in, ``free`` can be spent now, ``held`` are in open holds."""

    lot_id: str
    source: Source
    units: int
    free: int
    held: int = 0
    expires_at: int = 0
    """Epoch second from which it cannot be spent, 0 for never."""
    created_us: int = 0
    """When it came in, in microseconds since the epoch."""
    reference_id: str = ""
    """The session's or the grant's id."""
    is_void: bool = False
    """The grant was voided: what comes back from a hold is taken back as well."""
    reminded: int = 0
    """How many of REMINDERS are past: told, or not to be told because its life is shorter."""

    @property
    def left(self) -> int:
        """Units in it, those in open holds included."""
        return self.free + self.held

    @property
    def key(self) -> str:
        """The key of its row. Keys sort as lots burn.

        Soonest expiry first, at the same moment granted before bought, then older first.
        """
        bought = int(self.source == "purchase")
        expiry = self.expires_at or NEVER
        return f"{PREFIX}{expiry:012d}#{bought}#{self.created_us:016d}#{self.lot_id}"

    def begun(self, now_epoch: int) -> "Lot":
        """Return a new lot. What lies before it begins is not told: its life is shorter."""
        if not self.expires_at:
            return self
        return replace(self, reminded=self.reminders_past(now_epoch))

    def reminders_past(self, now_epoch: int) -> int:
        """Return how many of REMINDERS are past at this second."""
        return sum(
            self.expires_at - before <= now_epoch for before in REMINDERS
        )

    def has_expired(self, now_epoch: int) -> bool:
        """Whether its time is over at this second."""
        return 0 < self.expires_at <= now_epoch

    def to_item(self) -> dict[str, Any]:
        """Every stored attribute except the key."""
        stored: dict[str, Any] = {
            "lot_id": self.lot_id,
            "source": self.source,
            "units": self.units,
            "free": self.free,
            "held": self.held,
            "expires_at": self.expires_at,
            "created_us": self.created_us,
            "reference_id": self.reference_id,
        }
        if self.is_void:
            stored["is_void"] = True
        if self.reminded:
            stored["reminded"] = self.reminded
        if self.expires_at and self.free:
            stored["open"] = MARKS[self.reminded]
        return stored

    @classmethod
    def from_item(cls, item: Mapping[str, Any]) -> "Lot":
        """Return the lot in a row. Ignores attributes that a newer version wrote."""
        return cls(
            **{name: item[name] for name in cls.__slots__ if name in item}
        )


EARLIER: Final = Lot("earlier", "purchase", 0, 0)
"""Units that came in before there were lots. They have no row: they are what no other lot has.

They never expire, and burn before all lots that were bought later and never expire either."""


def row_writes(
    user_id: str, before: Lot | None, after: Lot | None
) -> list[Write]:
    """Return what turns one lot's row into another: none for no change.

    Refused when the row is no longer as ``before``.
    """
    if before == after:
        return []
    if before is None:
        return [_creates(user_id, after)] if after and after.left else []
    unchanged = (equals("free", before.free), equals("held", before.held))
    place = (user_id, before.key)
    if after is None or not after.left:
        return [Write("quotas", place, delete=True, must=unchanged)]
    values, stored = after.to_item(), before.to_item()
    changed = {
        name: value
        for name, value in values.items()
        if stored.get(name) != value
    }
    gone = tuple(name for name in stored if name not in values)
    return [Write("quotas", place, set=changed, remove=gone, must=unchanged)]


def _creates(user_id: str, lot: Lot) -> Write:
    return creates("quotas", (user_id, lot.key), lot.to_item())
