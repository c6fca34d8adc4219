"""Every row that a grant, its voiding and a welcome write, whole, and what each of them tells."""

from typing import Any, Final

import pytest
from billing.books import Books
from billing.grants import api, welcome
from billing.grants.booking import book
from billing.grants.grant import Grant
from billing.payments.plan import Welcome
from billing.settings import Telling
from billing.spending import debits
from billing.spending.meter import Meter
from billing.storage.writes import Table
from support import builders
from support.fakes.memory_store import MemoryStore

NOW: Final = 1_767_323_045
"""2026-01-02T03:04:05Z, where the clock begins: a microsecond passes with every look."""
DAY: Final = 86_400
EXPIRY: Final = NOW + 40 * DAY
LOT: Final = f"lot#00{EXPIRY}#0#1767323045000001#grant:T-1"
FREE: Final = Welcome(3, needs_verified_email=False, daily_max=2, expires_after_days=7)


@pytest.fixture
def books() -> Books:
    """Empty books. Events go out, and 10 units are few."""
    return builders.books_on(MemoryStore(), telling=Telling(is_on=True, low_at=10))


def _owned(books: Books, table: Table, owner: str) -> dict[str, dict[str, Any]]:
    """An owner's rows by their second key, without the keys themselves."""
    names = {"quotas": ("user_id", "item"), "ledger": ("user_id", "entry_id")}[table]
    rows = {}
    for row in books.store.pages(table, owner):
        assert row.pop(names[0]) == owner
        rows[row.pop(names[1])] = row
    return rows


def _told(books: Books, user_id: str) -> list[tuple[int, str, dict[str, Any]]]:
    rows = books.store.pages("notices", user_id)
    return [(row["sequence"], row["type"], row["data"]) for row in rows]


def _give(books: Books, grant_id: str = "T-1", units: int = 8, expires_at: int = 0) -> Grant:
    grant = Grant(grant_id, "alice", units, "sorry", expires_at)
    book(books, grant)
    return grant


def _spend(books: Books, units: int) -> None:
    debits.debit(Meter(books, ""), "alice", units)


def test_a_grant_writes_its_entry_its_row_the_account_the_lot_and_an_event(books: Books) -> None:
    grant = Grant("T-1", "alice", 8, "sorry", EXPIRY)
    assert book(books, grant) == {
        "status": "granted",
        "grant_id": "T-1",
        "user_id": "alice",
        "units": 8,
        "expires_at": "2026-02-11T03:04:05.000000Z",
        "remaining": 8,
        "debt": 0,
    }
    moment = "2026-01-02T03:04:05.000001Z"
    assert _owned(books, "ledger", "alice") == {
        "grant:T-1": {
            "type": "granted",
            "units": 8,
            "reference_type": "grant",
            "reference_id": "T-1",
            "note": "sorry",
            "booked_at": moment,
        }
    }
    lot = {
        "lot_id": "grant:T-1",
        "source": "grant",
        "units": 8,
        "free": 8,
        "held": 0,
        "expires_at": EXPIRY,
        "created_us": 1_767_323_045_000_001,
        "reference_id": "T-1",
        "open": "expires_7",
    }
    account = {
        "remaining": 8,
        "total": 8,
        "updated_at": moment,
        "booked_at": moment,
        "lots_left": 8,
        "lots_due": EXPIRY,
        "lots_exact": 1,
        "lots_version": 1,
        "told": 1,
    }
    assert _owned(books, "quotas", "alice") == {LOT: lot, "quota": account}
    assert _owned(books, "quotas", "grant#T-1") == {
        "grant": {
            "customer": "alice",
            "body": grant.body,
            "lot": LOT,
            "answer": {
                "grant_id": "T-1",
                "units": 8,
                "expires_at": "2026-02-11T03:04:05.000000Z",
                "remaining": 8,
                "debt": 0,
            },
        }
    }
    shown = {
        "lot_id": "grant:T-1",
        "source": "grant",
        "units": 8,
        "left": 8,
        "expires_at": "2026-02-11T03:04:05.000000Z",
        "reference_id": "T-1",
    }
    assert _told(books, "alice") == [(1, "units.granted", shown)]


def test_what_is_taken_from_a_customer_burns_lots_later_and_tells_of_its_crossing(
    books: Books,
) -> None:
    """As a debit does: the soonest expiry first, by the next write that changes lots."""
    _give(books, "T-1", 12, EXPIRY)
    lots = _owned(books, "quotas", "alice")[LOT]
    taken = book(books, Grant("T-2", "alice", -5, "too much"))
    assert taken == {
        "status": "granted",
        "grant_id": "T-2",
        "user_id": "alice",
        "units": -5,
        "remaining": 7,
        "debt": 0,
    }
    entry = _owned(books, "ledger", "alice")["grant:T-2"]
    moment = entry.pop("booked_at")
    assert entry == {
        "type": "adjusted",
        "units": -5,
        "reference_type": "grant",
        "reference_id": "T-2",
        "note": "too much",
    }
    rows = _owned(books, "quotas", "alice")
    assert rows[LOT] == lots
    assert rows["quota"] == {
        "remaining": 7,
        "total": 7,
        "updated_at": moment,
        "booked_at": moment,
        "lots_left": 12,
        "lots_due": EXPIRY,
        "lots_exact": 1,
        "lots_used": -5,
        "lots_version": 1,
        "low_told": True,
        "told": 2,
    }
    quota = {
        "user_id": "alice",
        "total": 7,
        "used": 0,
        "held": 0,
        "remaining": 7,
        "debt": 0,
        "updated_at": moment,
        "expires_next": None,
    }
    (_, (number, kind, data)) = _told(books, "alice")
    data.pop("expires_next")
    quota.pop("expires_next")
    assert (number, kind, data) == (2, "quota.low", quota)


