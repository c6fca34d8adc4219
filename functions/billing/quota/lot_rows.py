"""Reads an account's lots as they are stored."""

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
"""Lots that are read at first where the soonest ones are enough, so that an account with a thousand
costs what one with a single lot does."""
ALL: Final = 10**18
"""More units than an account can have: read all of its lots."""


@dataclass(frozen=True)
class Holdings:
    """A balance, and the lots behind it as they were read after it."""

    user_id: str
    balance: Balance
    rows: Lots
    """As stored, in burn order."""
    is_all: bool
    """No lot was left unread. Unread lots burn after those that were read."""

    @property
    def to_burn(self) -> int:
        """Units that the rows show as free, and that are used, or held by holds without lots."""
        return self.balance.unburned + max(0, -self.balance.earlier_free)

    @cached_property
    def lots(self) -> Lots:
        """The lots as they are now, those from before there were lots among them."""
        known = self.rows
        if self.is_all:
            known = burning.in_order((*self.rows, self._earlier))
        return burning.burn(known, self.to_burn).lots

    @property
    def with_earlier(self) -> Lots:
        """The lots, and those from before there were lots even where not all were read."""
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
    """Read lots until they have ``enough`` free units beside what is to burn, soonest first.

    ``through`` is a key that is read up to as well. ``is_whole``: all lots that expire at the same
    second as one of those. ``balance`` was read before. A write on condition of its
    ``lots_version`` is refused if a lot has changed since.
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
    """Yield the lots of each expiry whose lots were all read. The last ones may go on."""
    last = rows[-1].expires_at if rows else 0
    return (lot for lot in rows if not last or lot.expires_at < last)
