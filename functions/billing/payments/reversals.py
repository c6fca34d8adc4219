"""Computes a payment's known refunds and disputes, and the units that they take back.

All figures only grow (a maximum, sets of failures, a union of transactions). So events may arrive
in any order, twice or late, and lead to the same state.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, assert_never

from billing.facts import DisputeFact, RefundsFact, known

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


@dataclass(frozen=True, slots=True)
class Reversals:
    """All known refunds and disputes of one payment."""

    refunded_high_minor: int = 0
    failed: Mapping[str, int] = field(default_factory=dict)
    standing: Mapping[str, int] = field(default_factory=dict)
    disputes: Mapping[str, Dispute] = field(default_factory=dict)

    @property
    def refunded_minor(self) -> int:
        """Return the refunded amount: the larger of two lower bounds.

        One is the sum of the refunds known by id that have not failed. The other is the highest
        cumulative figure less all failures. Stripe lowers its figure when a refund fails, so that
        figure alone would hide the next refund. With both, events may arrive in any order or be
        lost.
        """
        standing = sum(
            amount
            for refund, amount in self.standing.items()
            if refund not in self.failed
        )
        return max(
            0, self.refunded_high_minor - sum(self.failed.values()), standing
        )

    @property
    def disputed_minor(self) -> int:
        """Return the money that disputes hold now or have taken for good."""
        return sum(dispute.out_minor for dispute in self.disputes.values())

    @property
    def is_disputed(self) -> bool:
        """Return whether at least one dispute is open with its money out, or soon to be."""
        return any(dispute.is_open for dispute in self.disputes.values())

    @property
    def returned_minor(self) -> int:
        """Return the money that the customer keeps: refunds and lost disputes."""
        return self.refunded_minor + sum(
            dispute.lost_minor for dispute in self.disputes.values()
        )

    def units_to_take_back(self, units: int, paid_minor: int) -> int:
        """Return the units to claw back in all: ``units * out // paid``, at most ``units``.

        The customer keeps the remainder of the division until all money is refunded.
        """
        if paid_minor <= 0:
            return 0
        out_minor = min(paid_minor, self.refunded_minor + self.disputed_minor)
        return units * out_minor // paid_minor

    def knows(self, refund_id: str, *, gone: bool) -> bool:
        """Return whether the refund is known by its id, with the same state.

        ``gone`` is true for a refund that failed or was canceled.
        """
        if gone:
            return refund_id in self.failed
        return refund_id in self.standing and refund_id not in self.failed

    def with_fact(self, fact: RefundsFact | DisputeFact) -> "Reversals":
        """Return these reversals with the information of an event added."""
        match fact:
            case RefundsFact():
                return self._with_refunds(fact)
            case DisputeFact():
                return self._with_dispute(fact)
            case _:
                assert_never(fact)

    def _with_refunds(self, fact: RefundsFact) -> "Reversals":
        """Return these reversals with an event's refunds added."""
        return replace(
            self,
            refunded_high_minor=max(
                self.refunded_high_minor, fact.refunded_minor
            ),
            failed={**self.failed, **fact.failed},
            standing={**self.standing, **fact.standing},
        )

    def _with_dispute(self, fact: DisputeFact) -> "Reversals":
        """Return these reversals with an event's dispute added."""
        learned = self.disputes.get(fact.dispute_id, Dispute()).with_fact(fact)
        return replace(
            self, disputes={**self.disputes, fact.dispute_id: learned}
        )

    def to_item(self) -> dict[str, Any]:
        """Return the reversals as they are stored in the payment."""
        return {
            **_members(self),
            "disputes": {
                name: _members(dispute)
                for name, dispute in self.disputes.items()
            },
        }

    @classmethod
    def from_item(cls, item: Mapping[str, Any]) -> "Reversals":
        """Return the reversals in a stored payment, {} for none. Unknown members are ignored."""
        disputes = {
            name: Dispute(**known(Dispute, dispute))
            for name, dispute in item.get("disputes", {}).items()
        }
        return cls(**known(cls, {**item, "disputes": disputes}))


def _members(one: Dispute | Reversals) -> dict[str, Any]:
    """What dataclasses.asdict returns, but shallow: its copies took a tenth of a settlement."""
    return {name: getattr(one, name) for name in one.__slots__}
