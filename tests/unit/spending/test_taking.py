from collections.abc import Callable

import pytest
from billing.books import Books
from billing.holds import placing
from billing.settlement import settlement
from billing.spending import debits
from billing.spending.meter import Meter
from support import builders, laws, quotas
from support.builders import Clock, fact, pending


def test_more_than_remains_is_not_taken(books: Books, meter: Meter) -> None:
    """By a plain debit, by a keyed one, by a hold; what is held does not remain."""
    placing.place(meter, "alice", 40, 60)
    assert quotas.refused(lambda: debits.debit(meter, "alice", 61)) == "quota_exhausted"
    assert (
        quotas.refused(lambda: debits.debit_once(meter, "alice", 61, "backend", "k"))
        == "quota_exhausted"
    )
    assert quotas.refused(lambda: placing.place(meter, "alice", 61, 60)) == "quota_exhausted"
    assert quotas.three(books) == (0, 40, 60)


def test_an_expired_hold_counts_as_released_at_the_next_read(
    books: Books, meter: Meter, clock: Clock
) -> None:
    """Also the one that was placed last and is due first."""
    placing.place(meter, "alice", 40, 600)
    placing.place(meter, "alice", 20, 60)
    clock.advance(seconds=61)
    balance = debits.read(books, "alice")
    assert (balance.held, balance.remaining) == (40, 60)
    clock.advance(seconds=600)
    balance = debits.read(books, "alice")
    assert (balance.held, balance.remaining) == (0, 100)


@pytest.mark.parametrize("by", ["plain debit", "keyed debit", "hold"])
def test_the_units_of_an_expired_hold_can_be_spent_immediately(
    books: Books, meter: Meter, clock: Clock, by: str
) -> None:
    """Whether or not a sweep has passed."""
    placing.place(meter, "alice", 40, 600)
    placing.place(meter, "alice", 20, 60)
    clock.advance(seconds=61)
    ways: dict[str, Callable[[], object]] = {
        "plain debit": lambda: debits.debit(meter, "alice", 60),
        "keyed debit": lambda: debits.debit_once(meter, "alice", 60, "backend", "k"),
        "hold": lambda: placing.place(meter, "alice", 60, 60),
    }
    ways[by]()
    balance = quotas.balance(books)
    assert (balance.used + balance.held, balance.remaining) == (100, 0)


def test_what_expires_later_is_released_later(books: Books, meter: Meter, clock: Clock) -> None:
    """One hold after the other, each at its time."""
    placing.place(meter, "alice", 40, 600)
    placing.place(meter, "alice", 20, 60)
    clock.advance(seconds=61)
    debits.debit(meter, "alice", 50)
    assert quotas.three(books) == (50, 40, 10)
    clock.advance(seconds=600)
    debits.debit(meter, "alice", 50)
    assert quotas.three(books) == (100, 0, 0)


def test_released_units_pay_debt_first(books: Books, meter: Meter, clock: Clock) -> None:
    """A refund came while they were held."""
    refunded = pending(books)
    settlement.apply(books, fact(builders.completed(refunded)))
    placing.place(meter, "alice", 40, 60)
    debits.debit(meter, "alice", 130)
    settlement.apply(books, fact(builders.refunded(refunded, 999)))
    assert (quotas.balance(books).debt, quotas.balance(books).held) == (70, 40)
    clock.advance(seconds=61)
    assert quotas.refused(lambda: debits.debit(meter, "alice", 1)) == "quota_exhausted"
    balance = debits.read(books, "alice")
    assert (balance.debt, balance.held, balance.remaining) == (30, 0, 0)
    laws.check(books.store)


def test_a_days_use_becomes_one_entry(books: Books, meter: Meter, clock: Clock) -> None:
    """The next day's first debit writes it; the books balance."""
    debits.debit(meter, "alice", 10)
    debits.debit(meter, "alice", 20)
    clock.advance(days=1)
    debits.debit(meter, "alice", 5)
    assert quotas.three(books) == (35, 0, 65)
    entries = [
        row["units"] for row in books.store.pages("ledger", "alice") if row["type"] == "consumed"
    ]
    assert entries == [-30]
