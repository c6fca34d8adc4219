"""The days and months of keys: what is read of them, and every row that a change of them writes."""

from collections.abc import Mapping
from typing import Any, Final

import pytest
from billing.books import Books
from billing.quota import key_bookmarks, key_days, key_totals
from billing.quota.balance import Balance
from billing.quota.key_bookmarks import Bookmark, Per, Uses
from billing.quota.key_days import RollOver
from billing.quota.key_use import name_of
from billing.quota.key_windows import left_today, used_in, window_began
from billing.quota.movement import Movement
from billing.storage.writes import Must, Write
from support import builders
from support.fakes.memory_store import MemoryStore
from support.key_rows import (
    FREE,
    GONE,
    LIVE,
    LOST,
    PINNED,
    READ,
    TODAY,
    USES,
    account_of_keys,
    folded_total,
    store_of_keys,
    written_uses,
)


@pytest.fixture
def store() -> MemoryStore:
    """With the row of four keys."""
    return store_of_keys()


@pytest.fixture
def books(store: MemoryStore) -> Books:
    """On that store."""
    return builders.books_on(store)


def test_the_row_of_uses_is_read_whole(books: Books) -> None:
    """Attributes of newer versions are none of a key's."""
    assert key_bookmarks.read_uses(books.store, "alice") == READ
    assert key_bookmarks.read_uses(books.store, "bob") == Uses({}, {}, 0)
    assert key_bookmarks.uses_from({"version": 2}) == Uses({}, {}, 2)


def test_an_account_and_its_uses_are_read_with_one_query(books: Books, store: MemoryStore) -> None:
    row = {"user_id": "alice", "item": "quota", "total": 5, "keys_changed": 7}
    store.tables["quotas"]["alice", "quota"] = row
    store.tables["quotas"]["alice", "lot#1"] = {"user_id": "alice", "item": "lot#1"}
    store.tables["quotas"]["alice", "top_up"] = {"user_id": "alice", "item": "top_up"}
    store.tables["quotas"]["alice", "usez"] = {"user_id": "alice", "item": "usez"}
    assert key_bookmarks.read_both(books.store, "alice") == (Balance(total=5, keys_changed=7), READ)
    assert key_bookmarks.read_both(books.store, "bob") == (Balance(), Uses({}, {}))
    assert store.calls == 2


def test_an_account_is_read_past_any_number_of_open_holds(books: Books, store: MemoryStore) -> None:
    """A page has a hundred rows, and theirs sort before the account's."""
    store.tables["quotas"]["alice", "quota"] = {"user_id": "alice", "item": "quota", "total": 5}
    for number in range(101):
        item = f"hold#{number:012d}#00"
        store.tables["quotas"]["alice", item] = {"user_id": "alice", "item": item}
    assert key_bookmarks.read_both(books.store, "alice")[0].total == 5


@pytest.mark.parametrize(("behind", "calls"), [(1, 2), (4, 5), (9, 5)])
def test_an_account_and_uses_of_two_moments_are_read_again_five_times_at_most(
    store: MemoryStore, behind: int, calls: int
) -> None:
    class Behind(MemoryStore):
        def query(self, *place: Any, **how: Any) -> Any:
            page = super().query(*place, **how)
            if self.calls <= behind:
                page.items[0]["keys_changed"] = 6
            return page

    late = Behind()
    late.tables = store.tables
    row = {"user_id": "alice", "item": "quota", "keys_changed": 7}
    store.tables["quotas"]["alice", "quota"] = row
    balance, uses = key_bookmarks.read_both(late, "alice")  # type: ignore[arg-type]
    assert (balance.keys_changed, uses) == (7 if behind < 5 else 6, READ)
    assert late.calls == calls


def test_names_are_kept_in_rows_of_their_user() -> None:
    assert key_totals.name_row("alice", "R6Cr") == ("user#alice", "name#R6Cr")
    assert key_totals.user_of("user#alice") == "alice"


def test_bookmarks_are_written_without_their_zeros() -> None:
    live = {"R6Cr": Bookmark(LIVE, "day", 10, 4, 1), "bJqv": Bookmark(FREE)}
    assert key_bookmarks.write_uses("alice", live) == written_uses(
        {
            "kR6Cr": {"key_id": LIVE, "per": "day", "day": 10, "month": 4, "more": 1},
            "kbJqv": {"key_id": FREE},
        }
    )
    gone = key_bookmarks.write_uses(
        "alice", {}, {"AAAA": Bookmark("key_a", more=9)}, ("R6Cr", "-lpp")
    )
    kept = {"revoked": {"AAAA": {"key_id": "key_a", "more": 9}}}
    assert gone == written_uses(kept, ("kR6Cr", "k-lpp"))
    assert key_bookmarks.write_uses("alice", {}, {}) == written_uses({"revoked": {}})


