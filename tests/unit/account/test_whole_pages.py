"""Whole pages of a ledger, the customer's threshold, and reminders of units that will expire."""

import base64
import json
from typing import Any, Final

import pytest
from billing.account import alert, history, lot_reminders
from billing.account.alert import Alert
from billing.books import Books
from billing.errors import BillingError
from billing.lots.lot import Lot
from billing.quota import ledger
from billing.quota.ledger import Entry
from billing.settings import Telling
from billing.storage.writes import Must, Write
from support import builders
from support.builders import Still
from support.fakes.recording_store import Recorder
from support.quota_rows import ACCOUNT, NOW, NOW_EPOCH, keep, key, lot

DAY: Final = 86_400


@pytest.fixture
def store() -> Recorder:
    """Empty."""
    return Recorder()


@pytest.fixture
def books(store: Recorder) -> Books:
    """Events go out; the clock stands."""
    return builders.books_on(store, clock=Still(), telling=Telling(is_on=True, low_at=5))


def _at(minute: int) -> str:
    return f"2026-01-02T03:{minute:02d}:00.000000Z"


def _book(store: Recorder, minute: int, units: int, **more: Any) -> None:
    name = f"entry:{minute}"
    store.tables["ledger"]["alice", name] = {
        "user_id": "alice",
        "entry_id": name,
        "type": "funded",
        "units": units,
        "reference_type": "payment",
        "reference_id": f"cs_{minute}",
        "booked_at": _at(minute),
        "note": "only kept",
        **more,
    }


def _account(store: Recorder, **figures: Any) -> None:
    store.tables["quotas"][ACCOUNT] = {"user_id": "alice", "item": "quota", **figures}


def _shown(minute: int, units: int, balance: int, **more: Any) -> dict[str, Any]:
    return {
        "id": f"entry:{minute}",
        "type": "funded",
        "units": units,
        "balance_after": balance,
        "reference_type": "payment",
        "reference_id": f"cs_{minute}",
        "booked_at": _at(minute),
        **more,
    }


def test_an_account_without_entries_has_one_empty_page(books: Books) -> None:
    assert history.entries(books, "alice", 20, "") == {"entries": [], "next_cursor": None}


def test_pages_show_every_member_of_an_entry_and_where_the_next_begins(
    books: Books, store: Recorder
) -> None:
    _account(store, total=60, used=20, itemised=13, use_day="2026-01-02", booked_at=_at(3))
    _book(store, 1, 10)
    _book(store, 2, 50)
    _book(store, 3, -13, by_key={"key_a": 13})
    first = history.entries(books, "alice", 2, "")
    assert first == {
        "entries": [_shown(3, -13, 47, by_key={"key_a": 13}), _shown(2, 50, 60)],
        "next_cursor": first["next_cursor"],
        "not_itemised": {"day": "2026-01-02", "units": 7},
    }
    text = first["next_cursor"]
    place = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    assert place == {
        "entry_id": "entry:2",
        "booked_at": _at(2),
        "balance": 10,
        "last": _at(3),
    }
    store.queries.clear()
    second = history.entries(books, "alice", 2, text)
    assert second == {"entries": [_shown(1, 10, 10)], "next_cursor": None}
    after = {"user_id": "alice", "entry_id": "entry:2", "booked_at": _at(2)}
    assert [how["after"] for how in store.queries] == [after], (
        "with every part of the key that DynamoDB asks for"
    )


def test_a_sum_that_is_stale_is_computed_again_from_the_newest_entry_on(
    books: Books, store: Recorder
) -> None:
    """However many entries there are: those at the place and before it are counted once."""
    _account(store, total=205, booked_at="later")
    for minute in range(40):
        _book(store, minute, 1)
    for number in range(165):
        name = f"late:{number:03d}"
        _book(store, 50, 1, entry_id=name)
        rows = store.tables["ledger"]
        rows["alice", name] = rows.pop(("alice", "entry:50"))
    stale = {"entry_id": "entry:30", "booked_at": _at(30), "balance": 999, "last": "before"}
    page = history.entries(books, "alice", 3, _sealed(stale))
    assert [one["balance_after"] for one in page["entries"]] == [30, 29, 28]
    gone = {**stale, "entry_id": "gone", "booked_at": "2026-01-02T03:30:30.000000Z"}
    page = history.entries(books, "alice", 3, _sealed(gone))
    assert [one["balance_after"] for one in page["entries"]] == [31, 30, 29]
    oldest = {**stale, "entry_id": "gone", "booked_at": "2025"}
    assert history.entries(books, "alice", 3, _sealed(oldest))["entries"] == []


