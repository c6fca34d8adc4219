"""Computes how the balance changes when units come in or are clawed back.

Units are clawed back after a refund or dispute. Nothing is read or written:
each movement states what it adds to the stored balance, and which conditions
must hold there.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import assert_never

from billing.quota.balance import Balance
from billing.settings import ReversalPolicy
from billing.storage.writes import Must, absent_or, equals


@dataclass(frozen=True, slots=True)
class Movement:
    """A change of the balance: what to add, and conditions that must hold.

    The conditions make DynamoDB refuse the change if it no longer fits the
    stored balance.
    """

    add: Mapping[str, int]
    must: tuple[Must, ...] = ()
    written_off: int = 0
    """Units that the seller gives up instead of making them the customer's
    debt. Negative if units of an earlier write-off come back.
    """

    def beside(self, other: "Movement") -> "Movement":
        """Return one change of the balance that does what both do.

        The two must not add to the same attribute.
        """
        return replace(
            self, add={**self.add, **other.add}, must=(*self.must, *other.must)
        )


def come_in(balance: Balance, units: int) -> Movement:
    """Return the change of the balance that adds ``units``.

    The units were bought, granted or released from a hold. If the customer has
    debt, they pay that first. DynamoDB refuses the change if the debt is no
    longer as it is in ``balance``.
    """
    if not balance.debt:
        return Movement({"remaining": units}, (absent_or("debt", "==", 0),))
    paid = min(balance.debt, units)
    return Movement(
        {"remaining": units - paid, "debt": -paid},
        (equals("debt", balance.debt),),
    )


def go_out(balance: Balance, units: int, policy: ReversalPolicy) -> Movement:
    """Return the change of the balance that takes ``units`` back.

    Units that are no longer in ``remaining`` become debt. Under the policy
    ``write_off`` the seller gives them up instead, except as many as open
    holds have set aside: those become debt. If such a hold is released, its
    units pay that debt. If it is used, the debt stays. So several partial
    refunds end with the same balance as one whole refund.
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
    """Return the condition that an attribute has this number of units.

    For zero, the attribute may also be absent.
    """
    return equals(name, units) if units else absent_or(name, "==", 0)
