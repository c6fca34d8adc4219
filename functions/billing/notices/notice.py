"""Adds events to the seller to the writes that cause them.

An event's row is written in the transaction that has the effect: no effect
without its event, no event without its effect. If events are switched off,
nothing is added to the writes.
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
    """An event to the seller, to store with the write that causes it.

    ``data`` is the quota, the payment or the lot (units of one purchase or
    grant) after the change, as the API would show it.
    """

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
    """Yield the write of the balance, and the other writes that it causes.

    Those store events to the seller, or open an automatic charge. Call it in
    every transaction that causes an event or changes ``remaining``, and commit
    all writes that it yields; the balance's comes first.

    ``account`` is the balance as it was read. ``write`` is the change of the
    balance, or None if the transaction changes something else. ``notices`` are
    events that are known already; those for crossed thresholds are found here.
    ``comes_in`` is true if new units are added, and false if a hold returns
    them. ``may_open`` is false if the same transaction ends automatic top-ups,
    so that it must open no charge. ``returned`` is how many of the units
    expired holds give back.

    Each event takes the next sequence number of the account. The balance's
    write requires that the last number is still as it was read, so that
    concurrent writers leave no gap.
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
    """Return how many units the write adds to those that can be spent.

    The number is negative if the write takes units.
    """
    moved = write.add.get("remaining", 0)
    assert isinstance(moved, int)  # noqa: S101 - our own invariant
    return moved


def _opened(
    books: Books, user_id: str, crossing: Crossing, now: datetime
) -> Opened:
    """Return the writes and events of the automatic charge to open.

    ``crossing`` says whether the account's units fall below the customer's
    threshold for automatic top-ups. Returns NOTHING_OPENED (no writes and no
    events) if they do not.
    """
    if crossing.opens:
        return books.top_ups.open(books.store, user_id, now)
    return NOTHING_OPENED


def _rows(
    user_id: str, told: Iterable[Notice], last: int, now: datetime
) -> Iterator[Write]:
    """Yield the write that stores each event to the seller.

    ``told`` are the events. ``last`` is the number of the account's last event
    before them, so they are numbered from ``last + 1``.
    """
    for sequence, notice in enumerate(told, last + 1):
        yield new_row(user_id, sequence, notice.type, notice.data, now)


def _crossed(
    crossing: Crossing, user_id: str, account: Account, write: Write
) -> Iterator[Notice]:
    """Yield an event to the seller for each type in ``crossing``.

    ``crossing`` has the types that the write causes by crossing thresholds of
    units. Each event shows the quota as it is after the write.
    """
    for kind in crossing.tells:
        yield Notice(kind, account.after(write).shown(user_id))


def _told(
    account: Account, write: Write, crossing: Crossing, events: int
) -> Write:
    """Return the balance's write with what the crossing of thresholds adds.

    ``crossing`` has the attributes to set or remove, for example that
    ``quota.low`` was sent, and the conditions. ``events`` is how many events
    to the seller are stored in the same transaction. If there are any, the
    write also raises the account's sequence number of events by as many, and
    requires that it is as it was read.
    """
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
