"""Decides whether to ignore an event whose payment is not found.

It is ignored if it can move no units, or if nothing shows that it is ours.
Otherwise it is parked: kept to be settled later. An event is ours if its
metadata has our deployment's id, or if our records refer to its payment. A
dispute has no metadata, and is taken for ours.
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
    """Return why to ignore an event whose payment is not found, or "".

    With "" the event is to be parked: kept to be settled later. An event is
    ignored if it can never move units, or if nothing shows that it is ours.
    ``linked`` is true if a row of ours leads from Stripe's id to the payment.
    Then the event is ours, although the payment itself is missing.
    """
    if moves_nothing(fact):
        return f"{fact.type} can move no unit, and its payment is not in our records"
    if _needs_record(fact) and not linked and not _has_record(books, fact):
        return f"only our record could show that this {fact.type} is ours, and there is none"
    return ""


def moves_nothing(fact: Fact) -> bool:
    """Return whether an event can never move units.

    That is so for a session that was not paid, a declined attempt, and an
    inquiry (an early dispute that holds no money).
    """
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
    """Return whether we have the payment that an event about refunds names.

    The ids of the user and the payment are in the metadata of the event's
    charge. Without them the result is false. It is also false for any other
    kind of event: its payment was looked for before, and not found.
    """
    if not isinstance(fact, RefundsFact) or not fact.payment_id:
        return False
    return (
        books.store.get("payments", (user_key(fact.user_id), fact.payment_id))
        is not None
    )
