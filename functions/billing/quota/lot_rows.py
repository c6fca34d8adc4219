"""Reads an account's lots as they are stored.

A lot is the units of one purchase or grant.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

from billing.books import Books
from billing.lots import burning
from billing.lots.burning import Lots
from billing.lots.lot import EARLIER, LAST, PREFIX, Lot
from billing.quota.balance import Balance
from billing.storage.reader import PAGE_MAX

FIRST_PAGE: Final = 5
"""How many lots are read first if the soonest-expiring ones may be enough. So
an account with a thousand lots costs no more than one with a single lot.
"""
ALL: Final = 10**18
"""More units than an account can have. As ``enough`` it makes ``read`` read
all lots.
"""


@dataclass(frozen=True)
class Holdings:
    """A balance, and the user's lots, which were read after it.

    A lot is the units of one purchase or grant.
    """

    user_id: str
    balance: Balance
    rows: Lots
    """The lots as stored, the first to expire first."""
    is_all: bool
    """Whether all lots were read. Lots that were not read expire after those
    that were.
    """

    @property
    def to_burn(self) -> int:
        """Return the units still to be subtracted (burned) from lots' rows.

        A lot is the units of one purchase or grant. Debits, and holds that
        name no lots, change only the balance. Until the next write of lots,
        the lots' rows still show their units as free.
        """
        return self.balance.unburned + max(0, -self.balance.earlier_free)

    @cached_property
    def lots(self) -> Lots:
        """Return the lots that were read, without the units that debits used.

        A lot is the units of one purchase or grant. Debits do not write lots'
        rows, so ``rows`` still has those units. If all lots were read, the
        result also has the lot EARLIER: units that no row has, because an
        older version of this code added them.
        """
        known = self.rows
        if self.is_all:
            known = burning.in_order((*self.rows, self._earlier))
        return burning.burn(known, self.to_burn).lots

    @property
    def with_earlier(self) -> Lots:
        """Return the lots that were read (``lots``), always with EARLIER.

        A lot is the units of one purchase or grant. EARLIER stands for units
        that no lot's row has, because an older version of this code added
        them. ``lots`` has it only if all lots were read.
        """
        if self.is_all:
            return self.lots
        return burning.in_order((*self.lots, self._earlier))

    @property
    def _earlier(self) -> Lot:
        balance = self.balance
        free = max(0, balance.earlier_free)
        held = max(0, balance.held - balance.lots_held)
        return replace(EARLIER, units=free + held, free=free, held=held)


def read(
    books: Books,
    user_id: str,
    balance: Balance,
    enough: int = ALL,
    through: str = "",
    *,
    is_whole: bool = False,
) -> Holdings:
    """Return the balance with its lots, the first to expire first.

    A lot is the units of one purchase or grant. Read ``balance`` before you
    call this: then a write that is made on the condition ``same_lots`` is
    refused if a lot has changed since.

    By default all lots are read. With ``enough``, reading stops when the lots
    read have more than ``enough`` units that are neither held nor used, and
    the lot with the key ``through`` is reached. With ``is_whole``, the last
    lots read that share one expiry do not count for that, because the next
    page may have more lots with the same expiry.
    """
    rows: list[Lot] = []
    needed = Holdings(user_id, balance, (), is_all=False).to_burn + enough
    after, limit = None, PAGE_MAX
    if enough < ALL and not through:
        limit = FIRST_PAGE
    while True:
        page = books.store.query(
            "quotas",
            user_id,
            prefix=PREFIX,
            up_to=LAST,
            after=after,
            limit=limit,
        )
        limit = PAGE_MAX
        rows += (Lot.from_item(item) for item in page.items)
        after = page.after
        counted = _whole_seconds(rows) if is_whole else rows
        has_enough = sum(lot.free for lot in counted) > needed
        if after is None or (has_enough and rows[-1].key >= through):
            return Holdings(user_id, balance, tuple(rows), is_all=after is None)


def _whole_seconds(rows: Sequence[Lot]) -> Iterator[Lot]:
    """Yield the lots, except those that expire in the last one's second.

    ``rows`` end where a page of a query ended, and more lots that expire in
    that second may be on the next page. If the last one never expires, all are
    yielded.
    """
    last = rows[-1].expires_at if rows else 0
    return (lot for lot in rows if not last or lot.expires_at < last)
