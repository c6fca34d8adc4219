"""What readers are shown of lots and holds whose time is over, and in how many calls."""

from typing import Any

import pytest
from billing.account import lot_listing
from billing.books import Books
from billing.clock import from_epoch
from billing.expiry import present
from billing.lots.lot import Lot
from billing.quota.balance import Balance, Expiry
from billing.settings import Telling
from billing.spending import memory
from support import builders
from support.builders import Still
from support.fakes.recording_store import Recorder
from support.quota_rows import ACCOUNT, KEY_ID, NOW_EPOCH, due_lots, keep, lot


@pytest.fixture
def store() -> Recorder:
    """Empty."""
    memory._seen.clear()
    return Recorder()


@pytest.fixture
def books(store: Recorder) -> Books:
    """Events go out; the clock stands."""
    return builders.books_on(store, clock=Still(), telling=Telling(is_on=True, low_at=0))


def _hold(store: Recorder, name: str, seconds: int, units: int, **members: Any) -> None:
    at = NOW_EPOCH + seconds
    item = f"hold#{at:012d}#{name}"
    row = {"user_id": "alice", "item": item, "units": units, "expires_at": at, **members}
    store.tables["quotas"]["alice", item] = row


def test_a_read_counts_holds_and_lots_whose_time_is_over_as_given_back_and_gone(
    books: Books, store: Recorder
) -> None:
    """Nothing is written. What comes back pays debt, and the key of a hold has it again."""
    a, b = lot("a", 0, 4, NOW_EPOCH), lot("b", 0, 5, NOW_EPOCH + 9)
    figures = {
        "total": 20,
        "used": 14,
        "held": 10,
        "debt": 4,
        "holds_due": NOW_EPOCH - 1,
        "holds_placed": 3,
        "lots_used": 14,
        "lots_left": 9,
        "lots_held": 9,
        "lots_exact": 1,
        "rR6Cr": 1,
    }
    keep(store, a, b, **figures)
    _hold(store, "aa", -1, 5, parts={a.key: 4}, key_id=KEY_ID)
    _hold(store, "bb", 0, 3, parts={b.key: 3})
    _hold(store, "cc", 1, 2, parts={b.key: 2})
    balance = Balance.from_item(store.tables["quotas"][ACCOUNT])
    found = present.read(books, "alice", balance)
    shown = found.as_answer("alice")
    assert (shown.total, shown.used, shown.held, shown.remaining, shown.debt) == (20, 14, 2, 4, 0)
    assert found.keys["rR6Cr"] == 6
    assert store.transactions == []
    listed = lot_listing.lots(books, "alice", 20, "")["lots"]
    assert [(one.lot_id, one.left) for one in listed] == [("b", 5), ("earlier", 1)]


def test_a_hold_whose_lots_time_is_over_gives_nothing_back_to_a_reader(
    books: Books, store: Recorder
) -> None:
    a = lot("a", 0, 4, NOW_EPOCH)
    keep(
        store,
        a,
        total=9,
        remaining=5,
        held=4,
        holds_due=NOW_EPOCH,
        holds_placed=1,
        lots_left=4,
        lots_held=4,
        lots_exact=1,
    )
    _hold(store, "aa", 0, 4, parts={a.key: 4})
    found = lot_listing.read_quota(books, "alice")
    assert (found.total, found.remaining, found.held) == (5, 5, 0)
    assert found.expires_next is None


@pytest.mark.parametrize(
    ("figures", "calls"),
    [
        ({}, 1),
        ({"holds_due": NOW_EPOCH + 1}, 1),
        ({"holds_due": NOW_EPOCH}, 2),
        ({"lots_exact": 1}, 1),
        ({"lots_exact": 1, "holds_due": NOW_EPOCH + 1}, 3),
        ({"lots_due": NOW_EPOCH + 1}, 3),
        ({"lots_due": NOW_EPOCH}, 3),
        ({"lots_exact": 1, "holds_due": NOW_EPOCH}, 4),
    ],
)
def test_a_quota_is_read_in_no_more_calls_than_it_needs(
    books: Books, store: Recorder, figures: dict[str, int], calls: int
) -> None:
    keep(store, total=5, remaining=5, **figures)
    store.calls = 0
    assert lot_listing.read_quota(books, "alice").remaining == 5
    assert store.calls == calls


