"""Computes how units come in and are clawed back.

Movements are pure: each states what it adds to the stored balance, and which conditions must hold
there.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import assert_never

from billing.quota.balance import Balance
from billing.settings import ReversalPolicy
from billing.storage.writes import Must, absent_or, equals


@dataclass(frozen=True, slots=True)
class Movement:
    """Additions to the stored balance, and the conditions under which they are right."""

    add: Mapping[str, int]
    must: tuple[Must, ...] = ()
    written_off: int = 0
    """Units that are given up instead of becoming debt. Negative: taken back from an earlier
    write-off."""

    def beside(self, other: "Movement") -> "Movement":
        """Return the sum of two movements. They must not move the same attribute."""
        return replace(
            self, add={**self.add, **other.add}, must=(*self.must, *other.must)
        )


def come_in(balance: Balance, units: int) -> Movement:
    """Return the movement that adds ``units`` (bought, granted or released). Debt is paid first.

    Without debt the movement does not depend on the exact balance.
    """
    if not balance.debt:
        return Movement({"remaining": units}, (absent_or("debt", "==", 0),))
    paid = min(balance.debt, units)
    return Movement(
        {"remaining": units - paid, "debt": -paid},
        (equals("debt", balance.debt),),
    )


def go_out(balance: Balance, units: int, policy: ReversalPolicy) -> Movement:
    """Return the movement that claws back ``units``.

    Units that no longer remain become debt. Under ``write_off`` the seller gives them up, except
    those in open holds. Held units are not used yet: releasing a hold pays their debt, and
    capturing a hold uses them after the clawback. So partial refunds end with the same balance as a
    whole one.
    """
    if balance.remaining >= units:
        return Movement(
            {"remaining": -units}, (Must("remaining", ">=", units),)
        )
    short = units - balance.remaining
    must = (
        exactly("remaining", balance.remaining),
        exactly("debt", balance.debt),
    )
    match policy:
        case "debt":
            return Movement(
                {"remaining": -balance.remaining, "debt": short}, must
            )
        case "write_off":
            owed = min(short, max(0, balance.held - balance.debt))
            return Movement(
                add={"remaining": -balance.remaining, "debt": owed},
                must=(*must, exactly("held", balance.held)),
                written_off=short - owed,
            )
        case _:
            assert_never(policy)


def exactly(name: str, units: int) -> Must:
    """Return the clause that a figure is this one. It may be absent where it is zero."""
    return equals(name, units) if units else absent_or(name, "==", 0)
