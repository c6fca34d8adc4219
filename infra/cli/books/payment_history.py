"""Collects what the books and Stripe have on one payment, and how they differ."""

from collections.abc import Collection, Mapping
from typing import Any, Final, assert_never

from billing.books import Books
from billing.facts import DeclinedFact, DisputeFact, Fact, RefundsFact, SessionFact, from_item
from billing.parked import records
from billing.payments.deciding import decide
from billing.payments.decision import Already, Change, Park
from billing.payments.payment import Payment
from billing.stripe_api import objects
from billing.stripe_api.claims import Ignored
from billing.stripe_api.client import Gateway
from billing.stripe_api.outcomes import StripeNotFoundError

SESSION_MEMBERS: Final = ("id", "status", "payment_status", "amount_total", "currency")
REVERSAL_MEMBERS: Final = ("id", "amount", "status")
SETTLED: Final = ("booked_at", "fact_id", "type", "units")
LEDGER: Final = ("booked_at", "entry_id", "type", "units")
DROPPED: Final = ("dropped_at", "fact_id", "type", "reason")
ENTRIES: Final = ("reversal", "adjusted")


def history(books: Books, payment: Payment, intent: str) -> dict[str, Any]:
    """Return what the books have on a payment: its row, its events and ledger entries.

    That includes its parked events (stored until they can be settled), and those that an operator
    dropped for good. ``intent`` is the payment intent's id at Stripe.
    """
    books.store.deadline.begin()
    marks = sorted(
        books.store.pages("events", payment.payment_id), key=lambda row: row["booked_at"]
    )
    entries = (
        list(books.store.pages("ledger", payment.user_id, f"funded:{payment.funding_id}"))
        if payment.funding_id
        else []
    )
    for kind in ENTRIES:
        entries += books.store.pages("ledger", payment.user_id, f"{kind}:{payment.payment_id}:")
    intents = {intent, payment.payment_intent} - {""}
    parked = [
        row.as_answer()
        for row in records.all_parked(books)
        if _is_about(row.fact, payment, intents)
    ]
    dropped = [
        row
        for row in records.all_dropped(books)
        if _is_about(from_item(row["fact"]), payment, intents)
    ]
    return {
        "payment": payment.as_answer() | {"user_id": payment.user_id},
        "facts": [_members(row, SETTLED) for row in marks],
        "entries": [_members(row, LEDGER) for row in entries],
        "parked": parked,
        "dropped": [_members(row, DROPPED) for row in dropped],
    }


def at_stripe(books: Books, gateway: Gateway, payment: Payment) -> dict[str, Any]:
    """Return what Stripe has on a payment, and how the books differ from that.

    The dict has the session, the payment intent, refunds, disputes, and ``differences``: a
    sentence for each. If the payment was never at Stripe or Stripe does not know it, the dict has
    only ``session`` (None) and ``differences``.
    """
    books.store.deadline.begin()
    if not payment.funding_id:
        return {"session": None, "differences": []}
    try:
        purchase = gateway.purchase(payment.funding_id)
    except StripeNotFoundError:
        what = "session" if payment.session_id else "payment intent"
        text = f"the {what} is unknown at Stripe"
        if payment.completed_at:
            text = "credited here, unknown at Stripe"
        return {"session": None, "differences": [text]}
    intent = purchase.get("payment_intent") if payment.session_id else purchase
    intent_id = objects.intent_of(purchase)
    refunds = list(gateway.refunds_of(intent_id)) if intent_id else []
    disputes = gateway.disputes_of(intent_id) if intent_id else []
    found: list[Fact | Ignored] = [objects.purchase(purchase, "operator", books.ours)]
    if refunds:
        found.append(objects.refunds(intent_id, payment.currency, refunds, "operator"))
    found += [objects.dispute(row, "operator") for row in disputes]
    intent_row = None
    if isinstance(intent, Mapping):
        intent_row = {"id": intent_id, "status": intent["status"]}
    return {
        "session": _members(purchase, SESSION_MEMBERS) if payment.session_id else None,
        "payment_intent": intent_row,
        "refunds": [_members(row, REVERSAL_MEMBERS) for row in refunds],
        "disputes": [_members(row, REVERSAL_MEMBERS) for row in disputes],
        "differences": [text for fact in found if (text := _difference(payment, fact))],
    }


def _members(row: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    return {name: row.get(name) for name in names}


def _difference(payment: Payment, fact: Fact | Ignored) -> str:
    """Return a sentence that says how the payment in the books differs from Stripe.

    ``fact`` is the state at Stripe, or Ignored if it is still open, not ours or cannot be read.
    The result is "" if settling it would change neither the payment's status nor any units.
    """
    if isinstance(fact, Ignored):
        if fact.reason == "still_open":
            return ""
        return f"Stripe's object with this id is not read as ours: {fact.reason}"
    match decide(payment, fact, ""):
        case Park(why=why):
            return why
        case Already():
            return ""
        case Change(payment=changed, units=units):
            if not units and changed.status == payment.status:
                return ""
            return f"{payment.status} here, {changed.status} at Stripe: {units:+d} units to settle"
        case other:
            assert_never(other)


def _is_about(fact: Fact, payment: Payment, intents: Collection[str]) -> bool:
    match fact:
        case RefundsFact() | DisputeFact():
            return fact.payment_intent in intents
        case SessionFact() | DeclinedFact():
            return fact.payment_id == payment.payment_id
        case other:
            assert_never(other)
