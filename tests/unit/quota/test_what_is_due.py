"""Bringing an account up to date, and reading it without: in how many calls, and how much."""

from collections.abc import Callable
from typing import Any

import pytest
from billing.account import lot_listing
from billing.books import Books
from billing.clock import from_epoch
from billing.errors import NotDoneError
from billing.expiry import present, upkeep
from billing.quota import lot_burning
from billing.quota.balance import Balance, Expiry
from support import builders
from support.builders import Still
from support.deadlines import PausedDeadline
from support.fakes.recording_store import Recorder
from support.quota_rows import NOW_EPOCH, keep, lot


@pytest.fixture
def store() -> Recorder:
    """Empty."""
    return Recorder()


@pytest.fixture
def books(store: Recorder) -> Books:
    """On that store; the clock stands."""
    return builders.books_on(store, clock=Still())


def _calls(store: Recorder, act: Callable[[], object]) -> int:
    before = store.calls
    act()
    return store.calls - before


def _hold(store: Recorder, number: int, seconds: int = 0) -> None:
    at = NOW_EPOCH + seconds
    item = f"hold#{at:012d}#{number:016x}"
    row: dict[str, Any] = {"units": 1, "expires_at": at, "open": "open"}
    store.tables["quotas"]["alice", item] = {"user_id": "alice", "item": item, **row}


def _lots(number: int, used: int = 0, seconds: int = 90, apart: int = 1) -> Callable[..., Balance]:
    def kept(store: Recorder, **more: Any) -> Balance:
        lots = [lot(f"{one:03d}", 1, 0, NOW_EPOCH + seconds + one * apart) for one in range(number)]
        figures = {"total": number, "remaining": number - used, "used": used}
        lots_due = NOW_EPOCH + seconds
        both = {"lots_left": number, "lots_due": lots_due, "lots_exact": 1}
        return keep(store, *lots, **{**figures, **both, **more})

    return kept


def test_what_is_seen_to_be_up_to_date_is_not_read_again(books: Books, store: Recorder) -> None:
    seen = _lots(1)(store)
    assert _calls(store, lambda: upkeep.bring_up_to_date(books, "alice", seen)) == 0
    assert _calls(store, lambda: upkeep.bring_up_to_date(books, "alice")) == 1
    assert upkeep.bring_up_to_date(books, "alice") == seen
    assert upkeep.bring_up_to_date(books, "bob") == Balance()


def test_holds_and_lots_that_are_due_are_brought_up_to_date_without_a_pause(
    books: Books, store: Recorder
) -> None:
    """The hold ends first: what it gives back expires with its lot."""
    over, rest = lot("a", 2, 1, NOW_EPOCH), lot("b", 4)
    figures = {"total": 7, "remaining": 6, "held": 1, "lots_left": 7, "lots_held": 1}
    due = {"holds_due": NOW_EPOCH - 1, "holds_placed": 1, "lots_due": NOW_EPOCH}
    seen = keep(store, over, rest, lots_exact=1, **figures, **due)
    _hold(store, 1, -1)
    (name,) = [item for _, item in store.tables["quotas"] if item.startswith("hold#")]
    store.tables["quotas"]["alice", name]["parts"] = {over.key: 1}
    paused: list[float] = []
    store.deadline = PausedDeadline(paused.append)
    now = upkeep.bring_up_to_date(books, "alice", seen)
    assert (now.total, now.remaining, now.held, now.holds_due, now.lots_due) == (4, 4, 0, 0, 0)
    assert (now.lots_left, now.lots_held, paused) == (4, 0, [])
    assert [row["units"] for row in store.tables["ledger"].values()] in ([-3], [-1, -2])


def test_what_cannot_be_brought_up_to_date_in_time_is_busy(books: Books, store: Recorder) -> None:
    seen = _lots(1, seconds=0)(store)
    store.deadline = PausedDeadline()
    store.deadline._paused = 9
    with pytest.raises(NotDoneError):
        upkeep.bring_up_to_date(books, "alice", seen)


@pytest.mark.parametrize(("used", "rows"), [(4, 5), (5, 7)])
def test_lots_to_change_are_read_up_to_those_that_burn_and_one_unit_more(
    books: Books, store: Recorder, used: int, rows: int
) -> None:
    """Five are read at first."""
    seen = _lots(7, used)(store)
    assert len(upkeep.read_to_change(books, "alice").rows) == rows
    assert len(lot_burning.read_burnable(books, "alice", seen).rows) == rows
    last = f"lot#{NOW_EPOCH + 96:012d}"
    assert len(upkeep.read_to_change(books, "alice", through=last).rows) == 7
    assert len(upkeep.read_to_change(books, "alice", 2).rows) == 7


def test_an_account_on_which_nothing_is_due_is_shown_as_it_was_read(
    books: Books, store: Recorder
) -> None:
    exact = _lots(3)(store, holds_due=NOW_EPOCH + 1)
    plain = keep(store, total=5, remaining=5)
    for seen in (exact, plain):
        assert present.read(books, "alice", seen) is seen
    assert store.calls == 0


def test_of_an_account_on_which_much_is_due_all_lots_are_read(
    books: Books, store: Recorder
) -> None:
    _lots(7, seconds=-9)(store)
    quota = lot_listing.read_quota(books, "alice")
    assert (quota.remaining, quota.total, quota.expires_next) == (0, 0, None)


@pytest.mark.parametrize(("number", "calls"), [(3, 3), (7, 4), (105, 4), (106, 5)])
def test_all_lots_of_the_next_second_are_shown_to_expire_together(
    books: Books, store: Recorder, number: int, calls: int
) -> None:
    _lots(number, apart=0)(store)
    before = store.calls
    quota = lot_listing.read_quota(books, "alice")
    assert quota.expires_next == Expiry(number, from_epoch(NOW_EPOCH + 90))
    assert store.calls - before == calls


def test_where_the_first_lots_are_used_up_the_next_ones_are_shown(
    books: Books, store: Recorder
) -> None:
    """And no more lots are read than it takes."""
    _lots(60, used=50)(store)
    assert lot_listing.read_quota(books, "alice").expires_next == Expiry(
        1, from_epoch(NOW_EPOCH + 140)
    )


def test_holds_are_read_where_one_is_due_and_no_others(books: Books, store: Recorder) -> None:
    """Also beside lots that are due."""
    _lots(2, seconds=0, apart=50)(store, held=2, holds_due=NOW_EPOCH, holds_placed=2, remaining=0)
    _hold(store, 1)
    _hold(store, 2, 1)
    assert _calls(store, lambda: lot_listing.read_quota(books, "alice")) == 4
    quota = lot_listing.read_quota(books, "alice")
    assert (quota.held, quota.total) == (1, 2)


def test_lots_that_keep_changing_while_they_are_read_are_busy(store: Recorder) -> None:
    class Restless(Recorder):
        def query(self, *place: Any, **how: Any) -> Any:
            page = super().query(*place, **how)
            self.tables["quotas"]["alice", "quota"]["lots_version"] += 1
            return page

    restless = Restless()
    restless.tables = store.tables
    restless.deadline = PausedDeadline()
    seen = _lots(2)(restless, lots_version=1)
    books = builders.books_on(restless, clock=Still())
    with pytest.raises(NotDoneError):
        present.read_with_lots(books, "alice", seen)
