"""Parses Stripe's events into facts, or ignores them with a reason.

It knows Stripe's objects, and none of our records: https://docs.stripe.com/api/events/types.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from billing.facts import (
    DisputeFact,
    Fact,
    RefundsFact,
    SessionFact,
    SessionKind,
)
from billing.settings import Ours
from billing.stripe_api import intents
from billing.stripe_api.claims import (
    OTHER_DEPLOYMENT,
    UNREADABLE,
    Ignored,
    claims_in,
)
from billing.stripe_api.reading import (
    UnreadableError,
    member,
    reference,
    signed,
    text,
    whole,
)

SESSION_EVENTS: Final[Mapping[str, SessionKind]] = {
    "checkout.session.completed": "paid",
    "checkout.session.async_payment_succeeded": "paid",
    "checkout.session.async_payment_failed": "async_failed",
    "checkout.session.expired": "expired",
}
REFUND_EVENTS: Final = (
    "refund.created",
    "refund.updated",
    "refund.failed",
    "charge.refund.updated",
)
"""https://docs.stripe.com/changelog/acacia/2024-10-28/refund-webhook-update"""
DISPUTE_EVENTS: Final = (
    "charge.dispute.created",
    "charge.dispute.updated",
    "charge.dispute.funds_withdrawn",
    "charge.dispute.funds_reinstated",
    "charge.dispute.closed",
)
SUBSCRIBED: Final = (
    *SESSION_EVENTS,
    "payment_intent.payment_failed",
    *intents.EVENTS,
    "charge.refunded",
    *REFUND_EVENTS,
    *DISPUTE_EVENTS,
)
"""Every event type the product acts on: what a webhook endpoint must be subscribed to."""
PAID: Final = ("paid", "no_payment_required")
STANDING: Final = ("pending", "requires_action", "succeeded")
GONE: Final = ("failed", "canceled")
"""A refund's states: STANDING, the money goes to the customer; GONE, it has come back from there.

https://docs.stripe.com/api/refunds/object#refund_object-status
"""
CLOSED: Final = ("won", "lost", "warning_closed", "prevented")


def parse(event: Mapping[str, Any], ours: Ours) -> Fact | Ignored:
    """Return the fact in a verified event, or Ignored.

    Malformed events are ignored too. It raises only the errors of reading our deployment's id.
    """
    kind = event.get("type")
    if event.get("object") != "event" or not isinstance(kind, str):
        return Ignored("unsupported")
    if event.get("account") or event.get("context"):
        return Ignored("other_account")
    reader = _READERS.get(kind)
    if reader is None:
        return Ignored("not_of_interest")
    if event.get("livemode") is not ours.livemode:
        return Ignored("other_mode")
    try:
        subject = member(member(event, "data", dict), "object", dict)
        origin = {
            "fact_id": text(event, "id"),
            "type": kind,
            "created": whole(event, "created"),
        }
        return reader(subject, origin, ours)
    except UnreadableError:
        return Ignored(UNREADABLE)


def session_fact(
    session: Mapping[str, Any],
    kind: SessionKind,
    origin: Mapping[str, Any],
    ours: Ours,
) -> SessionFact | Ignored:
    """Return the fact in a Checkout Session object, from an event or from the API."""
    if session.get("mode") != "payment":
        return Ignored("not_ours")
    claims = claims_in(session, ours)
    if isinstance(claims, Ignored):
        return claims
    if session.get("livemode") is not ours.livemode:
        return Ignored("other_mode")
    try:
        return SessionFact(
            kind=kind,
            session_id=text(session, "id"),
            amount_subtotal=whole(session, "amount_subtotal"),
            amount_total=whole(session, "amount_total"),
            currency=text(session, "currency"),
            payment_intent=reference(session, "payment_intent"),
            **claims,
            **origin,
        )
    except UnreadableError:
        return Ignored(UNREADABLE)


def dispute_fact(
    dispute: Mapping[str, Any], origin: Mapping[str, Any], *, formal: bool
) -> DisputeFact | Ignored:
    """Return the fact in a dispute object, from an event or from the API.

    ``formal`` is true for the event that creates the dispute and for the API's answer. Only these
    may open the dispute in our books.
    """
    try:
        found_by = _found_by(dispute)
        if not any(found_by.values()):
            return Ignored("not_ours")
        status = text(dispute, "status")
        amount = whole(dispute, "amount")
        currency = text(dispute, "currency")
        rows = _transactions(dispute)
        return DisputeFact(
            currency=currency,
            dispute_id=text(dispute, "id"),
            amount=amount,
            opened=formal
            and status != "prevented"
            and not status.startswith("warning_"),
            closed=status if status in CLOSED else "",
            transactions={
                text(row, "id"): signed(row, "amount") for row in rows
            },
            converted=any(text(row, "currency") != currency for row in rows),
            **found_by,
            **origin,
        )
    except UnreadableError:
        return Ignored(UNREADABLE)


