"""Defines a payment, our record of one purchase.

The phase only rises, so Stripe's events may arrive in any order: pending < declined < expired <
processing < failed < paid. The states after ``paid`` follow from the refunds and disputes.
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
    """The progress of a checkout. It is stored as the number."""

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
    """Our record of one purchase. Amounts are in minor units, times in RFC 3339.

    The first block never changes after the buyer has seen it.
    """

    payment_id: str
    user_id: str
    plan: str
    quota: int
    amount_minor: int
    currency: str
    created_at: str
    attempt: int = 0
    """Part of the idempotency key to Stripe. Counts Stripe's 5xx answers, which Stripe would replay
    under the same key."""
    session_id: str = ""
    url: str = ""
    expires_at: str = ""
    phase: Phase = Phase.PENDING
    completed_at: str = ""
    payment_intent: str = ""
    paid_minor: int = 0
    failure_code: str = ""
    """Of the latest decline; empty once it is paid."""
    declined_at: int = 0
    """Stripe's ``created`` of that decline, epoch seconds. 0 where an older version stored it."""
    units_clawed_back: int = 0
    units_written_off: int = 0
    units_expired: int = 0
    """Of ``units_clawed_back``: units that had expired, and so count as taken back already."""
    expires_after_days: int = 0
    """How long the units live, 0 for ever. Frozen as the price is."""
    lot_expires_at: int = 0
    """Epoch second at which the units expire, or would have when they were clawed back. 0: never.
    """
    away_since: int = 0
    """Epoch second of the first clawback whose units are still away, 0 for none."""
    movements: int = 0
    """How many times reversals have moved units.

    Numbers their ledger entries: the n-th movement can be booked only once.
    """
    reversals: Reversals = Reversals()  # noqa: RUF009 - frozen
    unseen: str = ""
    """Set when it is paid, removed when reconciliation has seen its session at Stripe. The key of a
    sparse index."""
    version: int = 0
    """Rises with every change, so that two concurrent changes cannot both be written."""

    @classmethod
    def of(
        cls, plan: Plan, payment_id: str, user_id: str, created_at: str
    ) -> "Payment":
        """Return a new payment with the price and the units that the buyer sees now."""
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
        """Return the payment as an event's metadata claims it to be.

        The write's conditions check every claim against the stored record.
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
        """What its metadata at Stripe says of it."""
        names = ["payment_id", "user_id", "plan", "quota"]
        if self.expires_after_days:
            names.append("expires_after_days")
        return {name: getattr(self, name) for name in names}

    @property
    def funding_id(self) -> str:
        """Return the session that pays it, or the payment intent where there is no session.

        "" until Stripe has made either. It is the payment's identity in the ledger.
        """
        return self.session_id or self.payment_intent

    @property
    def status(self) -> PaymentStatus:
        """Return the status that the API shows."""
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
        """None before it is paid, although an automatic charge's intent is known earlier."""
        return (
            (self.payment_intent or None) if self.phase is Phase.PAID else None
        )

    def to_item(self) -> dict[str, Any]:
        """Return the stored attributes except the key."""
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

        Attributes that a newer version wrote are ignored.
        """
        known = {name: item[name] for name in cls.__slots__ if name in item}
        known["phase"] = Phase(known.get("phase", 0))
        known["reversals"] = Reversals.from_item(known.get("reversals", {}))
        return cls(**known)
