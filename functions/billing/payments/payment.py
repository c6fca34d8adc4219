"""Defines a payment, our record of one purchase.

Its phase says how far the purchase has come. It only rises, so Stripe's events
may arrive in any order: pending < declined < expired < processing < failed <
paid. The states after ``paid`` follow from the refunds and disputes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any, Literal, assert_never

from billing.facts import (
    DeclinedFact,
    SessionFact,
)
from billing.money import decimal_string
from billing.payments.plan import Plan
from billing.payments.reversals import Reversals


class Phase(IntEnum):
    """Lists the states of a purchase. A payment's row stores the number."""

    PENDING = 0
    DECLINED = 1
    """An attempt failed; the buyer may try again in the same session."""
    EXPIRED = 2
    PROCESSING = 3
    FAILED = 4
    """A delayed payment failed for good."""
    PAID = 5


PaymentStatus = Literal[
    "pending",
    "processing",
    "completed",
    "failed",
    "expired",
    "partially_refunded",
    "refunded",
    "disputed",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """Our record of one purchase.

    Amounts are in minor units, times in RFC 3339. The fields above
    ``attempt`` never change after the buyer has seen them.
    """

    payment_id: str
    user_id: str
    plan: str
    quota: int
    amount_minor: int
    currency: str
    created_at: str
    attempt: int = 0
    """Part of the idempotency key that we send to Stripe. It counts Stripe's
    5xx answers, because Stripe would replay such an answer under the same
    key.
    """
    session_id: str = ""
    url: str = ""
    expires_at: str = ""
    phase: Phase = Phase.PENDING
    completed_at: str = ""
    payment_intent: str = ""
    paid_minor: int = 0
    failure_code: str = ""
    """Why the latest attempt was declined. Empty once the payment is paid."""
    declined_at: int = 0
    """Stripe's ``created`` of the latest declined attempt, in epoch seconds. 0
    if an older version stored the payment.
    """
    units_clawed_back: int = 0
    units_written_off: int = 0
    units_expired: int = 0
    """The part of ``units_clawed_back`` that had expired, and so counts as
    taken back already.
    """
    expires_after_days: int = 0
    """After how many days the units expire. 0 means never. As the price, it is
    copied from the plan.
    """
    lot_expires_at: int = 0
    """The epoch second at which the units expire, or would have expired when
    they were clawed back. 0 means never.
    """
    away_since: int = 0
    """The epoch second of the first clawback whose units have not come back. 0
    means none.
    """
    movements: int = 0
    """How many times refunds and disputes have moved units. It numbers the
    ledger entries for that, so that each movement can be booked only once.
    """
    reversals: Reversals = Reversals()  # noqa: RUF009 - frozen
    unseen: str = ""
    """Set when the payment is paid, and removed when reconciliation has found
    its session at Stripe. It is the partition key of a sparse index.
    """
    version: int = 0
    """Grows with every change, so that only one of two concurrent changes is
    written.
    """

    @classmethod
    def of(
        cls, plan: Plan, payment_id: str, user_id: str, created_at: str
    ) -> "Payment":
        """Return a new payment with the price and units of the plan.

        They are copied, so that a later change of the plan does not alter this
        payment.
        """
        return cls(
            payment_id=payment_id,
            user_id=user_id,
            plan=plan.id,
            quota=plan.quota,
            amount_minor=plan.amount_minor,
            currency=plan.currency,
            created_at=created_at,
            expires_after_days=plan.expires_after_days,
        )

    @classmethod
    def claimed_by(cls, fact: SessionFact | DeclinedFact) -> "Payment":
        """Return the payment as the event's metadata describes it.

        No payment is read. The write that settles the event compares each
        field with the stored payment.
        """
        bare = cls(
            payment_id=fact.payment_id,
            user_id=fact.user_id,
            plan="",
            quota=0,
            amount_minor=0,
            currency="",
            created_at="",
        )
        if not isinstance(fact, SessionFact):
            return bare
        return replace(
            bare,
            plan=fact.plan,
            quota=fact.quota,
            amount_minor=fact.amount_subtotal,
            currency=fact.currency,
            expires_after_days=fact.expires_after_days,
        )

    @property
    def claims(self) -> dict[str, str | int]:
        """Return the metadata that we give Stripe with this payment."""
        names = ["payment_id", "user_id", "plan", "quota"]
        if self.expires_after_days:
            names.append("expires_after_days")
        return {name: getattr(self, name) for name in names}

    @property
    def funding_id(self) -> str:
        """Return the id of the Stripe object that pays for this purchase.

        It is the session, or the payment intent of an automatic charge, or ""
        before Stripe has made either. The ledger uses it to identify the
        purchase.
        """
        return self.session_id or self.payment_intent

    @property
    def status(self) -> PaymentStatus:
        """Return the payment's status under the name that the API uses.

        For example, a declined payment is ``failed``. The status of a paid one
        also depends on its refunds and disputes.
        """
        match self.phase:
            case Phase.PENDING:
                return "pending"
            case Phase.DECLINED | Phase.FAILED:
                return "failed"
            case Phase.EXPIRED:
                return "expired"
            case Phase.PROCESSING:
                return "processing"
            case Phase.PAID:
                return self._status_once_paid
            case _:
                assert_never(self.phase)

    @property
    def _status_once_paid(self) -> PaymentStatus:
        if self.reversals.is_disputed:
            return "disputed"
        returned = self.reversals.returned_minor
        if not returned:
            return "completed"
        return (
            "refunded" if returned >= self.paid_minor else "partially_refunded"
        )

    def as_answer(self) -> dict[str, Any]:
        """Return the payment as the API shows it.

        ``paid_minor`` is after discounts and with tax.
        """
        return {
            "payment_id": self.payment_id,
            "session_id": self.session_id or None,
            "plan": self.plan,
            "quota": self.quota,
            "amount_minor": self.amount_minor,
            "amount": decimal_string(self.amount_minor, self.currency),
            "currency": self.currency,
            "paid_minor": self.paid_minor if self.phase is Phase.PAID else None,
            "payment_intent_id": self._paid_intent,
            "status": self.status,
            "created_at": self.created_at,
            "completed_at": self.completed_at or None,
            "refunded_minor": min(
                self.reversals.refunded_minor, self.paid_minor
            ),
            "units_clawed_back": self.units_clawed_back,
            "failure_code": self.failure_code or None,
        }

    @property
    def _paid_intent(self) -> str | None:
        """Return the payment intent's id once it is paid, and None before.

        An automatic charge's intent is known earlier, but not shown.
        """
        return (
            (self.payment_intent or None) if self.phase is Phase.PAID else None
        )

    def to_item(self) -> dict[str, Any]:
        """Return the attributes of the payment's row, without the key."""
        names = (
            name
            for name in self.__slots__
            if name not in ("reversals", "phase")
        )
        stored = {
            name: value
            for name in names
            if (value := getattr(self, name)) != ""
        }
        return {
            **stored,
            "phase": int(self.phase),
            "status": self.status,
            "reversals": self.reversals.to_item(),
        }

    @classmethod
    def from_item(cls, item: Mapping[str, Any]) -> "Payment":
        """Return the payment in a stored item.

        Attributes that a newer version of this code wrote are ignored.
        """
        known = {name: item[name] for name in cls.__slots__ if name in item}
        known["phase"] = Phase(known.get("phase", 0))
        known["reversals"] = Reversals.from_item(known.get("reversals", {}))
        return cls(**known)
