"""A day's use becomes one ledger entry."""

from typing import Any

import pytest
from billing.account import history
from billing.books import Books
from billing.holds import closing, placing
from billing.payments.payment import Payment
from billing.settlement import settlement
from billing.spending import debits, memory
from billing.spending.meter import Meter
from support import builders, laws
from support.builders import Clock, fact, pending
from support.fakes.memory_store import MemoryStore


@pytest.fixture
def meter(clock: Clock) -> Meter:
    """Alice has bought 100 units and used 10 of them today."""
    memory._seen.clear()
    books = builders.books_on(MemoryStore(), clock=clock)
    settlement.apply(books, fact(builders.completed(pending(books))))
    meter = Meter(books, "https://shop.example.com")
    debits.debit(meter, "alice", 10)
    return meter


def _consumed(books: Books) -> dict[str, int]:
    laws.check(books.store)
    return {
        row["reference_id"]: row["units"]
        for row in books.store.pages("ledger", "alice")
        if row["type"] == "consumed"
    }


def test_a_capture_after_midnight_is_the_new_days_use(meter: Meter, clock: Clock) -> None:
    """The hold was placed before: what was used before is booked on its own day, and what is
    captured on the day of the capture.
    """
    hold = placing.place(meter, "alice", 20, 86_400).hold_id
    clock.advance(hours=22)
    closing.capture(meter, hold, 15)
    assert _consumed(meter.books) == {"2026-01-02": -10}
    clock.advance(days=1)
    debits.debit(meter, "alice", 1)
    assert _consumed(meter.books) == {"2026-01-02": -10, "2026-01-03": -15}


def test_a_release_after_midnight_begins_no_day(meter: Meter, clock: Clock) -> None:
    """Nothing is used, so that nothing is booked."""
    hold = placing.place(meter, "alice", 20, 86_400).hold_id
    clock.advance(hours=22)
    closing.release(meter, hold)
    assert _consumed(meter.books) == {}
    assert debits.read(meter.books, "alice").remaining == 90


def test_a_days_use_that_a_slow_clock_books_late_counts_in_every_balance(
    meter: Meter, clock: Clock
) -> None:
    """The page that was read before carries a sum that is old by then: the entry comes before the
    place where it ends.
    """
    for _ in range(3):
        clock.advance(days=3)
        settlement.apply(meter.books, fact(builders.completed(pending(meter.books))))
    first = history.entries(meter.books, "alice", 2, "")
    slow = Clock()
    slow.advance(days=1)
    debits.debit(Meter(builders.books_on(meter.books.store, clock=slow), ""), "alice", 5)
    second = history.entries(meter.books, "alice", 10, first["next_cursor"])
    assert [row["balance_after"] for row in second["entries"]] == [190, 90, 100]


def test_the_first_page_says_what_of_the_last_day_is_no_entry_yet(
    meter: Meter, clock: Clock
) -> None:
    """And no other page does, nor one of an account that has used nothing since."""
    settlement.apply(meter.books, fact(builders.completed(pending(meter.books))))
    first = history.entries(meter.books, "alice", 1, "")
    assert first["not_itemised"] == {"day": "2026-01-02", "units": 10}
    assert "not_itemised" not in history.entries(meter.books, "alice", 1, first["next_cursor"])
    settlement.apply(meter.books, fact(builders.completed(pending(meter.books, "bob"))))
    assert "not_itemised" not in history.entries(meter.books, "bob", 1, "")
    clock.advance(days=1)
    debits.debit(meter, "alice", 3)
    assert history.entries(meter.books, "alice", 1, "")["not_itemised"] == {
        "day": "2026-01-03",
        "units": 3,
    }


def test_use_of_no_known_day_is_booked_today(meter: Meter) -> None:
    """A restore has put the account back to before its day began, and an operator has mended what
    was used.
    """
    row = meter.books.store.tables["quotas"]["alice", "quota"]  # type: ignore[attr-defined]
    del row["use_day"]
    memory._seen.clear()
    debits.debit(meter, "alice", 1)
    assert _consumed(meter.books) == {"2026-01-02": -10}


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


def test_an_account_whose_row_says_that_nothing_was_used_begins_its_day(books: Books) -> None:
    _bought(books)
    row = books.store.tables["quotas"]["alice", "quota"]  # type: ignore[attr-defined]
    row |= {"used": 0, "itemised": 0}
    assert debits.debit(Meter(books, ""), "alice", 1).remaining == 99
