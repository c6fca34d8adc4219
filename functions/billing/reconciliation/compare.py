"""Compares one purchase at Stripe with our tables, and the reverse.

The reverse is to ask Stripe about one of our payments. Missed events are
settled in the same way as in the webhook.
"""

from collections.abc import Mapping
from dataclasses import replace
from itertools import islice
from typing import Any

from billing.errors import ConditionFailedError
from billing.facts import SessionFact
from billing.parked import records
from billing.payments import ownership
from billing.payments.payment import Payment, Phase
from billing.reconciliation.compare_reversals import (
    look_at_dispute,
    look_at_refund,
)
from billing.reconciliation.comparison import (
    SOURCE,
    Comparison,
    compare_fact,
    stored_payment,
    unreadable,
    what_it_is,
)
from billing.reconciliation.lost_payments import rebuild, rebuilt
from billing.reconciliation.report import Difference, Report
from billing.settlement import settlement
from billing.storage.keys import user_key
from billing.storage.writes import Write, equals, exists
from billing.stripe_api import objects
from billing.stripe_api.claims import UNREADABLE, Ignored, claims_in
from billing.stripe_api.intents import is_automatic
from billing.stripe_api.outcomes import StripeNotFoundError
from billing.stripe_api.sessions import PAID


def look_again(by: Comparison, funding_id: str, report: Report) -> None:
    """Compare one purchase, its refunds and its disputes with Stripe.

    ``funding_id`` is its session or payment intent. Raises
    StripeNotFoundError if Stripe does not know it. The differences are
    added to ``report``.
    """
    purchase = by.gateway.purchase(funding_id)
    look_at_purchase(by, purchase, report)
    intent = objects.intent_of(purchase)
    if not intent:
        return
    # Looking at one refund is looking at all refunds of its payment.
    for refund in islice(by.gateway.refunds_of(intent), 1):
        look_at_refund(by, refund, report)
    for dispute in by.gateway.disputes_of(intent):
        look_at_dispute(by, dispute, report)


def look_at_intent(
    by: Comparison, intent: Mapping[str, Any], report: Report
) -> None:
    """Compare a payment intent with our payment.

    Only an automatic charge's intent is compared. Any other belongs to a
    session, which is compared instead, or is not ours.
    """
    if is_automatic(intent):
        look_at_purchase(by, intent, report)


def look_at_purchase(
    by: Comparison, purchase: Mapping[str, Any], report: Report
) -> None:
    """Compare a purchase at Stripe with our payment, and credit missing units.

    ``purchase`` is a Checkout Session, or the payment intent of an automatic
    charge. If our payment was lost, it is written again. Without
    ``by.repair``, differences are only added to ``report``.
    """
    fact = objects.purchase(purchase, SOURCE, by.books.ours)
    if isinstance(fact, Ignored):
        _set_aside(by, purchase, fact, report)
        return
    payment = stored_payment(by.books, fact.user_id, fact.payment_id)
    if payment is None and ownership.why_ignored(by.books, fact):
        _let_go(by, fact, report)
        return
    if payment is None and by.repair:
        payment = rebuild(by.books, fact, purchase)
        if payment is not None:
            report.add(rebuilt(fact))
    compare_fact(by, fact, payment, fact.funding_id, report)
    is_seen = payment and payment.phase is Phase.PAID and not payment.unseen
    if fact.kind == "paid" and not is_seen:
        _mark_seen(by, fact)


def _set_aside(
    by: Comparison, found: Mapping[str, Any], why: Ignored, report: Report
) -> None:
    """Note in ``report`` a purchase at Stripe that could not be parsed.

    ``why`` is the reason. A paid purchase or automatic charge of ours that we
    cannot read is reported as a difference. Any other is counted as not ours,
    but one that is still open (neither paid nor failed) is not noted at all.
    """
    claims = claims_in(found, by.books.ours)
    is_paid = found.get("payment_status") in PAID or is_automatic(found)
    is_purchase = why.reason == UNREADABLE and is_paid
    if (
        is_purchase
        and not isinstance(claims, Ignored)
        and _are_ours(by, claims)
    ):
        stripe_id = str(found["id"])
        report.add(
            unreadable(
                stripe_id, str(claims["payment_id"]), what_it_is(stripe_id)
            )
        )
        return
    report.not_ours += why.reason != "still_open"


def _are_ours(by: Comparison, claims: Mapping[str, Any]) -> bool:
    """Return whether an object with this metadata is ours.

    That is so if the metadata names our deployment, or if we have a record
    of its payment.
    """
    if not claims["needs_record"]:
        return True
    return (
        stored_payment(by.books, claims["user_id"], claims["payment_id"])
        is not None
    )


def look_at_ours(by: Comparison, payment: Payment, report: Report) -> None:
    """Ask Stripe about a payment that is paid here, but in no list there.

    If Stripe does not say that it is paid, that is added to ``report``.
    """
    funding_id = payment.funding_id
    missing = Difference("missing_there", funding_id, payment.payment_id, "")
    try:
        purchase = by.gateway.purchase(funding_id)
    except StripeNotFoundError:
        report.add(replace(missing, detail="credited here, unknown at Stripe"))
        return
    fact = objects.purchase(purchase, SOURCE, by.books.ours)
    if isinstance(fact, SessionFact) and fact.kind == "paid":
        _mark_seen(by, fact)
    elif isinstance(fact, Ignored) and fact.reason == UNREADABLE:
        what = what_it_is(funding_id)
        report.add(unreadable(funding_id, payment.payment_id, what))
    else:
        status = purchase.get("payment_status") or purchase.get("status")
        detail = f"credited here, {status} at Stripe"
        report.add(replace(missing, detail=detail))


def _let_go(by: Comparison, fact: SessionFact, report: Report) -> None:
    """Count in ``report`` a purchase at Stripe that credits nothing here.

    It counts as matched if it was not paid. If it was paid, nothing shows
    that this deployment sold it, and it counts as not ours. An older version
    of this code may have stored its event for a retry. With ``by.repair`` that
    event is settled or ignored now.
    """
    if ownership.moves_nothing(fact):
        report.matched += 1
    else:
        report.not_ours += 1
    if by.repair and (record := records.find(by.books, records.name_of(fact))):
        settlement.retry(by.books, record)


def _mark_seen(by: Comparison, fact: SessionFact) -> None:
    """Record that reconciliation found a paid payment of ours at Stripe.

    This takes it out of the index of payments not yet found there. Without
    ``by.repair``, nothing is written.
    """
    if not by.repair:
        return
    key = (user_key(fact.user_id), fact.payment_id)
    paid_by = equals("payment_intent", fact.payment_intent)
    if fact.session_id:
        paid_by = equals("session_id", fact.session_id)
    must = (paid_by, exists("unseen"))
    try:
        by.books.store.commit(
            Write("payments", key, remove=("unseen",), must=must)
        )
    except ConditionFailedError:
        return  # seen before, or not settled
