"""Decides whether an event without a known payment is ours, and must be parked.

An event with our deployment's id is ours. An event without it is ours only if our records know its
payment.
"""

from typing import assert_never

from billing.books import Books
from billing.facts import (
    DeclinedFact,
    DisputeFact,
    Fact,
    RefundsFact,
    SessionFact,
)
from billing.storage.keys import user_key


def why_ignored(books: Books, fact: Fact, *, linked: bool = False) -> str:
    """Return why to ignore an event whose payment was not found, or "" if it must be parked.

    ``linked`` is true if a row of ours leads from Stripe's id to a payment. The event is then ours.
    """
    if moves_nothing(fact):
        return f"{fact.type} can move no unit, and its payment is not in our records"
    if _needs_record(fact) and not linked and not _has_record(books, fact):
        return f"only our record could show that this {fact.type} is ours, and there is none"
    return ""


def moves_nothing(fact: Fact) -> bool:
    """Return whether an event can never move units: a session without payment, or an inquiry."""
    match fact:
        case SessionFact():
            return fact.kind != "paid"
        case DeclinedFact():
            return True
        case RefundsFact():
            return False
        case DisputeFact():
            return not (fact.opened or fact.closed or fact.transactions)
        case _:
            assert_never(fact)


def _needs_record(fact: Fact) -> bool:
    match fact:
        case SessionFact() | DeclinedFact() | RefundsFact():
            return fact.needs_record
        case DisputeFact():
            return False
        case _:
            assert_never(fact)


def _has_record(books: Books, fact: Fact) -> bool:
    """Return whether we have the record that a charge's metadata names.

    The record of a session or a decline was looked for before.
    """
    if not isinstance(fact, RefundsFact) or not fact.payment_id:
        return False
    return (
        books.store.get("payments", (user_key(fact.user_id), fact.payment_id))
        is not None
    )
