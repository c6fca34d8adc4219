"""Brings a payment up to date with its ledger, which may be newer after a restore.

Units that the ledger shows are then not booked again. DynamoDB restores one table at a time, so the
payments may be older than the ledger.
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/PointInTimeRecovery.html
"""

from dataclasses import replace

from billing.books import Books
from billing.facts import Fact, SessionFact
from billing.payments.payment import Phase
from billing.quota import ledger
from billing.settlement.basis import Loaded


def catch_up(books: Books, fact: Fact, loaded: Loaded) -> Loaded:
    """Return the basis with the movements that the ledger has and the payment lacks."""
    if loaded.payment is None:
        return loaded
    payment = ledger.with_all_booked(books.store, loaded.payment)
    is_unpaid = payment.phase is not Phase.PAID
    is_funded = (
        isinstance(fact, SessionFact) and is_unpaid and _is_funded(books, fact)
    )
    return replace(loaded, payment=payment, is_funded=is_funded)


def _is_funded(books: Books, fact: SessionFact) -> bool:
    return (
        books.store.get(
            "ledger", (fact.user_id, ledger.funded_id(fact.funding_id))
        )
        is not None
    )
