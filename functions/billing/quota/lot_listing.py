"""A user's quota with what expires next, and a user's lots by the page. Nothing is written."""

from dataclasses import dataclass, replace
from typing import Annotated, Any, Final

from billing import cursors
from billing.answers import Count, Member, Time
from billing.books import Books
from billing.clock import epoch, from_epoch
from billing.lots import burning
from billing.lots.burning import Lots
from billing.lots.lot import EARLIER, Lot, Source
from billing.quota import hold_expiry, lot_expiry, lot_rows
from billing.quota.balance import Balance, Expiry, Quota, read_account
from billing.quota.lot_rows import Holdings

NEXT: Final = 1
"""Free units to read, beside those to burn, to know what expires next."""
_LEFT = "not used yet; units in open holds are among them"


@dataclass(frozen=True, slots=True)
class ListedLot:
    """One lot as ``GET /quota/lots`` shows it."""

    lot_id: str
    source: Source
    units: Count
    left: Annotated[Count, Member(description=_LEFT)]
    expires_at: Time | None
    reference_id: str | None


def read_quota(books: Books, user_id: str) -> Quota:
    """Return the quota, with the units that expire next.

    One call for an account on which nothing can expire, three for others.
    """
    balance = read_account(books.store, user_id)
    balance = hold_expiry.as_if_given_back(books, user_id, balance)
    if not balance.lots_due:
        return balance.as_answer(user_id)
    now = epoch(books.clock())
    is_due = lot_expiry.lots_are_due(balance, now)
    enough = lot_rows.ALL if is_due else NEXT
    holdings = lot_expiry.read_steady(books, user_id, balance, enough)
    gone = burning.expire(holdings.lots, now)
    found = holdings.balance
    shown = replace(
        found,
        total=found.total - gone.units,
        remaining=found.remaining - gone.units,
    )
    return shown.as_answer(user_id, _next(gone.lots))


def _next(lots: Lots) -> Expiry | None:
    """Return what expires first of these lots."""
    dated = [lot for lot in lots if lot.expires_at and lot.free]
    if not dated:
        return None
    at = dated[0].expires_at
    units = sum(lot.free for lot in dated if lot.expires_at == at)
    return Expiry(units, from_epoch(at))


def lots(books: Books, user_id: str, limit: int, cursor: str) -> dict[str, Any]:
    """Return one page of a user's lots that have units left, in burn order.

    Raises ``invalid_request`` for a cursor that is none of ours.
    """
    after = _place(cursor)
    balance = read_account(books.store, user_id)
    balance = hold_expiry.as_if_given_back(books, user_id, balance)
    holdings = lot_expiry.read_steady(books, user_id, balance)
    gone = burning.expire(_as_shown(holdings), epoch(books.clock()))
    shown = [lot for lot in gone.lots if lot.left and lot.key > after]
    page = shown[:limit]
    next_cursor = None
    if len(shown) > limit:
        next_cursor = cursors.sealed({"key": page[-1].key})
    return {"lots": [_listed(lot) for lot in page], "next_cursor": next_cursor}


def _place(cursor: str) -> str:
    """Return the key after which a page begins."""
    if not cursor:
        return ""
    return str(cursors.opened(cursor, {"key": cursors.is_key})["key"])


def _as_shown(holdings: Holdings) -> Lots:
    """Return the lots as customers see them.

    While no unit of the account can expire, holds name no lots: what they have is shown where it
    came from.
    """
    balance = holdings.balance
    if balance.lots_exact:
        return holdings.lots
    spare = _unspent(balance) + balance.unburned - balance.lots_left
    earlier = replace(EARLIER, units=max(0, spare), free=max(0, spare))
    known = burning.in_order((*holdings.rows, earlier))
    return burning.burn(known, balance.unburned + max(0, -spare)).lots


def _unspent(balance: Balance) -> int:
    return balance.remaining + balance.held


def _listed(lot: Lot) -> ListedLot:
    return ListedLot(
        lot_id=lot.lot_id,
        source=lot.source,
        units=lot.units,
        left=lot.left,
        expires_at=from_epoch(lot.expires_at) if lot.expires_at else None,
        reference_id=lot.reference_id or None,
    )
