"""Limits of keys and their use: never above a limit, never refused below it, no figure lost."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from billing.account import history
from billing.errors import BillingError, Item
from billing.holds import closing
from billing.keys import api_keys, changes, counting, live_count, revocation
from billing.keys.limits import Limit
from billing.quota.key_bookmarks import Per
from billing.quota.key_use import NO_LIMIT, KeyUse, name_of
from billing.spending import debits, memory
from billing.storage.writes import Table
from support import laws
from support.fakes.memory_store import MemoryStore
from support.key_world import TEN_A_DAY, World, key_of_old

BOUGHT = 100


def _refused(act: Callable[[], object]) -> BillingError:
    with pytest.raises(BillingError) as refused:
        act()
    return refused.value


def test_a_debit_at_the_limit_is_refused_and_says_when_it_resets(world: World) -> None:
    key = world.key(TEN_A_DAY)
    assert world.debit(key, 10).remaining == 90
    refused = _refused(lambda: world.debit(key))
    assert (refused.code, refused.status) == ("key_limit_reached", 402)
    assert refused.members == {
        "limit_remaining": 0,
        "resets_at": "2026-01-03T00:00:00.000000Z",
    }
    assert world.figures(key) == (0, 10, 10, 10)
    assert debits.read(world.books, "alice").remaining == 90


@pytest.mark.parametrize(
    ("per", "resets_at"),
    [
        ("day", "2026-01-03T00:00:00.000000Z"),
        ("month", "2026-02-01T00:00:00.000000Z"),
        ("total", None),
    ],
)
def test_each_window_says_when_it_resets(world: World, per: Per, resets_at: str | None) -> None:
    key = world.key(Limit(10, per))
    assert world.shown(key).resets_at == resets_at
    assert world.shown(key).limit_remaining == 10


def test_the_last_month_of_a_year_resets_in_the_next() -> None:
    moment = datetime(2026, 12, 31, 23, 59, tzinfo=UTC)
    assert Limit(1, "month").resets_at(moment) == "2027-01-01T00:00:00.000000Z"
    assert Limit(1, "day").resets_at(moment) == "2027-01-01T00:00:00.000000Z"


def test_a_day_that_begins_gives_a_daily_limit_back(world: World) -> None:
    key, other = world.key(TEN_A_DAY), world.key(Limit(15, "month"))
    world.debit(key, 10)
    world.debit(other, 10)
    world.clock.advance(days=1)
    assert world.figures(key) == (10, 0, 10, 10), "shown before any write of that day"
    assert world.figures(other) == (5, 0, 10, 10)
    world.debit(key, 10)
    assert world.figures(key) == (0, 10, 20, 20)
    assert _refused(lambda: world.debit(key)).code == "key_limit_reached"
    assert _refused(lambda: world.debit(other, 6)).code == "key_limit_reached"
    world.debit(other, 5)
    world.clock.advance(days=30)  # 2 February
    assert world.figures(other) == (15, 0, 0, 15)
    world.debit(other, 15)
    assert world.figures(other) == (0, 15, 15, 30)
    assert world.figures(key) == (10, 0, 0, 20)


def test_a_total_limit_never_comes_back(world: World) -> None:
    key = world.key(Limit(10, "total"))
    world.debit(key, 10)
    world.clock.advance(days=400)
    assert _refused(lambda: world.debit(key)).code == "key_limit_reached"
    assert world.figures(key) == (0, 0, 0, 10)


def test_an_open_hold_counts_and_what_is_not_captured_comes_off(world: World) -> None:
    key = world.key(TEN_A_DAY)
    first, second = world.hold(key, 6), world.hold(key, 4)
    assert world.figures(key) == (0, 0, 0, 0)
    assert _refused(lambda: world.debit(key)).code == "key_limit_reached"
    closing.capture(world.meter, first.hold_id, 2)
    assert world.figures(key) == (4, 2, 2, 2)
    closing.release(world.meter, second.hold_id)
    assert world.figures(key) == (8, 2, 2, 2)
    world.debit(key, 8)


def test_an_expired_hold_comes_off_at_the_next_read_and_debit(world: World) -> None:
    key = world.key(TEN_A_DAY)
    world.hold(key, 10)
    world.clock.advance(seconds=61)
    assert world.figures(key)[0] == 10
    world.debit(key, 10)
    assert world.figures(key) == (0, 10, 10, 10)


def test_a_hold_stays_counted_when_the_day_changes(world: World) -> None:
    """Its capture would be used on the new day."""
    key = world.key(TEN_A_DAY)
    world.debit(key, 3)
    hold = world.hold(key, 5, seconds=86_400)
    world.clock.advance(hours=22)
    assert world.figures(key) == (5, 0, 3, 3)
    world.debit(key, 5)
    assert _refused(lambda: world.debit(key)).code == "key_limit_reached"
    closing.capture(world.meter, hold.hold_id, 4)
    assert world.figures(key) == (1, 9, 12, 12)


def test_at_least_takes_what_remains_and_what_the_limit_leaves(world: World) -> None:
    key = world.key(TEN_A_DAY)
    assert world.hold(key, 50, at_least=1).units == 10
    assert _refused(lambda: world.hold(key, 50, at_least=1)).code == "key_limit_reached"
    assert world.hold("", 1000, at_least=90).units == 90
    assert _refused(lambda: world.hold("", 1000, at_least=1)).code == "quota_exhausted"
    laws.check(world.store)


def test_at_least_is_refused_below_it(world: World) -> None:
    assert _refused(lambda: world.hold("", 200, at_least=101)).code == "quota_exhausted"
    assert world.hold("", 200, at_least=100).units == 100


def test_at_least_after_an_expiry_takes_what_came_back(world: World) -> None:
    key = world.key(TEN_A_DAY)
    world.hold(key, 7)
    world.hold("", 50)
    world.clock.advance(seconds=61)
    assert world.hold(key, 50, at_least=8).units == 10
    laws.check(world.store)


def test_a_lowered_limit_refuses_at_once_and_takes_nothing_back(world: World) -> None:
    key = world.key(TEN_A_DAY)
    world.debit(key, 8)
    assert world.change(key, limit=Limit(5, "day")).limit_remaining == 0
    assert world.figures(key) == (0, 8, 8, 8)
    refused = _refused(lambda: world.debit(key))
    assert refused.members["limit_remaining"] == 0
    assert world.change(key, limit=Limit(9, "day")).limit_remaining == 1
    world.debit(key)
    assert debits.read(world.books, "alice").used == 9


@pytest.mark.parametrize("per", ["day", "month", "total"])
@pytest.mark.parametrize("before", ["day", "month", "total", "none"])
def test_a_limit_of_another_window_counts_that_windows_use(
    world: World, before: str, per: Per
) -> None:
    """Used: 3 last month, 4 yesterday, 5 today; 6 are in an open hold."""
    limits: dict[str, Limit | None] = {
        "day": Limit(50, "day"),
        "month": Limit(50, "month"),
        "total": Limit(50, "total"),
        "none": None,
    }
    key = world.key(limits[before])
    world.debit(key, 3)
    world.clock.advance(days=31)
    world.debit(key, 4)
    world.clock.advance(days=1)
    world.debit(key, 5)
    world.hold(key, 6)
    used = {"day": 5, "month": 9, "total": 12}[per]
    assert world.change(key, limit=Limit(30, per)).limit_remaining == 30 - used - 6
    assert world.figures(key) == (30 - used - 6, 5, 9, 12)


def test_a_limit_set_on_a_stale_day_counts_todays_use(world: World) -> None:
    key = world.key()
    world.debit(key, 7)
    world.clock.advance(days=1)
    assert world.change(key, limit=TEN_A_DAY).limit_remaining == 10


def test_without_its_limit_a_key_spends_on(world: World) -> None:
    key = world.key(TEN_A_DAY)
    world.debit(key, 10)
    changed = world.change(key, limit=None)
    assert (changed.limit, changed.limit_remaining, changed.resets_at) == (None, None, None)
    world.debit(key, 10)
    assert world.figures(key) == (None, 20, 20, 20)


def test_a_hold_of_a_key_without_a_limit_counts_when_it_gets_one(world: World) -> None:
    key = world.key()
    hold = world.hold(key, 6)
    assert world.change(key, limit=TEN_A_DAY).limit_remaining == 4
    closing.release(world.meter, hold.hold_id)
    assert world.figures(key) == (10, 0, 0, 0)


def test_a_name_is_changed_and_nothing_else(world: World) -> None:
    key = world.key(TEN_A_DAY)
    world.debit(key, 4)
    changed = world.change(key, name="server")
    assert (changed.name, changed.limit, changed.limit_remaining) == ("server", TEN_A_DAY, 6)


def test_nobody_changes_another_users_key(world: World) -> None:
    key = world.key(TEN_A_DAY)
    refused = _refused(lambda: changes.change(world.books, "bob", key, {"limit": None}))
    assert refused.code == "not_found"
    assert world.shown(key).limit == TEN_A_DAY


@pytest.mark.parametrize("limit", [None, TEN_A_DAY])
def test_a_revoked_key_spends_nothing_and_its_use_stays(world: World, limit: Limit | None) -> None:
    key = world.key(limit)
    world.debit(key, 4)
    revocation.revoke(world.books, "alice", key)
    assert _refused(lambda: world.debit(key)).code == "invalid_key"
    assert _refused(lambda: world.hold(key)).code == "invalid_key"
    laws.check(world.store)
    assert world.store.tables["keys"]["user#alice", f"name#{KeyUse(key).name}"]["used"] == 4
    account = world.store.tables["quotas"]["alice", "quota"]
    assert [name for name in account if name.endswith(KeyUse(key).name)] == [], (
        "a revoked key leaves no attribute on the balance"
    )


@pytest.mark.parametrize("days", [0, 1])
def test_a_hold_of_a_revoked_key_is_captured_and_counted_for_it(world: World, days: int) -> None:
    key = world.key(TEN_A_DAY)
    world.debit(key, 1)
    hold = world.hold(key, 5, seconds=86_400)
    revocation.revoke(world.books, "alice", key)
    world.clock.advance(hours=23 * days)
    closing.capture(world.meter, hold.hold_id, 3)
    laws.check(world.store)
    assert world.store.tables["keys"]["user#alice", f"name#{KeyUse(key).name}"]["used"] == 4
    world.clock.advance(days=1)
    world.debit("")
    laws.check(world.store)


def test_a_hold_of_a_revoked_key_expires_as_any_other(world: World) -> None:
    key = world.key(TEN_A_DAY)
    world.hold(key, 5)
    revocation.revoke(world.books, "alice", key)
    world.clock.advance(seconds=61)
    assert world.debit("").remaining == 99
    laws.check(world.store)


def test_a_days_entry_shows_the_use_of_each_key(world: World) -> None:
    key, gone = world.key(), world.key(TEN_A_DAY)
    world.debit("", 1)
    world.debit(key, 2)
    world.debit(gone, 3)
    revocation.revoke(world.books, "alice", gone)
    page = history.entries(world.books, "alice", 10, "")
    assert page["not_itemised"] == {
        "day": "2026-01-02",
        "units": 6,
        "by_key": {key: 2, gone: 3},
    }
    world.clock.advance(days=1)
    world.debit(key, 5)
    newest = history.entries(world.books, "alice", 10, "")["entries"][0]
    assert (newest["units"], newest["by_key"]) == (-6, {key: 2, gone: 3})
    world.clock.advance(days=1)
    world.debit("")
    newest = history.entries(world.books, "alice", 10, "")["entries"][0]
    assert (newest["units"], newest["by_key"]) == (-5, {key: 5})
    laws.check(world.store)


def test_a_day_that_was_booked_before_a_restore_goes_with_the_next_one(world: World) -> None:
    """The ledger has that day's entry already. Limits begin a new window all the same."""
    key, gone = world.key(TEN_A_DAY), world.key()
    world.debit(key, 6)
    world.debit(gone, 1)
    revocation.revoke(world.books, "alice", gone)
    place = ("alice", "consumed:2026-01-02")
    booked = {"user_id": "alice", "entry_id": place[1], "type": "consumed", "units": 0}
    rest = {"reference_type": "day", "reference_id": "2026-01-02", "booked_at": "2026-01-02"}
    world.store.tables["ledger"][place] = booked | rest
    world.clock.advance(days=1)
    world.debit(key, 10)
    assert world.figures(key) == (0, 10, 16, 16)
    world.clock.advance(days=1)
    world.debit("", 1)
    newest = history.entries(world.books, "alice", 10, "")["entries"][0]
    assert (newest["units"], newest["by_key"]) == (-17, {key: 16, gone: 1})
    laws.check(world.store)


