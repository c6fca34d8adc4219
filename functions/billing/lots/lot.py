"""Defines a lot: the units of one purchase or grant.

The key of a lot's row is its place in the burn order, in which units are used:
the first to expire first.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from billing.storage.writes import Write, creates, equals

Source = Literal["purchase", "grant", "welcome"]
PREFIX: Final = "lot#"
LAST: Final = "lot$"
"""A key that sorts after the keys of all lots."""
NEVER: Final = 999_999_999_999
"""The expiry in the key of a lot that never expires. Such lots are used last.
"""
DAY_SECONDS: Final = 86_400
REMINDERS: Final = (7 * DAY_SECONDS, DAY_SECONDS)
"""How many seconds before a lot's expiry an event ``units.expiring`` is sent,
once each.
"""
MARKS: Final = ("expires_7", "expires_1", "open")
"""The values of the attribute ``open`` in a lot's row, by the number of
reminders that are past. A sweep finds the lots with a value in an index. Only
expiring lots with free units have one.
"""


@dataclass(frozen=True, slots=True)
class Lot:
    """One lot: the units of one purchase or grant.

    ``units`` is its size, ``free`` can be spent now, and ``held`` are in
    open holds.
    """

    lot_id: str
    source: Source
    units: int
    free: int
    held: int = 0
    expires_at: int = 0
    """The epoch second from which the units cannot be spent. 0 means never."""
    created_us: int = 0
    """When the units were added, in microseconds since the epoch."""
    reference_id: str = ""
    """The id of the session, payment intent or grant."""
    is_void: bool = False
    """Whether the grant was voided. Units that come back from a hold are then
    taken back too.
    """
    reminded: int = 0
    """How many of REMINDERS are past: sent, or skipped because the lot's life
    is shorter.
    """

    @property
    def left(self) -> int:
        """Return the units not used yet, including those in open holds."""
        return self.free + self.held

    @property
    def key(self) -> str:
        """Return the range key of the lot's row.

        Keys sort in the order in which lots are used: the first to expire
        comes first. At the same expiry, granted units come before bought ones,
        and then older ones before newer.
        """
        bought = int(self.source == "purchase")
        expiry = self.expires_at or NEVER
        return f"{PREFIX}{expiry:012d}#{bought}#{self.created_us:016d}#{self.lot_id}"

    def begun(self, now_epoch: int) -> "Lot":
        """Return this new lot, with reminders that come too late skipped.

        A reminder is an event some days before the lot expires. It comes too
        late if the lot's whole life is shorter than that.
        """
        if not self.expires_at:
            return self
        return replace(self, reminded=self.reminders_past(now_epoch))

    def reminders_past(self, now_epoch: int) -> int:
        """Return how many reminders of the lot's expiry are due already.

        REMINDERS says how long before the expiry each is due. ``now_epoch`` is
        the current second.
        """
        return sum(
            self.expires_at - before <= now_epoch for before in REMINDERS
        )

    def has_expired(self, now_epoch: int) -> bool:
        """Return whether the lot has expired at this epoch second."""
        return 0 < self.expires_at <= now_epoch

    def to_item(self) -> dict[str, Any]:
        """Return the attributes of the lot's row, without the key."""
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
        """Return the lot (the units of one purchase or grant) in a table row.

        Attributes that a newer version wrote are ignored.
        """
        return cls(
            **{name: item[name] for name in cls.__slots__ if name in item}
        )


EARLIER: Final = Lot("earlier", "purchase", 0, 0)
"""The lot for units from before there were lots. It has no row: its units are
those that no other lot has. They never expire, and are used before lots
that were bought later and never expire either.
"""


def row_writes(
    user_id: str, before: Lot | None, after: Lot | None
) -> list[Write]:
    """Return the writes that turn the lot's row ``before`` into ``after``.

    A lot is the units of one purchase or grant. None means that there is no
    row. A lot with no units left has no row either. The list is empty if
    nothing changes. DynamoDB refuses the write if the row is no longer as
    ``before``.
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
