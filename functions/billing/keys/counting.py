"""Makes debits and holds for an API key that the caller names.

It also starts to count API keys that were created by a version that did not
count their use.
"""

import re
from collections.abc import Callable
from typing import Final, TypeVar

from billing.books import Books
from billing.errors import (
    BillingError,
    ConditionFailedError,
    Item,
    NotDoneError,
)
from billing.keys.limits import Limit
from billing.quota.balance import Balance, read_account
from billing.quota.key_bookmarks import BUMP, Bookmark, write_uses
from billing.quota.key_totals import name_row
from billing.quota.key_use import (
    NO_LIMIT,
    KeyLimitReachedError,
    KeyNotCountedError,
    KeyUse,
    gone,
    left,
    name_of,
    used,
)
from billing.storage.keys import user_key
from billing.storage.writes import Must, Write, absent, absent_or, exists

ID: Final = "^key_[0-9a-f]{24}$"
KEY_ID_CHARS_MAX: Final = 100
"""The most characters that a caller may send as an API key's id. Every real id
is shorter.
"""
REFUSALS: Final = ("quota_exhausted", "key_limit_reached")
"""The error codes of a debit or hold that took nothing because too few units
are left.
"""
LIVE_MAX: Final = 32
"""How many live API keys a user may have."""
NAME_AT: Final = 3
"""The index of the write that reserves the key's short name, in the
transaction that starts to count an API key.
"""
_Answer = TypeVar("_Answer")


def spend_for(
    books: Books,
    user_id: str,
    key_id: str,
    act: Callable[[KeyUse | None], _Answer],
) -> _Answer:
    """Debit or hold by calling ``act``, and return its result.

    ``act`` gets the API key whose use it must count, or None to count none.
    Raises ``invalid_key`` if ``key_id`` is neither "" nor a live key of this
    user, and ``key_limit_reached`` if the key's limit leaves too few units.
    """
    if not key_id:
        return act(None)
    if not re.fullmatch(ID, key_id):
        raise invalid_key()
    return spend_by(books, user_id, KeyUse(key_id), act)


def spend_by(
    books: Books,
    user_id: str,
    spender: KeyUse,
    act: Callable[[KeyUse | None], _Answer],
) -> _Answer:
    """Debit or hold by calling ``act`` with an API key. Return its result.

    ``spender`` is the key, whose id is known to be well formed. Keys that an
    older version of this code created are not counted. The use of such a key
    is counted from now on, or if that cannot be, ``act`` gets None. Raises
    ``invalid_key`` if it is not a live key of this user, and
    ``key_limit_reached`` if its limit leaves too few units.
    """
    key: KeyUse | None = spender
    for _ in books.store.deadline.attempts():
        try:
            return act(key)
        except KeyNotCountedError:
            key = count_from_now(books, user_id, spender.key_id)
        except KeyLimitReachedError as reached:
            raise _limit_reached(
                books, user_id, spender.key_id, reached
            ) from reached
    message = (
        "the account's keys kept changing until the deadline; nothing was taken"
    )
    raise NotDoneError(message)


def count_from_now(books: Books, user_id: str, key_id: str) -> KeyUse | None:
    """Start to count the use of an API key, and return the key as counted.

    Keys that an older version of this code created were not counted. Returns
    None if the key cannot be counted: another key of the user has the same
    short name (a hash of the id), or LIVE_MAX keys are counted already. Such a
    key can spend as before, but cannot have a limit. Raises ``invalid_key``
    for anything but a live API key of this user.
    """
    for _ in books.store.deadline.attempts():
        balance = read_account(books.store, user_id)
        row = books.store.get("keys", (user_key(user_id), key_id))
        if row is None:
            raise invalid_key()
        key = KeyUse(key_id)
        if used(key.name) in balance.keys:
            return key.as_in(balance)
        if _is_full(balance):
            return None
        try:
            books.store.commit(*_begin(user_id, row))
        except ConditionFailedError as refused:
            if NAME_AT in refused.old:
                return None
            continue
        return key
    message = (
        "the account's keys kept changing until the deadline; nothing was taken"
    )
    raise NotDoneError(message)


def counters(
    user_id: str, key_id: str, limit: Limit | None
) -> tuple[Write, Write]:
    """Return the writes that start to count the use of an API key.

    The first creates two numbers in the balance's row: what the key has used,
    and what is left of its limit. The second adds the key to the user's row
    ``uses``, which has each key's use at the start of the day and of the
    month.
    """
    name = name_of(key_id)
    values = {used(name): 0, left(name): limit.units if limit else NO_LIMIT}
    account = Write(
        "quotas",
        (user_id, "quota"),
        set=values,
        add=BUMP,
        must=(absent(used(name)), absent(gone(name))),
    )
    bookmark = Bookmark(key_id, limit.per if limit else None)
    return account, write_uses(user_id, {name: bookmark})


def name_write(user_id: str, key_id: str, must: Must) -> Write:
    """Return the write that reserves an API key's short name for ever.

    The short name is a hash of the key's id. ``must`` is the condition of the
    write.
    """
    values = {"key_id": key_id}
    return Write(
        "keys", name_row(user_id, name_of(key_id)), set=values, must=(must,)
    )


def invalid_key() -> BillingError:
    """Return the error for an id that is no live API key of the user."""
    detail = "key_id must be the id of one of this user's live keys; nothing was taken"
    return BillingError("invalid_key", detail)


def _is_full(balance: Balance) -> bool:
    return sum(name.startswith("u") for name in balance.keys) >= LIVE_MAX


def _begin(user_id: str, row: Item) -> tuple[Write, ...]:
    key_id = row["id"]
    # A write, not only a check: a check needs a right of its own in every role.
    still_live = Write(
        "keys",
        (user_key(user_id), key_id),
        set={"is_counted": True},
        must=(exists("owner"),),
    )
    named = name_write(user_id, key_id, absent_or("key_id", "==", key_id))
    return (still_live, *counters(user_id, key_id, Limit.from_item(row)), named)


def _limit_reached(
    books: Books, user_id: str, key_id: str, reached: KeyLimitReachedError
) -> BillingError:
    row = books.store.get("keys", (user_key(user_id), key_id)) or {}
    limit = Limit.from_item(row)
    units = reached.units_left
    resets_at = limit.resets_at(books.clock()) if limit else None
    return BillingError(
        "key_limit_reached",
        f"the key's limit leaves {units} units; nothing was taken",
        limit_remaining=units,
        resets_at=resets_at,
    )
