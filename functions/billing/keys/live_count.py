"""Counts a user's live keys, in the transactions that make and revoke one."""

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
"""A user's row that counts their live keys, beside the keys themselves.

``live`` is how many there are. ``changes`` grows with every revocation and recount, so that a
recount that began before is refused as stale.
"""
KEY_AT: Final = 0
"""The key's own place in both transactions."""
COUNT_AT: Final = 2
"""The count's place in both transactions."""


def count_write(owner: str, change: Mapping[str, int], bound: Must) -> Write:
    """Return the write that counts one key more or less."""
    return Write("keys", (owner, COUNT), add=change, must=(bound,))


def commit_counted(books: Books, owner: str, writes: tuple[Write, ...]) -> None:
    """Commit a change of a key together with the user's count of live keys.

    Raises BillingError ``too_many_keys`` when there is no place, and ConditionFailedError when
    another row refuses.
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
    """Count a user's live keys and store the number, unless a key was changed concurrently.

    Keys made before there was a count are counted here, at the first change. A count is also
    corrected when it is full or empty: an older version of the function, still running while a new
    one is deployed, changes keys without it. A full count leaves no place for a concurrent key, and
    a concurrent revocation changes ``changes``, so what was counted is still true when it is
    written.
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
