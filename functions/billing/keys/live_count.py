"""Counts a user's live API keys, so that there are never more than LIVE_MAX.

The transactions that create and revoke a key also change the count. So
concurrent requests cannot exceed it together.
"""

from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from billing.books import Books
from billing.errors import (
    BillingError,
    ConditionFailedError,
    Item,
    OutcomeUnknownError,
)
from billing.keys import counting
from billing.storage.writes import Must, Write, absent, equals

LIVE_MAX: Final = counting.LIVE_MAX
COUNT: Final = "count"
"""The range key of the row that counts a user's live API keys.

``live`` is their number. ``changes`` grows with each revocation and recount,
so that a recount that started earlier is refused as stale.
"""
KEY_AT: Final = 0
"""The index of the write to the API key's own row, in the transactions that
create and revoke a key.
"""
COUNT_AT: Final = 2
"""The index of the write to the count's row, in the transactions that create
and revoke a key.
"""


def count_write(owner: str, change: Mapping[str, int], bound: Must) -> Write:
    """Return the write that changes the count of a user's live API keys.

    ``change`` is what to add to each attribute of the count's row. ``bound``
    is the condition of the write, for example that ``live`` is less than 32.
    """
    return Write("keys", (owner, COUNT), add=change, must=(bound,))


def commit_counted(books: Books, owner: str, writes: tuple[Write, ...]) -> None:
    """Commit a transaction that creates or revokes an API key.

    ``writes`` are the whole transaction. One of them changes the row that
    counts the user's live keys. If only its condition fails, the keys are
    counted again, and the transaction is repeated. ``owner`` is the partition
    key of the user's API keys. Raises BillingError ``too_many_keys`` if a new
    key would be one more than LIVE_MAX, and ConditionFailedError if another
    condition fails.
    """
    for _ in books.store.deadline.attempts():
        try:
            return books.store.commit(*writes)
        except ConditionFailedError as refused:
            if set(refused.old) != {COUNT_AT}:
                raise
            live = _recount(books, owner, refused.old[COUNT_AT])
            if live >= LIVE_MAX and not writes[KEY_AT].delete:
                raise _no_place() from refused
    message = "a key met other changes until the time was up"
    raise OutcomeUnknownError(message)


def _recount(books: Books, owner: str, seen: Item | None) -> int:
    """Count a user's live API keys, store the number, and return it.

    It is called if the stored count does not allow a change: there is no count
    yet, or it says 32 when a key is created, or 0 when one is revoked. It may
    be wrong, because an older version of the function, still running during a
    deployment, changes keys without counting. ``seen`` is the count's row as
    it was read. The number is not stored if a concurrent request has changed
    the row since. ``changes``, which grows with each revocation and recount,
    shows that.
    """
    live = sum(1 for _ in books.store.pages("keys", owner, "key_"))
    if seen and seen["live"] == live:
        return live
    unchanged = equals("changes", seen["changes"]) if seen else absent("owner")
    counted = Write(
        "keys",
        (owner, COUNT),
        set={"live": live},
        add={"changes": 1},
        must=(unchanged,),
    )
    with suppress(
        ConditionFailedError
    ):  # counted or changed by a concurrent request
        books.store.commit(counted)
    return live


def _no_place() -> BillingError:
    most = f"you have {LIVE_MAX} live keys, which is the most"
    detail = f"{most}; revoke one that is no longer used, then create this one"
    return BillingError("too_many_keys", detail)
