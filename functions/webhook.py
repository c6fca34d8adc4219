"""POST /api/v1/payments/webhook: settles an event from Stripe, then answers.

The Function URL does the same.
"""

from typing import Any

from billing.api.endpoint import Answer, endpoint
from billing.api.request import Request
from billing.errors import BillingError
from billing.facts import Fact
from billing.settlement import settlement
from billing.settlement.settlement import Outcome
from billing.stripe_api import events, signatures
from billing.stripe_api.claims import Ignored
from billing.telemetry import count, count_outcome
from billing.wiring.queue import receiving_books
from billing.wiring.secrets import webhook_secrets


@endpoint
def handler(request: Request) -> Answer:
    """Write the effect of one event from Stripe to our tables (settle it).

    The answer is 2xx only if the event is settled, parked (stored until it can
    be settled) or ignored. It is 4xx for an invalid signature or body, and
    otherwise 5xx. Stripe delivers the event again after both.
    """
    event = _verify(request)
    fact = events.parse(event, receiving_books().ours)
    if isinstance(fact, Ignored):
        event_id = str(event.get("id"))[:100]
        request.notes.update(
            outcome="ignored", reason=fact.reason, event_id=event_id
        )
        count(fact.metric)
        return 200, {"status": "ignored"}
    # Before anything can fail: the log line of a failure needs them most.
    request.notes.update(event_id=fact.fact_id, type=fact.type)
    outcome = _settle_or_enqueue(fact)
    _note(request, fact, outcome)
    return 200, {"status": outcome.status}


def _verify(request: Request) -> dict[str, Any]:
    try:
        body = request.body_bytes(signatures.BODY_BYTES_MAX)
        header = request.headers.get("stripe-signature", "")
        return signatures.verified_event(body, header, webhook_secrets)
    except BillingError as refused:
        if refused.code == "invalid_signature":
            count("refused_signatures")
        raise


def _settle_or_enqueue(fact: Fact) -> Outcome:
    """Book one of Stripe's events (``fact``), and return the outcome.

    If that fails, the event is put into the queue, and the error is raised, so
    that Stripe gets a 5xx. Stripe retries for only three days, but an event
    that stays in the queue ends in an alarm.
    """
    try:
        return settlement.apply(receiving_books(), fact)
    # Whatever went wrong, the event is kept before Stripe hears of it. The fault goes on.
    except Exception:
        receiving_books().outbox.keep(fact)
        raise


def _note(request: Request, fact: Fact, outcome: Outcome) -> None:
    request.notes.update(
        outcome=outcome.status, units=outcome.units, why=outcome.why
    )
    if payment := outcome.payment:
        request.notes.update(
            payment_id=payment.payment_id, session_id=payment.session_id
        )
    count_outcome(outcome.status, outcome.units, fact.created)
