"""Reads lots to burn what debits used since, beside what a transaction is for.

Debits do not touch lots. What they used since is burned here, by the next write that changes lots:
soonest expiry first, as each debit would have done.
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
"""Lots that one transaction burns, beside what it is for, within DynamoDB's 100."""


def read_burnable(
    books: Books,
    user_id: str,
    balance: Balance,
    enough: int = 0,
    through: str = "",
) -> Holdings:
    """Read lots as ``read`` does, for a transaction that burns what was used beside its own part.

    Where more lots are to be burned than fit into it, burns the first of them before. The balance
    of the answer is the one to go by.
    """
    for _ in books.store.deadline.attempts(pauses=False):
        holdings = read(books, user_id, balance, enough, through)
        if not burn_in_parts(books, holdings):
            return holdings
        balance = read_account(books.store, user_id)
    raise NotDoneError("more lots were to be burned than there was time for")


def burn_in_parts(books: Books, holdings: Holdings) -> bool:
    """Burn the first lots where there are more than a transaction can write. True: look again."""
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
