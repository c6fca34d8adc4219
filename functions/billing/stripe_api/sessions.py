"""Parses Checkout Sessions, from events and from Stripe's API.

The result is a SessionFact: what happened to a purchase.
"""

from collections.abc import Mapping
from typing import Any, Final

from billing.facts import Fact, SessionFact, SessionKind
from billing.settings import Ours
from billing.stripe_api.claims import UNREADABLE, Ignored, claims_in
from billing.stripe_api.reading import UnreadableError, reference, text, whole

SESSION_EVENTS: Final[Mapping[str, SessionKind]] = {
    "checkout.session.completed": "paid",
    "checkout.session.async_payment_succeeded": "paid",
    "checkout.session.async_payment_failed": "async_failed",
    "checkout.session.expired": "expired",
}
PAID: Final = ("paid", "no_payment_required")


def session_fact(
    session: Mapping[str, Any],
    kind: SessionKind,
    origin: Mapping[str, Any],
    ours: Ours,
) -> SessionFact | Ignored:
    """Parse a Checkout Session into a SessionFact: how a purchase went.

    The session is from an event or from Stripe's API. ``kind`` says what
    happened, for example ``paid``. ``origin`` has the id, type and time for
    the SessionFact. Returns Ignored if the session is not of this deployment
    (``ours``) or cannot be read.
    """
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


def session_event(
    session: Mapping[str, Any], origin: Mapping[str, Any], ours: Ours
) -> Fact | Ignored:
    """Parse the Checkout Session in an event into a SessionFact.

    A SessionFact says what happened to a purchase. Returns Ignored if the
    session is not of this deployment (``ours``) or cannot be read. ``origin``
    has the event's id, type and time.
    """
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
