"""The ledger after a restore: what it has booked is known again."""

from typing import Any

import pytest
from billing.books import Books
from billing.buying import queries
from billing.payments.payment import Payment
from billing.settlement import settlement
from billing.spending import debits, memory
from billing.spending.meter import Meter
from billing.storage.keys import user_key
from support import builders, laws
from support.builders import Clock, fact, pending
from support.fakes.memory_store import MemoryStore


@pytest.fixture
def books(clock: Clock) -> Books:
    """Nothing was sold. What is used before money goes back is written off."""
    memory._seen.clear()
    return builders.books_on(MemoryStore(), "write_off", clock)


def _settle(books: Books, event: dict[str, Any]) -> str:
    return settlement.apply(books, fact(event)).status


def _bought(books: Books) -> Payment:
    payment = pending(books)
    _settle(books, builders.completed(payment))
    return payment


def test_what_was_written_off_before_a_restore_is_known_again(books: Books) -> None:
    """The ledger has it; the next part of the refund is taken back exactly, and
    given up as well.
    """
    payment = _bought(books)
    debits.debit(Meter(books, ""), "alice", 100)
    key = (user_key("alice"), payment.payment_id)
    before = dict(books.store.tables["payments"][key])  # type: ignore[attr-defined]
    _settle(books, builders.refunded(payment, 500))
    books.store.tables["payments"][key] = before  # type: ignore[attr-defined]
    _settle(books, builders.refunded(payment, 700))
    found = queries.find(books, "alice", payment.payment_id)
    assert (found.units_clawed_back, found.units_written_off) == (70, 70)
    laws.check(books.store)
