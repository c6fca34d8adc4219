"""Reads a user's quota with its next expiry, and a user's lots in pages.

A lot is the units of one purchase or grant. Nothing is written.
"""

from typing import Any, Final

from billing import cursors
from billing.books import Books
from billing.clock import from_epoch
from billing.expiry import present
from billing.lots.burning import Lots
from billing.lots.listed import listed
from billing.quota.balance import Expiry, Quota, read_account

NEXT: Final = 1
"""How many free units must be read to know which expire next."""


def read_quota(books: Books, user_id: str) -> Quota:
    """Return the quota, with the units that expire next.

    It makes one call to DynamoDB if no unit of the account can expire, and
    three otherwise.
    """
    balance = read_account(books.store, user_id)
    can_expire = balance.lots_due or (balance.lots_exact and balance.holds_due)
    if not can_expire:
        return present.read(books, user_id, balance).as_answer(user_id)
    found = present.read_with_lots(books, user_id, balance, NEXT)
    return found.balance.as_answer(user_id, _next(found.lots))


def _next(lots: Lots) -> Expiry | None:
    """Return how many units expire first, and when.

    Units that a hold has set aside are not counted. Returns None if no other
    unit can expire.
    """
    dated = [lot for lot in lots if lot.expires_at and lot.free]
    if not dated:
        return None
    at = dated[0].expires_at
    units = sum(lot.free for lot in dated if lot.expires_at == at)
    return Expiry(units, from_epoch(at))


def lots(books: Books, user_id: str, limit: int, cursor: str) -> dict[str, Any]:
    """Return one page of a user's lots that have units left.

    A lot is the units of one purchase or grant. The first to expire, which is
    used first, comes first. Raises ``invalid_request`` if ``cursor`` is none
    of ours.
    """
    after = _place(cursor)
    balance = read_account(books.store, user_id)
    found = present.read_with_lots(books, user_id, balance)
    shown = [lot for lot in found.lots if lot.left and lot.key > after]
    page = shown[:limit]
    next_cursor = None
    if len(shown) > limit:
        next_cursor = cursors.sealed({"key": page[-1].key})
    return {"lots": [listed(lot) for lot in page], "next_cursor": next_cursor}


def _place(cursor: str) -> str:
    """Return the key of the lot after which the page starts.

    A lot is the units of one purchase or grant, and ``cursor`` has the key of
    the last one shown. Returns "" for the first page, without a cursor.
    """
    if not cursor:
        return ""
    return str(cursors.opened(cursor, {"key": cursors.is_key})["key"])
