"""Parses answers of Stripe's API into facts, equal to the facts of events.

A fact is what Stripe says about a payment. Payment confirmation, retries and
reconciliation use these functions. ``source`` names which of them asked: it is
the fact's type, and the start of its id.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from billing.facts import DisputeFact, RefundsFact, SessionFact, SessionKind
from billing.settings import Ours
from billing.stripe_api import intents
from billing.stripe_api.claims import Ignored
from billing.stripe_api.disputes import dispute_fact
from billing.stripe_api.refunds import refunds_by_id
from billing.stripe_api.sessions import PAID, session_fact

FAILED: Final = ("requires_payment_method", "canceled")
"""The states of a payment intent whose delayed payment has failed.

https://docs.stripe.com/payments/paymentintents/lifecycle
"""


def purchase(
    found: Mapping[str, Any], source: str, ours: Ours
) -> SessionFact | Ignored:
    """Parse a Checkout Session or payment intent from Stripe's API.

    Returns Ignored if it is not ours, cannot be read or is still open. A
    payment intent is read only for an automatic charge, which has no session.
    ``source`` names the caller, for example ``reconcile``.
    """
    if found.get("object") == "payment_intent":
        return intents.intent_fact(found, _origin(found, source), ours)
    return session(found, source, ours)


def session(
    found: Mapping[str, Any], source: str, ours: Ours
) -> SessionFact | Ignored:
    """Parse a Checkout Session from Stripe's API into a SessionFact.

    Returns Ignored if it is not ours, cannot be read or is still open. A
    failed delayed payment is recognised only if ``payment_intent`` is expanded
    in the session. ``source`` names the caller, for example ``confirm``.
    """
    kind = _kind(found)
    if kind is None:
        return Ignored("still_open")
    return session_fact(found, kind, _origin(found, source), ours)


def _origin(found: Mapping[str, Any], source: str) -> dict[str, Any]:
    return {
        "fact_id": f"{source}:{found.get('id')}",
        "type": source,
        "created": int(found.get("created") or 0),
    }


def intent_of(found: Mapping[str, Any]) -> str:
    """Return a session's payment intent id, or a payment intent's own id.

    ``found`` is the session or the payment intent. A session may have the id
    or the expanded object. The result is "" for a session without an intent,
    which had nothing to pay.
    """
    if found.get("object") == "payment_intent":
        return str(found["id"])
    intent = found.get("payment_intent")
    if isinstance(intent, Mapping):
        intent = intent.get("id")
    return str(intent or "")


def refunds(
    payment_intent: str,
    currency: str,
    found: Iterable[Mapping[str, Any]],
    source: str,
) -> RefundsFact:
    """Parse all refunds of one payment intent into one RefundsFact.

    ``source`` names the caller, for example ``reconcile``.
    https://docs.stripe.com/api/refunds/object#refund_object-status
    """
    rows = list(found)
    standing, failed = refunds_by_id(rows)
    return RefundsFact(
        fact_id=f"{source}:{payment_intent}",
        type=source,
        created=max((row["created"] for row in rows), default=0),
        payment_intent=payment_intent,
        charge=None,
        currency=rows[0]["currency"] if rows else currency,
        failed=failed,
        standing=standing,
    )


def dispute(found: Mapping[str, Any], source: str) -> DisputeFact | Ignored:
    """Parse a dispute from Stripe's API into a DisputeFact.

    Returns Ignored if it names no payment or cannot be read. ``source`` names
    the caller, for example ``reconcile``.
    """
    return dispute_fact(found, _origin(found, source), formal=True)


def _kind(found: Mapping[str, Any]) -> SessionKind | None:
    """Return what happened to a session, or None if it is still open.

    The kinds are ``expired``, ``paid``, ``async_failed`` (a delayed
    payment failed) and ``unpaid`` (a delayed payment is pending).
    """
    status = found.get("status")
    if status == "expired":
        return "expired"
    if status != "complete":
        return None
    if found.get("payment_status") in PAID:
        return "paid"
    intent = found.get("payment_intent")
    if isinstance(intent, Mapping) and intent.get("status") in FAILED:
        return "async_failed"
    return "unpaid"
