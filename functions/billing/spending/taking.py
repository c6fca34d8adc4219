"""Defines units to take from an account, and the conditional write that takes them.

A write that crosses no threshold of the account is a single one, whose condition says that it
crosses none. The write that does cross one is a transaction with what it tells and opens.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal, assert_never

from billing.clock import day, epoch, stamp
from billing.quota.balance import Balance
from billing.quota.key_use import (
    KeyUse,
    left,
    moved,
    spend,
)
from billing.quota.movement import Movement
from billing.storage.writes import Must, Write, absent_or, equals

Into = Literal["used", "held"]
"""Where units go when they are taken from ``remaining``: a debit uses them, a hold holds them."""


@dataclass(frozen=True, slots=True)
class Taking:
    """Units to take from an account, and what else that write must demand and do.

    Whatever a feature asks of every debit or hold is a clause or an addition here, so that a plain
    debit stays one write.
    """

    user_id: str
    units: int
    into: Into
    key: KeyUse | None = None
    """Counted for this API key, and refused at its limit."""
    at_least: int = 0
    """Where it is above zero, as many units as there are will do, if they are so many."""
    clauses: tuple[Must, ...] = ()
    """What must hold on the account beside what every taking demands."""

    @property
    def least(self) -> int:
        """Return the smallest number of units that is acceptable."""
        return self.at_least or self.units

    @property
    def of_key(self) -> Movement:
        """Return the additions to the key's counters, and their conditions."""
        return spend(self.key, self.units, is_use=self.into == "used")

    def as_in(
        self,
        balance: Balance,
        *,
        is_exact: bool,
        stored: Balance | None = None,
    ) -> "Taking":
        """Return what is taken from this balance: the key as it is there, and units that fit.

        ``is_exact``: fewer units than asked for are taken only if the key's limit still leaves
        exactly those. ``stored`` is the balance as the table has it, where ``balance`` counts holds
        as released that this write releases.
        """
        key = self.key and self.key.as_in(balance)
        seen = replace(self, key=key)
        if not self.at_least:
            return seen
        most = min(self.units, units_left(balance, key))
        units = max(self.at_least, most)
        if key and key.is_limited and is_exact and units < self.units:
            counter = left(key.name)
            same = equals(counter, (stored or balance).keys[counter])
            return replace(seen, units=units, clauses=(*self.clauses, same))
        return replace(seen, units=units)


def units_left(balance: Balance, key: KeyUse | None) -> int:
    """Return the units that a key, or a user without a key, can take."""
    if key is None or not key.is_limited:
        return balance.remaining
    return min(balance.remaining, balance.keys[left(key.name)])


def take(taking: Taking, now: datetime) -> Write:
    """Return the write that moves units from ``remaining`` into ``used`` or ``held``.

    DynamoDB refuses it if too few units remain, if a hold or a lot has expired, or if a new day has
    begun.
    """
    units, of_key = taking.units, taking.of_key
    enough = Must("remaining", ">=", units)
    no_hold_is_due = absent_or("holds_due", ">", epoch(now))
    no_lot_is_due = absent_or("lots_due", ">", epoch(now))
    return Write(
        "quotas",
        (taking.user_id, "quota"),
        set={"updated_at": stamp(now)},
        add={"remaining": -units, taking.into: units, **of_key.add},
        must=(
            enough,
            no_hold_is_due,
            no_lot_is_due,
            day_has_begun(now),
            *of_key.must,
            *taking.clauses,
        ),
    )


def day_has_begun(now: datetime) -> Must:
    """The last day's use is itemised, so ``used`` grows by today's use only."""
    return Must("use_day", ">=", day(now))


def taken_from(balance: Balance, taking: Taking) -> Balance:
    """Return a balance after the units are taken from it."""
    units = taking.units
    remaining = balance.remaining - units
    match taking.into:
        case "used":
            after = replace(
                balance, used=balance.used + units, remaining=remaining
            )
        case "held":
            after = replace(
                balance, held=balance.held + units, remaining=remaining
            )
        case _:
            assert_never(taking.into)
    return moved(after, taking.of_key)
