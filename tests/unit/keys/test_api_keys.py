import hmac
from collections.abc import Callable
from types import SimpleNamespace

import pytest
from billing.books import Books
from billing.errors import BillingError, Item
from billing.keys import api_keys, holders, live_count, revocation
from billing.keys.holders import Holder
from billing.storage.writes import Write
from support import builders
from support.fakes.memory_store import MemoryStore


@pytest.fixture
def books() -> Books:
    """There is no key yet."""
    return builders.books_on(MemoryStore())


def test_a_key_opens_its_owners_account_and_no_other(books: Books) -> None:
    """One letter of the secret changed: nobody's. Another stage: nobody's."""
    made = api_keys.create(books, "alice", "dev", "laptop")
    key = made.key
    assert holders.holder(books, "dev", key) == Holder("alice", made.key_id)
    assert holders.holder(books, "dev", key[:-1] + ("B" if key[-1] == "A" else "A")) is None
    assert holders.holder(books, "prod", key) is None


def test_a_revoked_key_works_nowhere(books: Books) -> None:
    made = api_keys.create(books, "alice", "dev", "laptop")
    revocation.revoke(books, "alice", made.key_id)
    assert holders.holder(books, "dev", made.key) is None
    assert api_keys.list_all(books, "alice") == []


def test_a_user_cannot_revoke_another_users_key(books: Books) -> None:
    made = api_keys.create(books, "alice", "dev", "laptop")
    with pytest.raises(BillingError, match="not_found"):
        revocation.revoke(books, "bob", made.key_id)
    assert holders.holder(books, "dev", made.key)


def test_the_secret_is_nowhere_in_the_table(books: Books) -> None:
    made = api_keys.create(books, "alice", "dev", "laptop")
    assert made.key.rsplit("_", 1)[1] not in str(books.store.tables)  # type: ignore[attr-defined]


def test_a_secrets_hash_is_compared_in_constant_time(
    books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the function that is made for it, whether there is such a key or not: ``==`` would tell by
    its time how much of it is right.

    https://docs.python.org/3/library/hmac.html#hmac.compare_digest
    """
    made = api_keys.create(books, "alice", "dev", "laptop")
    compared: list[tuple[str, str]] = []

    def compare_digest(one: str, other: str) -> bool:
        compared.append((one, other))
        return hmac.compare_digest(one, other)

    monkeypatch.setattr(holders, "hmac", SimpleNamespace(compare_digest=compare_digest))
    assert holders.holder(books, "dev", made.key)
    assert (
        holders.holder(books, "dev", made.key[:-1] + ("B" if made.key[-1] == "A" else "A")) is None
    )
    assert holders.holder(books, "dev", f"tk_dev_{'0' * 24}_{'A' * 43}") is None
    assert [one == other for one, other in compared] == [True, False, False]
    assert {len(text) for pair in compared for text in pair} == {64}, (
        "hashes, and one in place of that of a key which is not there"
    )


class BusyStore(MemoryStore):
    """``meanwhile`` happens once, just before the next change of a key is carried out."""

    meanwhile: Callable[[], object] | None = None

    def commit(self, *writes: Write) -> None:
        """See MemoryStore."""
        act, self.meanwhile = self.meanwhile, None
        if act:
            act()
        super().commit(*writes)


def test_the_last_place_is_given_once_to_two_concurrent_requests() -> None:
    """The bound is a condition of the write: a look before it would let both in."""
    store = BusyStore()
    books = builders.books_on(store)
    for _ in range(live_count.LIVE_MAX - 1):
        api_keys.create(books, "alice", "dev", "laptop")
    store.meanwhile = lambda: api_keys.create(books, "alice", "dev", "the other's")
    with pytest.raises(BillingError, match="too_many_keys"):
        api_keys.create(books, "alice", "dev", "laptop")
    assert len(api_keys.list_all(books, "alice")) == live_count.LIVE_MAX


def test_a_key_that_two_concurrent_requests_revoke_frees_one_place() -> None:
    """The second finds no key and counts nothing."""
    store = BusyStore()
    books = builders.books_on(store)
    made = [api_keys.create(books, "alice", "dev", "laptop") for _ in range(live_count.LIVE_MAX)]
    store.meanwhile = lambda: revocation.revoke(books, "alice", made[0].key_id)
    with pytest.raises(BillingError, match="not_found"):
        revocation.revoke(books, "alice", made[0].key_id)
    api_keys.create(books, "alice", "dev", "laptop")
    with pytest.raises(BillingError, match="too_many_keys"):
        api_keys.create(books, "alice", "dev", "laptop")


def test_a_count_that_is_made_late_does_not_forget_a_concurrent_key() -> None:
    """Two requests count the keys of old at the same time: the later count is refused, not written
    over the first.
    """
    store = BusyStore()
    books = builders.books_on(store)
    api_keys.create(books, "alice", "dev", "laptop")
    del store.tables["keys"]["user#alice", live_count.COUNT]
    counted = MemoryStore.pages

    def pages_then_another(*asked: str) -> list[Item]:
        found = list(counted(store, *asked))  # type: ignore[arg-type]
        store.pages = lambda *again: counted(store, *again)  # type: ignore[method-assign]
        api_keys.create(books, "alice", "dev", "the other's")
        return found

    store.pages = pages_then_another  # type: ignore[assignment,method-assign]
    api_keys.create(books, "alice", "dev", "laptop")
    assert (
        store.tables["keys"]["user#alice", live_count.COUNT]["live"]
        == len(api_keys.list_all(books, "alice"))
        == 3
    )
