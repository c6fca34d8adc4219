"""A key that is revoked, or the count of keys, while a concurrent request does the same."""

from types import SimpleNamespace

import pytest
from billing.errors import (
    AwsRefusedError,
    ConditionFailedError,
    OutcomeUnknownError,
)
from billing.keys import api_keys, holders, revocation
from billing.quota.key_use import KeyUse
from support import laws
from support.fakes.scripted_store import Scripted, raises
from support.key_world import OLD, TEN_A_DAY, World, key_of_old
from support.quotas import refused


def test_a_key_that_is_not_there_is_refused_by_the_first_write(world: World) -> None:
    """No further write is tried for it."""
    gone = world.key()
    revocation.revoke(world.books, "alice", gone)
    calls = world.store.calls
    assert refused(lambda: revocation.revoke(world.books, "alice", gone)) == "not_found"
    assert world.store.calls == calls + 1


@pytest.mark.parametrize("key_id", ["count", "name#", "", "key_", OLD[:-1], f"{OLD}\n", f"x{OLD}"])
def test_no_other_row_of_a_user_is_revoked_or_changed_as_a_key(world: World, key_id: str) -> None:
    """The count and the reserved names stand beside the keys."""
    key = world.key()
    if key_id == "name#":
        key_id += KeyUse(key).name
    before = dict(world.store.tables["keys"])
    assert refused(lambda: revocation.revoke(world.books, "alice", key_id)) == "not_found"
    assert refused(lambda: world.change(key_id, name="mine")) == "not_found"
    assert refused(lambda: world.change(key_id, limit=TEN_A_DAY)) == "not_found"
    assert world.store.tables["keys"] == before


def test_the_last_key_is_revoked_and_counted(world: World) -> None:
    key = world.key()
    revocation.revoke(world.books, "alice", key)
    count = world.store.tables["keys"]["user#alice", "count"]
    assert (count["live"], count["changes"]) == (0, 2)


def test_a_count_that_fell_to_zero_too_early_is_corrected_at_the_next_revocation(
    world: World,
) -> None:
    """An older version of the function made a key without counting it."""
    key, other = world.key(), world.key()
    world.store.tables["keys"]["user#alice", "count"]["live"] = 0
    revocation.revoke(world.books, "alice", key)
    assert world.store.tables["keys"]["user#alice", "count"]["live"] == 1
    assert [shown.key_id for shown in api_keys.list_all(world.books, "alice")] == [other]


def test_a_full_count_is_right_and_is_not_written_again(world: World) -> None:
    for _ in range(32):
        world.key()
    before = dict(world.store.tables["keys"]["user#alice", "count"])
    assert (before["live"], before["changes"]) == (32, 1)
    assert refused(world.key) == "too_many_keys"
    assert world.store.tables["keys"]["user#alice", "count"] == before


def test_a_revoked_key_that_was_never_counted_leaves_no_counter(
    world: World, store: Scripted
) -> None:
    key_of_old(world, 1)
    before = dict(store.tables["quotas"]["alice", "quota"])
    revocation.revoke(world.books, "alice", OLD)
    assert store.tables["quotas"]["alice", "quota"] == {**before, "keys_changed": 1}
    assert store.tables["quotas"]["alice", "uses"] == {
        "user_id": "alice",
        "item": "uses",
        "version": 1,
    }
    rows = store.tables["keys"]
    assert rows == {
        ("user#alice", "count"): {"owner": "user#alice", "id": "count", "live": 0, "changes": 2}
    }


def test_a_key_that_is_counted_while_it_is_revoked_keeps_what_it_used(
    world: World, store: Scripted
) -> None:
    """A concurrent debit counts it between the two tries of the revocation."""
    key_of_old(world, 1)
    world.key()
    store.before = [None, lambda: world.debit(OLD, 3)]
    revocation.revoke(world.books, "alice", OLD)
    assert refused(lambda: world.debit(OLD)) == "invalid_key"
    assert store.tables["keys"]["user#alice", f"name#{KeyUse(OLD).name}"]["used"] == 3
    laws.check(store)