def test_what_expires_next_is_the_free_units_of_the_first_second(
    books: Books, store: Recorder
) -> None:
    """Of a lot that a hold has, nothing expires then; lots that never expire are no part of it."""
    lots = (
        lot("a", 0, 3, NOW_EPOCH + 5),
        lot("b", 2, 1, NOW_EPOCH + 7),
        lot("c", 4, 0, NOW_EPOCH + 7),
        lot("d", 8, 0, NOW_EPOCH + 9),
        lot("e", 16),
    )
    figures = {"remaining": 30, "held": 4, "lots_left": 34, "lots_held": 4, "lots_exact": 1}
    keep(store, *lots, lots_due=NOW_EPOCH + 5, **figures)
    at = from_epoch(NOW_EPOCH + 7)
    assert lot_listing.read_quota(books, "alice").expires_next == Expiry(6, at)


def test_lots_are_listed_by_the_page_in_the_order_in_which_they_burn(
    books: Books, store: Recorder
) -> None:
    """Those of which nothing is left are none of them."""
    used_up = lot("0000", 1, 0, NOW_EPOCH + 5)
    figures = {"remaining": 4, "used": 1, "lots_left": 5, "lots_exact": 1}
    keep(store, used_up, *due_lots(5, 5)[1:], lots_due=NOW_EPOCH + 5, **figures)
    pages: list[list[str]] = []
    cursor: str | None = ""
    while cursor is not None:
        page = lot_listing.lots(books, "alice", 2, cursor)
        pages.append([one.lot_id for one in page["lots"]])
        cursor = page["next_cursor"]
    assert pages == [["0001", "0002"], ["0003", "0004"]]
    whole = lot_listing.lots(books, "alice", 4, "")
    assert (len(whole["lots"]), whole["next_cursor"]) == (4, None)


def test_holds_that_name_no_lots_are_shown_where_their_units_came_from(
    books: Books, store: Recorder
) -> None:
    """No unit can expire on this account."""
    bought = Lot("p", "purchase", 10, 10, 0, 0, 5, "cs_1")
    figures = {"total": 15, "remaining": 6, "held": 4, "used": 5, "lots_left": 10}
    keep(store, bought, **figures)
    listed = lot_listing.lots(books, "alice", 20, "")["lots"]
    assert [(one.lot_id, one.units, one.left) for one in listed] == [("p", 10, 10)]
    keep(store, bought, **{**figures, "remaining": 9, "used": 2})
    listed = lot_listing.lots(books, "alice", 20, "")["lots"]
    assert [(one.lot_id, one.units, one.left) for one in listed] == [
        ("earlier", 5, 3),
        ("p", 10, 10),
    ]
    keep(store, bought, total=15, remaining=3, held=4, used=8, lots_left=10)
    listed = lot_listing.lots(books, "alice", 20, "")["lots"]
    assert [(one.lot_id, one.left) for one in listed] == [("p", 7)]


def test_a_hold_that_is_over_on_such_an_account_is_given_back_to_a_reader(
    books: Books, store: Recorder
) -> None:
    bought = Lot("p", "purchase", 10, 10, 0, 0, 5, "cs_1")
    figures = {"total": 10, "remaining": 6, "held": 4, "lots_left": 10, "holds_due": NOW_EPOCH}
    balance = keep(store, bought, holds_placed=1, **figures)
    _hold(store, "aa", 0, 4)
    found = present.read_with_lots(books, "alice", balance)
    assert (found.balance.held, found.balance.remaining) == (0, 10)
    assert [(one.lot_id, one.left) for one in found.lots if one.left] == [("p", 10)]
