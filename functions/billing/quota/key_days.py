"""Begins a new day for the counters of keys."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final, NamedTuple

from billing.quota.balance import Balance
from billing.quota.key_bookmarks import (
    BUMP,
    Bookmark,
    Uses,
    pin,
    read_uses,
    write_uses,
)
from billing.quota.key_totals import add_to_row
from billing.quota.key_use import gone, left, used
from billing.quota.key_windows import window_began
from billing.quota.movement import Movement
from billing.storage.dynamodb import Store
from billing.storage.writes import Write

FOLDED_MAX: Final = 90
"""Revoked keys moved to their rows in one transaction, within DynamoDB's 100 writes."""


class RollOver(NamedTuple):
    """The changes of an account's keys at the begin of a new day."""

    movement: Movement
    remove: tuple[str, ...]
    writes: tuple[Write, ...]
    by_key: Mapping[str, int]
    """Units that the past day's entry shows, by key id."""

    def onto(self, account: Write) -> Write:
        """Return the account's write with the changes of the keys added."""
        return account._replace(
            add={**account.add, **self.movement.add},
            remove=(*account.remove, *self.remove),
            must=(*account.must, *self.movement.must),
        )


def roll_over(
    store: Store, user_id: str, balance: Balance, today: str, *, is_booked: bool
) -> RollOver:
    """Begin a new day for the keys' counters.

    Limits whose window ended get back what was used in it. ``is_booked``: the day's use goes into
    a ledger entry now; otherwise it waits for the next one.
    """
    if not balance.keys_changed:
        return RollOver(Movement({}), (), (), {})
    uses = read_uses(store, user_id)
    folds = _folds(user_id, balance, uses)
    back: dict[str, int] = {}
    live: dict[str, Bookmark] = {}
    revoked: dict[str, Bookmark] = {}
    for name, bookmark in uses.live.items():
        more = 0 if is_booked else _used_since(bookmark, balance, name)
        if used(name) in balance.keys:
            back |= _gives_back(bookmark, balance, name, today)
            live[name] = replace(
                _begin(bookmark, balance, name, today), more=more
            )
        elif gone(name) not in folds:
            day = balance.keys.get(gone(name), 0)
            live[name] = Bookmark(bookmark.key_id, day=day, more=more)
        elif more:
            revoked[name] = Bookmark(bookmark.key_id, more=more)
    if not is_booked:
        revoked |= uses.revoked
    by_key = not_itemised(balance, uses) if is_booked else {}
    dropped = tuple(gone_name[1:] for gone_name in folds)
    row = write_uses(user_id, live, revoked, dropped)
    movement = Movement({**back, **BUMP}, (pin(balance),))
    return RollOver(movement, tuple(folds), (row, *folds.values()), by_key)


def _used_since(bookmark: Bookmark, balance: Balance, name: str) -> int:
    """Return what a key, live or revoked, used and no ledger entry shows."""
    for counter in (used(name), gone(name)):
        if counter in balance.keys:
            return bookmark.more + balance.keys[counter] - bookmark.day
    return bookmark.more


def not_itemised(balance: Balance, uses: Uses) -> dict[str, int]:
    """Return the use of each key that no ledger entry shows yet, by key id."""
    units = {mark.key_id: mark.more for mark in uses.revoked.values()}
    for name, bookmark in uses.live.items():
        units[bookmark.key_id] = _used_since(bookmark, balance, name)
    return {key_id: count for key_id, count in units.items() if count}


def _begin(
    bookmark: Bookmark, balance: Balance, name: str, today: str
) -> Bookmark:
    """Return a live key's bookmark at the begin of a day."""
    total = balance.keys[used(name)]
    begins = window_began("month", balance.use_day, today)
    return replace(
        bookmark, day=total, month=total if begins else bookmark.month
    )


def _gives_back(
    bookmark: Bookmark, balance: Balance, name: str, today: str
) -> dict[str, int]:
    """Return what was used of a limit in the window that has ended.

    A key without a limit gets it back each day.
    """
    per = bookmark.per or "day"
    if left(name) not in balance.keys:
        return {}
    if not window_began(per, balance.use_day, today):
        return {}
    units = balance.keys[used(name)] - bookmark.base(per)
    return {left(name): units} if units else {}


def _folds(user_id: str, balance: Balance, uses: Uses) -> dict[str, Write]:
    """Return the writes that move revoked keys' totals to their rows, by attribute."""
    names = [name for name in uses.live if gone(name) in balance.keys]
    return {
        gone(name): add_to_row(
            user_id, uses.live[name].key_id, balance.keys[gone(name)]
        )
        for name in names[:FOLDED_MAX]
    }
