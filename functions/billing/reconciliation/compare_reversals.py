"""Compares one refund or dispute of Stripe's with the books."""

from collections.abc import Mapping
from typing import Any

from billing.payments import references
from billing.payments.payment import Payment
from billing.reconciliation.comparison import (
    SOURCE,
    Comparison,
    compare_fact,
    stored_payment,
    unreadable,
)
from billing.reconciliation.report import Difference, Report
from billing.stripe_api import objects
from billing.stripe_api.claims import Ignored, claims_in
from billing.stripe_api.refunds import GONE


def look_at_refund(
    by: Comparison, refund: Mapping[str, Any], report: Report
) -> None:
    """Compare a refund at Stripe with our payment, and report a difference.

    All refunds of the payment are read from Stripe and compared, because the
    units to take back depend on their sum. If our payment has this refund in
    the same state already, they are not read, and the refund counts as
    matched. If no payment of ours is found, nothing is compared.
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
    compare_fact(by, fact, payment, str(refund["id"]), report)


def look_at_dispute(
    by: Comparison, dispute: Mapping[str, Any], report: Report
) -> None:
    """Compare a dispute at Stripe with our payment, and report a difference.

    What counts is the money that the dispute has withdrawn. With
    ``by.repair``, what our tables lack is also booked.
    """
    payment = _payment_of(by, dispute, report)
    if payment is None:
        return
    fact = objects.dispute(dispute, SOURCE)
    if isinstance(fact, Ignored):
        report.add(
            unreadable(str(dispute["id"]), payment.payment_id, "dispute")
        )
        return
    compare_fact(by, fact, payment, fact.dispute_id, report)


def _payment_of(
    by: Comparison, reversal: Mapping[str, Any], report: Report
) -> Payment | None:
    """Return our payment for a refund or dispute at Stripe, or None.

    None means that the payment is not this deployment's, that it was lost, or
    that it is not credited yet. If the row that leads from the payment intent
    to the payment was lost, that is reported and, with ``by.repair``, the row
    is written again.
    """
    intent = objects.intent_of(reversal)
    row = references.find(by.books, intent)
    if row.payment_id:
        return stored_payment(by.books, row.user_id, row.payment_id)
    expanded = reversal.get("payment_intent")
    claims: Mapping[str, Any] | Ignored = Ignored("not_ours")
    if isinstance(expanded, Mapping):
        claims = claims_in(expanded, by.books.ours)
    if isinstance(claims, Ignored):
        report.not_ours += 1
        return None
    payment = stored_payment(by.books, claims["user_id"], claims["payment_id"])
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
