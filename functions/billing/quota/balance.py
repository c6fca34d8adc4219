"""Reads a user's stored balance.

``total - used == remaining + held - debt`` always, and never both ``remaining`` and ``debt`` above
zero.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from billing.answers import Count, Time, members
from billing.storage.dynamodb import Store
from billing.storage.writes import Write

COUNTER_CHARS: Final = 5
COUNTERS: Final = "urx"
"""First letters of the attributes that count for an API key: quota/key_use.py. Four characters of
the key's name follow, so no other attribute of the balance may have this form."""


@dataclass(frozen=True, slots=True)
class Expiry:
    """Units that expire together, and when."""

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
    """The UTC day whose use is not itemised yet."""
    holds_due: int = 0
    """Epoch second at which the first open hold may expire, 0 for none. Never too late."""
    holds_placed: int = 0
    """How many holds were ever placed: a change tells that the list of open holds is stale."""
    lots_due: int = 0
    """Epoch second at which the first lot may expire, 0 for none. Never too late."""
    lots_used: int = 0
    """The ``used`` up to which lots were burned. Debits since then burn them lazily."""
    lots_left: int = 0
    """The units in all lots' rows, those in open holds included."""
    lots_held: int = 0
    """The units in all lots' rows that open holds have."""
    lots_version: int = 0
    """How often a lot's row was written: a change tells that the lots that were read are stale."""
    lots_exact: int = 0
    """1 once a lot came in that expires or was given: from then on holds name their lots."""
    updated_at: str = ""
    booked_at: str = "never"
    """When the last entry was booked, wherever it stands in the ledger. A change tells that the
    ledger has changed."""
    keys_changed: int = 0
    """How often a key was created, changed, revoked or rolled over into another day."""
    keys: Mapping[str, int] = field(default_factory=dict)
    """The counters of API keys, by attribute."""

    told: int = 0
    """The sequence of the account's last event out."""
    low_at: int | None = None
    """Where ``quota.low`` begins, as the customer set it. None for the template's LowAtUnits."""
    low_told: bool = False
    """``quota.low`` was told, and no ``quota.recovered`` since."""
    top_up_at: int = 0
    """``when_below`` of automatic top-ups, from the customer's agreement until it is ended. Set
    while a pause or an open charge allows none, too: the agreement itself is asked."""

    @classmethod
    def from_item(cls, item: Mapping[str, Any] | None) -> "Balance":
        """Return the balance in a stored item. Missing attributes are zero."""
        stored = item or {}
        named = {name: stored[name] for name in cls.__slots__ if name in stored}
        keys = {name: stored[name] for name in stored if is_counter(name)}
        return cls(**named, keys=keys)

    @property
    def unburned(self) -> int:
        """The units that were used since lots were burned last."""
        return self.used - self.lots_used

    @property
    def earlier_free(self) -> int:
        """The free units that no lot's row has. Negative where holds have units of rows unnamed."""
        return self.remaining + self.unburned - self.lots_left + self.lots_held

    @property
    def ledger_units(self) -> int:
        """Return the sum of the units of all ledger entries."""
        return self.total - self.itemised

    def after(self, write: Write) -> "Balance":
        """Return the balance after a write on it."""
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
        """Return the members of ``GET /quota``, for an event out."""
        return members(self.as_answer(user_id))

    def as_answer(
        self, user_id: str, expires_next: Expiry | None = None
    ) -> Quota:
        """Return the quota as ``GET /quota`` shows it."""
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
    """Return whether an attribute of the balance counts for an API key."""
    return len(name) == COUNTER_CHARS and name[0] in COUNTERS


def read_account(store: Store, user_id: str) -> Balance:
    """Return a user's stored balance, from a strongly consistent read."""
    return Balance.from_item(store.get("quotas", (user_id, "quota")))
