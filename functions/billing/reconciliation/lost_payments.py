"""Writes a lost payment record again, from Stripe's session or intent.

A record can be lost when tables are restored from a backup.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from billing.books import Books
from billing.clock import from_epoch
from billing.errors import ConditionFailedError
from billing.facts import SessionFact
from billing.payments.payment import Payment
from billing.payments.plans import catalogue
from billing.reconciliation.comparison import stored_payment
from billing.reconciliation.report import Difference
from billing.storage.keys import user_key
from billing.storage.writes import Write, creates


def rebuilt(fact: SessionFact) -> Difference:
    """Return the Difference that reports a payment that we lost.

    ``fact`` is what Stripe says of it. Its record was written again.
    """
    detail = "the payment's record was lost, and rebuilt"
    return Difference(
        "missing_here", fact.funding_id, fact.payment_id, detail, repaired=True
    )


def rebuild(
    books: Books, fact: SessionFact, purchase: Mapping[str, Any]
) -> Payment | None:
    """Write a lost payment again, from the session or intent we created.

    ``fact`` is what the session or intent (``purchase``) says. Returns the
    payment, or None if the plan for sale no longer has these units and this
    price.
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
        return stored_payment(books, fact.user_id, fact.payment_id)
    return payment
