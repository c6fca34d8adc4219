"""Decides how each of Stripe's events changes a payment.

Nothing is read or written here, not even the clock.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final, assert_never

from billing.facts import (
    DeclinedFact,
    DisputeFact,
    Fact,
    RefundsFact,
    SessionFact,
    SessionKind,
)
from billing.payments.decision import Already, Change, Decision, Field, Park
from billing.payments.payment import Payment, Phase

UNSEEN: Final = "unseen"


def decide(payment: Payment | None, fact: Fact, now: str) -> Decision:
    """Return how an event changes a payment.

    ``fact`` is the parsed event. The result is a Change, Already (nothing to
    write) or Park (keep the event for later). ``now`` is only written, never
    compared.
    """
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
    """Decide on a Stripe event whose session or intent is not the payment's.

    ``payment`` has the id of another one. For example, Stripe copies an
    expired session, with the metadata, if recovery is switched on
    (https://docs.stripe.com/payments/checkout/abandoned-carts). An event that
    does not say paid changes nothing. If it says paid, the result depends on
    the payment's own session or intent. If that expired or failed for good,
    None is returned, and the caller credits the payment. If that is paid or
    still can be, the event is parked (kept for later).
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
    """Holds both values of a field in which a payment's row and Stripe differ.

    ``ours`` is the row's value, and ``theirs`` the one in Stripe's event.
    """

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
