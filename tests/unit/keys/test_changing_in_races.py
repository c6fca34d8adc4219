"""A key that is changed while it is used, revoked or changed by a concurrent request."""

from typing import Any

import pytest
from billing.errors import (
    BillingError,
    ConditionFailedError,
    NotDoneError,
)
from billing.holds import closing
from billing.keys import api_keys, revocation
from billing.keys.limits import Limit
from billing.quota.key_use import KeyUse
from support import laws
from support.fakes.scripted_store import Scripted, raises
from support.key_world import TEN_A_DAY, World
from support.quotas import refused


@pytest.mark.parametrize("changed", [{"name": "new"}, {"limit": TEN_A_DAY}, {"limit": None}])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_key_that_is_revoked_while_it_is_changed_is_not_found(
    world: World, store: Scripted, changed: dict[str, Any], when: str
) -> None:
    """And no row of it comes back."""
    key = world.key(Limit(20, "day"))

    def revoke() -> None:
        revocation.revoke(world.books, "alice", key)

    if when == "before":
        store.before = [revoke]
    else:
        store.after = revoke
    assert refused(lambda: world.change(key, **changed)) == "not_found"
    assert set(store.tables["keys"]) == {
        ("user#alice", "count"),
        ("user#alice", f"name#{KeyUse(key).name}"),
    }
    laws.check(store)


@pytest.mark.parametrize("lost", ["listed", "found by"])
@pytest.mark.parametrize("changed", [{"name": "new"}, {"limit": TEN_A_DAY}])
def test_a_key_of_which_a_row_is_lost_is_not_half_made_by_a_change(
    world: World, store: Scripted, lost: str, changed: dict[str, Any]
) -> None:
    key = world.key()
    places = {
        "listed": ("user#alice", key),
        "found by": (f"key#{key.removeprefix('key_')}", "key"),
    }
    store.before = [lambda: store.tables["keys"].pop(places[lost])]
    with pytest.raises((BillingError, NotDoneError)):
        world.change(key, **changed)
    assert places[lost] not in store.tables["keys"]


def test_two_changes_of_a_limit_end_as_the_later_one(world: World, store: Scripted) -> None:
    """What is left is reckoned from the limit that was there at that moment."""
    key = world.key(TEN_A_DAY)
    world.debit(key, 3)
    store.before = [lambda: world.change(key, limit=Limit(50, "day"))]
    assert world.change(key, limit=Limit(5, "day")).limit_remaining == 2
    assert world.figures(key) == (2, 3, 3, 3)


@pytest.mark.parametrize("limit", [None, TEN_A_DAY, Limit(10, "month")])
def test_a_limit_that_is_set_while_the_day_changes_counts_the_new_days_use(
    world: World, store: Scripted, limit: Limit | None
) -> None:
    key = world.key(limit)
    world.debit(key, 7)

    def next_day() -> None:
        world.clock.advance(days=1)
        world.debit(key, 1)

    store.before = [next_day]
    assert world.change(key, limit=Limit(20, "day")).limit_remaining == 19
    assert world.figures(key) == (19, 1, 8, 8)


@pytest.mark.parametrize("placed", [False, True])
def test_a_first_hold_that_is_placed_while_its_key_gets_a_limit_counts(
    world: World, store: Scripted, *, placed: bool
) -> None:
    """Also where one was there before and is closed."""
    key = world.key()
    if placed:
        closing.release(world.meter, world.hold(key, 2).hold_id)
    store.before = [lambda: world.hold(key, 6)]
    assert world.change(key, limit=TEN_A_DAY).limit_remaining == 4
    laws.check(store)


def test_a_key_gets_a_limit_after_its_only_hold_is_closed(world: World) -> None:
    """What is held is zero then, and not missing."""
    key = world.key()
    closing.capture(world.meter, world.hold(key, 6).hold_id, 2)
    assert world.change(key, limit=TEN_A_DAY).limit_remaining == 8


def test_a_key_that_keeps_changing_is_not_changed(world: World, store: Scripted) -> None:
    key = world.key(TEN_A_DAY)
    store.before = [raises(ConditionFailedError({0: None}))] * 1000
    with pytest.raises(NotDoneError, match="was not changed"):
        world.change(key, name="new")
    store.before = []
    store.deadline.begin()
    assert world.shown(key).name == "laptop"


@pytest.mark.parametrize("restored", ["the key", "the balance"])
def test_a_limit_of_which_a_restore_kept_one_half_is_set_anew(
    world: World, store: Scripted, restored: str
) -> None:
    """The key's row has a limit and the balance has none, or the other way round."""
    key = world.key(TEN_A_DAY if restored == "the balance" else None)
    world.debit(key, 3)
    account = store.tables["quotas"]["alice", "quota"]
    name = KeyUse(key).name
    account[f"r{name}"] = 7 if restored == "the key" else 10**12 - 3
    assert world.change(key, limit=Limit(5, "day")).limit_remaining == 2


def test_a_limit_whose_counters_a_restore_lost_is_shown_whole(
    world: World, store: Scripted
) -> None:
    key = world.key(TEN_A_DAY)
    world.debit(key, 3)
    account = store.tables["quotas"]["alice", "quota"]
    for letter in "ur":
        del account[f"{letter}{KeyUse(key).name}"]
    (shown,) = api_keys.list_all(world.books, "alice")
    assert (shown.limit_remaining, shown.used_total) == (10, 0)
