"""What keys used is verified, and repaired from the ledger after a restore of one table."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
from billing.audit.readings import settled_tally
from billing.audit.repair_keys import repair_keys
from billing.keys import api_keys, counting, revocation
from billing.keys.limits import Limit
from billing.quota.key_use import KeyUse, name_of
from billing.reconciliation.job import Run
from billing.settlement import settlement
from billing.spending import debits, memory
from billing.spending.meter import Meter
from support import builders, key_laws, laws
from support.builders import Clock
from support.fakes.memory_store import MemoryStore

Tables = dict[str, dict[tuple[str, str], Any]]


class World:
    """Alice's key used 3 yesterday and 2 today. One that is revoked used 4 yesterday."""

    def __init__(self) -> None:
        """Three days: a copy of the tables is kept of each."""
        memory._seen.clear()
        self.clock, self.store = Clock(), MemoryStore()
        self.books = builders.books_on(self.store, clock=self.clock)
        paid = builders.pending(self.books)
        settlement.apply(self.books, builders.fact(builders.completed(paid)))
        self.live = self._key(Limit(50, "month"))
        self.gone = self._key(None)
        self.first = copy.deepcopy(self.store.tables)
        self.debit(self.live, 3)
        self.debit(self.gone, 4)
        self.debit("", 1)
        self.clock.advance(days=1)
        self.debit(self.live, 2)
        self.before_revoking = copy.deepcopy(self.store.tables)
        revocation.revoke(self.books, "alice", self.gone)

    def _key(self, limit: Limit | None) -> str:
        return api_keys.create(self.books, "alice", "dev", "k", limit).key_id

    def debit(self, key_id: str, units: int) -> None:
        """Take units for a key."""

        def take(key: KeyUse | None) -> object:
            return debits.debit(Meter(self.books, ""), "alice", units, key)

        counting.spend_for(self.books, "alice", key_id, take)

    def rules(self) -> list[str]:
        """Return the rules that are broken."""
        tally = settled_tally(self.books.store, "alice")
        assert tally
        return [one.rule for one in tally.differences("alice")]

    def repairs(self, *, dry_run: bool = False) -> list[str]:
        """Return what was done."""
        job = Run(self.books, None, not dry_run, resumes=False)  # type: ignore[arg-type]
        return list(repair_keys(job, "alice"))


@pytest.fixture
def world() -> World:
    """A new one."""
    return World()


def test_books_with_keys_balance_and_nothing_is_repaired(world: World) -> None:
    assert world.rules() == []
    before = copy.deepcopy(world.store.tables)
    assert world.repairs() == []
    assert world.store.tables == before


def _loses_a_revoked_total(world: World) -> None:
    del world.store.tables["keys"]["user#alice", f"name#{name_of(world.gone)}"]


def _counts_too_little(world: World) -> None:
    world.store.tables["quotas"]["alice", "uses"][f"k{name_of(world.live)}"]["day"] -= 1


def _counts_too_much(world: World) -> None:
    account = world.store.tables["quotas"]["alice", "quota"]
    account[f"u{name_of(world.live)}"] += 90
    account[f"r{name_of(world.live)}"] -= 90


def _swaps_two_keys(world: World) -> None:
    entry = world.store.tables["ledger"]["alice", "consumed:2026-01-02"]
    live, gone = entry["by_key"][world.live], entry["by_key"][world.gone]
    entry["by_key"] |= {world.live: gone, world.gone: live}


LOST = [_loses_a_revoked_total, _counts_too_little, _counts_too_much]


@pytest.mark.parametrize("fault", [*LOST, _swaps_two_keys])
def test_a_wrong_figure_of_a_key_is_found(world: World, fault: Callable[[World], None]) -> None:
    fault(world)
    assert [rule for rule in world.rules() if "key" in rule]


@pytest.mark.parametrize("fault", LOST)
def test_a_lost_figure_is_repaired_from_the_ledger(
    world: World, fault: Callable[[World], None]
) -> None:
    fault(world)
    before = copy.deepcopy(world.store.tables)
    planned = world.repairs(dry_run=True)
    assert world.store.tables == before
    assert planned
    assert world.repairs() == planned
    assert world.rules() == []
    assert world.repairs() == []
    laws.check(world.store)


def test_a_table_of_keys_from_before_a_revocation_is_repaired(world: World) -> None:
    """The key lives again. Its use is in the ledger, and it is counted on."""
    world.store.tables["keys"] = copy.deepcopy(world.before_revoking["keys"])
    assert world.repairs()
    assert world.rules() == []
    world.debit(world.gone, 1)
    assert world.rules() == []
    assert key_laws.total(world.store, "alice", world.gone) == 5


def test_a_balance_from_before_the_use_is_repaired(world: World) -> None:
    """As ``topup ledger verify --repair`` does it: the account first, then its keys."""
    kept = world.store.tables["quotas"]
    for place in (("alice", "quota"), ("alice", "uses")):
        kept[place] = copy.deepcopy(world.first["quotas"][place])
    account = kept["alice", "quota"]
    account |= {"used": 8, "itemised": 8, "remaining": 92, "use_day": "2026-01-03"}
    world.repairs()
    assert world.rules() == []
    assert key_laws.total(world.store, "alice", world.live) == 3
    laws.check(world.store)


@pytest.mark.parametrize("fault", LOST[1:])
def test_what_is_left_of_a_months_limit_is_right_after_a_repair(
    world: World, fault: Callable[[World], None]
) -> None:
    """Also where the key was used before the month began."""
    world.clock.advance(days=30)
    world.debit(world.live, 6)
    before = key_laws.total(world.store, "alice", world.live)
    fault(world)
    assert world.repairs()
    laws.check(world.store)
    (key,) = api_keys.list_all(world.books, "alice")
    limit = key.limit
    assert limit is not None
    assert key.limit_remaining == limit.units - key.used_this_month
    assert before == 11
