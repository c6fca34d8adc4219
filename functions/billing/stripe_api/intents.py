"""Parses payment intents into facts, the events in our own form.

For a checkout, only a declined attempt is read from the payment intent,
because the Checkout Session reports the rest. An automatic charge has no
session, so everything is read from its intent. Our metadata on the intent says
that it is an automatic charge's:
https://docs.stripe.com/api/payment_intents/object.
"""

from collections.abc import Mapping
from typing import Any, Final

from billing.facts import DeclinedFact, SessionFact, SessionKind
from billing.settings import Ours
from billing.stripe_api.claims import UNREADABLE, Ignored, claims_in
from billing.stripe_api.reading import UnreadableError, is_short, text, whole

EVENTS: Final = (
    "payment_intent.succeeded",
    "payment_intent.processing",
    "payment_intent.canceled",
)
"""The event types that report an automatic charge's result, besides
``payment_intent.payment_failed``.
"""
AUTOMATIC: Final = "automatic"
"""The member of our metadata that only an automatic charge's intent has."""
CARD_DECLINED: Final = "card_declined"
UNNAMED_FAILURE: Final = "payment_failed"
"""Our own failure code, for a declined payment with no code from Stripe."""
KINDS: Final[Mapping[str, SessionKind]] = {
    "succeeded": "paid",
    "processing": "unpaid",
    "canceled": "async_failed",
}
"""What a payment intent's status means for the purchase. With any other status
the purchase is still open.

https://docs.stripe.com/payments/paymentintents/lifecycle
"""


def is_automatic(intent: Mapping[str, Any]) -> bool:
    """Return whether an intent is of an automatic charge.

    Our metadata on the intent says so.
    """
    metadata = intent.get("metadata")
    return isinstance(metadata, dict) and metadata.get(AUTOMATIC) == "true"


def intent_fact(
    intent: Mapping[str, Any], origin: Mapping[str, Any], ours: Ours
) -> SessionFact | Ignored:
    """Parse an automatic charge's payment intent into a SessionFact.

    A SessionFact says whether a purchase was paid. ``intent`` comes from an
    event or from the API, and ``origin`` has the fact's id, type and time.
    ``ours`` tells our Stripe objects from others'. Returns Ignored if the
    intent belongs to a checkout, is not ours, is still open or cannot be read.
    """
    claims = claims_in(intent, ours)
    if isinstance(claims, Ignored):
        return claims
    if not is_automatic(intent):
        return Ignored("of_a_checkout")
    if intent.get("livemode") is not ours.livemode:
        return Ignored("other_mode")
    kind = KINDS.get(str(intent.get("status")))
    if kind is None:
        return Ignored("still_open")
    try:
        return SessionFact(
            kind=kind,
            session_id="",
            amount_subtotal=whole(intent, "amount"),
            amount_total=whole(intent, "amount_received"),
            currency=text(intent, "currency"),
            payment_intent=text(intent, "id"),
            **claims,
            **origin,
        )
    except UnreadableError:
        return Ignored(UNREADABLE)


def declined_fact(
    intent: Mapping[str, Any], origin: Mapping[str, Any], ours: Ours
) -> DeclinedFact | Ignored:
    """Parse a payment intent whose last attempt was declined.

    The intent is a checkout's or an automatic charge's. Returns Ignored if it
    is not ours. ``origin`` has the event's id, type and time.
    """
    claims = claims_in(intent, ours)
    if isinstance(claims, Ignored):
        return claims
    error = intent.get("last_payment_error")
    code = failure_code(error) if isinstance(error, dict) else UNNAMED_FAILURE
    return DeclinedFact(
        payment_id=claims["payment_id"],
        user_id=claims["user_id"],
        needs_record=claims["needs_record"],
        failure_code=code,
        **origin,
    )


def failure_code(error: Mapping[str, Any]) -> str:
    """Return the code that says why an attempt failed.

    It is ``code``, or the card issuer's ``decline_code`` if ``code`` is
    only ``card_declined``, or ``payment_failed`` if Stripe gives no code.
    https://docs.stripe.com/declines/codes
    """
    code, reason = error.get("code"), error.get("decline_code")
    if code == CARD_DECLINED and isinstance(reason, str) and is_short(reason):
        return reason
    return code if isinstance(code, str) and is_short(code) else UNNAMED_FAILURE