def _session(
    session: Mapping[str, Any], origin: Mapping[str, Any], ours: Ours
) -> Fact | Ignored:
    kind = SESSION_EVENTS[origin["type"]]
    status = session.get("payment_status")
    if (
        kind == "paid"
        and status == "unpaid"
        and origin["type"] == "checkout.session.completed"
    ):
        kind = "unpaid"
    found = session_fact(session, kind, origin, ours)
    if isinstance(found, SessionFact) and kind == "paid" and status not in PAID:
        return Ignored(UNREADABLE)
    return found


def _charge_refunded(
    charge: Mapping[str, Any], origin: Mapping[str, Any], ours: Ours
) -> Fact | Ignored:
    """A charge has its payment intent's metadata: https://support.stripe.com/questions/how-metadata-works-with-related-objects.

    A seller can edit it, so a charge without ours is still ours if we have a record of its payment.
    """
    claims = claims_in(charge, ours)
    if isinstance(claims, Ignored) and claims.reason == OTHER_DEPLOYMENT:
        return claims
    intent = reference(charge, "payment_intent")
    if intent is None or not intent.startswith("pi_"):
        # Checkout in payment mode always has a payment intent
        return Ignored("not_ours")
    standing, failed = refunds_by_id(_listed_refunds(charge))
    return RefundsFact(
        payment_intent=intent,
        charge=text(charge, "id"),
        currency=text(charge, "currency"),
        refunded_minor=whole(charge, "amount_refunded"),
        standing=standing,
        failed=failed,
        **_proof(claims),
        **origin,
    )


def _listed_refunds(charge: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The charge's refunds as endpoints of API versions before 2022-11-15 list them; [] otherwise.

    https://docs.stripe.com/changelog/2022-11-15/deprecates-charges-auto-expand
    """
    listed = charge.get("refunds")
    rows = listed.get("data") if isinstance(listed, dict) else None
    if not isinstance(rows, list):
        return []
    return [row for row in rows if isinstance(row, dict)]


def _refund(
    refund: Mapping[str, Any], origin: Mapping[str, Any], ours: Ours
) -> Fact | Ignored:
    del ours
    standing, failed = refunds_by_id([refund])
    if not standing and not failed:
        return Ignored("not_of_interest")
    found_by = _found_by(refund)
    if not any(found_by.values()):
        return Ignored("not_ours")
    return RefundsFact(
        currency=text(refund, "currency"),
        standing=standing,
        failed=failed,
        **found_by,
        **origin,
    )


def refunds_by_id(
    refunds: Iterable[Mapping[str, Any]],
) -> tuple[dict[str, int], dict[str, int]]:
    """Return refunded amounts by id: those that stand, and those that failed or were canceled.

    A refund with an unknown status is in neither. The cumulative figure of its charge counts it.
    """
    standing, failed = {}, {}
    for refund in refunds:
        status = refund.get("status")
        if status in STANDING:
            standing[text(refund, "id")] = whole(refund, "amount")
        elif status in GONE:
            failed[text(refund, "id")] = whole(refund, "amount")
    return standing, failed


def _dispute(
    dispute: Mapping[str, Any], origin: Mapping[str, Any], ours: Ours
) -> Fact | Ignored:
    del ours
    return dispute_fact(
        dispute, origin, formal=origin["type"] == "charge.dispute.created"
    )


def _proof(claims: Mapping[str, Any] | Ignored) -> dict[str, Any]:
    """Return what shows that a charge is ours: its metadata, or else only our record of it."""
    if isinstance(claims, Ignored):
        return {"needs_record": True}
    return {
        name: claims[name] for name in ("payment_id", "user_id", "needs_record")
    }


def _found_by(reversal: Mapping[str, Any]) -> dict[str, Any]:
    """What leads from a refund or dispute to a payment.

    Both are nullable; with neither, nothing of ours can ever be found by it.

    https://docs.stripe.com/api/refunds/object#refund_object-charge
    """
    return {
        name: reference(reversal, name) for name in ("payment_intent", "charge")
    }


def _transactions(dispute: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    if dispute.get("balance_transactions") is None:
        return []
    rows = member(dispute, "balance_transactions", list)
    if not all(isinstance(row, dict) for row in rows):
        raise UnreadableError
    return rows


_Reader = Callable[[Mapping[str, Any], Mapping[str, Any], Ours], Fact | Ignored]
_READERS: Final[Mapping[str, _Reader]] = {
    **dict.fromkeys(SESSION_EVENTS, _session),
    "payment_intent.payment_failed": intents.declined_fact,
    **dict.fromkeys(intents.EVENTS, intents.intent_fact),
    "charge.refunded": _charge_refunded,
    **dict.fromkeys(REFUND_EVENTS, _refund),
    **dict.fromkeys(DISPUTE_EVENTS, _dispute),
}
