"""Computes a payment's refunds and disputes, and the units to claw back.

What is stored can only grow: the highest amount seen, and sets of known
refunds and transactions. So events may arrive in any order, twice or late, and
lead to the same state.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, assert_never

from billing.facts import DisputeFact, RefundsFact, known
from billing.payments.dispute import Dispute


@dataclass(frozen=True, slots=True)
class Reversals:
    """Holds all known refunds and disputes of one payment.

    It computes from them how much money went back, and how many units to take.
    """

    refunded_high_minor: int = 0
    failed: Mapping[str, int] = field(default_factory=dict)
    standing: Mapping[str, int] = field(default_factory=dict)
    disputes: Mapping[str, Dispute] = field(default_factory=dict)

    @property
    def refunded_minor(self) -> int:
        """Return the refunded amount: the larger of two lower bounds.

        One is the sum of the refunds known by id that have not failed. The
        other is the highest ``amount_refunded`` of the charge, less all failed
        refunds. Stripe lowers that figure when a refund fails, so it alone
        would hide the next refund. With both bounds, events may arrive in any
        order or be lost.
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
        """Return the money that disputes hold now or have taken for good.

        It is in the currency's smallest unit, for example cents.
        """
        return sum(dispute.out_minor for dispute in self.disputes.values())

    @property
    def is_disputed(self) -> bool:
        """Return whether any dispute of this payment is open.

        A dispute is open while money is withdrawn for it, or if it has just
        begun, so that money may soon be withdrawn.
        """
        return any(dispute.is_open for dispute in self.disputes.values())

    @property
    def returned_minor(self) -> int:
        """Return how much of the price the customer got back, in minor units.

        It is what was refunded, and the amounts of lost disputes.
        """
        return self.refunded_minor + sum(
            dispute.lost_minor for dispute in self.disputes.values()
        )

    def units_to_take_back(self, units: int, paid_minor: int) -> int:
        """Return how many of a payment's units to take back in all.

        The payment bought ``units`` for ``paid_minor``, in minor units of its
        currency. The same share of them is taken back as refunds and disputes
        have returned of the money, rounded down in the customer's favour.
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
        """Return the payment's refunds and disputes after one more event.

        ``fact`` is what the event says of a refund or dispute.
        """
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
        """Return the payment's refunds and disputes with this event added.

        What the event says of its dispute is added to what is known of it.
        """
        learned = self.disputes.get(fact.dispute_id, Dispute()).with_fact(fact)
        return replace(
            self, disputes={**self.disputes, fact.dispute_id: learned}
        )

    def to_item(self) -> dict[str, Any]:
        """Return the refunds and disputes as they are stored in a payment."""
        return {
            **_members(self),
            "disputes": {
                name: _members(dispute)
                for name, dispute in self.disputes.items()
            },
        }

    @classmethod
    def from_item(cls, item: Mapping[str, Any]) -> "Reversals":
        """Return the refunds and disputes that are stored with a payment.

        ``item`` is the map of them in the payment's row, {} if there are none.
        Members that a newer version wrote are ignored.
        """
        disputes = {
            name: Dispute(**known(Dispute, dispute))
            for name, dispute in item.get("disputes", {}).items()
        }
        return cls(**known(cls, {**item, "disputes": disputes}))


def _members(one: Dispute | Reversals) -> dict[str, Any]:
    """Return the attributes by name, as dataclasses.asdict but not copied.

    Deep copies took a tenth of a settlement's time.
    """
    return {name: getattr(one, name) for name in one.__slots__}