def _sealed(place: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode().rstrip("=")


@pytest.mark.parametrize("balance", [2**53 - 1, 1 - 2**53])
def test_a_sum_is_carried_up_to_what_json_carries_exactly(books: Books, balance: int) -> None:
    place = {"entry_id": "x", "booked_at": "y", "balance": balance, "last": "never"}
    assert history.entries(books, "alice", 3, _sealed(place))["entries"] == []
    place["balance"] = 2**53 if balance > 0 else -(2**53)
    with pytest.raises(BillingError, match="invalid_request"):
        history.entries(books, "alice", 3, _sealed(place))


def test_a_days_use_that_is_no_entry_yet_is_shown_for_each_key(
    books: Books, store: Recorder
) -> None:
    _account(store, used=9, itemised=2, use_day="2026-01-02", keys_changed=1, uR6Cr=5)
    uses = {"kR6Cr": {"key_id": "key_a", "day": 1}, "version": 1}
    store.tables["quotas"]["alice", "uses"] = {"user_id": "alice", "item": "uses", **uses}
    rest = {"day": "2026-01-02", "units": 7, "by_key": {"key_a": 4}}
    assert history.entries(books, "alice", 3, "")["not_itemised"] == rest
    store.tables["quotas"]["alice", "uses"]["kR6Cr"]["day"] = 5
    rest = {"day": "2026-01-02", "units": 7}
    assert history.entries(books, "alice", 3, "")["not_itemised"] == rest
    _account(store, used=9, itemised=9, keys_changed=1)
    assert "not_itemised" not in history.entries(books, "alice", 3, "")


ENTRY: Final = {
    "type": "expired",
    "units": -4,
    "reference_type": "lot",
    "reference_id": "l",
    "booked_at": NOW,
}


@pytest.mark.parametrize(
    "more", [{}, {"note": "why"}, {"expired": 2}, {"expired": -2}, {"by_key": {"key_a": 4}}]
)
def test_an_entry_is_written_once_with_what_it_has(more: dict[str, Any]) -> None:
    entry = Entry("alice", "expired:l", "expired", -4, "lot", "l", NOW, **more)
    must = (Must("user_id", "absent"),)
    assert entry.write() == Write(
        "ledger", ("alice", "expired:l"), set={**ENTRY, **more}, must=must
    )


def test_the_id_of_an_entry_names_its_cause() -> None:
    payment = builders.pending(builders.books_on(Recorder()), payment_id="pay_1")
    assert ledger.funded_id("cs_1") == "funded:cs_1"
    assert ledger.reversal_id(payment) == "reversal:pay_1:0"
    assert ledger.write_off_id(payment) == "adjusted:pay_1:0"
    assert ledger.expired_id("grant:g") == "expired:grant:g"
    assert ledger.expired_in_hold_id("grant:g", "hold#7") == "expired:grant:g:hold#7"


def test_reversals_that_the_ledger_has_are_known_again_with_all_their_figures(
    books: Books, store: Recorder
) -> None:
    """A clawback of which two units had expired, one that was written off in part, a return."""
    payment = builders.pending(books, payment_id="pay_1")
    rows = {
        "reversal:pay_1:1": {"units": -8, "expired": 2},
        "reversal:pay_1:2": {"units": -10},
        "adjusted:pay_1:2": {"units": 3},
        "reversal:pay_1:3": {"units": 4, "expired": -1},
        "adjusted:pay_1:4": {"units": 99},
        "reversal:pay_1:5": {"units": -99},
    }
    for name, row in rows.items():
        store.tables["ledger"]["alice", name] = {"user_id": "alice", "entry_id": name, **row}
    found = ledger.with_all_booked(books.store, payment)
    figures = (found.movements, found.units_clawed_back, found.units_expired)
    assert (*figures, found.units_written_off) == (3, 15, 1, 3)
    assert ledger.with_all_booked(books.store, found) == found


def test_a_customers_own_threshold_is_told_from_the_sellers(books: Books, store: Recorder) -> None:
    assert alert.read(books, "alice") == Alert(5, is_default=True)
    assert alert.change(books, "alice", 0) == Alert(0, is_default=False)
    assert alert.read(books, "alice") == Alert(0, is_default=False)
    assert alert.change(books, "alice", 10**9) == Alert(10**9, is_default=False)
    assert store.tables["quotas"][ACCOUNT] == {
        "user_id": "alice",
        "item": "quota",
        "low_at": 10**9,
    }
    assert alert.change(books, "alice", None) == Alert(5, is_default=True)
    assert "low_at" not in store.tables["quotas"][ACCOUNT]


def test_lots_are_looked_for_a_week_and_a_day_ahead_where_events_go_out(books: Books) -> None:
    marks = [("open", 0), ("expires_7", 604_800), ("expires_1", 86_400)]
    assert list(lot_reminders.marks(books)) == marks
    silent = builders.books_on(Recorder())
    at_their_end = [("open", 0), ("expires_7", 0), ("expires_1", 0)]
    assert list(lot_reminders.marks(silent)) == at_their_end


def _soon(name: str, seconds: int, free: int = 1, held: int = 0, told: int = 0) -> Lot:
    return lot(name, free, held, NOW_EPOCH + seconds, reminded=told)


def test_reminders_are_one_transaction_with_an_event_for_each_lot_that_is_due(
    books: Books, store: Recorder
) -> None:
    """Those that are told already, empty or later are none of them. It books nothing."""
    lots = (
        _soon("a", DAY - 1, told=1),
        _soon("b", DAY, told=2),
        _soon("c", DAY + 1, told=1),
        _soon("d", 7 * DAY, free=4, held=2),
        _soon("e", 7 * DAY, free=0, held=2),
        _soon("f", 7 * DAY + 1),
        lot("g", 9),
    )
    figures = {"remaining": 17, "held": 4, "lots_left": 21, "lots_held": 4, "lots_exact": 1}
    keep(store, *lots, lots_due=NOW_EPOCH + DAY - 1, told=6, **figures)
    lot_reminders.tell_of_expiry(books, "alice")
    ((account, first, second, *rows),) = store.transactions
    assert account == Write(
        "quotas",
        ACCOUNT,
        set={"updated_at": NOW, "lots_due": NOW_EPOCH + DAY - 1},
        add={"lots_version": 1, "told": 2},
        must=(Must("lots_version", "==", 0, or_absent=True), Must("told", "==", 6)),
    )
    told = [(one.set["type"], one.set["sequence"], one.set["data"]) for one in (first, second)]
    assert told == [
        ("units.expiring", 7, _lot("a", 1, DAY - 1)),
        ("units.expiring", 8, _lot("d", 6, 7 * DAY)),
    ]
    assert [(row.key[1], dict(row.set)) for row in rows] == [
        (key("a", NOW_EPOCH + DAY - 1), {"reminded": 2, "open": "open"}),
        (key("d", NOW_EPOCH + 7 * DAY), {"reminded": 1, "open": "expires_1"}),
    ]


def _lot(name: str, left: int, seconds: int) -> dict[str, Any]:
    ends = {DAY - 1: "2026-01-03T03:04:04.000000Z", 7 * DAY: "2026-01-09T03:04:05.000000Z"}
    return {
        "lot_id": name,
        "source": "grant",
        "units": 20,
        "left": left,
        "expires_at": ends[seconds],
        "reference_id": name,
    }


@pytest.mark.parametrize(("number", "parts"), [(20, [20]), (21, [20, 1])])
def test_twenty_lots_are_told_of_at_once(
    books: Books, store: Recorder, number: int, parts: list[int]
) -> None:
    lots = [_soon(f"{one:03d}", DAY, told=1) for one in range(number)]
    keep(store, *lots, remaining=number, lots_left=number, lots_exact=1)
    lot_reminders.tell_of_expiry(books, "alice")
    assert [(len(writes) - 1) // 2 for writes in store.transactions] == parts


def test_what_was_used_of_lots_is_burned_before_they_are_told_of(
    books: Books, store: Recorder
) -> None:
    """Of the first nothing is left, so that it is not told of; of the second it tells the rest."""
    lots = (_soon("a", DAY, free=2, told=1), _soon("b", 7 * DAY, free=7))
    figures = {"remaining": 6, "used": 3, "lots_left": 9, "lots_exact": 1}
    keep(store, *lots, lots_due=NOW_EPOCH + DAY, **figures)
    lot_reminders.tell_of_expiry(books, "alice")
    ((account, event, *rows),) = store.transactions
    assert account.add == {"lots_left": -3, "lots_used": 3, "lots_version": 1, "told": 1}
    assert account.set["lots_due"] == NOW_EPOCH + 7 * DAY
    assert event.set["data"] == _lot("b", 6, 7 * DAY)
    assert [row.delete for row in rows] == [True, False]


def test_lots_that_change_while_they_are_told_of_are_told_of_as_they_are_then(
    books: Books, store: Recorder
) -> None:
    """Once, with what is left after the other container's debit."""
    mine = (_soon("a", DAY, free=3, told=1), _soon("b", 7 * DAY, free=7))
    keep(store, *mine, remaining=10, lots_left=10, lots_exact=1, lots_version=4)

    def meddle() -> None:
        taken = _soon("a", DAY, free=1, told=1)
        keep(store, taken, remaining=8, used=2, lots_used=2, lots_left=8, lots_version=5)

    store.before = [meddle]
    lot_reminders.tell_of_expiry(books, "alice")
    told = [row["data"]["left"] for row in store.tables["notices"].values()]
    assert told == [1, 7]


def test_an_account_of_which_nothing_is_to_be_told_is_left_as_it_is(
    books: Books, store: Recorder
) -> None:
    keep(store, _soon("a", 7 * DAY + 1), remaining=1, lots_left=1, lots_exact=1)
    lot_reminders.tell_of_expiry(books, "alice")
    assert store.transactions == []
