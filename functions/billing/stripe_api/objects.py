"""Facts from what Stripe's API says now, for confirm, recovery and reconciliation: the same facts as those of events."""

from collections.abc import Iterable, Mapping
from typing import Any

from billing.facts import DisputeFact, RefundsFact, SessionFact, SessionKind
from billing.settings import Ours
from billing.stripe_api.events import PAID, Ignored, dispute_fact, refunds_by_id, session_fact


def session(found: Mapping[str, Any], source: str, ours: Ours) -> SessionFact | Ignored:
    """A session as the API shows it, with ``payment_intent`` expanded if a failed delayed payment is to be told apart."""
    kind = _kind(found)
    if kind is None:
        return Ignored("still_open")
    origin = {
        "fact_id": f"{source}:{found.get('id')}",
        "type": source,
        "created": int(found.get("created") or 0),
    }
    return session_fact(found, kind, origin, ours)


def intent_of(found: Mapping[str, Any]) -> str:
    """The id of a session's payment intent, expanded or not; empty where it has none, as when nothing was to pay."""
    intent = found.get("payment_intent")
    return str((intent.get("id") if isinstance(intent, Mapping) else intent) or "")


def refunds(
    payment_intent: str, currency: str, found: Iterable[Mapping[str, Any]], source: str
) -> RefundsFact:
    """All refunds of one payment intent (https://docs.stripe.com/api/refunds/object#refund_object-status)."""
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
    """A dispute as the API shows it."""
    origin = {
        "fact_id": f"{source}:{found.get('id')}",
        "type": source,
        "created": int(found.get("created") or 0),
    }
    return dispute_fact(found, origin, formal=True)


def _kind(found: Mapping[str, Any]) -> SessionKind | None:
    status = found.get("status")
    if status == "expired":
        return "expired"
    if status != "complete":
        return None
    if found.get("payment_status") in PAID:
        return "paid"
    intent = found.get("payment_intent")
    failed = isinstance(intent, Mapping) and intent.get("status") in (
        "requires_payment_method",
        "canceled",
    )
    return "async_failed" if failed else "unpaid"
