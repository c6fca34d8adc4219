import base64
import itertools
import json
from collections.abc import Callable
from typing import Any

import pytest
from billing.account import history
from billing.books import Books
from billing.deadline import Deadline
from billing.errors import BillingError, NotDoneError
from billing.settlement import settlement
from billing.spending import debits
from billing.spending.meter import Meter
from billing.storage.reader import Page
from hypothesis import given
from hypothesis import strategies as st
from support import builders
from support.builders import Clock, fact, pending
from support.fakes.memory_store import MemoryStore

HOURS = 24 * 30


class Meddled(MemoryStore):
    """Something else may happen just after the ledger was read."""

    then: Callable[[], object] | None = None

    def query(self, *place: Any, **how: Any) -> Page:
        """Then meddle, once."""
        page = super().query(*place, **how)
        if (then := self.then) is not None:
            self.then = None
            then()
        return page


@pytest.fixture
def books() -> Books:
    """No purchase yet."""
    return builders.books_on(Meddled())


def _buys(books: Books, hour: int, plan: str = "starter") -> None:
    """Settled by a function whose clock says that it is so many hours after START: clocks differ,
    and commits are late.
    """
    clock = Clock()
    clock.advance(hours=hour)
    settlement.apply(
        builders.books_on(books.store, clock=clock),
        fact(builders.completed(pending(books, plan=plan))),
    )


def _listed(
    books: Books, limit: int, between: Callable[[], object] = lambda: None
) -> list[dict[str, Any]]:
    """All pages; ``between`` happens after each."""
    rows: list[dict[str, Any]] = []
    cursor = ""
    while True:
        page = history.entries(books, "alice", limit, cursor)
        rows += page["entries"]
        if (cursor := page["next_cursor"]) is None:
            return rows
        between()


def _adds_up(rows: list[dict[str, Any]]) -> bool:
    """Each balance is that of the entry before it and its own units; the oldest begins at zero."""
    older = [0, *(row["balance_after"] for row in reversed(rows))]
    return [
        row["units"] + before for row, before in zip(reversed(rows), older, strict=False)
    ] == older[1:]


def test_an_entry_that_comes_late_counts_in_every_balance_after_it(books: Books) -> None:
    """Booked between two pages, by a clock that is behind: it stands on the second page, and the
    sums there are right.
    """
    _buys(books, 1)
    _buys(books, 3)
    first = history.entries(books, "alice", 1, "")
    assert first["entries"][0]["balance_after"] == 200
    _buys(books, 2, "pro")
    second = history.entries(books, "alice", 10, first["next_cursor"])["entries"]
    assert [(row["units"], row["balance_after"]) for row in second] == [(1000, 1100), (100, 100)]
    assert [row["balance_after"] for row in history.entries(books, "alice", 10, "")["entries"]] == [
        1200,
        1100,
        100,
    ]


def test_an_entry_and_its_reversal_between_two_pages_are_noticed(books: Books) -> None:
    """The total is the same afterwards; the places are not."""
    _buys(books, 1)
    _buys(books, 4)
    first = history.entries(books, "alice", 1, "")
    payment = pending(books)
    for hour, event in ((5, builders.completed(payment)), (2, builders.refunded(payment, 999))):
        clock = Clock()
        clock.advance(hours=hour)
        settlement.apply(builders.books_on(books.store, clock=clock), fact(event))
    second = history.entries(books, "alice", 10, first["next_cursor"])["entries"]
    assert [(row["units"], row["balance_after"]) for row in second] == [(-100, 0), (100, 100)]


@pytest.mark.parametrize("is_first_page", [True, False])
def test_an_entry_that_comes_while_a_page_is_read_is_noticed(
    books: Books, *, is_first_page: bool
) -> None:
    """The page and the sum are of one moment."""
    _buys(books, 1)
    _buys(books, 3)
    cursor = "" if is_first_page else history.entries(books, "alice", 1, "")["next_cursor"]
    books.store.then = lambda: _buys(books, 2)  # type: ignore[attr-defined]
    rows = history.entries(books, "alice", 10, cursor)["entries"]
    assert [row["balance_after"] for row in rows] == (
        [300, 200, 100] if is_first_page else [200, 100]
    )