def test_a_grant_that_lifts_an_account_out_of_low_tells_so_and_taking_never_does(
    books: Books,
) -> None:
    """Once: until it has been low again."""
    _give(books, "T-1", 12)
    _spend(books, 5)
    _give(books, "T-2", 3)
    _give(books, "T-3", 1)
    book(books, Grant("T-4", "alice", -1, "too much"))
    kinds = [kind for _, kind, _ in _told(books, "alice")]
    assert kinds == [
        "units.granted",
        "quota.low",
        "units.granted",
        "quota.recovered",
        "units.granted",
    ]


def test_voiding_takes_the_lot_away_and_writes_how_much_it_took(books: Books) -> None:
    """The other lot pays what was used after the soonest-expiring one is gone."""
    _give(books, "T-1", 8, EXPIRY)
    _spend(books, 2)
    _give(books, "T-2", 12)
    grant_row = _owned(books, "quotas", "grant#T-1")["grant"]
    assert api.void(books, "T-1") == {"units": 6}
    assert _owned(books, "quotas", "grant#T-1") == {"grant": {**grant_row, "voided": 6}}
    entry = _owned(books, "ledger", "alice")["voided:T-1"]
    moment = entry.pop("booked_at")
    assert entry == {
        "type": "adjusted",
        "units": -6,
        "reference_type": "grant",
        "reference_id": "T-1",
    }
    rows = _owned(books, "quotas", "alice")
    account = rows.pop("quota")
    assert [(row["lot_id"], row["free"]) for row in rows.values()] == [("grant:T-2", 12)]
    names = ("remaining", "total", "used", "updated_at", "booked_at", "lots_left", "lots_version")
    assert [account[name] for name in names] == [12, 14, 2, moment, moment, 12, 3]
    assert "lots_due" not in account
    after = _everything(books)
    assert api.void(books, "T-1") == {"units": 6}
    assert _everything(books) == after


def _everything(books: Books) -> Any:
    store: Any = books.store
    return {table: dict(rows) for table, rows in store.tables.items()}


def test_voiding_what_is_used_up_takes_nothing_and_books_nothing(books: Books) -> None:
    """It is voided all the same: a repeat says so."""
    _give(books, "T-1", 8)
    _spend(books, 8)
    account = _owned(books, "quotas", "alice")["quota"]
    assert [api.void(books, "T-1") for _ in range(2)] == [{"units": 0}] * 2
    assert set(_owned(books, "ledger", "alice")) == {"grant:T-1"}
    assert _owned(books, "quotas", "grant#T-1")["grant"]["voided"] == 0
    after = _owned(books, "quotas", "alice")["quota"]
    names = ("remaining", "total", "booked_at")
    assert [after[name] for name in names] == [0, 8, account["booked_at"]]
    assert after["updated_at"] > account["updated_at"]


def test_voiding_tells_the_thresholds_that_it_crosses(books: Books) -> None:
    """Below ten, and to zero."""
    _give(books, "T-1", 5)
    _give(books, "T-2", 7)
    for grant_id in ("T-1", "T-2"):
        api.void(books, grant_id)
    kinds = [kind for _, kind, _ in _told(books, "alice")]
    assert kinds == ["units.granted", "units.granted", "quota.low", "quota.depleted"]


def test_a_welcome_writes_the_customers_row_and_counts_the_day(books: Books) -> None:
    """Its units live seven days, to the end of the last second."""
    given = welcome.claim(books, "bob", FREE, {})
    expires = NOW + 7 * DAY + 1
    answer = {
        "grant_id": "welcome",
        "units": 3,
        "expires_at": "2026-01-09T03:04:06.000000Z",
        "remaining": 3,
        "debt": 0,
    }
    assert given == (answer, True)
    rows = _owned(books, "quotas", "bob")
    lot = next(name for name in rows if name.startswith("lot#"))
    assert rows["welcome"] == {
        "customer": "bob",
        "body": rows["welcome"]["body"],
        "lot": lot,
        "answer": answer,
    }
    assert (rows[lot]["source"], rows[lot]["lot_id"], rows[lot]["expires_at"]) == (
        "welcome",
        "welcome",
        expires,
    )
    entry = _owned(books, "ledger", "bob")["welcome"]
    del entry["booked_at"]
    assert entry == {
        "type": "granted",
        "units": 3,
        "reference_type": "welcome",
        "reference_id": "welcome",
        "note": "the welcome of the catalogue",
    }
    counter = {"given": {"given": 1, "ttl": NOW + 30 * DAY}}
    assert _owned(books, "quotas", "welcome#2026-01-02") == counter
    welcome.claim(books, "carol", FREE, {})
    assert _owned(books, "quotas", "welcome#2026-01-02")["given"]["given"] == 2


def test_a_welcome_without_a_term_never_expires(books: Books) -> None:
    given = welcome.claim(books, "bob", Welcome(3, needs_verified_email=False, daily_max=2), {})
    assert given.answer["expires_at"] is None
