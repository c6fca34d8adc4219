"""Adds to a payment what its ledger shows but the payment lacks.

DynamoDB restores one table at a time, so after a restore the payments may be
older than the ledger. Without this, units that the ledger shows would be
booked again.
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/PointInTimeRecovery.html
"""

from dataclasses import replace

from billing.books import Books
from billing.facts import Fact, SessionFact
from billing.payments.payment import Phase
from billing.quota import ledger
from billing.settlement.basis import Loaded


def catch_up(books: Books, fact: Fact, loaded: Loaded) -> Loaded:
    """Return ``loaded``, corrected by what the ledger shows.

    ``loaded`` has the rows that were read to settle the event ``fact``. After
    a restore from a backup, the stored payment can lack refunds, disputes or
    its credit, which the ledger has. The refunds and disputes are added to the
    payment. If only the credit is missing, ``is_funded`` becomes true. Without
    a payment, ``loaded`` is returned as it is.
    """
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
