"""Money that went back: what is known of a payment's refunds and disputes, and how many units that takes back.

Everything here only ever grows (a highest figure, sets of failures, a union of transactions), so that facts may come in any
order, twice, or late, and end in one state.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from billing.facts import DisputeFact, RefundsFact, known

CLOSED: Final = ("", "prevented", "warning_closed", "lost", "won")
"""How a dispute can end, the strongest last; "" while it is open.
https://docs.stripe.com/api/disputes/object#dispute_object-status"""


@dataclass(frozen=True, slots=True)
class Dispute:
    """One dispute.

    ``amount`` in the payment's minor units; ``transactions`` by balance transaction id, negative
    when money went out.

    ``converted``: the transactions are in another currency.
    """

    amount: int = 0
    opened: bool = False
    closed: str = ""
    transactions: Mapping[str, int] = field(default_factory=dict)
    converted: bool = False
    told_with: int = 0
    """How many transactions came with ``amount``: the more, the newer.

    An inquiry's amount may fall.
    """

    @property
    def out_minor(self) -> int:
        """Money that is out now, whatever the dispute's status says. Fees are not counted.

        In another currency it is measured by its share: what was withdrawn in all is the disputed
        amount. Money comes back at another day's rate; once the dispute is won, the difference is
        the seller's.
        """
        out = max(0, -sum(self.transactions.values()))
        withdrawn = -sum(amount for amount in self.transactions.values() if amount < 0)
        if not self.converted or not withdrawn:
            return out
        came_back = any(amount > 0 for amount in self.transactions.values())
        return 0 if self.closed == "won" and came_back else self.amount * out // withdrawn

    @property
    def is_open(self) -> bool:
        """The money is out and not lost for good, or it is about to go."""
        if self.closed == "lost":
            return False
        return self.out_minor > 0 or (self.opened and not self.closed and not self.transactions)

    @property
    def lost_minor(self) -> int:
        """What the customer has got back for good: by the money, or by the disputed amount while no money was seen."""
        if self.closed != "lost":
            return 0
        return self.out_minor if self.transactions else self.amount

    def with_fact(self, fact: DisputeFact) -> "Dispute":
        """Learn of it.

        The last word is the strongest one, in whichever order the words come: a lost dispute may be
        won on appeal.
        """
        mine, theirs = (self.told_with, self.amount), (len(fact.transactions), fact.amount)
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
    """All that is known of one payment's refunds and disputes."""

    refunded_high_minor: int = 0
    failed: Mapping[str, int] = field(default_factory=dict)
    standing: Mapping[str, int] = field(default_factory=dict)
    disputes: Mapping[str, Dispute] = field(default_factory=dict)

    @property
    def refunded_minor(self) -> int:
        """The larger of two lower bounds, so that events may come in any order, or not at all.

        The refunds known by id that have not failed; and the highest cumulative figure less all
        failures. Stripe lowers its figure when a refund fails: the next refund may hide in it.
        """
        standing = sum(
            amount for refund, amount in self.standing.items() if refund not in self.failed
        )
        return max(0, self.refunded_high_minor - sum(self.failed.values()), standing)

    @property
    def disputed_minor(self) -> int:
        """Money that disputes hold now or have taken for good."""
        return sum(dispute.out_minor for dispute in self.disputes.values())

    @property
    def is_disputed(self) -> bool:
        """At least one dispute is open with money out, or about to go."""
        return any(dispute.is_open for dispute in self.disputes.values())

    @property
    def returned_minor(self) -> int:
        """What the customer has back for good: refunds and lost disputes."""
        return self.refunded_minor + sum(dispute.lost_minor for dispute in self.disputes.values())

    def units_to_take_back(self, units: int, paid_minor: int) -> int:
        """``units * out // paid``: never more than was credited, and all of it when all the money is out.

        The remainder of the division stays with the customer until the last cent is out.
        """
        if paid_minor <= 0:
            return 0
        out_minor = min(paid_minor, self.refunded_minor + self.disputed_minor)
        return units * out_minor // paid_minor

    def knows(self, refund_id: str, *, gone: bool) -> bool:
        """Whether this refund is known by its id, as it is now."""
        return (
            refund_id in self.failed
            if gone
            else refund_id in self.standing and refund_id not in self.failed
        )

    def with_refunds(self, fact: RefundsFact) -> "Reversals":
        """Learn of refunds."""
        return replace(
            self,
            refunded_high_minor=max(self.refunded_high_minor, fact.refunded_minor),
            failed={**self.failed, **fact.failed},
            standing={**self.standing, **fact.standing},
        )

    def with_dispute(self, fact: DisputeFact) -> "Reversals":
        """Learn of a dispute."""
        learned = self.disputes.get(fact.dispute_id, Dispute()).with_fact(fact)
        return replace(self, disputes={**self.disputes, fact.dispute_id: learned})

    def to_item(self) -> dict[str, Any]:
        """As stored in the payment."""
        return {
            **_members(self),
            "disputes": {name: _members(dispute) for name, dispute in self.disputes.items()},
        }

    @classmethod
    def from_item(cls, item: Mapping[str, Any]) -> "Reversals":
        """As read from the payment; {} for none. Unknown members of a newer version are left alone."""
        disputes = {
            name: Dispute(**known(Dispute, dispute))
            for name, dispute in item.get("disputes", {}).items()
        }
        return cls(**known(cls, {**item, "disputes": disputes}))


def _members(one: Dispute | Reversals) -> dict[str, Any]:
    """What dataclasses.asdict does, without copying what is in it: that took a tenth of a settlement."""
    return {name: getattr(one, name) for name in one.__slots__}
