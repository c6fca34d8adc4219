"""Defines a payment, our record of one purchase, and decides how each event changes it.

It is pure: it reads no clock and makes no outside call.

The phase only rises, so Stripe's events may arrive in any order: pending < declined < expired <
processing < failed < paid. The states after ``paid`` follow from the refunds and disputes.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any, Final, Literal, assert_never

from billing.facts import (
    DeclinedFact,
    DisputeFact,
    Fact,
    RefundsFact,
    SessionFact,
    SessionKind,
)
from billing.money import decimal_string
from billing.payments.plans import Plan
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


ParkKind = Literal[
    "ahead", "unknown_payment", "other_session", "mismatch", "paid_twice"
]
Field = Literal["user_id", "plan", "quota", "amount", "currency"]
"""What an event claims of a payment, as operators read it."""
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


@dataclass(frozen=True, slots=True)
class Change:
    """A decision to write ``payment``, and to move ``units`` (signed) under the ledger entry."""

    payment: Payment
    units: int = 0
    entry: Literal["funded", "clawed_back", "reinstated", ""] = ""


@dataclass(frozen=True, slots=True)
class Already:
    """A decision to write nothing.

    ``duplicate`` is true if the same was settled before. Otherwise the event is stale.
    """

    duplicate: bool


@dataclass(frozen=True, slots=True)
class Park:
    """A decision to park an event that cannot be settled now. ``why`` is for operators."""

    kind: ParkKind
    why: str
    fields: tuple[Field, ...] = ()
    """Of a mismatch: on which claims our record and Stripe differ."""


Decision = Change | Already | Park


def decide(payment: Payment | None, fact: Fact, now: str) -> Decision:
    """Return how an event changes a payment. ``now`` is written, never compared."""
    match fact:
        case SessionFact():
            return _session(payment, fact, now)
        case DeclinedFact():
            return _declined(payment, fact)
        case RefundsFact() | DisputeFact():
            return _reversal(payment, fact)
        case _:
            assert_never(fact)


def _session(payment: Payment | None, fact: SessionFact, now: str) -> Decision:
    if payment is None:
        why = f"payment {fact.payment_id} of {fact.funding_id} is not in our records"
        return Park("unknown_payment", why)
    if fact.kind == "paid" and (differing := tuple(_differing(payment, fact))):
        return _mismatch(differing)
    if payment.funding_id not in ("", fact.funding_id):
        early = _of_another_session(payment, fact)
        if early is not None:
            return early
    phase = _phase_after(fact.kind)
    if payment.phase >= phase:
        return Already(duplicate=payment.phase == phase)
    version = payment.version + 1
    risen = replace(
        payment, phase=phase, session_id=fact.session_id, version=version
    )
    if not fact.session_id:
        risen = replace(risen, payment_intent=fact.funding_id)
    return _funded(risen, fact, now) if fact.kind == "paid" else Change(risen)


def _phase_after(kind: SessionKind) -> Phase:
    match kind:
        case "paid":
            return Phase.PAID
        case "unpaid":
            return Phase.PROCESSING
        case "async_failed":
            return Phase.FAILED
        case "expired":
            return Phase.EXPIRED
        case _:
            assert_never(kind)


def _funded(payment: Payment, fact: SessionFact, now: str) -> Change:
    paid = replace(
        payment,
        completed_at=now,
        payment_intent=fact.payment_intent or "",
        paid_minor=fact.amount_total,
        failure_code="",
        unseen=UNSEEN,
    )
    return Change(paid, units=paid.quota, entry="funded")


def _of_another_session(payment: Payment, fact: SessionFact) -> Decision | None:
    """Decide about a session or intent that is not the one we made for this payment.

    None: it is a copy that takes the place of ours. Stripe copies an expired session, metadata
    included, where recovery is switched on:
    https://docs.stripe.com/payments/checkout/abandoned-carts. Ours must have expired or failed for
    good: until then both could be paid.
    """
    if fact.kind != "paid":
        return Already(duplicate=False)
    ours = f"payment {payment.payment_id}, which is {payment.funding_id}'s"
    why = f"{fact.funding_id} was paid for {ours}"
    match payment.phase:
        case Phase.EXPIRED | Phase.FAILED:
            return None
        case Phase.PAID:
            return Park("paid_twice", why)
        case Phase.PENDING | Phase.DECLINED | Phase.PROCESSING:
            return Park(
                "other_session", f"{why}, and that one can still be paid"
            )
        case _:
            assert_never(payment.phase)


@dataclass(frozen=True, slots=True)
class _Differing:
    """A claim on which our record and Stripe differ."""

    field: Field
    ours: str | int
    theirs: str | int


def _differing(payment: Payment, fact: SessionFact) -> Iterator[_Differing]:
    claims = (
        _Differing("user_id", payment.user_id, fact.user_id),
        _Differing("plan", payment.plan, fact.plan),
        _Differing("quota", payment.quota, fact.quota),
        _Differing("amount", payment.amount_minor, fact.amount_subtotal),
        _Differing("currency", payment.currency, fact.currency),
    )
    return (claim for claim in claims if claim.ours != claim.theirs)


def _mismatch(differing: tuple[_Differing, ...]) -> Park:
    why = "; ".join(
        f"{claim.field} is {claim.ours!r} in our record and {claim.theirs!r} at Stripe"
        for claim in differing
    )
    return Park("mismatch", why, tuple(claim.field for claim in differing))


def _declined(payment: Payment | None, fact: DeclinedFact) -> Decision:
    if payment is None:
        return Park(
            "unknown_payment",
            f"payment {fact.payment_id} is not in our records",
        )
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


def _reversal(
    payment: Payment | None, fact: RefundsFact | DisputeFact
) -> Decision:
    if payment is None or payment.phase is not Phase.PAID:
        reversal = "a refund" if isinstance(fact, RefundsFact) else "a dispute"
        return Park(
            "ahead", f"{reversal} came before the payment it takes back"
        )
    if fact.currency != payment.currency:
        return _mismatch(
            (_Differing("currency", payment.currency, fact.currency),)
        )
    reversals = payment.reversals.with_fact(fact)
    if reversals == payment.reversals:
        return Already(duplicate=True)
    taken = reversals.units_to_take_back(payment.quota, payment.paid_minor)
    delta = payment.units_clawed_back - taken
    version = payment.version + 1
    learned = replace(
        payment, reversals=reversals, units_clawed_back=taken, version=version
    )
    if not delta:
        return Change(learned)
    moved = replace(learned, movements=payment.movements + 1)
    return Change(
        moved, units=delta, entry="reinstated" if delta > 0 else "clawed_back"
    )
