"""Builds facts from answers of Stripe's API, equal to the facts of Stripe's events.

Confirmation, retries and reconciliation use them.
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
    """Return the fact in a session, or in a payment intent where there is no session."""
    if found.get("object") == "payment_intent":
        return intents.intent_fact(found, _origin(found, source), ours)
    return session(found, source, ours)


def session(
    found: Mapping[str, Any], source: str, ours: Ours
) -> SessionFact | Ignored:
    """Return the fact in a Checkout Session from Stripe's API.

    With ``payment_intent`` expanded, a failed delayed payment is recognised too.
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
    """Return the id of a session's payment intent, expanded or not, or a payment intent's own.

    It is "" for a session without one, which had nothing to pay.
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
    """Return one fact for all refunds of one payment intent.

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
    """Return the fact in a dispute as the API shows it."""
    return dispute_fact(found, _origin(found, source), formal=True)


def _kind(found: Mapping[str, Any]) -> SessionKind | None:
    """Return what became of a session. None: it is still open."""
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
