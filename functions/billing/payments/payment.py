"""One payment: our record of one purchase, and what each fact makes of it.

Pure: no clock, no outside call.

The phase only ever rises, so that the order in which Stripe's events come does not matter: pending
< declined < expired < processing < failed < paid. What comes after ``paid`` follows from the
reversals.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any, Final, Literal

from billing.facts import DeclinedFact, DisputeFact, Fact, RefundsFact, SessionFact
from billing.money import decimal_string
from billing.payments.plans import Plan
from billing.payments.reversals import Reversals


class Phase(IntEnum):
    """How far the checkout has come. Stored as the number."""

    PENDING = 0
    DECLINED = 1
    """An attempt failed; the buyer may try again in the same session."""
    EXPIRED = 2
    PROCESSING = 3
    FAILED = 4
    """A delayed payment failed for good."""
    PAID = 5


ParkKind = Literal["ahead", "unknown_payment", "other_session", "mismatch", "paid_twice"]
UNSEEN: Final = "unseen"
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
_STATUS: Final[Mapping[Phase, PaymentStatus]] = {
    Phase.PENDING: "pending",
    Phase.DECLINED: "failed",
    Phase.EXPIRED: "expired",
    Phase.PROCESSING: "processing",
    Phase.FAILED: "failed",
}
_RISES_TO: Final = {
    "paid": Phase.PAID,
    "unpaid": Phase.PROCESSING,
    "async_failed": Phase.FAILED,
    "expired": Phase.EXPIRED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """Amounts in minor units, times RFC 3339. The first block is frozen when the buyer saw it."""

    payment_id: str
    user_id: str
    plan: str
    quota: int
    amount_minor: int
    currency: str
    created_at: str
    attempt: int = 0
    """Part of the idempotency key to Stripe; counts answers that Stripe itself would replay for
    ever."""
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
    """Stripe's ``created`` of that decline, epoch seconds. 0 also where an older version noted it.
    """
    units_clawed_back: int = 0
    units_written_off: int = 0
    movements: int = 0
    """Units moved by reversals, so often.

    Numbers their ledger entries: the n-th movement can be booked once only.
    """
    reversals: Reversals = Reversals()  # noqa: RUF009 - frozen
    unseen: str = ""
    """Not empty from the moment it is paid until reconciliation has seen its session at Stripe: the
    key of a sparse index."""
    version: int = 0
    """Rises with every change, so that two changes at once cannot both be written."""

    @classmethod
    def of(cls, plan: Plan, payment_id: str, user_id: str, created_at: str) -> "Payment":
        """Freeze the price and the units as the buyer sees them now."""
        return cls(
            payment_id=payment_id,
            user_id=user_id,
            plan=plan.id,
            quota=plan.quota,
            amount_minor=plan.amount_minor,
            currency=plan.currency,
            created_at=created_at,
        )

    @classmethod
    def claimed_by(cls, fact: SessionFact | DeclinedFact) -> "Payment":
        """The record as it must be for an ordinary delivery.

        The write's conditions hold every claim against the real one.
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
        )

    @property
    def status(self) -> PaymentStatus:
        """The word that answers show."""
        if self.phase is not Phase.PAID:
            return _STATUS[self.phase]
        if self.reversals.is_disputed:
            return "disputed"
        returned = self.reversals.returned_minor
        if returned and returned >= self.paid_minor:
            return "refunded"
        return "partially_refunded" if returned else "completed"

    def as_answer(self) -> dict[str, Any]:
        """The payment as the API shows it. ``paid_minor``: after discounts, with tax."""
        return {
            "payment_id": self.payment_id,
            "session_id": self.session_id or None,
            "plan": self.plan,
            "quota": self.quota,
            "amount_minor": self.amount_minor,
            "amount": decimal_string(self.amount_minor, self.currency),
            "currency": self.currency,
            "paid_minor": self.paid_minor if self.phase is Phase.PAID else None,
            "payment_intent_id": self.payment_intent or None,
            "status": self.status,
            "created_at": self.created_at,
            "completed_at": self.completed_at or None,
            "refunded_minor": min(self.reversals.refunded_minor, self.paid_minor),
            "units_clawed_back": self.units_clawed_back,
            "failure_code": self.failure_code or None,
        }

    def to_item(self) -> dict[str, Any]:
        """Every attribute that the store keeps, beside the key."""
        names = (name for name in self.__slots__ if name not in ("reversals", "phase"))
        stored = {name: value for name in names if (value := getattr(self, name)) != ""}
        return {
            **stored,
            "phase": int(self.phase),
            "status": self.status,
            "reversals": self.reversals.to_item(),
        }

    @classmethod
    def from_item(cls, item: Mapping[str, Any]) -> "Payment":
        """The reverse; unknown attributes of a newer version are left alone."""
        known = {name: item[name] for name in cls.__slots__ if name in item}
        known["phase"] = Phase(known.get("phase", 0))
        known["reversals"] = Reversals.from_item(known.get("reversals", {}))
        return cls(**known)


