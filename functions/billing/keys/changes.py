"""Renames an API key and changes its limit.

Every process sees the change at once, and no concurrent debit is lost.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from billing.books import Books
from billing.clock import day
from billing.errors import BillingError, ConditionFailedError, NotDoneError
from billing.expiry import present
from billing.keys.counting import ID, count_from_now
from billing.keys.figures import Key, show
from billing.keys.limits import Limit
from billing.quota import daily_usage
from billing.quota.balance import Balance
from billing.quota.key_bookmarks import (
    BUMP,
    Bookmark,
    Uses,
    pin,
    read_both,
    write_uses,
)
from billing.quota.key_use import (
    NO_LIMIT,
    held_by_key,
    left,
    left_of_limit,
    name_of,
    used,
)
from billing.storage.keys import user_key
from billing.storage.writes import Must, Write, absent_or, equals, exists


def change(
    books: Books, user_id: str, key_id: str, changed: Mapping[str, Any]
) -> Key:
    """Change an API key, and return it as its owner sees it.

    ``changed`` has ``name``, ``limit`` (None to remove it) or both. Raises
    ``not_found`` if the user has no such key, and ``too_many_keys`` if a
    limit is set for an old key that cannot be counted.
    """
    if not re.fullmatch(ID, key_id):
        raise _not_found()
    for _ in books.store.deadline.attempts():
        try:
            done = _try(books, user_id, key_id, changed)
        except ConditionFailedError:
            continue
        if done:
            return _read(books, user_id, key_id)
    raise NotDoneError(
        "the key kept changing until the deadline; it was not changed"
    )


def _try(
    books: Books, user_id: str, key_id: str, changed: Mapping[str, Any]
) -> bool:
    """Try once to change an API key, and return whether it was changed.

    False means that a necessary write was made first, and the caller must try
    again: the key's counters were created, or the account's use of an earlier
    day was written to the ledger. DynamoDB refuses a new limit if any API key
    of the user has changed since the balance was read.
    """
    balance, uses = read_both(books.store, user_id)
    row = books.store.get("keys", (user_key(user_id), key_id))
    if row is None:
        raise _not_found()
    if "limit" not in changed:
        books.store.commit(*_rows(user_id, key_id, changed))
        return True
    if used(name_of(key_id)) not in balance.keys:
        if count_from_now(books, user_id, key_id) is None:
            raise _cannot_have_a_limit()
        return False
    today = day(books.clock())
    if balance.use_day and balance.use_day < today:
        daily_usage.itemise(books, user_id, balance)
        return False
    seen = _Seen(user_id, key_id, balance, uses, Limit.from_item(row))
    account, bookmark = _limit(books, seen, changed["limit"])
    marked = write_uses(user_id, {name_of(key_id): bookmark})
    books.store.commit(account, marked, *_rows(user_id, key_id, changed))
    return True


def _rows(
    user_id: str, key_id: str, changed: Mapping[str, Any]
) -> tuple[Write, Write]:
    """Return the writes to the API key's two rows.

    Both rows have its name and limit. ``changed`` has the new ones.
    """
    values = {
        name: value for name, value in changed.items() if value is not None
    }
    if isinstance(limit := values.get("limit"), Limit):
        values["limit"] = limit.to_item()
    removed = tuple(name for name in changed if name not in values)
    number = key_id.removeprefix("key_")
    return (
        Write(
            "keys",
            (user_key(user_id), key_id),
            set=values,
            remove=removed,
            must=(exists("owner"),),
        ),
        Write(
            "keys",
            (f"key#{number}", "key"),
            set=values,
            remove=removed,
            must=(exists("owner"),),
        ),
    )


class _Seen(NamedTuple):
    """An API key and its account, read at one moment."""

    user_id: str
    key_id: str
    balance: Balance
    uses: Uses
    limit: Limit | None


def _limit(
    books: Books, seen: _Seen, new: Limit | None
) -> tuple[Write, Bookmark]:
    """Return the balance's write and the bookmark for a key's new limit.

    The write changes what is left of the limit. The bookmark has the limit's
    period (a day, a month or all time), and what the API key had used when
    the day and the month began. ``new`` is None to remove the limit.
    """
    name, old = name_of(seen.key_id), seen.limit
    bookmark = seen.uses.live.get(name, Bookmark(seen.key_id))
    account = Write(
        "quotas",
        (seen.user_id, "quota"),
        add=BUMP,
        must=(pin(seen.balance),),
    )
    if new is None:
        account = account._replace(set={left(name): NO_LIMIT})
        return account, replace(bookmark, per=None)
    if old and left_of_limit(seen.balance, name) is not None:
        # What is left is ``units - (used - base)``. The difference does not depend on ``used``, so
        # concurrent debits and holds stay counted.
        by = (
            new.units
            - old.units
            + bookmark.base(new.per)
            - bookmark.base(old.per)
        )
        account = account._replace(add={**BUMP, left(name): by})
    else:
        held = _held(books, seen.user_id, name)
        least = new.units + bookmark.base(new.per) - held
        account = account._replace(
            subtract={left(name): (least, used(name))},
            must=(*account.must, *_no_hold_changed(seen.balance)),
        )
    return account, replace(bookmark, per=new.per)


def _held(books: Books, user_id: str, name: str) -> int:
    """Return the units in the open holds of one API key.

    For the key's limit they count as used. ``name`` is the key's short name, a
    hash of its id.
    """
    rows = books.store.pages("quotas", user_id, "hold#")
    return held_by_key(rows).get(name, 0)


def _no_hold_changed(balance: Balance) -> tuple[Must, ...]:
    """Return the conditions that no hold was placed or closed.

    That is, not since ``balance`` was read.
    """
    return tuple(
        equals(name, count) if count else absent_or(name, "==", 0)
        for name, count in (
            ("held", balance.held),
            ("holds_placed", balance.holds_placed),
        )
    )


def _read(books: Books, user_id: str, key_id: str) -> Key:
    row = books.store.get("keys", (user_key(user_id), key_id))
    if row is None:
        raise _not_found()
    balance, uses = read_both(books.store, user_id)
    balance = present.read(books, user_id, balance)
    return show(row, balance, uses, books.clock())


def _not_found() -> BillingError:
    return BillingError("not_found", "you have no such key")


def _cannot_have_a_limit() -> BillingError:
    detail = "this old key cannot have a limit; create a new one, and revoke this one"
    return BillingError("too_many_keys", detail)
