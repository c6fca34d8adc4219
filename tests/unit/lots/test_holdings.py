"""An account's lots as they are read, and every part of the write that changes them."""

from dataclasses import replace
from typing import Any, Final

import pytest
from billing.books import Books
from billing.lots.lot import EARLIER, Lot
from billing.quota import lot_burning, lot_changes, lot_rows
from billing.quota.balance import Balance
from billing.quota.lot_changes import NO_CHANGE, Change
from billing.quota.lot_rows import Holdings
from billing.storage.writes import Must, Write
from support import builders
from support.builders import Still
from support.deadlines import PausedDeadline
from support.fakes.recording_store import Recorder
from support.quota_rows import EARLIER_KEY, NOW, keep, key, lot


@pytest.fixture
def store() -> Recorder:
    """Empty."""
    return Recorder()


@pytest.fixture
def books(store: Recorder) -> Books:
    """On that store; the clock stands."""
    return builders.books_on(store, clock=Still())


A: Final = lot("a", 3, 1, 1000)
B: Final = lot("b", 5, 0, 2000)
C: Final = lot("c", 7)


def _holdings(balance: Balance, *, is_all: bool = True) -> Holdings:
    return Holdings("alice", balance, (A, B, C), is_all=is_all)


RICH: Final = Balance(remaining=19, used=6, lots_used=2, lots_left=16, lots_held=1, held=3)
"""Four units of the lots are used and not burned yet; eight are of before there were lots."""
POOR: Final = Balance(remaining=9, used=6, lots_used=2, lots_left=16, lots_held=1, held=1)
"""A hold that names no lots has two units of theirs."""


def test_what_was_used_since_burns_from_the_first_lots() -> None:
    known = _holdings(RICH)
    assert known.to_burn == 4
    earlier = replace(EARLIER, units=10, free=8, held=2)
    assert known.lots == (lot("a", 0, 1, 1000), lot("b", 4, 0, 2000), C, earlier)
    assert known.with_earlier == known.lots
    assert known.lots[-1].key == EARLIER_KEY


def test_units_in_holds_that_name_no_lots_burn_as_if_they_were_used() -> None:
    known = _holdings(POOR)
    assert known.to_burn == 6
    assert known.lots == (lot("a", 0, 1, 1000), lot("b", 2, 0, 2000), C, EARLIER)


def test_where_lots_are_left_unread_the_earlier_ones_are_asked_for_by_name() -> None:
    known = _holdings(RICH, is_all=False)
    assert known.lots == (lot("a", 0, 1, 1000), lot("b", 4, 0, 2000), C)
    assert known.with_earlier == (*known.lots, replace(EARLIER, units=10, free=8, held=2))


def test_holds_that_a_restore_has_lost_hold_no_earlier_units() -> None:
    """The lots' rows say that three are held, the account that one is."""
    known = Holdings("alice", Balance(held=1, lots_held=3, lots_left=3), (), is_all=True)
    assert known.lots == (EARLIER,)


def test_a_row_that_is_read_is_shown_with_its_account(books: Books, store: Recorder) -> None:
    balance = keep(store, C, A, B, remaining=19, used=6)
    found = lot_rows.read(books, "alice", balance)
    assert found == Holdings("alice", balance, (A, B, C), is_all=True)
    assert lot_rows.read(books, "bob", Balance()) == Holdings("bob", Balance(), (), is_all=True)


def _singles(number: int, expires_at: int = 0) -> list[Lot]:
    return [lot(f"{one:04d}", 1, 0, expires_at or 1000 + one) for one in range(number)]


@pytest.mark.parametrize(
    ("how", "rows", "calls"),
    [
        ({}, 107, 2),
        ({"enough": 0}, 5, 1),
        ({"enough": 4}, 5, 1),
        ({"enough": 5}, 105, 2),
        ({"enough": 104}, 105, 2),
        ({"enough": 105}, 107, 3),
        ({"enough": 1, "through": "lot#"}, 100, 1),
        ({"enough": 0, "through": key("0099", 1099)}, 100, 1),
        ({"enough": 0, "through": key("0100", 1100)}, 107, 2),
    ],
)
def test_no_more_lots_are_read_than_are_needed(
    books: Books, store: Recorder, how: dict[str, Any], rows: int, calls: int
) -> None:
    """Five at first where few are needed, then a hundred at a time."""
    balance = keep(store, *_singles(107), remaining=107, lots_left=107)
    store.calls = 0
    found = lot_rows.read(books, "alice", balance, **how)
    assert (len(found.rows), found.is_all) == (rows, rows == 107)
    assert store.calls == calls


