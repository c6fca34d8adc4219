"""Computes an account as it is now, for callers that may only read.

Expired holds count as released, and expired lots (units of one purchase or
grant) as gone, even if no write has done that yet.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from billing.books import Books
from billing.clock import epoch
from billing.errors import Item, NotDoneError
from billing.expiry import due_holds, upkeep
from billing.lots import burning
from billing.lots.burning import Lots
from billing.lots.lot import EARLIER
from billing.quota import lot_holds, lot_rows
from billing.quota.balance import Balance, read_account
from billing.quota.key_use import give_back, held_by_key, moved
from billing.quota.lot_rows import Holdings
from billing.quota.movement import come_in


@dataclass(frozen=True, slots=True)
class Present:
    """Holds a balance and its lots, without expired holds and expired units.

    A lot is the units of one purchase or grant.
    """

    balance: Balance
    lots: Lots


def read(books: Books, user_id: str, balance: Balance) -> Balance:
    """Return the balance without expired holds and expired units.

    ``balance`` was read before. If nothing has expired, no further call to
    DynamoDB is made. If only a hold has, and no unit of the account can
    expire, one call is made.
    """
    if not balance.lots_exact:
        return due_holds.as_if_given_back(books, user_id, balance)
    if not upkeep.is_due(balance, epoch(books.clock())):
        return balance
    return read_with_lots(books, user_id, balance).balance


def read_with_lots(
    books: Books, user_id: str, balance: Balance, enough: int = lot_rows.ALL
) -> Present:
    """Return the balance and lots without expired holds and units.

    Both are of the same moment. The lots are all lots, or, if nothing has
    expired, the first ones with ``enough`` free units. A lot is the units
    of one purchase or grant.
    """
    for _ in books.store.deadline.attempts():
        now = epoch(books.clock())
        needed = lot_rows.ALL if upkeep.is_due(balance, now) else enough
        rows: list[Item] = []
        if due_holds.holds_are_due(balance, now):
            rows = due_holds.expired_holds(books, user_id, now)
        holdings = lot_rows.read(books, user_id, balance, needed, is_whole=True)
        again = read_account(books.store, user_id)
        if _same(again, balance):
            return _as_if_up_to_date(holdings, rows, now)
        balance = again
    raise NotDoneError("the account's lots kept changing until the deadline")


def _where_they_came_from(balance: Balance, holdings: Holdings) -> Lots:
    """Return the account's lots as if open holds had taken nothing from them.

    A lot is the units of one purchase or grant. This is for an account that
    never had units that expire or were granted: its holds do not record from
    which lots they took units. Units used by debits are subtracted.
    """
    unspent = balance.remaining + balance.held
    spare = unspent + balance.unburned - balance.lots_left
    earlier = replace(EARLIER, units=max(0, spare), free=max(0, spare))
    known = burning.in_order((*holdings.rows, earlier))
    return burning.burn(known, balance.unburned + max(0, -spare)).lots


def _same(one: Balance, other: Balance) -> bool:
    """Return whether no lot and no hold has changed between two readings.

    Then the rows that were read in between fit both balances. A lot is the
    units of one purchase or grant.
    """
    return (one.lots_version, one.holds_due, one.holds_placed, one.held) == (
        other.lots_version,
        other.holds_due,
        other.holds_placed,
        other.held,
    )


def _as_if_up_to_date(
    holdings: Holdings, rows: Sequence[Item], now_epoch: int
) -> Present:
    """Return the account as if expired holds and units were gone.

    The holds in ``rows`` count as released, and units of expired lots as
    removed. Nothing is written.
    """
    balance, lots = holdings.balance, holdings.with_earlier
    if not balance.lots_exact:
        balance = due_holds.with_released(balance, rows)
        return Present(balance, _where_they_came_from(balance, holdings))
    for row in rows:
        parts = lot_holds.parts_of(row, lots)
        given = burning.close_hold(lots, parts, 0, now_epoch, balance.debt)
        lots = given.lots
        back = come_in(balance, given.back).add
        balance = replace(
            balance,
            held=balance.held - row["units"],
            total=balance.total - given.gone,
            remaining=balance.remaining + back["remaining"],
            debt=balance.debt + back.get("debt", 0),
        )
    balance = moved(balance, give_back(balance, held_by_key(rows)))
    gone = burning.expire(lots, now_epoch)
    balance = replace(
        balance,
        total=balance.total - gone.units,
        remaining=balance.remaining - gone.units,
    )
    return Present(balance, gone.lots)