def test_a_key_that_two_requests_revoke_before_it_is_counted_is_revoked_once(
    world: World, store: Scripted
) -> None:
    key_of_old(world, 1)
    world.key()
    world.key()
    store.before = [None, lambda: revocation.revoke(world.books, "alice", OLD)]
    assert refused(lambda: revocation.revoke(world.books, "alice", OLD)) == "not_found"
    assert store.tables["keys"]["user#alice", "count"]["live"] == 2
    laws.check(store)


@pytest.mark.parametrize("error", [OutcomeUnknownError("lost"), ConditionFailedError({})])
@pytest.mark.parametrize(("failures", "standing"), [(1, 0), (2, 0), (3, 1)])
def test_a_revoked_keys_total_is_put_away_at_the_third_try_at_last(
    world: World, store: Scripted, error: Exception, failures: int, standing: int
) -> None:
    """The key is revoked, whatever becomes of that; the change of the day does it otherwise."""
    key = world.key()
    world.debit(key, 4)
    store.before = [None, *[raises(error)] * failures]
    revocation.revoke(world.books, "alice", key)
    account = store.tables["quotas"]["alice", "quota"]
    assert sum(name[0] == "x" for name in account) == standing
    assert refused(lambda: world.debit(key)) == "invalid_key"
    laws.check(store)
    world.clock.advance(days=1)
    world.debit("", 1)
    assert store.tables["keys"]["user#alice", f"name#{KeyUse(key).name}"]["used"] == 4


@pytest.mark.parametrize("error", [AwsRefusedError("AccessDenied"), RuntimeError("a fault")])
def test_a_fault_in_putting_away_is_not_hidden(
    world: World, store: Scripted, error: Exception
) -> None:
    """A missing right is an operator's to hear of."""
    key = world.key()
    store.before = [None, raises(error)]
    with pytest.raises(type(error)):
        revocation.revoke(world.books, "alice", key)


@pytest.mark.parametrize("error", [OutcomeUnknownError("lost"), AwsRefusedError("AccessDenied")])
def test_a_count_that_cannot_be_written_ends_the_creation(
    world: World, store: Scripted, error: Exception
) -> None:
    """What the store answers is the caller's answer; nothing is tried until the time is up."""
    store.before = [None, raises(error)]
    with pytest.raises(type(error)):
        world.key()
    assert api_keys.list_all(world.books, "alice") == []


def test_counts_that_change_until_the_deadline_are_an_unknown_outcome(
    world: World, store: Scripted
) -> None:
    """The last try may have been carried out."""
    store.before = [raises(ConditionFailedError({2: {"live": 32, "changes": 1}}))] * 1000
    with pytest.raises(OutcomeUnknownError, match="until the time was up"):
        world.key()


def test_another_customers_key_is_never_replaced(
    world: World, store: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even by one that is drawn with the same number."""
    drawn = SimpleNamespace(token_hex=lambda _: "1" * 24, token_urlsafe=lambda _: "x" * 43)
    monkeypatch.setattr(api_keys, "secrets", drawn)
    made = api_keys.create(world.books, "bob", "dev", "bob's")
    with pytest.raises(ConditionFailedError):
        api_keys.create(world.books, "alice", "dev", "hers")
    found = holders.holder(world.books, "dev", made.key)
    assert found
    assert found.user_id == "bob"
    assert ("user#alice", f"key_{'1' * 24}") not in store.tables["keys"]


def test_another_id_is_drawn_without_a_pause(
    world: World, store: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No other request is in the way of it."""
    numbers = iter(["1" * 24, "1" * 24, "2" * 24])
    drawn = SimpleNamespace(token_hex=lambda _: next(numbers), token_urlsafe=lambda _: "x" * 43)
    monkeypatch.setattr(api_keys, "secrets", drawn)
    revocation.revoke(world.books, "alice", world.key())
    pauses: list[float] = []
    monkeypatch.setattr(store.deadline, "_sleep", pauses.append)
    assert world.key() == f"key_{'2' * 24}"
    assert pauses == []
