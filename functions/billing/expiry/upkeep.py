"""Brings an account up to date: releases expired holds, and lets go of expired lots.

The first request after their time handles both, in the order of their times.
"""

from billing.books import Books
from billing.clock import epoch
from billing.errors import NotDoneError
from billing.expiry import due_holds, hold_expiry, lot_expiry
from billing.expiry.hold_expiry import ExpiredHolds
from billing.expiry.lot_expiry import ExpiredLots
from billing.quota import lot_burning
from billing.quota.balance import Balance, read_account
from billing.quota.lot_rows import Holdings

Expired = ExpiredHolds | ExpiredLots
"""A batch that the next write on the account may carry."""


def is_due(balance: Balance, now_epoch: int) -> bool:
    """Return whether a hold or a lot may have expired."""
    return due_holds.holds_are_due(
        balance, now_epoch
    ) or lot_expiry.lots_are_due(balance, now_epoch)


def read_expired(books: Books, user_id: str, balance: Balance) -> Expired:
    """Return the first batch of what is due. Moves no units."""
    if _holds_come_first(balance):
        return ExpiredHolds.read(books, user_id, balance)
    return ExpiredLots.read(books, user_id, balance)


def _holds_come_first(balance: Balance) -> bool:
    if not balance.lots_due:
        return True
    return 0 < balance.holds_due <= balance.lots_due


def bring_up_to_date(
    books: Books, user_id: str, balance: Balance | None = None
) -> Balance:
    """Release and let go of all that is due, and return the balance after that.

    One call where nothing is due, none where ``balance`` is what was seen.
    """
    for _ in books.store.deadline.attempts(pauses=False):
        balance = balance or read_account(books.store, user_id)
        if not is_due(balance, epoch(books.clock())):
            return balance
        if _holds_come_first(balance):
            hold_expiry.give_back_expired(books, user_id, balance)
        else:
            lot_expiry.expire_due(books, user_id, balance)
        balance = None
    raise NotDoneError(
        "more had expired than could be written before the deadline"
    )


def read_to_change(
    books: Books, user_id: str, enough: int = 0, through: str = ""
) -> Holdings:
    """Return an account's lots for a write that changes them, with nothing due.

    They have at least ``enough`` free units, or are all there are. They reach at least to the key
    ``through``. Two calls, and more only where something is due, or more lots are to be burned
    than one transaction can write.
    """
    balance = bring_up_to_date(books, user_id)
    return lot_burning.read_burnable(books, user_id, balance, enough, through)
