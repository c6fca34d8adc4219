"""Limits of keys on real DynamoDB APIs: exact with 64 threads at once, and at the cost of a plain
debit.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import pytest
from billing.books import Books
from billing.clock import utc_now
from billing.errors import BillingError
from billing.grants import booking
from billing.grants.grant import Grant
from billing.holds import closing, placing
from billing.keys import api_keys, changes, counting, live_count, revocation
from billing.keys.limits import Limit
from billing.quota.key_use import KeyUse
from billing.spending import debits, memory
from billing.spending.meter import Meter
from properties.crowd import at_once, check_laws
from support import builders, key_laws
from support.deadlines import CountedDeadline
from support.dynamo import Dynamo
from support.tapped_wire import tap

DATABASES = pytest.mark.parametrize("database", ["dynoxide", "ministack"], indirect=True)
ITEM_BYTES_MAX: Final = 1024
"""One write unit: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/capacity-mode.html"""
USER: Final = "auth0|5f7c8ec7c33c6c004bbafe82-1f2e3d4c5b"
"""As long as an issuer's subjects are: 41 characters."""
MILLION: Final = 10**6


def _books(database: Dynamo) -> Books:
    return replace(builders.books_on(database.store(deadline=CountedDeadline())), clock=utc_now)


def _fund(books: Books, user_id: str, units: int) -> None:
    books.store.deadline.begin()
    booking.book(books, Grant("first", user_id, units, "for the test"))


def _answered(books: Books, key_id: str, act: Callable[[KeyUse | None], Any]) -> str:
    try:
        counting.spend_for(books, "alice", key_id, act)
    except BillingError as refused:
        return refused.code
    return "done"


def _debit(books: Books, key_id: str) -> Callable[[], str]:
    meter = Meter(books, "")
    return lambda: _answered(books, key_id, lambda key: debits.debit(meter, "alice", 1, key))


def _hold(books: Books, key_id: str) -> Callable[[], str]:
    """A hold of two, of which one is captured."""
    meter = Meter(books, "")

    def place(key: KeyUse | None) -> None:
        hold = placing.place(meter, "alice", 2, 600, key=key)
        books.store.deadline.begin()  # another request
        closing.capture(meter, hold.hold_id, 1)

    return lambda: _answered(books, key_id, place)


@DATABASES
def test_sixty_four_threads_get_a_limit_to_the_last_unit_and_none_above(database: Dynamo) -> None:
    """Of 40 units a day, and for another key of 1000, while the account has units for all."""
    books = _books(database)
    _fund(books, "alice", 1000)
    tight, wide = (
        api_keys.create(books, "alice", "dev", "k", Limit(units, "day")).key_id
        for units in (40, 1000)
    )
    acts = [_debit(books, key_id) for _ in range(64) for key_id in (tight, wide)]
    said = at_once(books.store, acts)
    assert Counter(said[0::2]) == {"done": 40, "key_limit_reached": 24}
    assert Counter(said[1::2]) == {"done": 64}
    found = check_laws(books.store)
    assert key_laws.total(found, "alice", tight) == 40
    assert key_laws.total(found, "alice", wide) == 64


@DATABASES
def test_holds_debits_changes_and_revocations_at_once_lose_no_figure(database: Dynamo) -> None:
    """What was answered is what each key used, and no more than its limit."""
    books = _books(database)
    _fund(books, "alice", 1000)
    keys = [
        api_keys.create(books, "alice", "dev", "k", Limit(30, "month")).key_id for _ in range(3)
    ]

    def change(units: int) -> Callable[[], str]:
        limit = {"limit": Limit(units, "total")}
        return lambda: changes.change(books, "alice", keys[1], limit).key_id

    acts: list[Callable[[], str]] = []
    for number in range(30):
        acts += [_debit(books, keys[number % 3]), _hold(books, keys[number % 3])]
        acts += [_debit(books, "")]
    acts[40:40] = [change(25), change(35)]

    def revoke() -> str:
        revocation.revoke(books, "alice", keys[2])
        return "revoked"

    acts[50:50] = [revoke]
    said = at_once(books.store, acts)
    assert set(said) <= {"done", "key_limit_reached", "invalid_key", "revoked", keys[1]}
    found = check_laws(books.store)
    kept = [act for act in said if act == "done"]
    used = found.tables["quotas"]["alice", "quota"]["used"]
    assert used == len(kept), "each that was done used one unit"
    by_keys = [key_laws.total(found, "alice", key_id) for key_id in keys]
    assert sum(by_keys) == used - 30
    assert by_keys[0] <= 30
    assert by_keys[1] <= 35


@DATABASES
@pytest.mark.parametrize("limit", [None, Limit(10**9, "day")], ids=["no limit", "limited"])
def test_a_debit_of_one_of_32_keys_is_one_request_and_one_write_unit(
    database: Dynamo, limit: Limit | None
) -> None:
    """All of them are limited but the one that spends, if that has no limit; each has used a
    million units.
    """
    books = _books(database)
    _fund(books, USER, 10**9)
    memory._seen.clear()
    meter = Meter(books, "")
    keys = []
    for number in range(live_count.LIVE_MAX):
        books.store.deadline.begin()
        of_key = limit if not number else Limit(10 * MILLION, "month")
        keys.append(api_keys.create(books, USER, "dev", "k", of_key).key_id)
        counting.spend_for(
            books, USER, keys[-1], lambda key: debits.debit(meter, USER, MILLION, key)
        )
    item = books.store.get("quotas", (USER, "quota")) or {}
    assert sum(len(name) == 5 and name[0] in "ur" for name in item) >= 63
    assert _bytes(item) < ITEM_BYTES_MAX
    wire = tap(books)
    counting.spend_for(books, USER, keys[0], lambda key: debits.debit(meter, USER, 1, key))
    assert (wire.operations, wire.units) == (["UpdateItem"], 1)


def _bytes(item: dict[str, Any]) -> int:
    """The most that an item counts for: names and texts in UTF-8, numbers two digits a byte, and
    one more, and one for a sign.

    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html
    """
    return sum(
        len(name.encode())
        + (len(value.encode()) if isinstance(value, str) else (len(str(value)) + 1) // 2 + 2)
        for name, value in item.items()
    )
