"""A key of before there were counts, which is counted while it is used or revoked."""

import pytest
from billing.errors import (
    BillingError,
    NotDoneError,
)
from billing.keys import counting, revocation
from billing.quota.key_use import KeyLimitReachedError, KeyNotCountedError, KeyUse
from billing.spending import memory
from support import laws
from support.fakes.scripted_store import Scripted
from support.key_world import OLD, TEN_A_DAY, World, key_of_old
from support.quotas import refused


def test_the_first_debit_of_a_key_of_before_counts_it_in_four_rows(
    world: World, store: Scripted
) -> None:
    key_of_old(world, 1)
    assert world.debit(OLD, 2).remaining == 98
    name = KeyUse(OLD).name
    account = store.tables["quotas"]["alice", "quota"]
    assert (account[f"u{name}"], account[f"r{name}"]) == (2, 999_999_999_998)
    uses = store.tables["quotas"]["alice", "uses"]
    assert uses[f"k{name}"] == {"key_id": OLD}
    assert uses["version"] == account["keys_changed"]
    assert store.tables["keys"]["user#alice", OLD] == {
        "owner": "user#alice",
        "id": OLD,
        "name": "old",
        "is_counted": True,
        "created_at": "2025-01-01T00:00:00.000000Z",
    }
    assert store.tables["keys"]["user#alice", f"name#{name}"] == {
        "owner": "user#alice",
        "id": f"name#{name}",
        "key_id": OLD,
    }


def test_two_first_debits_of_a_key_of_before_are_both_counted(
    world: World, store: Scripted
) -> None:
    """The second finds the counters there, and goes on with them."""
    key_of_old(world, 1)
    store.before = [None, lambda: world.debit(OLD, 3)]
    world.debit(OLD, 2)
    assert world.figures(OLD) == (None, 5, 5, 5)


def test_a_key_that_was_counted_between_two_looks_is_counted_once(world: World) -> None:
    """The balance that is read for it shows the counters already."""
    key_of_old(world, 1)
    spent: list[int] = []

    def act(key: KeyUse | None) -> int:
        if not spent:
            spent.append(world.debit(OLD, 3).units)
            raise KeyNotCountedError
        assert key == KeyUse(OLD)
        return spent[0]

    assert counting.spend_for(world.books, "alice", OLD, act) == 3
    assert world.figures(OLD) == (None, 3, 3, 3)


@pytest.mark.parametrize("act", ["debit", "limit"])
def test_a_key_of_before_that_is_revoked_at_its_first_use_is_not_revived(
    world: World, store: Scripted, act: str
) -> None:
    """Nothing is taken for it, and no row of it is made."""
    key_of_old(world, 1)
    store.before = [lambda: revocation.revoke(world.books, "alice", OLD)]
    if act == "debit":
        store.before.insert(0, None)
        assert refused(lambda: world.debit(OLD)) == "invalid_key"
    else:
        assert refused(lambda: world.change(OLD, limit=TEN_A_DAY)) == "invalid_key"
    assert set(store.tables["keys"]) == {("user#alice", "count")}
    assert "used" not in store.tables["quotas"]["alice", "quota"]
    laws.check(store)


@pytest.mark.parametrize("other", [f"key_{'0' * 24}", f"key_{'f' * 24}"])
def test_a_short_name_of_any_other_key_is_never_taken_over(
    world: World, store: Scripted, other: str
) -> None:
    """Whether its id comes before or after: the key spends without counters."""
    key_of_old(world, 1)
    place = ("user#alice", f"name#{KeyUse(OLD).name}")
    row = {"owner": place[0], "id": place[1], "key_id": other, "used": 7}
    store.tables["keys"][place] = dict(row)
    assert world.debit(OLD, 2).remaining == 98
    assert store.tables["keys"][place] == row
    assert f"u{KeyUse(OLD).name}" not in store.tables["quotas"]["alice", "quota"]


def test_a_key_whose_counters_a_restore_lost_is_counted_again_under_its_own_name(
    world: World, store: Scripted
) -> None:
    key_of_old(world, 1)
    world.debit(OLD, 2)
    name = KeyUse(OLD).name
    account = store.tables["quotas"]["alice", "quota"]
    for lost in (f"u{name}", f"r{name}", "keys_changed"):
        del account[lost]
    del store.tables["quotas"]["alice", "uses"]
    memory._seen.clear()
    world.debit(OLD, 3)
    assert store.tables["quotas"]["alice", "quota"][f"u{name}"] == 3


def test_a_total_that_still_stands_on_the_balance_is_not_mixed_with_another_keys(
    world: World, store: Scripted
) -> None:
    """A restore lost the row that reserves its short name."""
    key_of_old(world, 1)
    store.tables["quotas"]["alice", "quota"][f"x{KeyUse(OLD).name}"] = 7
    with pytest.raises(NotDoneError, match="nothing was taken"):
        world.debit(OLD)
    account = store.tables["quotas"]["alice", "quota"]
    assert (account[f"x{KeyUse(OLD).name}"], account["remaining"]) == (7, 100)


def test_a_key_that_keeps_losing_its_counters_takes_nothing(world: World) -> None:
    key = world.key()

    def act(_: KeyUse | None) -> int:
        raise KeyNotCountedError

    with pytest.raises(NotDoneError, match="nothing was taken"):
        counting.spend_for(world.books, "alice", key, act)


def test_a_key_that_is_revoked_at_its_limit_is_refused_without_a_time(world: World) -> None:
    """Its row is gone when the time of the next window is looked up."""
    key = world.key(TEN_A_DAY)

    def act(_: KeyUse | None) -> int:
        revocation.revoke(world.books, "alice", key)
        raise KeyLimitReachedError(3)

    with pytest.raises(BillingError) as refused:
        counting.spend_for(world.books, "alice", key, act)
    assert refused.value.code == "key_limit_reached"
    assert refused.value.members == {"limit_remaining": 3, "resets_at": None}
