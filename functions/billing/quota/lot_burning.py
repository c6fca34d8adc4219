"""Reads lots for a transaction that subtracts (burns) used units from them.

A lot is the units of one purchase or grant. A debit changes only the balance,
so the lots still have the units that it used. The next transaction that
changes lots for any reason subtracts those units too, first from the lots that
expire first.
"""

from contextlib import suppress
from dataclasses import replace
from typing import Final

from billing.books import Books
from billing.clock import stamp
from billing.errors import ConditionFailedError, NotDoneError
from billing.lots import burning
from billing.quota.balance import Balance, read_account
from billing.quota.lot_changes import change
from billing.quota.lot_rows import Holdings, read

BURNED_AT_ONCE: Final = 20
"""From how many lots one transaction subtracts used units, besides its other
writes, within DynamoDB's 100.
"""


def read_burnable(
    books: Books,
    user_id: str,
    balance: Balance,
    enough: int = 0,
    through: str = "",
) -> Holdings:
    """Return the balance and its lots, for a transaction that changes lots.

    A lot is the units of one purchase or grant. Lots are read in the order in
    which they expire, until those read have ``enough`` units that no debit
    used and no hold has set aside, and at least up to the lot's key
    ``through``. The transaction must also subtract (burn) the units that
    debits used. If those are in more lots than it can write, this function
    subtracts a part in transactions of its own. So use the balance in the
    result: it may be newer than ``balance``.
    """
    for _ in books.store.deadline.attempts(pauses=False):
        holdings = read(books, user_id, balance, enough, through)
        if not burn_in_parts(books, holdings):
            return holdings
        balance = read_account(books.store, user_id)
    raise NotDoneError("more lots were to be burned than there was time for")


def burn_in_parts(books: Books, holdings: Holdings) -> bool:
    """Subtract used units from lots, if they are in too many for one write.

    A lot is the units of one purchase or grant. Used units come off the lots
    that expire first. Too many are more than BURNED_AT_ONCE. Then this
    function subtracts from that many lots and returns True, also if a
    concurrent request changed the lots: the caller must read again. Otherwise
    it writes nothing and returns False.
    """
    burned = burning.burn(holdings.rows, holdings.to_burn)
    if len(burned.parts) <= BURNED_AT_ONCE:
        return False
    first = dict(list(burned.parts.items())[:BURNED_AT_ONCE])
    after = tuple(
        replace(lot, free=lot.free - first.get(lot.key, 0))
        for lot in holdings.rows
    )
    changed = change(holdings, after, burned=sum(first.values()))
    now = stamp(books.clock())
    account = changed.account(holdings.user_id, now, {}, (), is_booked=False)
    with suppress(
        ConditionFailedError
    ):  # a concurrent request changed the lots
        books.store.commit(account, *changed.rows)
    return True
