"""Computes the known state of one dispute, whichever order its events arrive in."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from billing.facts import DisputeFact

CLOSED: Final = ("", "prevented", "warning_closed", "lost", "won")
"""How a dispute can end; a later one in this list replaces an earlier one. ""
is an open dispute.
https://docs.stripe.com/api/disputes/object#dispute_object-status
"""


@dataclass(frozen=True, slots=True)
class Dispute:
    """What we know of one dispute.

    ``amount`` is in the payment's minor units. ``transactions`` has the
    amount of each balance transaction by its id, negative if money was
    withdrawn. ``converted`` is true if these are in another currency.
    """

    amount: int = 0
    opened: bool = False
    closed: str = ""
    transactions: Mapping[str, int] = field(default_factory=dict)
    converted: bool = False
    told_with: int = 0
    """How many transactions the event with ``amount`` had. The event with the
    most is the newest, and its amount counts, because the amount of an
    inquiry may fall.
    """

    @property
    def out_minor(self) -> int:
        """Return the money that the dispute has withdrawn and not returned.

        It is in the payment's minor units, without fees. If Stripe moved the
        money in another currency, it is the disputed amount times the part of
        the withdrawn money that has not come back. But it is 0 if such a
        dispute is won and some money came back: what is missing is a
        difference in the exchange rate, which the seller bears.
        """
        out = max(0, -sum(self.transactions.values()))
        withdrawn = -sum(
            amount for amount in self.transactions.values() if amount < 0
        )
        if not self.converted or not withdrawn:
            return out
        if self.closed == "won" and self._came_back:
            return 0
        return self.amount * out // withdrawn

    @property
    def _came_back(self) -> bool:
        """Return whether any of the dispute's money came back."""
        return any(amount > 0 for amount in self.transactions.values())

    @property
    def is_open(self) -> bool:
        """Return whether the dispute still holds money, or soon may.

        A lost dispute is not open. A dispute that ended after money came back
        is not open either, even if less came back than was withdrawn: the
        seller bears the difference.
        """
        if self.closed == "lost" or (self.closed and self._came_back):
            return False
        return self.out_minor > 0 or (
            self.opened and not self.closed and not self.transactions
        )

    @property
    def lost_minor(self) -> int:
        """Return the disputed amount if the customer keeps the money, else 0.

        That is so if the dispute is lost, unless all of the money came back to
        the seller nevertheless. The amount is what the customer disputed, even
        if Stripe withdrew some cents more or less.
        """
        if self.closed != "lost":
            return 0
        all_came_back = self.transactions and not self.out_minor
        return 0 if all_came_back else self.amount

    def with_fact(self, fact: DisputeFact) -> "Dispute":
        """Return this dispute with an event's information added.

        The events may come in any order. If two of them report different
        results, the one that is later in the list CLOSED counts, because a
        lost dispute may still be won on appeal.
        """
        mine, theirs = (
            (self.told_with, self.amount),
            (len(fact.transactions), fact.amount),
        )
        told_with, amount = max(mine, theirs)
        return Dispute(
            amount=amount,
            told_with=told_with,
            opened=self.opened or fact.opened,
            closed=max(self.closed, fact.closed, key=CLOSED.index),
            transactions={**self.transactions, **fact.transactions},
            converted=self.converted or fact.converted,
        )
