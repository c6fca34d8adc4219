"""Brings an account up to date: releases expired holds, removes expired lots.

A lot is the units of one purchase or grant. The first request after an expiry
does this, in the order of the expiries.
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
"""A batch of expired holds or lots, which the next write to the balance may
include.
"""


def is_due(balance: Balance, now_epoch: int) -> bool:
    """Return whether the account must be checked for expired holds and lots.

    A lot is the units of one purchase or grant. The stored times of the first
    expiries may be too early. So True does not prove that one has expired;
    False proves that none has.
    """
    return due_holds.holds_are_due(
        balance, now_epoch
    ) or lot_expiry.lots_are_due(balance, now_epoch)


def read_expired(books: Books, user_id: str, balance: Balance) -> Expired:
    """Return the writes for the first batch of expired holds or expired lots.

    A lot is the units of one purchase or grant. The batch has holds if the
    first hold expires no later than the first lot, and lots otherwise. Nothing
    is written here: the caller adds the writes to its own transaction.
    """
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
    """Release expired holds, remove expired lots, return the balance.

    A lot is the units of one purchase or grant. If nothing has expired, it
    makes one call to DynamoDB, or none if ``balance`` was given.
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
    """Return an account's balance and lots, for a write that changes them.

    A lot is the units of one purchase or grant. Expired holds and lots are
    removed first. Then lots are read, the first to expire first, until they
    have ``enough`` units that can be spent, and at least up to the key
    ``through``. It makes two calls to DynamoDB. It makes more if something has
    expired, or if used units are in more lots than one transaction can write.
    """
    balance = bring_up_to_date(books, user_id)
    return lot_burning.read_burnable(books, user_id, balance, enough, through)
