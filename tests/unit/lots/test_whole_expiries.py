"""Lots whose time is over: every row of the transaction that lets go of them, and what reads show
meanwhile.
"""

from typing import Any, Final

import pytest
from billing.account import lot_listing
from billing.books import Books
from billing.clock import from_epoch
from billing.expiry import lot_expiry, present, upkeep
from billing.expiry.lot_expiry import ExpiredLots
from billing.quota.balance import Balance, Expiry
from billing.settings import Telling
from billing.spending import memory
from billing.storage.writes import Must, Write
from support import builders
from support.builders import Still
from support.deadlines import PausedDeadline
from support.fakes.recording_store import Recorder
from support.quota_rows import ACCOUNT, NEW, NOW, NOW_EPOCH, due_lots, is_, keep, key, lot


@pytest.fixture
def store() -> Recorder:
    """Empty."""
    memory._seen.clear()
    return Recorder()


@pytest.fixture
def books(store: Recorder) -> Books:
    """Events go out; the clock stands."""
    return builders.books_on(store, clock=Still(), telling=Telling(is_on=True, low_at=0))


THREE: Final = (
    lot("a", 3, 0, NOW_EPOCH - 1),
    lot("b", 5, 2, NOW_EPOCH),
    lot("c", 7, 0, NOW_EPOCH + 1),
)
FIGURES: Final[dict[str, Any]] = {
    "total": 30,
    "used": 6,
    "held": 2,
    "remaining": 13,
    "itemised": 6,
    "lots_due": NOW_EPOCH - 1,
    "lots_used": 4,
    "lots_left": 17,
    "lots_held": 2,
    "lots_version": 9,
    "lots_exact": 1,
}


def _gone(name: str, units: int) -> Write:
    values = {
        "type": "expired",
        "units": -units,
        "reference_type": "lot",
        "reference_id": name,
        "booked_at": NOW,
    }
    return Write("ledger", ("alice", f"expired:{name}"), set=values, must=NEW)


def test_lots_that_are_due_go_in_one_transaction_once_their_use_is_burned(
    books: Books, store: Recorder
) -> None:
    """Two units of the first lot were used. What a hold has stays."""
    balance = keep(store, *THREE, **FIGURES)
    batch = ExpiredLots.read(books, "alice", balance)
    assert batch.account == Write(
        "quotas",
        ACCOUNT,
        set={"updated_at": NOW, "booked_at": NOW, "lots_due": NOW_EPOCH + 1},
        add={
            "total": -6,
            "remaining": -6,
            "lots_left": -8,
            "lots_used": 2,
            "lots_version": 1,
        },
        must=(
            is_("lots_due", NOW_EPOCH - 1),
            is_("used", 6),
            Must("remaining", ">=", 6),
            is_("lots_version", 9),
        ),
    )
    assert batch.closing == (
        Write(
            "quotas",
            ("alice", key("a", NOW_EPOCH - 1)),
            delete=True,
            must=(is_("free", 3), is_("held", 0)),
        ),
        Write(
            "quotas",
            ("alice", key("b", NOW_EPOCH)),
            set={"free": 0},
            remove=("open",),
            must=(is_("free", 5), is_("held", 2)),
        ),
        _gone("a", 1),
        _gone("b", 5),
    )
    assert batch.before == balance
    assert (batch.after.total, batch.after.remaining, batch.after.lots_due) == (
        24,
        7,
        NOW_EPOCH + 1,
    )
    assert [(notice.type, notice.data) for notice in batch.notices] == [
        ("units.expired", _shown("a", 0, NOW_EPOCH - 1)),
        ("units.expired", _shown("b", 2, NOW_EPOCH)),
    ]


def _shown(name: str, left: int, expires_at: int) -> dict[str, Any]:
    return {
        "lot_id": name,
        "source": "grant",
        "units": 20,
        "left": left,
        "expires_at": from_epoch(expires_at),
        "reference_id": name,
    }


def test_lots_that_were_used_up_go_without_an_entry(books: Books, store: Recorder) -> None:
    """Nothing was booked, and nothing is told."""
    figures = {**FIGURES, "used": 12, "remaining": 7}
    balance = keep(store, *THREE, **figures)
    batch = ExpiredLots.read(books, "alice", balance)
    assert batch.account == Write(
        "quotas",
        ACCOUNT,
        set={"updated_at": NOW, "lots_due": NOW_EPOCH + 1},
        add={"lots_left": -8, "lots_used": 8, "lots_version": 1},
        must=(is_("lots_due", NOW_EPOCH - 1), is_("used", 12), is_("lots_version", 9)),
    )
    assert [write.table for write in batch.closing] == ["quotas", "quotas"]
    assert batch.notices == ()