@pytest.mark.parametrize(("enough", "rows"), [(1, 5), (2, 107)])
def test_units_that_are_to_burn_are_needed_too(
    books: Books, store: Recorder, enough: int, rows: int
) -> None:
    balance = keep(store, *_singles(107), remaining=104, used=3, lots_left=107)
    found = lot_rows.read(books, "alice", balance, enough, is_whole=False)
    assert len(found.rows) == (5 if rows == 5 else 105)


@pytest.mark.parametrize(("last", "rows"), [(1003, 5), (1004, 7)])
def test_lots_of_one_second_are_read_together_where_that_is_asked(
    books: Books, store: Recorder, last: int, rows: int
) -> None:
    """The last second that was read may go on, and counts only once another begins."""
    many = [*_singles(4), lot("x", 1, 0, last + 1), *_singles(2, 1005)]
    balance = keep(store, *many, remaining=7, lots_left=7)
    found = lot_rows.read(books, "alice", balance, 3 if rows == 5 else 4, is_whole=True)
    assert len(found.rows) == rows


def test_an_account_without_lots_has_no_second_of_theirs(books: Books) -> None:
    assert lot_rows.read(books, "bob", Balance(), 1, is_whole=True).rows == ()


def test_lots_that_never_expire_are_one_second_without_an_end(
    books: Books, store: Recorder
) -> None:
    """All of them count at once: none of them is to be shown as what expires next."""
    many = [lot(f"{one}", 1) for one in range(7)]
    balance = keep(store, *many, remaining=7, lots_left=7)
    assert len(lot_rows.read(books, "alice", balance, 1, is_whole=True).rows) == 5


def test_a_change_names_the_rows_that_differ_and_what_they_add_to_the_account() -> None:
    """Units of before there were lots have no row."""
    known = _holdings(RICH)
    new = lot("d", 2, 0, 1500)
    after = (lot("a", 0, 1, 1000), new, lot("b", 3, 1, 2000), C, EARLIER)
    assert lot_changes.change(known, after, is_exact=True) == Change(
        rows=(
            Write(
                "quotas",
                ("alice", key("a", 1000)),
                set={"free": 0},
                remove=("open",),
                must=(Must("free", "==", 3), Must("held", "==", 1)),
            ),
            Write(
                "quotas",
                ("alice", key("d", 1500)),
                set=new.to_item(),
                must=(Must("user_id", "absent"),),
            ),
            Write(
                "quotas",
                ("alice", key("b", 2000)),
                set={"free": 3, "held": 1},
                must=(Must("free", "==", 5), Must("held", "==", 0)),
            ),
        ),
        set={"lots_due": 1500, "lots_exact": 1},
        add={"lots_left": -2, "lots_held": 1, "lots_used": 4, "lots_version": 1},
        remove=(),
        must=(Must("lots_version", "==", 0, or_absent=True),),
    )


def test_a_lot_that_is_there_no_more_has_its_row_deleted() -> None:
    changed = lot_changes.change(_holdings(Balance()), (A, C))
    assert [(row.key[1], row.delete) for row in changed.rows] == [(key("b", 2000), True)]
    assert changed.add == {"lots_left": -5, "lots_version": 1}


def test_an_account_without_units_that_expire_has_nothing_due() -> None:
    known = Holdings("alice", Balance(lots_version=4, used=9), (A, C), is_all=True)
    changed = lot_changes.change(known, (lot("a", 0, 1, 1000), C), burned=3)
    assert (changed.set, changed.remove) == ({}, ("lots_due",))
    assert changed.add == {"lots_left": -3, "lots_used": 3, "lots_version": 1}
    assert changed.must == (Must("lots_version", "==", 4),)


def test_no_more_is_burned_than_was_used() -> None:
    known = Holdings("alice", Balance(used=9, lots_used=7), (A,), is_all=True)
    assert lot_changes.change(known, (A,), burned=5).add == {"lots_used": 2, "lots_version": 1}
    assert lot_changes.change(known, (A,), burned=1).add == {"lots_used": 1, "lots_version": 1}
    assert lot_changes.change(known, (A,)).add == {"lots_used": 2, "lots_version": 1}


CHANGE: Final = Change(
    (), {"lots_due": 7}, {"lots_version": 1}, ("low_told",), (Must("lots_version", "==", 4),)
)


