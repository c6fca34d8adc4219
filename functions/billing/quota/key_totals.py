"""Keeps the units that each API key has ever used.

A live key's total is in the balance, and a revoked key's in a row of its own.
"""

from dataclasses import replace
from typing import Final, NamedTuple

from billing.quota.balance import Balance
from billing.quota.key_bookmarks import (
    BUMP,
    Bookmark,
    pin,
    read_both,
    read_uses,
    write_uses,
)
from billing.quota.key_use import gone, name_of, used
from billing.quota.movement import Movement
from billing.storage.dynamodb import Store
from billing.storage.keys import user_key
from billing.storage.writes import Write, equals, exists

NAMES: Final = "name#"
"""The prefix, in the table of API keys, of the rows that reserve the user's
short key names.
"""


def name_row(user_id: str, name: str) -> tuple[str, str]:
    """Return the table key of the row that reserves a key's short name.

    The short name is a hash of the API key's id. The row also has the total
    use of the API key after it was revoked. It is never deleted.
    """
    return (user_key(user_id), f"{NAMES}{name}")


def user_of(owner: str) -> str:
    """Return the user id in a partition key of the API keys' table."""
    return owner.removeprefix(user_key(""))


def add_to_row(user_id: str, key_id: str, units: int) -> Write:
    """Return the write that adds used units to a revoked API key's row.

    That row has all units that the key used.
    """
    return Write(
        "keys",
        name_row(user_id, name_of(key_id)),
        set={"key_id": key_id},
        add={"used": units},
    )


def fold(store: Store, user_id: str, key_id: str) -> tuple[Write, ...]:
    """Return the writes that move a revoked API key's total use.

    The total is moved from the balance to the API key's own row. Returns () if
    that was done already.
    """
    balance, uses = read_both(store, user_id)
    name = name_of(key_id)
    total = balance.keys.get(gone(name))
    if total is None:
        return ()
    bookmark = uses.live.get(name, Bookmark(key_id))
    revoked = dict(uses.revoked)
    if more := bookmark.more + total - bookmark.day:
        revoked[name] = Bookmark(key_id, more=more)
    account = Write(
        "quotas",
        (user_id, "quota"),
        add=BUMP,
        remove=(gone(name),),
        must=(pin(balance), equals(gone(name), total)),
    )
    row = write_uses(user_id, {}, revoked, remove=(name,))
    return (account, row, add_to_row(user_id, key_id, total))


class Captured(NamedTuple):
    """Holds what to write for an API key when units of its hold are used.

    ``movement`` is the change of the balance, where the key's use is counted.
    ``writes`` are those of other rows, for a revoked key.
    """

    movement: Movement
    writes: tuple[Write, ...] = ()


def capture(
    store: Store, user_id: str, balance: Balance, key_id: str, units: int
) -> Captured:
    """Return what to count for an API key when its hold is captured.

    A capture uses ``units`` of the hold. They are added to the key's use on
    the balance. If the key was revoked and its use was moved from the balance
    to a row of its own, they are added there.
    """
    name = name_of(key_id)
    if not units:
        return Captured(Movement({}))
    for counter in (used(name), gone(name)):
        if counter in balance.keys:
            return Captured(Movement({counter: units}, (exists(counter),)))
    uses = read_uses(store, user_id)
    bookmark = uses.revoked.get(name, Bookmark(key_id))
    more = replace(bookmark, more=bookmark.more + units)
    row = write_uses(user_id, {}, {**uses.revoked, name: more})
    return Captured(
        Movement(BUMP, (pin(balance),)),
        (row, add_to_row(user_id, key_id, units)),
    )
