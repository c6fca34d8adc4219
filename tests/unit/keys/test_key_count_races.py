"""Keys that change while they are counted: the bound on live keys holds all the same."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest
from billing.books import Books
from billing.errors import BillingError, Item
from billing.keys import api_keys, holders, live_count, revocation
from support import builders
from support.fakes.memory_store import MemoryStore

OLDEST = 0


class Counted(MemoryStore):
    """``meanwhile`` happens once, before the last row of the next count of keys is read.

    DynamoDB isolates no query from concurrent writes:
    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html
    """

    meanwhile: Callable[[list[Item]], object] | None = None

    def pages(self, *asked: Any) -> Iterator[Item]:
        """See MemoryStore."""
        rows = list(super().pages(*asked))
        act, self.meanwhile = self.meanwhile, None
        if act:
            act(rows)
            kept = {name for _, name in self.tables["keys"]}
            rows = [row for row in rows if row["id"] in kept]
        yield from rows


@pytest.fixture
def store() -> Counted:
    """There is no key yet."""
    return Counted()


@pytest.fixture
def books(store: Counted) -> Books:
    """The test stack's."""
    return builders.books_on(store)


def _create(books: Books) -> str:
    return api_keys.create(books, "alice", "dev", "laptop").key_id


def _fill(books: Books) -> int:
    """Create keys while the bound allows it. Returns how many there are."""
    with suppress(BillingError):
        for _ in range(2 * live_count.LIVE_MAX):
            _create(books)
    return len(api_keys.list_all(books, "alice"))


def test_a_key_exchanged_during_a_count_is_not_forgotten(books: Books, store: Counted) -> None:
    """The count misses the new key, and no longer sees the one that was revoked."""
    made = [_create(books) for _ in range(live_count.LIVE_MAX)]

    def exchange(_: list[Item]) -> None:
        revocation.revoke(books, "alice", made[OLDEST])
        _create(books)

    store.meanwhile = exchange
    assert _fill(books) == live_count.LIVE_MAX


def _revoke_without_counting(store: Counted, key_id: str) -> None:
    """As an older version of the function does while a new one is deployed."""
    del store.tables["keys"]["user#alice", key_id]


def test_two_counts_of_a_full_account_give_its_free_place_once(
    books: Books, store: Counted
) -> None:
    """The second count was read before the first filled the place."""
    made = [_create(books) for _ in range(live_count.LIVE_MAX)]
    _revoke_without_counting(store, made[OLDEST])
    store.meanwhile = lambda _: _create(books)
    assert _fill(books) == live_count.LIVE_MAX


def test_an_account_that_was_counted_late_is_counted_again(books: Books, store: Counted) -> None:
    """Its keys are older than the count."""
    made = [_create(books) for _ in range(live_count.LIVE_MAX)]
    del store.tables["keys"]["user#alice", live_count.COUNT]
    assert _fill(books) == live_count.LIVE_MAX
    _revoke_without_counting(store, made[OLDEST])
    assert _fill(books) == live_count.LIVE_MAX


def test_a_short_name_that_was_ever_used_is_not_used_again(
    books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its row has what a revoked key used: another id is drawn, nothing is left of the first."""
    numbers = iter(["1" * 24, "1" * 24, "2" * 24])
    drawn = SimpleNamespace(token_hex=lambda _: next(numbers), token_urlsafe=lambda _: "x" * 43)
    monkeypatch.setattr(api_keys, "secrets", drawn)
    old = api_keys.create(books, "alice", "dev", "old")
    revocation.revoke(books, "alice", old.key_id)
    made = api_keys.create(books, "alice", "dev", "new")
    assert made.key_id == "key_" + "2" * 24
    assert [key.key_id for key in api_keys.list_all(books, "alice")] == [made.key_id]
    assert holders.holder(books, "dev", f"tk_dev_{'1' * 24}_{'x' * 43}") is None
    assert holders.holder(books, "dev", made.key)