def test_a_change_stands_beside_the_rest_of_the_accounts_write() -> None:
    seen = Must("used", "==", 1)
    place = ("alice", "quota")
    account = Write(
        "quotas", place, set={"updated_at": NOW}, add={"told": 1}, remove=("x",), must=(seen,)
    )
    assert CHANGE.beside(account) == Write(
        "quotas",
        place,
        set={"updated_at": NOW, "lots_due": 7},
        add={"told": 1, "lots_version": 1},
        remove=("x", "low_told"),
        must=(seen, Must("lots_version", "==", 4)),
    )
    assert NO_CHANGE.beside(account) == account


@pytest.mark.parametrize("is_booked", [True, False])
def test_the_accounts_write_of_a_change_says_when_and_adds_no_zeros(*, is_booked: bool) -> None:
    seen = Must("used", "==", 1)
    written = CHANGE.account("alice", NOW, {"total": 5, "debt": 0}, (seen,), is_booked=is_booked)
    booked = {"booked_at": NOW} if is_booked else {}
    assert written == Write(
        "quotas",
        ("alice", "quota"),
        set={"updated_at": NOW, **booked, "lots_due": 7},
        add={"total": 5, "lots_version": 1},
        remove=("low_told",),
        must=(seen, Must("lots_version", "==", 4)),
    )
    assert CHANGE.account("alice", NOW, {}, ()).set["booked_at"] == NOW


def test_a_lot_that_burns_last_is_added_without_a_read() -> None:
    row, added = lot_changes.add_at_the_end("alice", C)
    assert row == Write(
        "quotas", ("alice", key("c")), set=C.to_item(), must=(Must("user_id", "absent"),)
    )
    assert added == {"lots_left": 7, "lots_version": 1}


def test_an_attribute_that_is_zero_may_be_absent() -> None:
    assert lot_changes.same("used", 0) == Must("used", "==", 0, or_absent=True)
    assert lot_changes.same("used", 5) == Must("used", "==", 5)
    assert lot_changes.same_lots(Balance(lots_version=3)) == Must("lots_version", "==", 3)


@pytest.mark.parametrize("number", [20, 21, 45])
def test_more_than_twenty_lots_are_burned_in_parts_of_twenty(
    books: Books, store: Recorder, number: int
) -> None:
    """Twenty beside what the transaction is for are within DynamoDB's hundred."""
    figures = {"remaining": 3, "used": number, "lots_left": number + 3}
    balance = keep(store, *_singles(number), lot("z", 3), **figures)
    paused: list[float] = []
    store.deadline = PausedDeadline(paused.append)
    found = lot_burning.read_burnable(books, "alice", balance)
    assert paused == [], "every part makes progress"
    parts = [len(writes) - 1 for writes in store.transactions]
    assert parts == {20: [], 21: [20], 45: [20, 20]}[number]
    assert found.to_burn == number - sum(parts)
    assert sum(one.free for one in found.lots) == 3
    assert found.balance.lots_left == number + 3 - sum(parts)


def test_a_part_that_is_burned_is_one_transaction_that_books_nothing(
    books: Books, store: Recorder
) -> None:
    keep(store, *_singles(22), remaining=1, used=21, lots_left=22, lots_due=1000)
    held = {"user_id": "alice", "item": "quota", "remaining": 1, "used": 21, "lots_left": 22}
    balance = Balance(remaining=1, used=21, lots_left=22, lots_due=1000)
    assert lot_burning.burn_in_parts(books, lot_rows.read(books, "alice", balance))
    ((account, *rows),) = store.transactions
    assert account == Write(
        "quotas",
        ("alice", "quota"),
        set={"updated_at": NOW, "lots_due": 1020},
        add={"lots_left": -20, "lots_used": 20, "lots_version": 1},
        must=(Must("lots_version", "==", 0, or_absent=True),),
    )
    gone = [("alice", key(f"{number:04d}", 1000 + number)) for number in range(20)]
    assert [(row.key, row.delete) for row in rows] == [(place, True) for place in gone]
    assert store.tables["quotas"]["alice", "quota"] == {
        **held,
        "updated_at": NOW,
        "lots_due": 1020,
        "lots_left": 2,
        "lots_used": 20,
        "lots_version": 1,
    }


def test_lots_that_changed_meanwhile_are_read_again(books: Books, store: Recorder) -> None:
    """The account that was seen is of before; what burns is what its row says."""
    figures = {"remaining": 1, "used": 21, "lots_left": 22, "lots_version": 5}
    keep(store, *_singles(22), **figures)
    stale = Balance.from_item({**figures, "lots_version": 4})
    found = lot_burning.read_burnable(books, "alice", stale)
    assert found.balance.lots_version == 6
    assert len(store.transactions) == 1
