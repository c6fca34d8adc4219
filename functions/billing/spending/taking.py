"""Builds the conditional write that takes units from an account.

A write that crosses no threshold is a single one, and its condition says that
it crosses none. Thresholds are the number of units for ``quota.low`` and the
one for automatic top-ups. A write that crosses one is a transaction, which
also writes the event to the seller or opens the charge.
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
"""Where the units go: a debit adds them to ``used``, a hold to ``held``."""


@dataclass(frozen=True, slots=True)
class Taking:
    """Says how many units to take from an account, and on which conditions.

    The conditional write of a debit or hold is built from it.
    """

    user_id: str
    units: int
    into: Into
    key: KeyUse | None = None
    """The API key for which the units are counted. Its limit may forbid the
    taking.
    """
    at_least: int = 0
    """If above zero: take as many of ``units`` as remain, but not fewer than
    this.
    """
    clauses: tuple[Must, ...] = ()
    """Conditions on the account, besides those of every taking."""

    @property
    def least(self) -> int:
        """Return the smallest number of units that may be taken.

        It is ``at_least``, or all ``units`` if fewer are not allowed.
        """
        return self.at_least or self.units

    @property
    def of_key(self) -> Movement:
        """Return how the taking changes its API key's counters.

        The result has what to add, and the condition that the key's limit is
        not exceeded. It is empty without an API key.
        """
        return spend(self.key, self.units, is_use=self.into == "used")

    def as_in(
        self,
        balance: Balance,
        *,
        is_exact: bool,
        stored: Balance | None = None,
    ) -> "Taking":
        """Return a copy that takes as many units as ``balance`` allows.

        That is at most ``units`` and at least ``at_least``. If ``at_least`` is
        0, it is always ``units``. The copy also has from ``balance`` whether
        the API key has a limit. With ``is_exact``, if fewer than ``units`` are
        taken for an API key with a limit, DynamoDB refuses the write if what
        is left of that limit has changed. ``stored`` is the balance in the
        table. It is needed if ``balance`` already counts expired holds as
        released.
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
    """Return how many units can be taken with this API key.

    They are the remaining units, or what is left of the key's limit if
    that is less.
    """
    if key is None or not key.is_limited:
        return balance.remaining
    return min(balance.remaining, balance.keys[left(key.name)])


def take(taking: Taking, now: datetime) -> Write:
    """Return the write that moves units from ``remaining`` to ``taking.into``.

    That is ``used`` for a debit, and ``held`` for a hold. DynamoDB refuses it
    if too few units remain. It also does so if a hold or a lot (units of one
    purchase or grant) may have expired, because that must be released first,
    and on a new day until the past day's use is booked in the ledger.
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
    """Return the condition that the balance's ``use_day`` is today.

    If it is an earlier day, DynamoDB refuses the write. Then what was used on
    that day must first be booked as one ledger entry.
    """
    return Must("use_day", ">=", day(now))


def taken_from(balance: Balance, taking: Taking) -> Balance:
    """Return the balance after the units of ``taking`` are taken."""
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
