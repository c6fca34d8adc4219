"""A day that ends: every row of the transaction that books its use and begins the next one."""

from billing.quota import daily_usage
from billing.quota.balance import Balance
from billing.storage.writes import Must, Write
from support.quota_rows import ACCOUNT, KEY_ID, NEW, NOW, TODAY, World, is_


def test_a_day_that_is_over_is_booked_in_one_transaction(world: World) -> None:
    balance = world.has(
        used=30, itemised=12, use_day="2026-01-01", keys_changed=7, uR6Cr=9, rR6Cr=1
    )
    world.keep("uses", version=7, kR6Cr={"key_id": KEY_ID, "per": "day", "day": 4})
    daily_usage.itemise(world.books, "alice", balance)
    account, entry, uses = world.only
    assert account == Write(
        "quotas",
        ACCOUNT,
        set={"use_day": TODAY, "itemised": 30, "booked_at": NOW},
        add={"rR6Cr": 5, "keys_changed": 1},
        must=(
            Must("user_id", "exists"),
            is_("use_day", "2026-01-01"),
            is_("used", 30),
            is_("keys_changed", 7),
        ),
    )
    values = {
        "type": "consumed",
        "units": -18,
        "reference_type": "day",
        "reference_id": "2026-01-01",
        "booked_at": NOW,
        "by_key": {KEY_ID: 5},
    }
    assert entry == Write("ledger", ("alice", "consumed:2026-01-01"), set=values, must=NEW)
    assert uses.set == {
        "kR6Cr": {"key_id": KEY_ID, "per": "day", "day": 9},
        "revoked": {},
    }


def test_a_day_without_use_begins_without_an_entry(world: World) -> None:
    """Also the first day of all, of which no use was counted."""
    daily_usage.itemise(world.books, "alice", world.has(total=5, use_day=""))
    assert world.store.transactions == []
    world.keep(total=5)
    daily_usage.itemise(world.books, "alice", Balance(total=5))
    begun = {"use_day": TODAY, "itemised": 0}
    clauses = (
        Must("user_id", "exists"),
        Must("use_day", "absent"),
        Must("used", "==", 0, or_absent=True),
    )
    assert world.only == (Write("quotas", ACCOUNT, set=begun, must=clauses),)


def test_use_of_no_day_is_booked_on_the_day_on_which_it_is_found(world: World) -> None:
    world.keep(used=5)
    daily_usage.itemise(world.books, "alice", Balance(used=5))
    _, entry = world.only
    assert entry.key == ("alice", f"consumed:{TODAY}")
    assert "by_key" not in entry.set


def test_a_day_that_the_ledger_has_already_goes_on_with_todays_use(world: World) -> None:
    """A restore has put the account back: nothing is booked twice, and debits go on."""
    balance = world.has(
        used=30, itemised=12, use_day="2026-01-01", keys_changed=7, uR6Cr=9, rR6Cr=1
    )
    world.keep("uses", version=7, kR6Cr={"key_id": KEY_ID, "per": "day", "day": 4})
    place = ("alice", "consumed:2026-01-01")
    world.store.tables["ledger"][place] = {"user_id": "alice", "entry_id": place[1]}
    daily_usage.itemise(world.books, "alice", balance)
    account, uses = world.only
    assert account.set == {"use_day": TODAY}
    assert account.add == {"rR6Cr": 5, "keys_changed": 1}
    assert uses.set["kR6Cr"] == {"key_id": KEY_ID, "per": "day", "day": 9, "more": 5}
