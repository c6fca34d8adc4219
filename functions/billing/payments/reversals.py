"""Money that went back: a payment's known refunds and disputes, and the units they take back.

Everything here only grows (a highest figure, sets of failures, a union of transactions), so events
may come in any order, twice, or late, and end in one state.
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
    """One dispute.

    ``amount`` is in the payment's minor units. ``transactions`` are amounts by balance transaction
    id, negative when money went out. ``converted``: they are in another currency.
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
        """Money that is out now, in the payment's minor units, whatever the dispute's status says.

        Fees are not counted. In another currency, the total withdrawn stands for the disputed
        amount, and what is out is a share of it. Money comes back at another day's exchange rate.
        Once the dispute is won, that difference is the seller's.
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
        """Whether any money was reinstated."""
        return any(amount > 0 for amount in self.transactions.values())

    @property
    def is_open(self) -> bool:
        """Whether the money is out and not lost for good, or is about to go.

        Money may come back after the dispute was won, and less of it than went out: the rest is the
        seller's.
        """
        if self.closed == "lost" or (self.closed and self._came_back):
            return False
        return self.out_minor > 0 or (
            self.opened and not self.closed and not self.transactions
        )

    @property
    def lost_minor(self) -> int:
        """The disputed amount of a lost dispute: the customer keeps it.

        Adjustments of a few cents do not change that. 0 if all the money came back.
        """
        if self.closed != "lost":
            return 0
        all_came_back = self.transactions and not self.out_minor
        return 0 if all_came_back else self.amount

    def with_fact(self, fact: DisputeFact) -> "Dispute":
        """This dispute and what the event says of it.

        The strongest ending wins, whatever the order of events: a lost dispute may be won on
        appeal.
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
    """Everything known of one payment's refunds and disputes."""

    refunded_high_minor: int = 0
    failed: Mapping[str, int] = field(default_factory=dict)
    standing: Mapping[str, int] = field(default_factory=dict)
    disputes: Mapping[str, Dispute] = field(default_factory=dict)

    @property
    def refunded_minor(self) -> int:
        """The larger of two lower bounds, so that events may come in any order, or be lost.

        One is the sum of the refunds known by id that have not failed. The other is the highest
        cumulative figure less all failures. Stripe lowers its figure when a refund fails, so that
        figure alone would hide the next refund.
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
        """Money that disputes hold now or have taken for good."""
        return sum(dispute.out_minor for dispute in self.disputes.values())

    @property
    def is_disputed(self) -> bool:
        """At least one dispute is open with money out, or about to go."""
        return any(dispute.is_open for dispute in self.disputes.values())

    @property
    def returned_minor(self) -> int:
        """Money that the customer keeps: refunds and lost disputes."""
        return self.refunded_minor + sum(
            dispute.lost_minor for dispute in self.disputes.values()
        )

    def units_to_take_back(self, units: int, paid_minor: int) -> int:
        """Units to claw back in all: ``units * out // paid``, at most ``units``.

        The remainder of the division stays with the customer until the last cent is out.
        """
        if paid_minor <= 0:
            return 0
        out_minor = min(paid_minor, self.refunded_minor + self.disputed_minor)
        return units * out_minor // paid_minor

    def knows(self, refund_id: str, *, gone: bool) -> bool:
        """Whether this refund is known by its id, as ``gone`` (failed or canceled) or standing."""
        if gone:
            return refund_id in self.failed
        return refund_id in self.standing and refund_id not in self.failed

    def with_fact(self, fact: RefundsFact | DisputeFact) -> "Reversals":
        """These reversals and what the event says of them."""
        match fact:
            case RefundsFact():
                return self._with_refunds(fact)
            case DisputeFact():
                return self._with_dispute(fact)
            case _:
                assert_never(fact)

    def _with_refunds(self, fact: RefundsFact) -> "Reversals":
        """These reversals and what the event says of refunds."""
        return replace(
            self,
            refunded_high_minor=max(self.refunded_high_minor, fact.refunded_minor),
            failed={**self.failed, **fact.failed},
            standing={**self.standing, **fact.standing},
        )

    def _with_dispute(self, fact: DisputeFact) -> "Reversals":
        """These reversals and what the event says of one dispute."""
        learned = self.disputes.get(fact.dispute_id, Dispute()).with_fact(fact)
        return replace(self, disputes={**self.disputes, fact.dispute_id: learned})

    def to_item(self) -> dict[str, Any]:
        """As stored in the payment."""
        return {
            **_members(self),
            "disputes": {
                name: _members(dispute) for name, dispute in self.disputes.items()
            },
        }

    @classmethod
    def from_item(cls, item: Mapping[str, Any]) -> "Reversals":
        """As stored in the payment, {} for none. Ignores members that a newer version wrote."""
        disputes = {
            name: Dispute(**known(Dispute, dispute))
            for name, dispute in item.get("disputes", {}).items()
        }
        return cls(**known(cls, {**item, "disputes": disputes}))


def _members(one: Dispute | Reversals) -> dict[str, Any]:
    """What dataclasses.asdict returns, but shallow: its copies took a tenth of a settlement."""
    return {name: getattr(one, name) for name in one.__slots__}
