"""POST /api/v1/payments/webhook, and the Function URL:

Stripe tells what happened, and it is settled before we answer.
"""

from typing import Any

from billing.api.endpoint import Answer, endpoint
from billing.api.request import Request
from billing.errors import BillingError
from billing.facts import Fact
from billing.payments import settlement
from billing.payments.settlement import Outcome
from billing.stripe_api import events, signatures
from billing.telemetry import count, count_outcome
from billing.wiring.queue import receiving_books
from billing.wiring.secrets import webhook_secrets


@endpoint
def handler(request: Request) -> Answer:
    """2xx only when the effect is durable, or there is none.

    A lost outcome is 5xx, so that Stripe delivers again.
    """
    event = _verified(request)
    fact = events.parse(event, receiving_books().ours)
    if isinstance(fact, events.Ignored):
        request.notes.update(
            outcome="ignored", reason=fact.reason, event_id=str(event.get("id"))[:100]
        )
        count("ignored")
        return 200, {"status": "ignored"}
    request.notes.update(
        event_id=fact.fact_id, type=fact.type
    )  # before anything can fail: the line of a failure needs them most
    outcome = _settled(fact)
    _tell(request, fact, outcome)
    return 200, {"status": outcome.status}


def _verified(request: Request) -> dict[str, Any]:
    try:
        body = request.body_bytes(signatures.BODY_BYTES_MAX)
        header = request.headers.get("stripe-signature", "")
        return signatures.verified_event(body, header, webhook_secrets)
    except BillingError as refused:
        if refused.code == "invalid_signature":
            count("refused_signatures")
        raise


def _settled(fact: Fact) -> Outcome:
    try:
        return settlement.apply(receiving_books(), fact)
    except Exception:  # raised again: 5xx, and Stripe asks again. But for three days only, whereas the queue's end is an alarm
        receiving_books().outbox.keep(fact)
        raise


def _tell(request: Request, fact: Fact, outcome: Outcome) -> None:
    request.notes.update(outcome=outcome.status, units=outcome.units, why=outcome.why)
    if outcome.payment:
        request.notes.update(
            payment_id=outcome.payment.payment_id, session_id=outcome.payment.session_id
        )
    count_outcome(outcome.status, outcome.units, fact.created)
