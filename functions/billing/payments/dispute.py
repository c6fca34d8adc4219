"""Computes the known state of one dispute, whichever order its events arrive in."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from billing.facts import DisputeFact

CLOSED: Final = ("", "prevented", "warning_closed", "lost", "won")
"""How a dispute can end, the strongest last. "" while it is open.
https://docs.stripe.com/api/disputes/object#dispute_object-status"""


@dataclass(frozen=True, slots=True)
class Dispute:
    """The known state of one dispute.

    ``amount`` is in the payment's minor units. ``transactions`` are amounts by balance transaction
    id, negative when money went out. ``converted`` is true if they are in another currency.
    """

    amount: int = 0
    opened: bool = False
    closed: str = ""
    transactions: Mapping[str, int] = field(default_factory=dict)
    converted: bool = False
    told_with: int = 0
    """How many transactions came with ``amount``. The event with the most is the newest.

    An inquiry's amount may fall.
    """

    @property
    def out_minor(self) -> int:
        """Return the money that the dispute holds now, in the payment's minor units.

        The dispute's status does not matter, and fees are not counted. In another currency the
        amount is a share of the disputed amount: what was withdrawn less what came back, divided by
        what was withdrawn. Money comes back at another day's exchange rate. Once the dispute is
        won, that difference is the seller's.
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
        """Return whether any money was reinstated."""
        return any(amount > 0 for amount in self.transactions.values())

    @property
    def is_open(self) -> bool:
        """Return whether the dispute's money is out, or may soon be, and is not lost for good.

        After a won dispute, less money may come back than went out. The seller bears the
        difference.
        """
        if self.closed == "lost" or (self.closed and self._came_back):
            return False
        return self.out_minor > 0 or (
            self.opened and not self.closed and not self.transactions
        )

    @property
    def lost_minor(self) -> int:
        """Return the disputed amount if the dispute is lost. The customer then keeps the money.

        Adjustments of a few cents do not change it. It is 0 if all the money came back.
        """
        if self.closed != "lost":
            return 0
        all_came_back = self.transactions and not self.out_minor
        return 0 if all_came_back else self.amount

    def with_fact(self, fact: DisputeFact) -> "Dispute":
        """Return this dispute with the information of an event added.

        The strongest end wins, in any order of the events: a lost dispute may be won on appeal.
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
