"""Compares one object of Stripe's with the books, or one payment with Stripe.

Missed events are settled in the same way as in the webhook.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Final, assert_never

from billing.books import Books
from billing.clock import from_epoch
from billing.errors import ConditionFailedError
from billing.facts import DisputeFact, Fact, SessionFact
from billing.parked import parking, records
from billing.payments import ownership, references
from billing.payments.deciding import decide
from billing.payments.decision import Already, Change, Park
from billing.payments.payment import Payment, Phase
from billing.payments.plans import catalogue
from billing.reconciliation.report import Difference, Report, describe, differs
from billing.settlement import settlement
from billing.storage.keys import user_key
from billing.storage.writes import Write, creates, equals, exists
from billing.stripe_api import objects
from billing.stripe_api.claims import UNREADABLE, Ignored, claims_in
from billing.stripe_api.client import Gateway, StripeNotFoundError
from billing.stripe_api.events import GONE, PAID
from billing.stripe_api.intents import is_automatic

SOURCE: Final = "reconcile"


@dataclass(frozen=True, slots=True)
class Comparison:
    """The inputs of a comparison.

    With ``repair`` it settles missed events, otherwise it only reads.
    """

    books: Books
    gateway: Gateway
    repair: bool


def look_again(by: Comparison, funding_id: str, report: Report) -> None:
    """Compare one purchase, its refunds and its disputes with Stripe's API as it is now.

    Raises StripeNotFoundError if Stripe does not know the session.
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
    """Compare an automatic charge. Every other intent belongs to a session, or is not ours."""
    if is_automatic(intent):
        look_at_purchase(by, intent, report)


def look_at_purchase(
    by: Comparison, purchase: Mapping[str, Any], report: Report
) -> None:
    """Credit a purchase that is paid and was not credited. Rebuild its record if that was lost.

    ``purchase``: a session, or the payment intent of an automatic charge.
    """
    fact = objects.purchase(purchase, SOURCE, by.books.ours)
    if isinstance(fact, Ignored):
        _set_aside(by, purchase, fact, report)
        return
    payment = _payment(by.books, fact.user_id, fact.payment_id)
    if payment is None and ownership.why_ignored(by.books, fact):
        _let_go(by, fact, report)
        return
    if payment is None and by.repair:
        payment = _rebuild(by.books, fact, purchase)
        if payment is not None:
            report.add(_rebuilt(fact))
    _compare(by, fact, payment, fact.funding_id, report)
    is_seen = payment and payment.phase is Phase.PAID and not payment.unseen
    if fact.kind == "paid" and not is_seen:
        _mark_seen(by, fact)


def _rebuilt(fact: SessionFact) -> Difference:
    detail = "the payment's record was lost, and rebuilt"
    return Difference(
        "missing_here", fact.funding_id, fact.payment_id, detail, repaired=True
    )


def _set_aside(
    by: Comparison, found: Mapping[str, Any], why: Ignored, report: Report
) -> None:
    """Report an object without a fact: still open, not ours, or a purchase we cannot read."""
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
            _unreadable(stripe_id, str(claims["payment_id"]), _what(stripe_id))
        )
        return
    report.not_ours += why.reason != "still_open"


def _are_ours(by: Comparison, claims: Mapping[str, Any]) -> bool:
    """Return whether these claims name our deployment, or else a record of ours."""
    if not claims["needs_record"]:
        return True
    return (
        _payment(by.books, claims["user_id"], claims["payment_id"]) is not None
    )


def _what(funding_id: str) -> str:
    return "payment intent" if funding_id.startswith("pi_") else "session"


def _unreadable(stripe_id: str, payment_id: str, what: str) -> Difference:
    detail = f"this {what} cannot be read: a member is missing or of another type than documented"
    return Difference("failed", stripe_id, payment_id, detail)


def look_at_refund(
    by: Comparison, refund: Mapping[str, Any], report: Report
) -> None:
    """Compare all refunds of the payment that a refund belongs to. Skip a refund that is known.

    Units follow from the sum of all refunds, so Stripe is asked for all of them.
    """
    payment = _payment_of(by, refund, report)
    if payment is None:
        return
    if payment.reversals.knows(
        str(refund["id"]), gone=refund["status"] in GONE
    ):
        report.matched += 1
        return
    intent = payment.payment_intent
    fact = objects.refunds(
        intent, payment.currency, by.gateway.refunds_of(intent), SOURCE
    )
    _compare(by, fact, payment, str(refund["id"]), report)


def look_at_dispute(
    by: Comparison, dispute: Mapping[str, Any], report: Report
) -> None:
    """Compare one dispute with the books, by the money that is out."""
    payment = _payment_of(by, dispute, report)
    if payment is None:
        return
    fact = objects.dispute(dispute, SOURCE)
    if isinstance(fact, Ignored):
        report.add(
            _unreadable(str(dispute["id"]), payment.payment_id, "dispute")
        )
        return
    _compare(by, fact, payment, fact.dispute_id, report)