@given(
    st.lists(st.integers(1, HOURS), min_size=2, max_size=8, unique=True),
    st.integers(1, 3),
    st.randoms(use_true_random=False),
)
def test_the_last_pages_always_add_up(hours: list[int], limit: int, chance: Any) -> None:
    """Whatever is booked between pages, wherever: from then on each balance follows from the one
    before, down to zero.
    """
    books = builders.books_on(Meddled())
    before, late = hours[: len(hours) // 2 + 1], iter(hours[len(hours) // 2 + 1 :])
    for hour in before:
        _buys(books, hour)
    last_change = itertools.count()
    shown: list[tuple[int, list[dict[str, Any]]]] = []
    cursor: str | None = ""
    changes = 0
    while True:
        page = history.entries(books, "alice", limit, str(cursor))
        shown.append((changes, page["entries"]))
        if (cursor := page["next_cursor"]) is None:
            break
        if chance.random() < 0.5 and (behind := next(late, None)) is not None:
            _buys(books, behind)
            changes = next(last_change) + 1
    assert _adds_up([row for change, rows in shown if change == changes for row in rows])


def test_the_pages_of_an_unchanged_ledger_add_up(books: Books) -> None:
    """With debits between them, which are no entries yet."""
    for hour in range(1, 8):
        _buys(books, hour)
    meter = Meter(books, "")
    assert _adds_up(_listed(books, 3, lambda: debits.debit(meter, "alice", 1)))
    assert len(_listed(books, 3)) == 7


@pytest.mark.parametrize("limit", [1, 2, 10])
def test_balances_are_right_after_a_day_whose_use_became_an_entry(books: Books, limit: int) -> None:
    """The first debit of a day itemises the day before; a purchase and a refund come after it, and
    a debit that is no entry yet.
    """
    clock: Any = books.clock
    meter = Meter(books, "")
    payment = pending(books)
    settlement.apply(books, fact(builders.completed(payment)))
    debits.debit(meter, "alice", 30)
    clock.advance(days=1)
    debits.debit(meter, "alice", 5)
    settlement.apply(books, fact(builders.completed(pending(books))))
    clock.advance(days=1)
    debits.debit(meter, "alice", 1)
    settlement.apply(books, fact(builders.refunded(payment, 500)))
    rows = _listed(books, limit)
    assert [(row["type"], row["units"], row["balance_after"]) for row in rows] == [
        ("clawed_back", -50, 115),
        ("consumed", -5, 165),
        ("funded", 100, 170),
        ("consumed", -30, 70),
        ("funded", 100, 100),
    ]
    assert history.entries(books, "alice", limit, "")["not_itemised"]["units"] == 1
    assert debits.read(books, "alice").remaining == 115 - 1


def test_a_days_use_that_becomes_an_entry_between_two_pages_is_noticed(books: Books) -> None:
    """By a clock that is behind: it stands on the second page, and the sums there are right."""
    clock: Any = books.clock
    meter = Meter(books, "")
    _buys(books, 1)
    debits.debit(meter, "alice", 30)
    _buys(books, 30)
    first = history.entries(books, "alice", 1, "")
    assert first["entries"][0]["balance_after"] == 200
    clock.advance(hours=26)
    debits.debit(meter, "alice", 5)
    second = history.entries(books, "alice", 10, first["next_cursor"])["entries"]
    assert [(row["type"], row["units"], row["balance_after"]) for row in second] == [
        ("consumed", -30, 70),
        ("funded", 100, 100),
    ]


def test_a_page_costs_three_calls_and_a_further_one_two(books: Books) -> None:
    """The balance, the page, and the balance again, which a cursor spares."""
    for hour in range(1, 4):
        _buys(books, hour)
    store: Any = books.store
    calls = store.calls
    cursor = history.entries(books, "alice", 1, "")["next_cursor"]
    assert store.calls - calls == 3
    calls = store.calls
    history.entries(books, "alice", 1, cursor)
    assert store.calls - calls == 2


def test_a_ledger_that_never_holds_still_is_busy(books: Books) -> None:
    _buys(books, 1)
    hours = itertools.count(2)
    store: Any = books.store
    passed = itertools.count()
    store.deadline = Deadline(clock=lambda: next(passed) * 0.1, sleep=lambda _: None)

    def again() -> None:
        _buys(books, next(hours))
        store.then = again

    store.then = again
    with pytest.raises(NotDoneError):
        history.entries(books, "alice", 10, "")


RIGHT = {"entry_id": "x", "booked_at": "2026", "balance": 1, "last": "never"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"last": ""},
        {"last": 7},
        {"balance": True},
        {"balance": 2**53},
        {"balance": "1"},
        {"entry_id": "\ud800"},
        {"booked_at": "y" * 1025},
    ],
    ids=repr,
)
def test_a_place_that_we_did_not_make_is_refused(books: Books, wrong: dict[str, Any]) -> None:
    """Each member is looked at; one that is missing as well."""

    def cursor(place: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(place).encode()).decode().rstrip("=")

    assert history.entries(books, "alice", 10, cursor(RIGHT)) == {
        "entries": [],
        "next_cursor": None,
    }
    short = {name: value for name, value in RIGHT.items() if name not in wrong}
    for place in (RIGHT | wrong, short):
        with pytest.raises(BillingError, match="invalid_request"):
            history.entries(books, "alice", 10, cursor(place))
