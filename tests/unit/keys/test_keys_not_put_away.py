"""Revoked keys whose totals still stand on the balance when a new day begins."""

from collections.abc import Callable

import pytest
from billing.account import history
from billing.keys import revocation
from billing.keys.limits import Limit
from billing.quota.key_use import KeyUse
from billing.storage.writes import Write
from support import laws
from support.fakes.memory_store import Meddled
from support.key_world import TEN_A_DAY, World, key_of_old

Revoke = Callable[[World, str], None]


@pytest.fixture
def revoke(monkeypatch: pytest.MonkeyPatch) -> Revoke:
    """The revocation's process ends between its two steps."""

    def act(world: World, key: str) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(revocation, "_put_away", lambda *_: None)
            revocation.revoke(world.books, "alice", key)

    return act


def _standing(world: World) -> int:
    return sum(name[0] == "x" for name in world.store.tables["quotas"]["alice", "quota"])


def _total(world: World, key: str) -> int:
    units: int = world.store.tables["keys"]["user#alice", f"name#{KeyUse(key).name}"]["used"]
    return units


def _newest(world: World) -> tuple[int, dict[str, int]]:
    entry = history.entries(world.books, "alice", 10, "")["entries"][0]
    return entry["units"], entry.get("by_key", {})


def _was_booked(world: World, day: str) -> None:
    """As after a restore of the balance alone: the ledger has that day's entry already."""
    place = ("alice", f"consumed:{day}")
    booked = {"user_id": "alice", "entry_id": place[1], "type": "consumed", "units": 0}
    rest = {"reference_type": "day", "reference_id": day, "booked_at": day}
    world.store.tables["ledger"][place] = booked | rest


@pytest.mark.parametrize("limit", [None, TEN_A_DAY])
def test_what_it_used_on_a_day_that_was_booked_before_goes_with_the_next(
    world: World, revoke: Revoke, limit: object
) -> None:
    """Its total is put away at once."""
    gone, live = world.key(limit), world.key()  # type: ignore[arg-type] # as given
    world.debit(gone, 3)
    world.debit(live, 2)
    revoke(world, gone)
    _was_booked(world, "2026-01-02")
    world.clock.advance(days=1)
    world.debit(live, 1)
    assert (_standing(world), _total(world, gone)) == (0, 3)
    world.clock.advance(days=1)
    world.debit("", 1)
    assert _newest(world) == (-6, {live: 3, gone: 3})
    laws.check(world.store)


@pytest.mark.parametrize("booked_before", [False, True])
def test_more_of_them_than_one_transaction_takes_are_put_away_day_by_day(
    world: World, revoke: Revoke, *, booked_before: bool
) -> None:
    """Ninety at a time; each day's entry has its use of each, once."""
    keys = []
    for _ in range(91):
        keys.append(world.key())
        world.debit(keys[-1], 1)
        revoke(world, keys[-1])
    if booked_before:
        _was_booked(world, "2026-01-02")
    world.clock.advance(days=1)
    world.debit("", 1)
    assert _standing(world) == 1
    laws.check(world.store)
    if not booked_before:
        assert _newest(world) == (-91, dict.fromkeys(keys, 1))
    world.clock.advance(days=1)
    world.debit("", 1)
    expected = (-92, dict.fromkeys(keys, 1)) if booked_before else (-1, {})
    assert _newest(world) == expected
    assert _standing(world) == 0
    assert {_total(world, key) for key in keys} == {1}
    laws.check(world.store)


def test_the_first_debit_of_a_key_of_before_checks_by_writing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A check alone needs a right that the roles of debits do not have.

    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis-iam.html
    """
    key = key_of_old(world, 1)
    commit, checks = world.store.commit, list[Write]()

    def watched(*writes: Write) -> None:
        checks.extend(write for write in writes if write.is_check)
        commit(*writes)

    monkeypatch.setattr(world.store, "commit", watched)
    world.debit(key, 2)
    assert world.figures(key) == (None, 2, 2, 2)
    assert checks == []


@pytest.mark.parametrize(("units", "taken"), [(20, 10), (5, 3)])
def test_a_hold_of_what_is_left_meets_another_limit(units: int, taken: int) -> None:
    """It takes what is left when it is placed, not what was left before."""
    store = Meddled()
    world = World(store)
    key = world.key(TEN_A_DAY)
    world.debit(key, 2)
    store.first = lambda: world.change(key, limit=Limit(units, "day"))
    hold = world.hold(key, 10, at_least=1)
    assert hold.units == taken
    laws.check(store)