@pytest.mark.parametrize(("number", "parts"), [(30, [30]), (31, [30, 1]), (61, [30, 30, 1])])
def test_thirty_lots_expire_at_once(
    books: Books, store: Recorder, number: int, parts: list[int]
) -> None:
    """A row, an entry and an event each are within DynamoDB's hundred."""
    figures = {"total": number, "remaining": number, "lots_left": number, "lots_exact": 1}
    balance = keep(store, *due_lots(number), lots_due=NOW_EPOCH, **figures)
    lot_expiry.expire_due(books, "alice", balance)
    assert [(len(writes) - 1) // 3 for writes in store.transactions] == parts
    left = Balance.from_item(store.tables["quotas"][ACCOUNT])
    assert (left.total, left.remaining, left.lots_left, left.lots_due) == (0, 0, 0, 0)
    assert len(store.tables["ledger"]) == number
    events = [row["type"] for row in store.tables["notices"].values()]
    assert events == ["units.expired"] * number + ["quota.depleted"]


def test_lots_that_only_holds_have_are_not_due_however_many_there_are(
    books: Books, store: Recorder
) -> None:
    """The first pages have no other: they are read past."""
    held = [lot(f"h{number:03d}", 0, 1, NOW_EPOCH - 9) for number in range(140)]
    figures = {"remaining": 3, "held": 140, "lots_left": 143, "lots_held": 140}
    balance = keep(store, *held, lot("z", 3, 0, NOW_EPOCH), lots_due=NOW_EPOCH, **figures)
    store.calls = 0
    batch = ExpiredLots.read(books, "alice", balance)
    assert store.calls == 3, "31 rows, then a hundred at a time"
    assert batch.after.remaining == 0
    assert [write.key[1] for write in batch.closing] == [key("z", NOW_EPOCH), "expired:z"]


@pytest.mark.parametrize(("due", "is_due"), [(0, False), (1, True), (NOW_EPOCH, True)])
def test_an_account_is_due_from_the_second_that_its_row_names(due: int, *, is_due: bool) -> None:
    assert lot_expiry.lots_are_due(Balance(lots_due=due), NOW_EPOCH) is is_due
    assert upkeep.is_due(Balance(holds_due=due), NOW_EPOCH) is is_due
    assert upkeep.is_due(Balance(lots_due=due), NOW_EPOCH) is is_due
    assert not upkeep.is_due(Balance(lots_due=NOW_EPOCH + 1, holds_due=NOW_EPOCH + 1), NOW_EPOCH)


def test_a_lot_that_the_ledger_has_booked_goes_without_another_entry(
    books: Books, store: Recorder
) -> None:
    """A restore has put it back: the middle one of three is booked already."""
    lots = [lot(name, 2, 0, NOW_EPOCH) for name in "abc"]
    figures = {"total": 6, "remaining": 6, "lots_left": 6, "lots_due": NOW_EPOCH}
    balance = keep(store, *lots, lots_exact=1, **figures)
    booked = {"user_id": "alice", "entry_id": "expired:b", "units": -2}
    store.tables["ledger"]["alice", "expired:b"] = booked
    lot_expiry.expire_due(books, "alice", balance)
    assert sorted(name for _, name in store.tables["ledger"]) == [
        "expired:a",
        "expired:b",
        "expired:c",
    ]
    assert store.tables["ledger"]["alice", "expired:b"] == booked
    assert Balance.from_item(store.tables["quotas"][ACCOUNT]).remaining == 0


def test_lots_after_those_that_the_ledger_has_booked_go_too(books: Books, store: Recorder) -> None:
    """The first of 31 is booked: its part is written without that entry, and then the next part."""
    figures = {"total": 31, "remaining": 31, "lots_left": 31, "lots_exact": 1}
    balance = keep(store, *due_lots(31), lots_due=NOW_EPOCH, **figures)
    booked = {"user_id": "alice", "entry_id": "expired:0000", "units": -1}
    store.tables["ledger"]["alice", "expired:0000"] = booked
    paused: list[float] = []
    store.deadline = PausedDeadline(paused.append)
    lot_expiry.expire_due(books, "alice", balance)
    assert len(store.tables["ledger"]) == 31
    assert Balance.from_item(store.tables["quotas"][ACCOUNT]).remaining == 0
    assert paused == [], "every part makes progress"


def test_an_expiry_of_an_account_that_has_changed_writes_nothing(
    books: Books, store: Recorder
) -> None:
    """The caller reads again."""
    stale = keep(store, *THREE, **FIGURES)
    keep(store, *THREE, **{**FIGURES, "used": 7, "remaining": 12})
    lot_expiry.expire_due(books, "alice", stale)
    assert store.transactions == []


def test_what_is_due_first_is_handled_first(books: Books, store: Recorder) -> None:
    """A hold that ends with a lot gives its units back before that expires."""
    earlier = Balance(holds_due=5, lots_due=6)
    same = Balance(holds_due=6, lots_due=6)
    later = Balance(holds_due=7, lots_due=6)
    names = [
        type(upkeep.read_expired(books, "alice", one)).__name__
        for one in (earlier, same, later, Balance(holds_due=7), Balance(lots_due=6))
    ]
    assert names == ["ExpiredHolds", "ExpiredHolds", "ExpiredLots", "ExpiredHolds", "ExpiredLots"]
    del store


def test_a_hold_of_the_first_second_of_all_is_handled_first(books: Books) -> None:
    first = Balance(holds_due=1, lots_due=6)
    assert type(upkeep.read_expired(books, "alice", first)).__name__ == "ExpiredHolds"


def test_a_read_lets_go_of_free_units_whose_time_is_over(books: Books, store: Recorder) -> None:
    balance = keep(store, *THREE, **FIGURES)
    found = present.read(books, "alice", balance).as_answer("alice")
    assert (found.total, found.remaining, found.held) == (24, 7, 2)
    quota = lot_listing.read_quota(books, "alice")
    assert quota.expires_next == Expiry(7, from_epoch(NOW_EPOCH + 1))
    assert (quota.total, quota.remaining) == (24, 7)
