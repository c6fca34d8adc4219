"""Tells customers of units that will expire soon: 7 days before and 1 day before, once each."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from billing.books import Books
from billing.clock import epoch, stamp
from billing.errors import ConditionFailedError
from billing.expiry import upkeep
from billing.lots.burning import Lots
from billing.lots.listed import shown
from billing.lots.lot import MARKS, PREFIX, REMINDERS
from billing.notices.notice import Notice, tell
from billing.quota import lot_changes

TOLD_AT_ONCE: Final = 20
"""Lots that one transaction tells of: a row and an event each, beside those that it burns."""


def marks(books: Books) -> Iterator[tuple[str, int]]:
    """Yield the marks that a sweep reads, and how many seconds ahead of a lot's expiry.

    Where no events go out, lots are swept when they expire.
    """
    yield MARKS[-1], 0
    for mark, before in zip(MARKS[:-1], REMINDERS, strict=True):
        yield mark, before if books.telling.is_on else 0


def tell_of_expiry(books: Books, user_id: str) -> None:
    """Tell of the account's lots whose next reminder has come, each with what is left now.

    All or nothing::

        0    quotas   user, quota         told += events         if no event was told since
        1..  quotas   user, lot#          reminded               if the lots are as read
        ..   notices  user, 000000000007# an event for each lot
    """
    for _ in books.store.deadline.attempts():
        now = books.clock()
        last = f"{PREFIX}{epoch(now) + REMINDERS[0]:012d}$"
        holdings = upkeep.read_to_change(books, user_id, through=last)
        if not _soon(holdings.rows, epoch(now)):
            return
        soon = _soon(holdings.lots, epoch(now))[:TOLD_AT_ONCE]
        told = {lot.key for lot in soon}
        after = tuple(
            replace(lot, reminded=lot.reminders_past(epoch(now)))
            if lot.key in told
            else lot
            for lot in holdings.lots
        )
        change = lot_changes.change(holdings, after)
        account = change.account(user_id, stamp(now), {}, (), is_booked=False)
        notices = [Notice("units.expiring", shown(lot)) for lot in soon]
        writes = tell(
            books, user_id, holdings.balance, account, now=now, notices=notices
        )
        try:
            books.store.commit(*writes, *change.rows)
        except ConditionFailedError:
            continue  # a concurrent request has changed the lots: look again


def _soon(lots: Lots, now_epoch: int) -> Lots:
    """Return the lots with free units of whose expiry the customer is to be told now."""
    return tuple(
        lot
        for lot in lots
        if lot.free
        and lot.expires_at
        and lot.reminders_past(now_epoch) > lot.reminded
    )