@dataclass(frozen=True, slots=True)
class Change:
    """Write ``payment``, and move ``units`` (signed) for the reason ``entry``; no entry, no units."""

    payment: Payment
    units: int = 0
    entry: Literal["funded", "clawed_back", "reinstated", ""] = ""


@dataclass(frozen=True, slots=True)
class Already:
    """Nothing to write.

    ``duplicate``: the same was settled before; else the fact is older than what we know.
    """

    duplicate: bool


@dataclass(frozen=True, slots=True)
class Park:
    """The fact cannot be applied, and must not be forgotten."""

    kind: ParkKind
    why: str


Decision = Change | Already | Park


def decide(payment: Payment | None, fact: Fact, now: str) -> Decision:
    """What this fact makes of this payment. ``now`` is written, never compared."""
    if isinstance(fact, SessionFact):
        return _session(payment, fact, now)
    if isinstance(fact, DeclinedFact):
        return _declined(payment, fact)
    return _reversal(payment, fact)


def _session(payment: Payment | None, fact: SessionFact, now: str) -> Decision:
    if payment is None:
        return Park(
            "unknown_payment",
            f"payment {fact.payment_id} of session {fact.session_id} is not in our records",
        )
    if fact.kind == "paid" and (misfit := _misfit(payment, fact)):
        return Park("mismatch", misfit)
    if payment.session_id not in ("", fact.session_id) and (
        early := _of_another_session(payment, fact)
    ):
        return early
    phase = _RISES_TO[fact.kind]
    if payment.phase >= phase:
        return Already(duplicate=payment.phase == phase)
    if fact.kind != "paid":
        return Change(
            replace(payment, phase=phase, session_id=fact.session_id, version=payment.version + 1)
        )
    paid = replace(
        payment,
        phase=phase,
        session_id=fact.session_id,
        completed_at=now,
        payment_intent=fact.payment_intent or "",
        paid_minor=fact.amount_total,
        failure_code="",
        unseen=UNSEEN,
        version=payment.version + 1,
    )
    return Change(paid, units=paid.quota, entry="funded")


def _of_another_session(payment: Payment, fact: SessionFact) -> Decision | None:
    """Stripe copies an expired session with its metadata, where recovery is switched on:

    None, the copy takes its place.

    https://docs.stripe.com/payments/checkout/abandoned-carts. Until the first one has expired, both
    might be paid.
    """
    if fact.kind != "paid":
        return Already(duplicate=False)
    told = f"session {fact.session_id} was paid for payment {payment.payment_id}, which is {payment.session_id}'s"
    if payment.phase is Phase.PAID:
        return Park("paid_twice", told)
    return (
        None
        if payment.phase is Phase.EXPIRED
        else Park("other_session", f"{told}, and that one has not expired")
    )


def _misfit(payment: Payment, fact: SessionFact) -> str:
    pairs = (
        ("user_id", payment.user_id, fact.user_id),
        ("plan", payment.plan, fact.plan),
        ("quota", payment.quota, fact.quota),
        ("amount", payment.amount_minor, fact.amount_subtotal),
        ("currency", payment.currency, fact.currency),
    )
    return "; ".join(
        f"{name} is {ours!r} in our record and {theirs!r} at Stripe"
        for name, ours, theirs in pairs
        if ours != theirs
    )


def _declined(payment: Payment | None, fact: DeclinedFact) -> Decision:
    if payment is None:
        return Park("unknown_payment", f"payment {fact.payment_id} is not in our records")
    if payment.phase is Phase.PAID:
        return Already(duplicate=False)
    known = (payment.declined_at, payment.failure_code)
    latest = (fact.created, fact.failure_code)
    if known >= latest:
        return Already(duplicate=known == latest)
    learned = replace(
        payment,
        phase=max(payment.phase, Phase.DECLINED),
        failure_code=fact.failure_code,
        declined_at=fact.created,
        version=payment.version + 1,
    )
    return Change(learned)


def _reversal(payment: Payment | None, fact: RefundsFact | DisputeFact) -> Decision:
    if payment is None or payment.phase is not Phase.PAID:
        return Park(
            "ahead",
            f"{'a refund' if isinstance(fact, RefundsFact) else 'a dispute'} came before the payment it takes back",
        )
    if fact.currency != payment.currency:
        return Park(
            "mismatch",
            f"currency is {payment.currency!r} in our record and {fact.currency!r} at Stripe",
        )
    before = payment.reversals
    reversals = (
        before.with_refunds(fact) if isinstance(fact, RefundsFact) else before.with_dispute(fact)
    )
    if reversals == before:
        return Already(duplicate=True)
    taken = reversals.units_to_take_back(payment.quota, payment.paid_minor)
    delta = payment.units_clawed_back - taken
    learned = replace(
        payment, reversals=reversals, units_clawed_back=taken, version=payment.version + 1
    )
    if not delta:
        return Change(learned)
    moved = replace(learned, movements=payment.movements + 1)
    return Change(moved, units=delta, entry="reinstated" if delta > 0 else "clawed_back")
