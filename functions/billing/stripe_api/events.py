"""Parses Stripe's events into facts, or ignores them with a reason.

A fact is what an event says about a payment. Payments in our tables are not
read. https://docs.stripe.com/api/events/types lists the events.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from billing.facts import Fact
from billing.settings import Ours
from billing.stripe_api import intents
from billing.stripe_api.claims import UNREADABLE, Ignored
from billing.stripe_api.disputes import DISPUTE_EVENTS, dispute_event
from billing.stripe_api.reading import UnreadableError, member, text, whole
from billing.stripe_api.refunds import (
    REFUND_EVENTS,
    charge_refunded,
    refund_event,
)
from billing.stripe_api.sessions import SESSION_EVENTS, session_event

SUBSCRIBED: Final = (
    *SESSION_EVENTS,
    "payment_intent.payment_failed",
    *intents.EVENTS,
    "charge.refunded",
    *REFUND_EVENTS,
    *DISPUTE_EVENTS,
)
"""Every event type the product acts on: what a webhook endpoint must be subscribed to."""


def parse(event: Mapping[str, Any], ours: Ours) -> Fact | Ignored:
    """Return what a Stripe event says about a payment, called a fact.

    The event's signature must have been checked. Returns Ignored if the event
    is malformed, is not ours, or is of a type that the product does not act
    on. Raises only the errors of reading our deployment's id.
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


_Reader = Callable[[Mapping[str, Any], Mapping[str, Any], Ours], Fact | Ignored]
_READERS: Final[Mapping[str, _Reader]] = {
    **dict.fromkeys(SESSION_EVENTS, session_event),
    "payment_intent.payment_failed": intents.declined_fact,
    **dict.fromkeys(intents.EVENTS, intents.intent_fact),
    "charge.refunded": charge_refunded,
    **dict.fromkeys(REFUND_EVENTS, refund_event),
    **dict.fromkeys(DISPUTE_EVENTS, dispute_event),
}
