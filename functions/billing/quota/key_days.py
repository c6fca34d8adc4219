"""Starts a new day in the counters of each API key's use.

What each key used on the past day goes into that day's ledger entry. A limit
whose day or month has ended starts again at its full size.
"""

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
"""How many revoked API keys' totals one transaction moves to rows of their
own, within DynamoDB's 100 writes.
"""


class RollOver(NamedTuple):
    """What a new day changes for the API keys of an account.

    ``movement`` and ``remove`` are changes of the balance, and ``writes`` go
    to other rows.
    """

    movement: Movement
    remove: tuple[str, ...]
    writes: tuple[Write, ...]
    by_key: Mapping[str, int]
    """The units that the past day's ledger entry shows for each API key, by
    key id.
    """

    def onto(self, account: Write) -> Write:
        """Return ``account``, the balance's write, with the new day's changes.

        They are ``movement`` and ``remove``, which change the balance. The
        caller commits ``writes``, the other rows' changes, beside it.
        """
        return account._replace(
            add={**account.add, **self.movement.add},
            remove=(*account.remove, *self.remove),
            must=(*account.must, *self.movement.must),
        )


def roll_over(
    store: Store, user_id: str, balance: Balance, today: str, *, is_booked: bool
) -> RollOver:
    """Return the writes that start a new day for the API keys' counters.

    A limit whose day or month ended starts again at its full size.
    ``is_booked`` says that the past day's use is booked in a ledger entry
    in the same transaction. Otherwise it is kept for the next entry.
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
    """Return what an API key used that is in no ledger entry yet.

    ``name`` is the short name (a hash of the id) of a live or revoked key, and
    ``bookmark`` what the key had used when the day began.
    """
    for counter in (used(name), gone(name)):
        if counter in balance.keys:
            return bookmark.more + balance.keys[counter] - bookmark.day
    return bookmark.more


def not_itemised(balance: Balance, uses: Uses) -> dict[str, int]:
    """Return the used units that are in no ledger entry yet, by API key id."""
    units = {mark.key_id: mark.more for mark in uses.revoked.values()}
    for name, bookmark in uses.live.items():
        units[bookmark.key_id] = _used_since(bookmark, balance, name)
    return {key_id: count for key_id, count in units.items() if count}


def _begin(
    bookmark: Bookmark, balance: Balance, name: str, today: str
) -> Bookmark:
    """Return an API key's bookmark for the new day ``today``.

    A bookmark is what a key had used when the day and the month began. The
    result has what the key has used until now as the day's start. If a new
    month began too, it is also the month's; otherwise that stays as it was.
    ``name`` is the short name of a live key, a hash of its id.
    """
    total = balance.keys[used(name)]
    begins = window_began("month", balance.use_day, today)
    return replace(
        bookmark, day=total, month=total if begins else bookmark.month
    )


def _gives_back(
    bookmark: Bookmark, balance: Balance, name: str, today: str
) -> dict[str, int]:
    """Return by how much a new day raises what is left of an API key's limit.

    If the limit's day or month has ended, it is what the key used in that
    time, so that all of the limit is left again. The result has this number
    under the name of the balance's attribute to add it to, or is {} if there
    is nothing to add. A key without a limit is treated like one with a limit
    per day. ``name`` is the key's short name, a hash of its id.
    """
    per = bookmark.per or "day"
    if left(name) not in balance.keys:
        return {}
    if not window_began(per, balance.use_day, today):
        return {}
    units = balance.keys[used(name)] - bookmark.base(per)
    return {left(name): units} if units else {}


def _folds(user_id: str, balance: Balance, uses: Uses) -> dict[str, Write]:
    """Return the writes that move revoked keys' totals off the balance.

    A total is the units that a key ever used. The writes add it to the API
    key's own row. The dict's keys are the balance's attributes to remove.
    """
    names = [name for name in uses.live if gone(name) in balance.keys]
    return {
        gone(name): add_to_row(
            user_id, uses.live[name].key_id, balance.keys[gone(name)]
        )
        for name in names[:FOLDED_MAX]
    }
