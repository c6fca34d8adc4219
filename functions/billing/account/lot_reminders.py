"""Sends the seller events for units that expire in 7 days, and in 1 day.

Each reminder is sent once.
"""

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
"""For how many lots one transaction sends an event. Each lot needs two writes,
its own row and the event's, besides the rows of lots from which used units are
subtracted.
"""


def marks(books: Books) -> Iterator[tuple[str, int]]:
    """Yield pairs that say which lots are due: a value of ``open``, seconds.

    A lot is the units of one purchase or grant. Its attribute ``open``, which
    has an index, says which reminder of its expiry comes next, or that none
    does. A lot with the yielded value is due the yielded seconds before it
    expires: to send that reminder or, with 0 seconds, to remove its units. If
    the deployment sends no events to the seller, all seconds are 0.
    """
    yield MARKS[-1], 0
    for mark, before in zip(MARKS[:-1], REMINDERS, strict=True):
        yield mark, before if books.telling.is_on else 0


def tell_of_expiry(books: Books, user_id: str) -> None:
    """Send the event ``units.expiring`` for lots whose reminder is due.

    A lot is the units of one purchase or grant. Each event has the units that
    are left now. All or nothing::

                 table    key            writes               if
            0    quotas   user, quota    told += events       unchanged
            1..  quotas   user, lot#     reminded             unchanged
            ..   notices  user, number   an event for a lot

    ``told`` is the number of the account's last event, and ``reminded`` how
    many reminders of the lot are past.
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
    """Return the lots for which a reminder of their expiry is due now.

    A lot is the units of one purchase or grant. Those returned have free
    units, expire in 7 days or in 1 day, and were not reminded of it yet.
    """
    return tuple(
        lot
        for lot in lots
        if lot.free
        and lot.expires_at
        and lot.reminders_past(now_epoch) > lot.reminded
    )
