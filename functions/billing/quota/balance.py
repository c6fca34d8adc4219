"""Reads a user's stored balance, in units.

``total`` is what the user got, less what was taken back or has expired. Of
these units, ``used`` are spent, ``held`` are in open holds, and ``remaining``
can be spent. ``debt`` is what the user owes, for example after a refund of
used units. ``total - used == remaining + held - debt`` always, and never both
``remaining`` and ``debt`` above zero.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from billing.answers import Count, Time, members
from billing.storage.dynamodb import Store
from billing.storage.writes import Write

COUNTER_CHARS: Final = 5
COUNTERS: Final = "urx"
"""The first letters of the attributes that count for an API key: see
quota/key_use.py. Four characters of the API key's name follow, so no other
attribute of the balance may have this form.
"""


@dataclass(frozen=True, slots=True)
class Expiry:
    """A number of units that expire at the same time, ``at``."""

    units: Count
    at: Time


@dataclass(frozen=True, slots=True)
class Quota:
    """A user's quota as ``GET /quota`` shows it, in units."""

    user_id: str
    total: int
    used: Count
    held: Count
    remaining: Count
    debt: Count
    updated_at: Time | None
    expires_next: Expiry | None


@dataclass(frozen=True, slots=True)
class Balance:
    """A stored balance, in units. ``itemised`` is the part of ``used`` that ledger entries show.

    A user who never bought has zeros.
    """

    total: int = 0
    used: int = 0
    held: int = 0
    remaining: int = 0
    debt: int = 0
    itemised: int = 0
    use_day: str = ""
    """The UTC day of the use that is not booked in the ledger yet."""
    holds_due: int = 0
    """The epoch second at which the first open hold expires, or an earlier
    one. 0 without holds.
    """
    holds_placed: int = 0
    """How many holds were ever placed. If it has changed, a list of open holds
    that was read before is stale.
    """
    lots_due: int = 0
    """The epoch second at which the first lot expires, or an earlier one. 0
    without lots.
    """
    lots_used: int = 0
    """The value of ``used`` when used units were last subtracted from the
    lots' rows. Debits since then are subtracted from the lots later.
    """
    lots_left: int = 0
    """The units in all lots' rows, including the units in open holds."""
    lots_held: int = 0
    """The part of the lots' units that is in open holds."""
    lots_version: int = 0
    """How often any lot's row was written. If it has changed, lots that were
    read before are stale.
    """
    lots_exact: int = 0
    """1 once the user has had a lot that expires or was granted. From then on
    each hold records from which lots its units came.
    """
    updated_at: str = ""
    booked_at: str = "never"
    """When the last ledger entry was written. If it has changed, the ledger
    has changed.
    """
    keys_changed: int = 0
    """How often an API key was created, changed or revoked, or its counters
    began a new day.
    """
    keys: Mapping[str, int] = field(default_factory=dict)
    """The counters of API keys, by the name of the balance's attribute."""

    told: int = 0
    """The sequence number of the last event that was sent to the seller."""
    low_at: int | None = None
    """The number of units below which ``quota.low`` is sent, as the customer
    set it. None means the template's LowAtUnits.
    """
    low_told: bool = False
    """Whether ``quota.low`` was sent, with no ``quota.recovered`` since."""
    top_up_at: int = 0
    """The threshold of automatic top-ups (``when_below``), until the
    customer's agreement to them ends. It is set also during a pause or an open
    charge, so the agreement must be read before a charge.
    """

    @classmethod
    def from_item(cls, item: Mapping[str, Any] | None) -> "Balance":
        """Return the balance in a stored item. Missing attributes are zero."""
        stored = item or {}
        named = {name: stored[name] for name in cls.__slots__ if name in stored}
        keys = {name: stored[name] for name in stored if is_counter(name)}
        return cls(**named, keys=keys)

    @property
    def unburned(self) -> int:
        """Return the used units not yet subtracted from the lots' rows.

        A lot is the units of one purchase or grant. A debit changes only the
        balance, and the lots' rows follow later.
        """
        return self.used - self.lots_used

    @property
    def earlier_free(self) -> int:
        """Return how many of the free units are in no lot's row.

        A lot is the units of one purchase or grant, and free units are in no
        hold. Units from before there were lots have no row. Units that were
        used, but are not subtracted from the rows yet, are compared as if
        free. The number is negative if open holds took units that the rows
        still show as free.
        """
        return self.remaining + self.unburned - self.lots_left + self.lots_held

    @property
    def ledger_units(self) -> int:
        """Return what the units of all ledger entries must add up to.

        It is computed from the balance, and no entry is read.
        """
        return self.total - self.itemised

    def after(self, write: Write) -> "Balance":
        """Return what this balance becomes when ``write`` is made."""
        added = {
            name: getattr(self, name) + amount
            for name, amount in write.add.items()
            if name in self.__slots__
        }
        known = {
            name: value
            for name, value in write.set.items()
            if name in self.__slots__
        }
        gone = {
            name: getattr(NO_BALANCE, name)
            for name in write.remove
            if name in self.__slots__
        }
        counted = {
            name: self.keys.get(name, 0) + amount
            for name, amount in write.add.items()
            if is_counter(name) and isinstance(amount, int)
        }
        keys = {**self.keys, **counted}
        return replace(self, **{**added, **known, **gone, "keys": keys})

    def shown(self, user_id: str) -> dict[str, Any]:
        """Return the quota for an event to the seller, as a dictionary.

        It has the members of ``GET /quota``, except for the units that expire
        next.
        """
        return members(self.as_answer(user_id))

    def as_answer(
        self, user_id: str, expires_next: Expiry | None = None
    ) -> Quota:
        """Return the quota as ``GET /quota`` shows it.

        ``expires_next`` are the units to expire first, or None to show none.
        """
        return Quota(
            user_id=user_id,
            total=self.total,
            used=self.used,
            held=self.held,
            remaining=self.remaining,
            debt=self.debt,
            updated_at=self.updated_at or None,
            expires_next=expires_next,
        )


NO_BALANCE: Final = Balance()


def is_counter(name: str) -> bool:
    """Return whether an attribute of the balance belongs to an API key.

    Such an attribute counts what one API key has used or may still use.
    """
    return len(name) == COUNTER_CHARS and name[0] in COUNTERS


def read_account(store: Store, user_id: str) -> Balance:
    """Return a user's stored balance, from a strongly consistent read."""
    return Balance.from_item(store.get("quotas", (user_id, "quota")))
