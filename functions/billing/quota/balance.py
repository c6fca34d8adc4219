"""A user's balance, and how units come in and go out of it.

Pure: each movement says what it adds and what must hold.

``total - used == remaining + held - debt`` always, and never both ``remaining`` and ``debt`` above
zero.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from billing.settings import ReversalPolicy
from billing.storage.writes import Must, absent_or, equals


@dataclass(frozen=True, slots=True)
class Balance:
    """All in units. ``itemised`` is the part of ``used`` that ledger entries already show."""

    total: int = 0
    used: int = 0
    held: int = 0
    remaining: int = 0
    debt: int = 0
    itemised: int = 0
    use_day: str = ""
    """The UTC day whose use is not itemised yet."""
    holds_due: int = 0
    """Epoch second at which the first open hold may expire; 0 for none. Never later than the truth.
    """
    holds_placed: int = 0
    updated_at: str = ""
    booked_at: str = "never"
    """Of the entry that was booked last, whatever its place in the ledger: another one means that
    the ledger has changed."""

    @classmethod
    def from_item(cls, item: Mapping[str, Any] | None) -> "Balance":
        """As stored; a user who never bought has zeros."""
        return (
            cls(**{name: item[name] for name in cls.__slots__ if name in item}) if item else cls()
        )

    @property
    def ledger_units(self) -> int:
        """What the units of all ledger entries sum up to."""
        return self.total - self.itemised

    def as_answer(self, user_id: str) -> dict[str, Any]:
        """The quota as ``GET /quota`` shows it."""
        return {
            "user_id": user_id,
            "total": self.total,
            "used": self.used,
            "held": self.held,
            "remaining": self.remaining,
            "debt": self.debt,
            "updated_at": self.updated_at or None,
        }


@dataclass(frozen=True, slots=True)
class Movement:
    """What to add to the stored balance, and what must hold of it for that to be right."""

    add: Mapping[str, int]
    must: tuple[Must, ...] = ()
    written_off: int = field(default=0)
    """Units that are given up instead of becoming debt (negative: taken back from an earlier
    write-off)."""


def come_in(balance: Balance, units: int) -> Movement:
    """Units are bought, given back or released: debt is paid first.

    Needs no exact balance unless there is debt.
    """
    if not balance.debt:
        return Movement({"remaining": units}, (absent_or("debt", "==", 0),))
    paid = min(balance.debt, units)
    return Movement({"remaining": units - paid, "debt": -paid}, (equals("debt", balance.debt),))


def go_out(balance: Balance, units: int, policy: ReversalPolicy) -> Movement:
    """Units are clawed back.

    Those that do not remain become debt; under ``write_off`` only those that holds still promise.

    A hold's units are not used yet: what it gives back pays their debt, and what it captures was
    used after the clawback. Only what was used before is written off, so that parts of a refund end
    where a whole one does.
    """
    if balance.remaining >= units:
        return Movement({"remaining": -units}, (Must("remaining", ">=", units),))
    short = units - balance.remaining
    must: tuple[Must, ...] = (
        _exactly("remaining", balance.remaining),
        _exactly("debt", balance.debt),
    )
    if policy == "debt":
        return Movement({"remaining": -balance.remaining, "debt": short}, must)
    owed = min(short, max(0, balance.held - balance.debt))
    must = (*must, _exactly("held", balance.held))
    return Movement({"remaining": -balance.remaining, "debt": owed}, must, written_off=short - owed)


def _exactly(name: str, units: int) -> Must:
    return equals(name, units) if units else absent_or(name, "==", 0)
