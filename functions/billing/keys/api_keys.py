"""Creates and lists API keys for the seller's own API.

A key is shown once and stored as a hash. All keys of a user spend one quota.
"""

import secrets
from dataclasses import dataclass, fields
from itertools import islice
from typing import Annotated, Final

from billing.answers import Member
from billing.books import Books
from billing.clock import stamp
from billing.errors import (
    ConditionFailedError,
    Item,
    NotDoneError,
)
from billing.expiry import present
from billing.keys.counting import counters, name_write
from billing.keys.figures import Key, show
from billing.keys.holders import hash_of
from billing.keys.limits import Limit
from billing.keys.live_count import LIVE_MAX, commit_counted, count_write
from billing.quota.balance import Balance
from billing.quota.key_bookmarks import Uses, read_both
from billing.storage.keys import user_key
from billing.storage.writes import Must, Write, absent, creates

NAME_CHARS_MAX: Final = 100
LISTED_MAX: Final = 1000
"""How many API keys are listed. Users with more keys, from before there was a
limit, see the rest after they revoke some.
"""
ACCOUNT_AT: Final = 3
"""The index of the write to the balance, in the transactions that create and
revoke an API key.
"""
NAME_AT: Final = 5
"""The index of the write that reserves the key's short name, in the
transaction that creates an API key.
"""


@dataclass(frozen=True, slots=True)
class NewKey(Key):
    """A new API key with its secret, which is never shown again."""

    key: Annotated[str, Member(pattern="^tk_", description="shown this once")]


def create(
    books: Books,
    user_id: str,
    stage: str,
    name: str,
    limit: Limit | None = None,
) -> NewKey:
    """Create an API key, and return it with its secret.

    ``stage`` becomes a part of the secret's text. Raises ``too_many_keys`` if
    the user has LIVE_MAX keys already. The count is a condition of the write,
    so that a race cannot exceed LIVE_MAX.
    """
    secret, owner = secrets.token_urlsafe(32), user_key(user_id)
    for _ in books.store.deadline.attempts(pauses=False):
        number = secrets.token_hex(12)
        row: Item = {"name": name, "created_at": stamp(books.clock())}
        if limit:
            row |= {"limit": limit.to_item()}
        writes = _creation(user_id, number, secret, row, limit)
        try:
            commit_counted(books, owner, writes)
        except ConditionFailedError as refused:
            if NAME_AT in refused.old:
                continue  # an earlier key has this short name: draw another id
            raise
        made = show(
            {**row, "id": f"key_{number}"},
            Balance(),
            Uses({}, {}),
            books.clock(),
        )
        shown = {of.name: getattr(made, of.name) for of in fields(made)}
        return NewKey(**shown, key=f"tk_{stage}_{number}_{secret}")
    message = "no free id was found before the deadline; no key was made"
    raise NotDoneError(message)


def _creation(
    user_id: str, number: str, secret: str, row: Item, limit: Limit | None
) -> tuple[Write, ...]:
    """Return the writes that create an API key. All or nothing::

               table   key            writes                   if
            0  keys    user#, key_    name, created_at, limit  it is new
            1  keys    key#, key      hash, user, name, limit  it is new
            2  keys    user#, count   live += 1                live < 32
            3  quotas  user, quota    u = 0, r = the limit     it is new
            4  quotas  user, uses     key id, limit's window
            5  keys    user#, name#   key id, for ever         it is new

    ``u`` is what the API key has used, and ``r`` what is left of its limit.
    The limit's window is a day, a month or all time. Row 5 reserves the key's
    short name, a hash of its id that is part of the names of ``u`` and ``r``.
    ``number`` is the key's id without ``key_``, and ``row`` the attributes of
    row 0.
    """  # noqa: D415 - a drawing follows
    owner, key_id = user_key(user_id), f"key_{number}"
    has_place = Must("live", "<", LIVE_MAX)
    found_by = {**row, "hash": hash_of(secret), "user_id": user_id}
    return (
        creates("keys", (owner, key_id), row),
        creates("keys", (f"key#{number}", "key"), found_by),
        count_write(owner, {"live": 1}, has_place),
        *counters(user_id, key_id, limit),
        name_write(user_id, key_id, absent("owner")),
    )


def list_all(books: Books, user_id: str) -> list[Key]:
    """Return a user's API keys with their limits and use, oldest first."""
    rows = list(
        islice(books.store.pages("keys", user_key(user_id), "key_"), LISTED_MAX)
    )
    if not rows:
        return []
    balance, uses = read_both(books.store, user_id)
    balance = present.read(books, user_id, balance)
    now = books.clock()
    keys = [show(row, balance, uses, now) for row in rows]
    return sorted(keys, key=lambda key: (key.created_at, key.key_id))
