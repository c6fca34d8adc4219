"""What accounts keep over midnight, after their holds are closed, and in a container's memory."""

from collections.abc import Callable

import pytest
from billing.account import history
from billing.buying import queries
from billing.errors import BillingError
from billing.expiry import hold_expiry
from billing.grants.booking import book
from billing.grants.grant import Grant
from billing.holds import closing, placing
from billing.quota.balance import Balance
from billing.reconciliation import hold_sweep
from billing.settlement import settlement
from billing.spending import debits, memory
from billing.spending.meter import Meter
from support import builders, laws
from support.builders import Clock, fact, pending
from support.deadlines import PausedDeadline
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


def test_a_container_remembers_a_bounded_number_of_accounts() -> None:
    """Those that it has seen longest ago go first."""
    memory._seen.clear()
    for number in range(memory.SEEN_MAX + 1):
        memory.remember(f"user{number}", Balance())
    assert len(memory._seen) == memory.SEEN_MAX
    assert memory.recall("user0") is None
    assert memory.recall(f"user{memory.SEEN_MAX}") is not None
    memory._seen.clear()


@pytest.mark.parametrize("by", ["debit", "keyed", "hold", "capture", "release"])
def test_whatever_moves_units_notes_the_time(meter: Meter, clock: Clock, by: str) -> None:
    """Customers see when their quota changed last."""
    held = placing.place(meter, "alice", 5, 600).hold_id
    clock.advance(seconds=7)
    acts: dict[str, Callable[[], object]] = {
        "debit": lambda: debits.debit(meter, "alice", 1),
        "keyed": lambda: debits.debit_once(meter, "alice", 1, "backend", "k"),
        "hold": lambda: placing.place(meter, "alice", 1, 600),
        "capture": lambda: closing.capture(meter, held, 1),
        "release": lambda: closing.release(meter, held),
    }
    acts[by]()
    shown = debits.read(meter.books, "alice").as_answer("alice")
    assert str(shown.updated_at).startswith("2026-01-02T03:04:12")


def test_a_hold_that_is_not_due_is_not_released(meter: Meter) -> None:
    """Nothing is asked and nothing written."""
    placing.place(meter, "alice", 5, 600)
    calls = meter.books.store.calls  # type: ignore[attr-defined]
    balance = Balance.from_item(meter.books.store.tables["quotas"]["alice", "quota"])  # type: ignore[attr-defined]
    hold_expiry.give_back_expired(meter.books, "alice", balance)
    assert meter.books.store.calls == calls  # type: ignore[attr-defined]


def test_a_grant_that_a_slow_clock_books_late_counts_in_every_balance(
    meter: Meter, clock: Clock
) -> None:
    """The page that was read before carries a sum that is old by then."""
    for _ in range(3):
        clock.advance(days=3)
        settlement.apply(meter.books, fact(builders.completed(pending(meter.books))))
    first = history.entries(meter.books, "alice", 2, "")
    slow = Clock()
    slow.advance(days=1)
    book(builders.books_on(meter.books.store, clock=slow), Grant("T-1", "alice", 7, "why"))
    second = history.entries(meter.books, "alice", 10, first["next_cursor"])
    assert [row["balance_after"] for row in second["entries"]] == [207, 107, 100]


def test_expired_holds_are_released_without_a_pause(clock: Clock) -> None:
    pauses: list[float] = []
    books = builders.books_on(MemoryStore(PausedDeadline(pauses.append)), clock=clock)
    for _ in range(2):
        settlement.apply(books, fact(builders.completed(pending(books))))
    for _ in range(150):
        placing.place(Meter(books, ""), "alice", 1, 60)
    clock.advance(seconds=61)
    pauses.clear()
    hold_expiry.give_back_expired(
        books, "alice", Balance.from_item(books.store.get("quotas", ("alice", "quota")))
    )
    assert pauses == []
    row = books.store.get("quotas", ("alice", "quota")) or {}
    assert (row["held"], row["remaining"]) == (0, 200)


@pytest.mark.parametrize("by", ["debit", "keyed", "hold"])
def test_units_that_come_back_pay_the_debt_in_the_write_that_spends_the_rest(
    meter: Meter, clock: Clock, by: str
) -> None:
    """A refund left debt while a hold was open: when it expires, the customer has what is left of
    it, and owes nothing more.
    """
    placing.place(meter, "alice", 60, 60)
    (payment,) = [key for key in meter.books.store.tables["payments"] if key[1].startswith("pay_")]  # type: ignore[attr-defined]
    paid = queries.find(meter.books, "alice", payment[1])
    settlement.apply(meter.books, fact(builders.refunded(paid, 400)))
    settlement.apply(meter.books, fact(builders.refunded(paid, 500)))
    assert debits.read(meter.books, "alice").debt == 20
    clock.advance(seconds=61)
    if by == "debit":
        debits.debit(meter, "alice", 7)
    elif by == "keyed":
        debits.debit_once(meter, "alice", 7, "backend", "k")
    else:
        placing.place(meter, "alice", 7, 60)
    balance = debits.read(meter.books, "alice")
    assert (balance.debt, balance.remaining) == (0, 33)
    laws.check(meter.books.store)


def test_a_sweep_without_time_looks_no_further(meter: Meter, clock: Clock) -> None:
    """The function must end before it is killed."""
    for number in range(6):
        user_id = f"user{number}"
        settlement.apply(meter.books, fact(builders.completed(pending(meter.books, user_id))))
        placing.place(meter, user_id, 1, 60)
    clock.advance(seconds=61)
    calls = meter.books.store.calls  # type: ignore[attr-defined]
    assert hold_sweep.sweep_holds(meter.books, lambda: False) == 0
    assert meter.books.store.calls - calls <= 1  # type: ignore[attr-defined]
    assert hold_sweep.sweep_holds(meter.books) == 6


def test_a_customer_who_has_used_everything_gets_a_link_to_buy_more(meter: Meter) -> None:
    with pytest.raises(BillingError) as refused:
        debits.debit(meter, "alice", 91)
    assert refused.value.members == {"remaining": 90, "top_up_url": "https://shop.example.com"}
