"""Revoked keys that are put away, and captures that count for the key of their hold."""

from typing import Any

import pytest
from billing.books import Books
from billing.quota import key_totals
from billing.quota.key_totals import Captured
from billing.quota.movement import Movement
from billing.storage.writes import Must, Write
from support import builders
from support.fakes.memory_store import MemoryStore
from support.key_rows import (
    FREE,
    GONE,
    KEYS,
    LIVE,
    LOST,
    PINNED,
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


def _row(store: MemoryStore, **members: Any) -> None:
    row = {"user_id": "alice", "item": "quota", "keys_changed": 7, **KEYS, **members}
    store.tables["quotas"]["alice", "quota"] = row


def test_a_revoked_keys_total_is_put_away_in_one_transaction(
    books: Books, store: MemoryStore
) -> None:
    """Its use that no entry shows waits among the revoked."""
    _row(store)
    account, row, kept = key_totals.fold(books.store, "alice", GONE)
    assert account == Write(
        "quotas",
        ("alice", "quota"),
        add={"keys_changed": 1},
        remove=("xWTEj",),
        must=(*PINNED, Must("xWTEj", "==", 25)),
    )
    waiting = {
        "AAAA": {"key_id": "key_a", "more": 9},
        "WTEj": {"key_id": GONE, "more": 7},
    }
    assert row == written_uses({"revoked": waiting}, ("kWTEj",))
    assert kept == folded_total("WTEj", GONE, 25)


def test_a_revoked_key_whose_use_is_booked_does_not_wait(books: Books, store: MemoryStore) -> None:
    _row(store, xWTEj=18)
    _, row, kept = key_totals.fold(books.store, "alice", GONE)
    assert row == written_uses({"revoked": {"AAAA": {"key_id": "key_a", "more": 9}}}, ("kWTEj",))
    assert kept == folded_total("WTEj", GONE, 18)


def test_a_revoked_key_without_a_bookmark_waits_with_all_its_use(
    books: Books, store: MemoryStore
) -> None:
    _row(store, xAAAB=4)
    _row(store, **{"x-lpp": 4})
    del store.tables["quotas"]["alice", "uses"]
    _, row, kept = key_totals.fold(books.store, "alice", LOST)
    assert row == written_uses({"revoked": {"-lpp": {"key_id": LOST, "more": 4}}}, ("k-lpp",))
    assert kept == folded_total("-lpp", LOST, 4)


def test_a_key_that_is_live_or_was_put_away_is_not_put_away(
    books: Books, store: MemoryStore
) -> None:
    _row(store)
    assert key_totals.fold(books.store, "alice", LIVE) == ()
    assert key_totals.fold(books.store, "alice", LOST) == ()


@pytest.mark.parametrize(("key_id", "counter"), [(LIVE, "uR6Cr"), (GONE, "xWTEj"), (FREE, "ubJqv")])
def test_a_capture_counts_for_the_key_of_its_hold_where_that_is_counted(
    books: Books, key_id: str, counter: str
) -> None:
    captured = key_totals.capture(books.store, "alice", account_of_keys(), key_id, 3)
    assert captured == Captured(Movement({counter: 3}, (Must(counter, "exists"),)), ())


def test_a_capture_for_a_key_that_was_put_away_is_added_there(
    books: Books, store: MemoryStore
) -> None:
    captured = key_totals.capture(books.store, "alice", account_of_keys(), LOST, 3)
    waiting = {
        "AAAA": {"key_id": "key_a", "more": 9},
        "-lpp": {"key_id": LOST, "more": 3},
    }
    assert captured == Captured(
        Movement({"keys_changed": 1}, PINNED),
        (written_uses({"revoked": waiting}), folded_total("-lpp", LOST, 3)),
    )
    revoked = {"-lpp": {"key_id": LOST, "more": 4}}
    store.tables["quotas"]["alice", "uses"] = {**USES, "revoked": revoked}
    row, _ = key_totals.capture(books.store, "alice", account_of_keys(), LOST, 3).writes
    assert row == written_uses({"revoked": {"-lpp": {"key_id": LOST, "more": 7}}})


def test_a_hold_of_which_nothing_is_captured_counts_for_no_key(
    books: Books, store: MemoryStore
) -> None:
    captured = key_totals.capture(books.store, "alice", account_of_keys(), LOST, 0)
    assert captured == Captured(Movement({}), ())
    assert store.calls == 0
