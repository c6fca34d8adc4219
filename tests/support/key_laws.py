"""The laws of API keys: what they used is counted once, and what is left of a limit is exact."""

from collections import defaultdict
from typing import Any

from billing.quota.balance import Balance
from billing.quota.key_bookmarks import Bookmark, Uses, uses_from
from billing.quota.key_days import not_itemised
from billing.quota.key_use import LIMITED_BELOW

Totals = dict[str, dict[str, int]]
"""Units by user and key id."""


def check(store: Any) -> None:
    """Each key's total is what the ledger shows and what is used since; all keys together used no
    more than the account; what is left of a limit is its units less use and open holds.
    """
    totals, booked = _totals(store), _booked(store)
    for user_id in {*totals, *booked}:
        balance = _balance(store, user_id)
        assert sum(totals[user_id].values()) <= balance.used, (
            f"the keys of {user_id} used more than the account: {totals[user_id]}"
        )
        assert _above_zero(totals[user_id]) == _above_zero(booked[user_id]), user_id
    for (user_id, name), row in store.tables["quotas"].items():
        if name == "uses":
            _uses(store, user_id, uses_from(row))


def total(store: Any, user_id: str, key_id: str) -> int:
    """Return what a key used, live or revoked."""
    return _totals(store)[user_id].get(key_id, 0)


def _totals(store: Any) -> Totals:
    """By the counters, and by the rows of revoked keys."""
    totals: Totals = defaultdict(lambda: defaultdict(int))
    for (owner, name), row in store.tables["keys"].items():
        if name.startswith("name#"):
            totals[owner.removeprefix("user#")][row["key_id"]] += row.get("used", 0)
    for (user_id, name), row in store.tables["quotas"].items():
        if name != "uses":
            continue
        live = uses_from(row).live
        for counter, units in _balance(store, user_id).keys.items():
            if counter[0] in "ux":
                totals[user_id][live[counter[1:]].key_id] += units
    return totals


def _booked(store: Any) -> Totals:
    """By the ledger, and by what is not in it yet."""
    booked: Totals = defaultdict(lambda: defaultdict(int))
    for entry in store.tables["ledger"].values():
        by_key = entry.get("by_key", {})
        assert sum(by_key.values()) <= max(0, -entry["units"])
        for key_id, units in by_key.items():
            booked[entry["user_id"]][key_id] += units
    for (user_id, name), row in store.tables["quotas"].items():
        if name == "uses":
            for key_id, units in not_itemised(_balance(store, user_id), uses_from(row)).items():
                booked[user_id][key_id] += units
    return booked


def _uses(store: Any, user_id: str, uses: Uses) -> None:
    balance = _balance(store, user_id)
    assert uses.version == balance.keys_changed, f"{user_id}: counters and days differ"
    counted = {short: mark for short, mark in uses.live.items() if f"u{short}" in balance.keys}
    for short, mark in counted.items():
        _limit(store, user_id, balance.keys, short, mark)


def _limit(store: Any, user_id: str, keys: Any, short: str, mark: Bookmark) -> None:
    row = store.tables["keys"].get((f"user#{user_id}", mark.key_id), {})
    left, limit = keys[f"r{short}"], row.get("limit")
    assert (left >= LIMITED_BELOW) == (limit is None), f"{mark.key_id}: {left} left of {limit}"
    if limit is None or mark.per is None:
        assert limit is mark.per is None
        return
    assert mark.per == limit["per"]
    held = sum(
        item["units"]
        for (owner, _), item in store.tables["quotas"].items()
        if owner == user_id and item.get("key_id") == mark.key_id and "open" in item
    )
    used = keys[f"u{short}"] - mark.base(mark.per)
    assert left == limit["units"] - used - held, (
        f"{mark.key_id}: {left} left of {limit}, {used} used, {held} held"
    )


def _balance(store: Any, user_id: str) -> Balance:
    return Balance.from_item(store.tables["quotas"].get((user_id, "quota")))


def _above_zero(by_key: dict[str, int]) -> dict[str, int]:
    return {key_id: units for key_id, units in by_key.items() if units}