def look_at_ours(by: Comparison, payment: Payment, report: Report) -> None:
    """Compare a payment that is paid here and was in no list: Stripe is asked what paid it."""
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
        what = _what(funding_id)
        report.add(_unreadable(funding_id, payment.payment_id, what))
    else:
        status = purchase.get("payment_status") or purchase.get("status")
        detail = f"credited here, {status} at Stripe"
        report.add(replace(missing, detail=detail))


def _compare(
    by: Comparison,
    fact: Fact,
    payment: Payment | None,
    stripe_id: str,
    report: Report,
) -> None:
    """Decide as settlement would, and settle it.

    A difference is what the decision would change. What it only learns is no difference.
    """
    decision = decide(payment, fact, "")
    match decision:
        case Already():
            report.matched += 1
            return
        case Park():
            if parking.is_dropped(by.books, fact):
                report.dropped += 1
                return
        case Change():
            pass
        case _:
            assert_never(decision)
    repaired = by.repair and _settle(by, fact)
    if isinstance(decision, Change) and not differs(payment, decision):
        report.matched += 1
        return
    kind, detail = describe(payment, decision)
    payment_id = payment.payment_id if payment else _claimed_payment_id(fact)
    report.add(
        Difference(kind, stripe_id, payment_id, detail, repaired=repaired)
    )


def _settle(by: Comparison, fact: Fact) -> bool:
    """Settle it. False if it is not in the books now."""
    return settlement.apply(by.books, fact).status in (
        "settled",
        "recorded",
        "duplicate",
    )


def _claimed_payment_id(fact: Fact) -> str:
    return "" if isinstance(fact, DisputeFact) else fact.payment_id


def _payment_of(
    by: Comparison, reversal: Mapping[str, Any], report: Report
) -> Payment | None:
    """Return the paid payment of a refund or dispute; None where it is not ours or not known.

    A lost reference row is reported and, when repairing, written again.
    """
    intent = objects.intent_of(reversal)
    row = references.find(by.books, intent)
    if row.payment_id:
        return _payment(by.books, row.user_id, row.payment_id)
    expanded = reversal.get("payment_intent")
    claims: Mapping[str, Any] | Ignored = Ignored("not_ours")
    if isinstance(expanded, Mapping):
        claims = claims_in(expanded, by.books.ours)
    if isinstance(claims, Ignored):
        report.not_ours += 1
        return None
    payment = _payment(by.books, claims["user_id"], claims["payment_id"])
    if payment is None:
        report.not_ours += claims["needs_record"]
        return None
    if payment.payment_intent != intent:
        return None  # it is ours and not settled yet: its session is compared
    return _with_reference(by, payment, report)


def _with_reference(
    by: Comparison, payment: Payment, report: Report
) -> Payment:
    detail, intent = (
        "nothing led from this payment intent",
        payment.payment_intent,
    )
    if by.repair:
        references.write_again(by.books, payment)
    report.add(
        Difference(
            "missing_here",
            intent,
            payment.payment_id,
            detail,
            repaired=by.repair,
        )
    )
    return payment


def _rebuild(
    books: Books, fact: SessionFact, purchase: Mapping[str, Any]
) -> Payment | None:
    """Write a lost record again, from the session or payment intent that we created.

    None where the catalogue does not have its plan at its price.
    """
    plan = catalogue().get(fact.plan)
    if fact.kind != "paid" or plan is None:
        return None
    claimed = (fact.quota, fact.amount_subtotal, fact.currency)
    if (plan.quota, plan.amount_minor, plan.currency) != claimed:
        return None
    created_at = from_epoch(int(purchase["created"]))
    fresh = Payment.of(plan, fact.payment_id, fact.user_id, created_at)
    payment = replace(fresh, session_id=fact.session_id)
    if not fact.session_id:
        payment = replace(fresh, payment_intent=fact.funding_id)
    owner, leads = user_key(fact.user_id), {"payment_id": payment.payment_id}
    try:
        books.store.commit(
            creates("payments", (owner, payment.payment_id), payment.to_item()),
            Write("payments", (owner, fact.funding_id), set=leads),
        )
    except ConditionFailedError:
        return _payment(books, fact.user_id, fact.payment_id)
    return payment


def _let_go(by: Comparison, fact: SessionFact, report: Report) -> None:
    """Count a session for which nothing is owed here.

    An older version may have parked it: settle that record.
    """
    if ownership.moves_nothing(fact):
        report.matched += 1
    else:
        report.not_ours += 1
    if by.repair and (record := records.find(by.books, records.name_of(fact))):
        settlement.retry(by.books, record)


def _mark_seen(by: Comparison, fact: SessionFact) -> None:
    """Take the payment out of the index of those that were in no list."""
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


def _payment(books: Books, user_id: str, payment_id: str) -> Payment | None:
    item = books.store.get("payments", (user_key(user_id), payment_id))
    return Payment.from_item(item) if item else None
