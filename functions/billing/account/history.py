"""Reads a user's ledger in pages, newest entry first, each entry with its running balance."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, NamedTuple

from billing.books import Books
from billing.cursors import is_key, opened, sealed
from billing.errors import Item, NotDoneError
from billing.quota import key_bookmarks, key_days, ledger
from billing.quota.balance import Balance, read_account
from billing.storage.reader import PAGE_MAX, Page

BALANCE_MAX: Final = 2**53 - 1
"""The greatest integer that every reader of JSON carries exactly: RFC 8259, section 6."""


class _Sum(NamedTuple):
    """A running balance, and which entry had been booked last when it was computed.

    The sum is stale once another entry was booked.
    """

    last: str
    balance: int


@dataclass(frozen=True, slots=True)
class _Cursor:
    """Where a page begins: after which entry, and the running balance there."""

    entry_id: str
    booked_at: str
    balance: int
    last: str
    """``booked_at`` of the entry that had been booked last when ``balance`` was computed."""

    @classmethod
    def open(cls, text: str) -> "_Cursor | None":
        """Read a cursor, None for the first page. Raises ``invalid_request``."""
        if not text:
            return None
        tests = {
            "entry_id": is_key,
            "booked_at": is_key,
            "balance": _is_balance,
            "last": is_key,
        }
        return cls(**opened(text, tests))

    def seal(self) -> str:
        """Return the opaque text that callers see."""
        return sealed(asdict(self))

    @property
    def sum(self) -> _Sum:
        """Return the running balance that this cursor carries."""
        return _Sum(self.last, self.balance)

    def start_key(self, user_id: str) -> Item:
        """Return the key after which DynamoDB goes on."""
        return {
            "user_id": user_id,
            "entry_id": self.entry_id,
            "booked_at": self.booked_at,
        }


def entries(
    books: Books, user_id: str, limit: int, cursor: str
) -> dict[str, Any]:
    """Return one page of a user's ledger.

    ``balance_after`` is the running sum of the entries' units, computed back from the newest. The
    first page also has ``not_itemised``, ``{"day", "units"}``, while the last day's use is not an
    entry yet.

    A process whose clock is behind may book an entry late, before entries that an earlier page has
    shown. So a cursor carries the sum at its place, and the last entry that was booked. If that
    entry has changed, the sum is stale and is computed again.
    """
    place = _Cursor.open(cursor)
    known = place.sum if place else None
    for _ in books.store.deadline.attempts():
        found = known or _sum_at(books, user_id, place)
        after = place.start_key(user_id) if place else None
        page = _newest_first(books, user_id, limit, after)
        account = read_account(books.store, user_id)
        if account.booked_at == found.last:
            shown = _shown(page, found)
            return (
                shown
                if place
                else shown | _not_itemised(books, user_id, account)
            )
        known = None
    raise NotDoneError("the ledger kept growing until the deadline")


def _sum_at(books: Books, user_id: str, place: _Cursor | None) -> _Sum:
    """Return the sum of the entries from ``place`` on to the oldest, all of them for None."""
    account = read_account(books.store, user_id)
    before = _units_before(books, user_id, place) if place else 0
    return _Sum(account.booked_at, account.ledger_units - before)


def _units_before(books: Books, user_id: str, place: _Cursor) -> int:
    """Return the sum of what earlier pages would show now: every entry down to ``place``.

    The entry at ``place`` itself may be gone, after a restore.
    """
    units: int = 0
    after: Item | None = None
    while True:
        page = _newest_first(books, user_id, PAGE_MAX, after)
        for row in page.items:
            if row["booked_at"] < place.booked_at:
                return units
            units += row["units"]
            if row["entry_id"] == place.entry_id:
                return units
        after = page.after
        if after is None:
            return units


def _newest_first(
    books: Books, user_id: str, limit: int, after: Item | None
) -> Page:
    return books.store.query(
        "ledger",
        user_id,
        limit=limit,
        newest_first=True,
        after=after,
        index="by_time",
    )


def _shown(page: Page, found: _Sum) -> dict[str, Any]:
    balance, shown = found.balance, []
    for item in page.items:
        shown.append(ledger.as_answer(item, balance))
        balance -= item["units"]
    next_cursor = _next_cursor(page.after, found.last, balance)
    return {"entries": shown, "next_cursor": next_cursor}


def _next_cursor(
    after: Mapping[str, Any] | None, last: str, balance: int
) -> str | None:
    if after is None:
        return None
    return _Cursor(after["entry_id"], after["booked_at"], balance, last).seal()


def _not_itemised(
    books: Books, user_id: str, balance: Balance
) -> dict[str, Any]:
    """It is all of one day: the first debit of another day itemises it before it takes units."""
    units = balance.used - balance.itemised
    if not units:
        return {}
    rest: dict[str, Any] = {"day": balance.use_day, "units": units}
    if balance.keys_changed:
        keys = key_days.not_itemised(
            balance, key_bookmarks.read_uses(books.store, user_id)
        )
        rest |= {"by_key": keys} if keys else {}
    return {"not_itemised": rest}


def _is_balance(value: object) -> bool:
    return type(value) is int and abs(value) <= BALANCE_MAX