def test_a_revoked_key_that_was_not_put_away_is_put_away_with_the_day(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The revocation's process ended between its two steps."""
    key = world.key(TEN_A_DAY)
    world.debit(key, 4)
    hold = world.hold(key, 3, seconds=86_400)
    with monkeypatch.context() as patch:
        patch.setattr(revocation, "_put_away", lambda *_: None)
        revocation.revoke(world.books, "alice", key)
    assert _refused(lambda: world.debit(key)).code == "invalid_key"
    closing.capture(world.meter, hold.hold_id, 2)
    laws.check(world.store)
    world.clock.advance(days=1)
    world.debit("", 1)
    row = world.store.tables["keys"]["user#alice", f"name#{KeyUse(key).name}"]
    assert row["used"] == 6
    assert not [name for name in world.store.tables["quotas"]["alice", "quota"] if name[0] == "x"]
    laws.check(world.store)


@pytest.mark.parametrize(
    "key_id", ["key_", "nonsense", "key_" + "0" * 24, "key_" + "0" * 23 + "g", "tk_dev"]
)
def test_an_unknown_key_is_refused_and_nothing_is_taken(world: World, key_id: str) -> None:
    assert _refused(lambda: world.debit(key_id)).code == "invalid_key"
    assert debits.read(world.books, "alice").used == 0


def test_a_key_id_with_one_other_digit_is_another_key(world: World) -> None:
    key = world.key()
    other = key[:-1] + ("0" if key[-1] != "0" else "1")
    assert _refused(lambda: world.debit(other)).code == "invalid_key"


def test_another_users_key_is_refused(world: World) -> None:
    foreign = api_keys.create(world.books, "bob", "dev", "bob's").key_id
    assert _refused(lambda: world.debit(foreign)).code == "invalid_key"
    laws.check(world.store)


def test_a_key_of_before_is_counted_from_its_first_debit_on(world: World) -> None:
    world.debit("", 5)
    key = key_of_old(world, 1)
    assert world.figures(key) == (None, 0, 0, 0)
    world.debit(key, 2)
    assert world.figures(key) == (None, 2, 2, 2)
    assert world.change(key, limit=TEN_A_DAY).limit_remaining == 8
    world.hold(key, 8)
    assert _refused(lambda: world.debit(key)).code == "key_limit_reached"


def test_a_key_of_before_can_be_revoked_before_it_is_counted(world: World) -> None:
    key = key_of_old(world, 1)
    revocation.revoke(world.books, "alice", key)
    assert _refused(lambda: world.debit(key)).code == "invalid_key"
    assert _refused(lambda: revocation.revoke(world.books, "alice", key)).code == "not_found"


def test_a_key_of_before_can_get_a_limit_before_its_first_debit(world: World) -> None:
    key = key_of_old(world, 1)
    assert world.change(key, limit=TEN_A_DAY).limit_remaining == 10


def test_a_key_of_before_whose_short_name_is_taken_spends_without_counters(world: World) -> None:
    first, second = key_of_old(world, 1), key_of_old(world, 2)
    world.debit(first)
    taken = world.store.tables["keys"]["user#alice", f"name#{KeyUse(first).name}"]
    place = ("user#alice", f"name#{KeyUse(second).name}")
    world.store.tables["keys"][place] = {**taken, "id": place[1]}
    world.debit(second, 2)
    assert world.figures(second) == (None, 0, 0, 0)
    refused = _refused(lambda: world.change(second, limit=TEN_A_DAY))
    assert refused.code == "too_many_keys"
    revocation.revoke(world.books, "alice", second)
    laws.check(world.store)


def test_more_keys_of_before_than_32_spend_and_32_are_counted(world: World) -> None:
    keys = [key_of_old(world, number) for number in range(1, 35)]
    for key in keys:
        world.debit(key)
    account = world.store.tables["quotas"]["alice", "quota"]
    assert sum(len(name) == 5 and name[0] == "u" for name in account) == live_count.LIVE_MAX
    assert debits.read(world.books, "alice").used == 34
    laws.check(world.store)


@pytest.mark.parametrize("limit", [None, TEN_A_DAY], ids=["unlimited", "limited"])
@pytest.mark.parametrize("knows", [True, False], ids=["again", "first of a container"])
def test_a_keyed_debit_is_one_call_whatever_its_limit(
    world: World, limit: Limit | None, *, knows: bool
) -> None:
    key = world.key(limit)
    world.debit(key)
    if not knows:
        memory._seen.clear()
    calls = world.store.calls
    world.debit(key)
    assert world.store.calls == calls + 1


def _bytes(item: Item) -> int:
    """The size of an item, as DynamoDB reckons it:
    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html.
    """
    digits = {name: str(value).strip("-0") for name, value in item.items() if type(value) is int}
    numbers = sum((len(shown) + 1) // 2 + 1 for shown in digits.values())
    texts = sum(len(str(value)) for name, value in item.items() if name not in digits)
    return len("".join(item)) + numbers + texts


@pytest.mark.parametrize("limit", [None, Limit(10**6, "month")], ids=["unlimited", "limited"])
def test_an_account_with_32_keys_stays_below_one_kib(world: World, limit: Limit | None) -> None:
    """Each has used hundreds of thousands today, a hold is open, events are told and lots expire.
    The user's id is as long as Cognito's.
    """
    account = world.store.tables["quotas"]["alice", "quota"]
    account |= {"total": 39_999_999, "remaining": 39_999_999}
    keys = [world.key(limit) for _ in range(live_count.LIVE_MAX)]
    for number, key in enumerate(keys):
        world.debit(key, 777_777 + number)
    world.hold(keys[0], 55_555)
    options = {"user_id": "x" * 36, "told": 1234, "low_told": True}
    lots = {"lots_due": 1_796_000_001, "lots_version": 1234, "lots_used": 12_345_678}
    lots |= {"lots_left": 123_456, "lots_held": 1234, "lots_exact": 1}
    assert _bytes(account | options | lots) <= 1024


def test_a_key_without_a_limit_is_never_refused_below_the_accounts_units(world: World) -> None:
    """What it uses is given back each day, and a hold as any other."""
    key = world.key()
    for _ in range(3):
        world.debit(key, 20)
        world.hold(key, 5, seconds=1)
        world.clock.advance(days=1)
    account = world.store.tables["quotas"]["alice", "quota"]
    world.debit(key, 20)
    assert world.figures(key) == (None, 20, 80, 80)
    assert account[f"r{name_of(key)}"] == NO_LIMIT - 20


def test_a_debit_under_an_idempotency_key_replays_with_its_api_key(world: World) -> None:
    key = world.key(TEN_A_DAY)

    def take(api_key: KeyUse | None) -> debits.Debit:
        return debits.debit_once(world.meter, "alice", 4, "backend", "k", api_key=api_key)

    first = counting.spend_for(world.books, "alice", key, take)
    again = counting.spend_for(world.books, "alice", key, take)
    assert (again.debit_id, again.idempotent_replayed) == (first.debit_id, True)
    assert world.figures(key) == (6, 4, 4, 4)
    refused = _refused(lambda: counting.spend_for(world.books, "alice", "", take))
    assert refused.code == "idempotency_conflict"
    revocation.revoke(world.books, "alice", key)
    assert counting.spend_for(world.books, "alice", key, take).debit_id == first.debit_id


def test_a_container_with_an_old_memory_takes_no_unit_above_the_limit(world: World) -> None:
    """Only the write's own condition is true at that moment."""
    key = world.key(TEN_A_DAY)
    world.debit(key, 9)
    remembered = dict(memory._seen)
    memory._seen.clear()  # another container
    world.debit(key)
    memory._seen.update(remembered)
    assert _refused(lambda: world.debit(key)).code == "key_limit_reached"
    assert world.figures(key) == (0, 10, 10, 10)


class Interrupted(MemoryStore):
    """``meanwhile`` happens once, behind the next reading of open holds."""

    meanwhile: Callable[[], object] | None = None

    def pages(self, table: Table, owner: str, prefix: str = "") -> Iterator[Item]:
        """See MemoryStore."""
        rows = list(super().pages(table, owner, prefix))
        if prefix == "hold#":
            act, self.meanwhile = self.meanwhile, None
            if act:
                act()
        yield from rows


def test_a_hold_that_ends_while_its_key_gets_a_limit_is_not_counted() -> None:
    store = Interrupted()
    world = World(store)
    key = world.key()
    hold = world.hold(key, 6)
    store.meanwhile = lambda: closing.release(world.meter, hold.hold_id)
    assert world.change(key, limit=TEN_A_DAY).limit_remaining == 10
    laws.check(store)


@pytest.mark.parametrize(
    "limit",
    [
        {"units": 0, "per": "day"},
        {"units": -1, "per": "day"},
        {"units": 1.5, "per": "day"},
        {"units": "10", "per": "day"},
        {"units": 10**10, "per": "day"},
        {"units": True, "per": "day"},
        {"units": 1, "per": "week"},
        {"units": 1, "per": 7},
        {"units": 1, "per": None},
        {"units": 1},
        {"per": "day"},
        {"units": 1, "per": "day", "more": 1},
        {},
        [],
        "10",
        10,
        False,
    ],
)
def test_a_limit_of_any_other_form_is_refused(limit: Any) -> None:
    assert _refused(lambda: Limit.parse(limit)).code == "invalid_request"


@pytest.mark.parametrize("per", ["day", "month", "total"])
@pytest.mark.parametrize("units", [1, 10**9])
def test_a_limit_is_read(per: Per, units: int) -> None:
    assert Limit.parse({"units": units, "per": per}) == Limit(units, per)
    assert Limit.parse(None) is None


def test_a_hold_after_an_expiry_takes_all_that_a_raised_limit_leaves() -> None:
    """The container remembers what the lower limit left; the hold that expired frees more."""
    world = World()
    key_id = world.key(TEN_A_DAY)
    world.hold(key_id, 10)
    world.change(key_id, limit=Limit(20, "day"))
    world.clock.advance(seconds=61)
    assert world.hold(key_id, 15, at_least=1).units == 15
    assert world.figures(key_id) == (5, 0, 0, 0)