def test_a_write_that_depends_on_what_was_read_of_keys_demands_it() -> None:
    assert key_bookmarks.pin(Balance(keys_changed=7)) == Must("keys_changed", "==", 7)
    assert key_bookmarks.pin(Balance()) == Must("keys_changed", "absent")
    assert key_bookmarks.BUMP == {"keys_changed": 1}


@pytest.mark.parametrize(
    ("use_day", "today", "begun"),
    [
        ("", "2026-02-01", ()),
        ("2026-02-01", "2026-02-01", ()),
        ("2026-02-02", "2026-02-01", ()),
        ("2026-01-30", "2026-01-31", ("day",)),
        ("2026-01-31", "2026-02-01", ("day", "month")),
        ("2026-12-31", "2027-01-01", ("day", "month")),
        ("2026-01-09", "2026-01-10", ("day",)),
        ("2026-09-30", "2026-10-01", ("day", "month")),
    ],
)
def test_windows_begin_with_their_day_and_month_and_a_total_never(
    use_day: str, today: str, begun: tuple[str, ...]
) -> None:
    windows: tuple[Per, ...] = ("day", "month", "total")
    assert tuple(per for per in windows if window_began(per, use_day, today)) == begun


MARK: Final = Bookmark(LIVE, "day", 10, 4)


@pytest.mark.parametrize(
    ("use_day", "today", "units"),
    [
        ("2026-01-31", "2026-01-31", (6, 12, 16)),
        ("2026-01-30", "2026-01-31", (0, 12, 16)),
        ("2026-01-31", "2026-02-01", (0, 0, 16)),
    ],
)
def test_what_a_key_used_is_counted_from_the_begin_of_each_window(
    use_day: str, today: str, units: tuple[int, int, int]
) -> None:
    balance = account_of_keys(use_day=use_day)
    windows: tuple[Per, ...] = ("day", "month", "total")
    assert tuple(used_in(per, balance, MARK, "R6Cr", today) for per in windows) == units
    assert used_in("total", balance, Bookmark(LOST), "-lpp", today) == 0


@pytest.mark.parametrize(
    ("per", "today", "units"),
    [
        ("day", "2026-01-31", 4),
        ("day", "2026-02-01", 10),
        ("month", "2026-01-31", 4),
        ("month", "2026-02-01", 16),
        ("total", "2026-02-01", 4),
        (None, "2026-02-01", 4),
    ],
)
def test_a_window_that_is_over_gives_its_use_back_at_the_next_look(
    per: Per | None, today: str, units: int
) -> None:
    assert left_today(account_of_keys(), Bookmark(LIVE, per, 10, 4), "R6Cr", today) == units


def test_without_a_limit_nothing_of_it_is_left() -> None:
    assert left_today(account_of_keys(), Bookmark(FREE, "day"), "bJqv", TODAY) is None
    assert left_today(account_of_keys(), Bookmark(LOST, "day"), "-lpp", TODAY) is None


def test_the_use_that_no_entry_shows_is_that_of_live_and_revoked_keys() -> None:
    """Those that used nothing are not among them."""
    assert key_days.not_itemised(account_of_keys(), READ) == {
        "key_a": 9,
        LIVE: 1 + 16 - 10,
        GONE: 2 + 25 - 20,
        LOST: 3,
        FREE: 8,
    }
    idle = Uses({"R6Cr": Bookmark(LIVE, "day", 16)}, {"AAAA": Bookmark("key_a")})
    assert key_days.not_itemised(account_of_keys(), idle) == {}


def test_a_day_that_is_booked_begins_anew_for_every_key(books: Books) -> None:
    """What was used of a window that is over comes back, and the revoked key is put away."""
    rolled = key_days.roll_over(books.store, "alice", account_of_keys(), TODAY, is_booked=True)
    row = written_uses(
        {
            "kR6Cr": {"key_id": LIVE, "per": "day", "day": 16, "month": 16},
            "kbJqv": {"key_id": FREE, "day": 8, "month": 8},
            "k-lpp": {"key_id": LOST},
            "revoked": {},
        },
        ("kWTEj",),
    )
    assert rolled == RollOver(
        Movement({"rR6Cr": 6, "rbJqv": 8, "keys_changed": 1}, PINNED),
        ("xWTEj",),
        (row, folded_total("WTEj", GONE, 25)),
        {"key_a": 9, LIVE: 7, GONE: 7, LOST: 3, FREE: 8},
    )


