import hmac
from types import SimpleNamespace

import builders
import pytest
from billing import keys
from billing.books import Books
from billing.errors import BillingError
from billing.keys import Holder
from memory_store import MemoryStore


@pytest.fixture
def books() -> Books:
    """Nobody has a key yet."""
    return builders.books_on(MemoryStore())


def test_a_key_opens_its_owners_account_and_no_other(books: Books) -> None:
    """One letter of the secret changed: nobody's. Another stage: nobody's."""
    made = keys.create(books, "alice", "dev", "laptop")
    key = made["key"]
    assert keys.holder(books, "dev", key) == Holder("alice", made["key_id"])
    assert keys.holder(books, "dev", key[:-1] + ("B" if key[-1] == "A" else "A")) is None
    assert keys.holder(books, "prod", key) is None


def test_a_revoked_key_works_nowhere(books: Books) -> None:
    """From that moment."""
    made = keys.create(books, "alice", "dev", "laptop")
    keys.revoke(books, "alice", made["key_id"])
    assert keys.holder(books, "dev", made["key"]) is None
    assert keys.list_all(books, "alice") == []


def test_nobody_revokes_another_users_key(books: Books) -> None:
    """It goes on working."""
    made = keys.create(books, "alice", "dev", "laptop")
    with pytest.raises(BillingError, match="not_found"):
        keys.revoke(books, "bob", made["key_id"])
    assert keys.holder(books, "dev", made["key"])


def test_the_secret_is_nowhere_in_the_table(books: Books) -> None:
    """A hash is."""
    made = keys.create(books, "alice", "dev", "laptop")
    assert made["key"].rsplit("_", 1)[1] not in str(books.store.tables)  # type: ignore[attr-defined]


def test_a_secrets_hash_is_compared_in_constant_time(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the function that is made for it, whether there is such a key or not: ``==`` would tell by its time how much of it is right.

    https://docs.python.org/3/library/hmac.html#hmac.compare_digest
    """
    made = keys.create(books, "alice", "dev", "laptop")
    compared: list[tuple[str, str]] = []

    def compare_digest(one: str, other: str) -> bool:
        compared.append((one, other))
        return hmac.compare_digest(one, other)

    monkeypatch.setattr(keys, "hmac", SimpleNamespace(compare_digest=compare_digest))
    assert keys.holder(books, "dev", made["key"])
    assert keys.holder(books, "dev", made["key"][:-1] + ("B" if made["key"][-1] == "A" else "A")) is None
    assert keys.holder(books, "dev", f"tk_dev_{'0' * 24}_{'A' * 43}") is None
    assert [one == other for one, other in compared] == [True, False, False]
    assert {len(text) for pair in compared for text in pair} == {64}, "hashes, and one in place of that of a key which is not there"
