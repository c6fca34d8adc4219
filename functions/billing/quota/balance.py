"""A user's balance: how it is read, and how units come in and go out.

``total - used == remaining + held - debt`` always, and never both ``remaining`` and ``debt`` above
zero. Movements are pure: each says what it adds to the stored balance, and what must hold there.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, assert_never

from billing.answers import Count, Time
from billing.settings import ReversalPolicy
from billing.storage.dynamodb import Store
from billing.storage.writes import Must, absent_or, equals


@dataclass(frozen=True, slots=True)
class Expiry:
    """Units that expire together, and when."""

    units: Count
    at: Time


@dataclass(frozen=True, slots=True)
class Quota:
    """The balance as ``GET /quota`` shows it, in units."""

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
    """The stored balance, in units. ``itemised`` is the part of ``used`` that ledger entries show.

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

    @classmethod
    def from_item(cls, item: Mapping[str, Any] | None) -> "Balance":
        """Return the balance in a stored item. Members that it lacks are zero."""
        stored = item or {}
        return cls(
            **{name: stored[name] for name in cls.__slots__ if name in stored}
        )

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
        """The sum of the units of all ledger entries."""
        return self.total - self.itemised

    def as_answer(self, user_id: str, expires_next: Expiry | None = None) -> Quota:
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


def read_account(store: Store, user_id: str) -> Balance:
    """Read a user's balance as it is stored, strongly consistent."""
    return Balance.from_item(store.get("quotas", (user_id, "quota")))


@dataclass(frozen=True, slots=True)
class Movement:
    """What to add to the stored balance, and what must hold there for that to be right."""

    add: Mapping[str, int]
    must: tuple[Must, ...] = ()
    written_off: int = 0
    """Units that are given up instead of becoming debt. Negative: taken back from an earlier
    write-off."""


def come_in(balance: Balance, units: int) -> Movement:
    """Return how ``units`` come in that are bought, granted or released. Debt is paid first.

    Without debt the exact balance does not matter.
    """
    if not balance.debt:
        return Movement({"remaining": units}, (absent_or("debt", "==", 0),))
    paid = min(balance.debt, units)
    return Movement(
        {"remaining": units - paid, "debt": -paid}, (equals("debt", balance.debt),)
    )


def go_out(balance: Balance, units: int, policy: ReversalPolicy) -> Movement:
    """Return how ``units`` are clawed back.

    Units that no longer remain become debt. Under ``write_off`` they are given up, except those in
    open holds. Held units are not used yet: a hold that is released pays their debt, and a hold
    that is captured is used after the clawback. So partial refunds end where a whole one does.
    """
    if balance.remaining >= units:
        return Movement({"remaining": -units}, (Must("remaining", ">=", units),))
    short = units - balance.remaining
    must = (
        _exactly("remaining", balance.remaining),
        _exactly("debt", balance.debt),
    )
    match policy:
        case "debt":
            return Movement({"remaining": -balance.remaining, "debt": short}, must)
        case "write_off":
            owed = min(short, max(0, balance.held - balance.debt))
            return Movement(
                add={"remaining": -balance.remaining, "debt": owed},
                must=(*must, _exactly("held", balance.held)),
                written_off=short - owed,
            )
        case _:
            assert_never(policy)


def _exactly(name: str, units: int) -> Must:
    return equals(name, units) if units else absent_or(name, "==", 0)
