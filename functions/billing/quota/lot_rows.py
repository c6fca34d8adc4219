"""An account's lots as they are stored: how they are read, and how a change of them is written.

Debits do not touch lots. What they used since is burned here, by the next write that changes lots:
soonest expiry first, as each debit would have done.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

from billing.books import Books
from billing.clock import stamp
from billing.errors import ConditionFailedError, NotDoneError
from billing.lots import burning
from billing.lots.burning import Lots
from billing.lots.lot import EARLIER, LAST, PREFIX, Lot, row_writes
from billing.quota.balance import Balance, read_account
from billing.storage.reader import PAGE_MAX
from billing.storage.writes import Must, Write, absent_or, equals

BURNED_AT_ONCE: Final = 20
"""Lots that one transaction burns, beside what it is for, within DynamoDB's 100."""
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


@dataclass(frozen=True, slots=True)
class Change:
    """What a change of lots writes: the rows, and its part of the account's write."""

    rows: tuple[Write, ...]
    set: Mapping[str, int]
    add: Mapping[str, int]
    remove: tuple[str, ...]
    must: tuple[Must, ...]

    def beside(self, account: Write) -> Write:
        """Return the account's write with this change."""
        return account._replace(
            set={**account.set, **self.set},
            add={**account.add, **self.add},
            remove=(*account.remove, *self.remove),
            must=(*account.must, *self.must),
        )

    def account(
        self,
        user_id: str,
        now: str,
        add: Mapping[str, int],
        must: tuple[Must, ...],
        *,
        is_booked: bool = True,
    ) -> Write:
        """Return the account's write, which also adds ``add`` where ``must`` holds."""
        booked = {"booked_at": now} if is_booked else {}
        moved = {name: units for name, units in add.items() if units}
        return Write(
            "quotas",
            (user_id, "quota"),
            set={"updated_at": now, **booked, **self.set},
            add={**moved, **self.add},
            remove=self.remove,
            must=(*must, *self.must),
        )


NO_CHANGE: Final = Change((), {}, {}, (), ())


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


def change(
    before: Holdings, after: Lots, *, burned: int = ALL, is_exact: bool = False
) -> Change:
    """Return what is written so that the account has the lots ``after``.

    ``burned``: what was burned before that, all that is to burn by default. ``is_exact``: a lot
    comes in that expires or was given.
    """
    stored = {lot.key: lot for lot in before.rows}
    wanted = {lot.key: lot for lot in after if lot.lot_id != EARLIER.lot_id}
    rows = [
        write
        for key in sorted({*stored, *wanted})
        for write in row_writes(
            before.user_id, stored.get(key), wanted.get(key)
        )
    ]
    left = _sum_left(wanted) - _sum_left(stored)
    held = _sum_held(wanted) - _sum_held(stored)
    adds = {
        "lots_left": left,
        "lots_held": held,
        "lots_used": min(burned, before.balance.unburned),
        "lots_version": 1,
    }
    due = next(
        (lot.expires_at for lot in after if lot.expires_at and lot.free), 0
    )
    sets = {"lots_due": due} if due else {}
    if is_exact:
        sets["lots_exact"] = 1
    return Change(
        rows=tuple(rows),
        set=sets,
        add={name: units for name, units in adds.items() if units},
        remove=() if due else ("lots_due",),
        must=(same_lots(before.balance),),
    )


def same_lots(balance: Balance) -> Must:
    """Return the clause: no lot's row was written since the balance was read."""
    return same("lots_version", balance.lots_version)


def same(name: str, value: int) -> Must:
    """Return the clause: an attribute has this value. Zero may be absent."""
    return equals(name, value) if value else absent_or(name, "==", 0)


def _sum_left(lots: Mapping[str, Lot]) -> int:
    return sum(lot.left for lot in lots.values())


def _sum_held(lots: Mapping[str, Lot]) -> int:
    return sum(lot.held for lot in lots.values())


def add_at_the_end(user_id: str, lot: Lot) -> tuple[Write, Mapping[str, int]]:
    """Return the row of a lot that burns after all others, and what it adds to the account.

    Nothing needs to be read: whatever was used before burns the lots before it.
    """
    (row,) = row_writes(user_id, None, lot)
    return row, {"lots_left": lot.left, "lots_version": 1}


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