def test_a_day_that_is_not_booked_keeps_its_use_for_the_next_entry(books: Books) -> None:
    """Within a month, the use of the month goes on."""
    account = account_of_keys(use_day="2026-01-30")
    rolled = key_days.roll_over(books.store, "alice", account, "2026-01-31", is_booked=False)
    row = written_uses(
        {
            "kR6Cr": {"key_id": LIVE, "per": "day", "day": 16, "month": 4, "more": 7},
            "kbJqv": {"key_id": FREE, "day": 8, "more": 8},
            "k-lpp": {"key_id": LOST, "more": 3},
            "revoked": {
                "WTEj": {"key_id": GONE, "more": 7},
                "AAAA": {"key_id": "key_a", "more": 9},
            },
        },
        ("kWTEj",),
    )
    assert rolled == RollOver(
        Movement({"rR6Cr": 6, "rbJqv": 8, "keys_changed": 1}, PINNED),
        ("xWTEj",),
        (row, folded_total("WTEj", GONE, 25)),
        {},
    )


@pytest.mark.parametrize(
    ("per", "use_day", "today", "back"),
    [
        ("day", "2026-01-31", "2026-01-31", {}),
        ("day", "2026-01-30", "2026-01-31", {"rR6Cr": 6}),
        ("month", "2026-01-30", "2026-01-31", {}),
        ("month", "2026-01-31", "2026-02-01", {"rR6Cr": 12}),
        ("total", "2026-01-31", "2026-02-01", {}),
        (None, "2026-01-30", "2026-01-31", {"rR6Cr": 6}),
    ],
)
def test_a_limit_gets_back_what_was_used_in_its_own_window(
    store: MemoryStore, per: Per | None, use_day: str, today: str, back: Mapping[str, int]
) -> None:
    row = {**USES, "kR6Cr": {"key_id": LIVE, "day": 10, "month": 4, "per": per}}
    for name in ("kWTEj", "k-lpp", "kbJqv"):
        del row[name]
    store.tables["quotas"]["alice", "uses"] = row
    account = account_of_keys(use_day=use_day, keys={"uR6Cr": 16, "rR6Cr": 4})
    table: Any = store
    rolled = key_days.roll_over(table, "alice", account, today, is_booked=True)
    assert rolled.movement.add == {**back, "keys_changed": 1}


def test_a_limit_of_which_nothing_was_used_gets_nothing_back(store: MemoryStore) -> None:
    """Nor does a key whose limit's counter a restore has lost."""
    store.tables["quotas"]["alice", "uses"] = {
        "kR6Cr": {"key_id": LIVE, "day": 16, "per": "day"},
        "kWTEj": {"key_id": GONE, "day": 1, "per": "day"},
    }
    account = account_of_keys(keys={"uR6Cr": 16, "rR6Cr": 4, "uWTEj": 5})
    table: Any = store
    rolled = key_days.roll_over(table, "alice", account, TODAY, is_booked=True)
    assert rolled.movement == Movement({"keys_changed": 1}, PINNED)
    assert rolled.by_key == {GONE: 4}


def test_an_account_that_never_had_a_key_begins_its_day_without_a_read(
    books: Books, store: MemoryStore
) -> None:
    account = Balance(use_day="2026-01-31")
    rolled = key_days.roll_over(books.store, "alice", account, TODAY, is_booked=True)
    assert rolled == RollOver(Movement({}), (), (), {})
    assert store.calls == 0


def test_ninety_revoked_keys_are_put_away_with_one_day_and_the_rest_with_the_next(
    store: MemoryStore,
) -> None:
    """DynamoDB takes 100 writes. Those that wait begin their day at what they have."""
    ids = {name_of(f"key_{number}"): f"key_{number}" for number in range(92)}
    names = list(ids)
    marks = {f"k{name}": {"key_id": ids[name], "day": 1} for name in names}
    store.tables["quotas"]["alice", "uses"] = {"version": 7, **marks}
    account = account_of_keys(keys={f"x{name}": 3 for name in names})
    table: Any = store
    rolled = key_days.roll_over(table, "alice", account, TODAY, is_booked=True)
    row, *folded = rolled.writes
    assert rolled.remove == tuple(f"x{name}" for name in names[:90])
    assert folded == [folded_total(name, ids[name], 3) for name in names[:90]]
    assert row == written_uses(
        {
            f"k{names[90]}": {"key_id": "key_90", "day": 3},
            f"k{names[91]}": {"key_id": "key_91", "day": 3},
            "revoked": {},
        },
        tuple(f"k{name}" for name in names[:90]),
    )
    assert rolled.by_key == {f"key_{number}": 2 for number in range(92)}


def test_the_changes_of_keys_stand_beside_the_rest_of_the_accounts_write() -> None:
    rolled = RollOver(Movement({"rR6Cr": 6}, PINNED), ("xWTEj",), (), {})
    seen = Must("used", "==", 1)
    key = ("alice", "quota")
    account = Write(
        "quotas", key, set={"use_day": TODAY}, add={"told": 1}, remove=("held",), must=(seen,)
    )
    assert rolled.onto(account) == Write(
        "quotas",
        key,
        set={"use_day": TODAY},
        add={"told": 1, "rR6Cr": 6},
        remove=("held", "xWTEj"),
        must=(seen, *PINNED),
    )
