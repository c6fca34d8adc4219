"""Describes what settling an event would do, without doing it, for ``--dry-run`` and questions.

To settle an event of Stripe's is to book what it says, for example a payment's units.
"""

from typing import assert_never

from billing.books import Books
from billing.facts import DeclinedFact, DisputeFact, Fact, RefundsFact, SessionFact
from billing.payments import references
from billing.payments.deciding import decide
from billing.payments.decision import Already, Change, Park
from billing.payments.ownership import why_ignored
from billing.payments.payment import Payment
from billing.storage.keys import user_key


def preview(books: Books, fact: Fact) -> str:
    """Return a sentence that says what settling an event would change now. Writes nothing.

    ``fact`` is the parsed event.
    """
    books.store.deadline.begin()
    payment = _payment(books, fact)
    match decide(payment, fact, ""):
        case Park(why=why):
            no_owner = why_ignored(books, fact) if payment is None else ""
            return f"nothing: {no_owner}" if no_owner else f"it would be parked: {why}"
        case Already(duplicate=True):
            return "nothing: it was settled before"
        case Already():
            return "nothing: it is stale, the books have a newer state"
        case Change(payment=changed, units=units):
            return f"payment {changed.payment_id} becomes {changed.status}, {units:+d} units"
        case other:
            assert_never(other)


def _payment(books: Books, fact: Fact) -> Payment | None:
    match fact:
        case RefundsFact() | DisputeFact():
            row = references.find(books, fact.payment_intent or fact.charge)
            owner = (row.user_id, row.payment_id)
        case SessionFact() | DeclinedFact():
            owner = (fact.user_id, fact.payment_id)
        case other:
            assert_never(other)
    if not all(owner):
        return None
    item = books.store.get("payments", (user_key(owner[0]), owner[1]))
    return Payment.from_item(item) if item else None
