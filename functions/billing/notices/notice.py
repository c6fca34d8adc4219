"""Adds events out to a write on an account.

A row is written in the transaction that has the effect: no effect without its event, no event
without its effect. Where events are off there is no row, no clause and no cost.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, Literal, NamedTuple

from billing.books import NOTHING_OPENED, Books, Opened
from billing.notices.crossings import Account, Crossing, cross
from billing.notices.rows import new_row
from billing.storage.writes import Write, absent_or, equals

NoticeType = Literal[
    "quota.low",
    "quota.depleted",
    "quota.recovered",
    "payment.completed",
    "payment.failed",
    "payment.refunded",
    "payment.disputed",
    "units.granted",
    "units.expiring",
    "units.expired",
    "top_up.failed",
    "top_up.off",
]


class Notice(NamedTuple):
    """An event to store. ``data`` is what the API would show: the quota, the payment, the lot."""

    type: NoticeType
    data: Mapping[str, Any]


def tell(
    books: Books,
    user_id: str,
    account: Account,
    write: Write | None,
    *,
    now: datetime,
    notices: Iterable[Notice] = (),
    comes_in: bool = False,
    may_open: bool = True,
    returned: int = 0,
) -> Iterator[Write]:
    """Yield the account's write with the rows of everything that it tells and opens.

    Call it in every transaction that tells something or changes ``remaining``, and commit all that
    it yields, the account's write first. ``account`` is the balance as it was read, ``write`` what
    is to become of it, None where the effect is elsewhere. ``notices`` are what else the
    transaction tells; crossings of the account's thresholds are found here. ``comes_in``: units
    come in, and are not returned by a hold. ``may_open``: False where the same transaction ends
    automatic top-ups. ``returned``: how many of the write's units expired holds give back.

    Each row takes the next number of the account's sequence. The account's write demands that the
    last number is still the one that was read, so that concurrent writers leave no gap.
    """
    telling = books.telling
    may_open = may_open and books.top_ups.is_on
    if not telling.is_on and not may_open:
        if write is not None:
            yield write
        return
    write = write or Write("quotas", (user_id, "quota"))
    low_at = telling.low_at if telling.is_on else None
    crossing = cross(
        account,
        _moved(write) - returned,
        low_at,
        comes_in=comes_in,
        may_open=may_open,
        returned=returned,
    )
    opened = _opened(books, user_id, crossing, now)
    crossed = _crossed(crossing, user_id, account, write)
    told = [*notices, *crossed, *opened.notices]
    if not telling.is_on:
        told = []
    write = _told(account, write, crossing, len(told))
    if not write.is_check:
        yield write
    yield from _rows(user_id, told, account.told, now)
    yield from opened.writes


def _moved(write: Write) -> int:
    """Return by how many units the write changes ``remaining``."""
    moved = write.add.get("remaining", 0)
    assert isinstance(moved, int)  # noqa: S101 - our own invariant
    return moved


def _opened(
    books: Books, user_id: str, crossing: Crossing, now: datetime
) -> Opened:
    """Return the automatic top-up that the crossing opens, if it opens one."""
    if crossing.opens:
        return books.top_ups.open(books.store, user_id, now)
    return NOTHING_OPENED


def _rows(
    user_id: str, told: Iterable[Notice], last: int, now: datetime
) -> Iterator[Write]:
    """Yield the row of each event, numbered after the ``last`` that was told."""
    for sequence, notice in enumerate(told, last + 1):
        yield new_row(user_id, sequence, notice.type, notice.data, now)


def _crossed(
    crossing: Crossing, user_id: str, account: Account, write: Write
) -> Iterator[Notice]:
    """Yield the events of the thresholds that the write crosses, with the quota afterwards."""
    if crossing.tells:
        shown = account.after(write).shown(user_id)
        for kind in crossing.tells:
            yield Notice(kind, shown)


def _told(
    account: Account, write: Write, crossing: Crossing, events: int
) -> Write:
    """Return the account's write with what the crossing demands, and the sequence's new end."""
    write = write._replace(
        set={**write.set, **crossing.set},
        remove=(*write.remove, *crossing.remove),
        must=(*write.must, *crossing.must),
    )
    if not events:
        return write
    return write._replace(
        add={**write.add, "told": events},
        must=(*write.must, _last_told_is(account.told)),
    )


def _last_told_is(told: int) -> Any:
    return equals("told", told) if told else absent_or("told", "==", 0)
