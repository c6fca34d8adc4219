"""POST /api/v1/payments/webhook, and the Function URL: Stripe tells what happened, and it is settled before we answer."""

import time
from typing import Any

from billing import events, settlement, signatures
from billing.api import Request
from billing.errors import BillingError, OutcomeUnknownError
from billing.facts import Fact
from billing.runtime import Answer, endpoint, receiving_books
from billing.settlement import Outcome
from billing.stripe_doors import webhook_secrets
from billing.telemetry import count, logger


@endpoint
def handler(request: Request) -> Answer:
    """2xx only when the effect is durable, or there is none. A lost outcome is 5xx, so that Stripe delivers again."""
    event = _verified(request)
    fact = events.parse(event, receiving_books().ours)
    if isinstance(fact, events.Ignored):
        logger.debug("ignored", reason=fact.reason, event_id=str(event.get("id"))[:100])
        count("ignored")
        return 200, {"status": "ignored"}
    outcome = _settled(fact)
    _tell(fact, outcome)
    return 200, {"status": outcome.status}


def _verified(request: Request) -> dict[str, Any]:
    try:
        return signatures.verified_event(request.body_bytes(), request.headers.get("stripe-signature", ()), webhook_secrets)
    except BillingError as refused:
        if refused.code == "invalid_signature":
            count("refused_signatures")
        raise


def _settled(fact: Fact) -> Outcome:
    try:
        return settlement.apply(receiving_books(), fact)
    except OutcomeUnknownError:
        receiving_books().outbox.keep(fact)  # Stripe will ask again; should it not, recovery settles it from there
        raise


def _tell(fact: Fact, outcome: Outcome) -> None:
    payment_id = outcome.payment.payment_id if outcome.payment else None
    logger.info(outcome.status, event_id=fact.fact_id, type=fact.type, payment_id=payment_id, units=outcome.units, why=outcome.why)
    count(outcome.status)
    if outcome.units < 0:
        count("clawed_back_units", -outcome.units)
    if outcome.status == "settled":
        count("settle_latency_seconds", max(0, int(time.time()) - fact.created))
