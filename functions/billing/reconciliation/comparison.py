"""Compares what Stripe says of a purchase, refund or dispute with the books.

What Stripe says is a fact, parsed from one of its objects. If settlement would
still change the books for it, that is reported, and a run that repairs also
settles it.
"""

from dataclasses import dataclass
from typing import Final, assert_never

from billing.books import Books
from billing.facts import DisputeFact, Fact
from billing.parked import parking
from billing.payments.deciding import decide
from billing.payments.decision import Already, Change, Park
from billing.payments.payment import Payment
from billing.reconciliation.report import Difference, Report, describe, differs
from billing.settlement import settlement
from billing.storage.keys import user_key
from billing.stripe_api.client import Gateway

SOURCE: Final = "reconcile"


@dataclass(frozen=True, slots=True)
class Comparison:
    """Holds the clients needed to compare a Stripe object with our tables.

    With ``repair``, missed events are settled. Otherwise nothing is written.
    """

    books: Books
    gateway: Gateway
    repair: bool


def what_it_is(funding_id: str) -> str:
    """Return the name of what paid: "payment intent" or "session".

    Its id, ``funding_id``, shows which.
    """
    return "payment intent" if funding_id.startswith("pi_") else "session"


def unreadable(stripe_id: str, payment_id: str, what: str) -> Difference:
    """Return a Difference that reports a Stripe object we cannot read.

    ``what`` is the kind of object, for example ``dispute``.
    """
    detail = f"this {what} cannot be read: a member is missing or of another type than documented"
    return Difference("failed", stripe_id, payment_id, detail)


def compare_fact(
    by: Comparison,
    fact: Fact,
    payment: Payment | None,
    stripe_id: str,
    report: Report,
) -> None:
    """Report whether our tables lack something that Stripe says.

    A fact is what Stripe says of a purchase, refund or dispute. ``payment`` is
    our payment that it is about. Only a change of units or status is a
    difference, not one that only adds information. With ``by.repair``, the
    fact is also booked.
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
    """Settle an event that the webhook missed, with what Stripe says now.

    ``fact`` is what Stripe says of the payment. Returns whether our tables
    have it after that.
    """
    return settlement.apply(by.books, fact).status in (
        "settled",
        "recorded",
        "duplicate",
    )


def _claimed_payment_id(fact: Fact) -> str:
    return "" if isinstance(fact, DisputeFact) else fact.payment_id


def stored_payment(
    books: Books, user_id: str, payment_id: str
) -> Payment | None:
    """Return a payment as it is stored, or None if there is none."""
    item = books.store.get("payments", (user_key(user_id), payment_id))
    return Payment.from_item(item) if item else None
