"""Reads a user's ledger in pages, newest entry first.

Each entry is shown with the balance after it.
"""

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
"""The greatest integer that every JSON reader keeps exact: RFC 8259, section
6.
"""


class _Sum(NamedTuple):
    """Holds the sum of a user's ledger entries older than those shown so far.

    On the first page it is the sum of all entries. ``last`` is the time
    ``booked_at`` of the newest booking when the sum was computed. If the
    account has a newer booking, the sum is stale.
    """

    last: str
    balance: int


@dataclass(frozen=True, slots=True)
class _Cursor:
    """Marks where a page of the ledger starts.

    ``entry_id`` is the last entry of the page before. ``balance`` is the sum
    of all entries older than that one.
    """

    entry_id: str
    booked_at: str
    balance: int
    last: str
    """``booked_at`` of the last entry that was booked when ``balance`` was
    computed.
    """

    @classmethod
    def open(cls, text: str) -> "_Cursor | None":
        """Return the cursor in a caller's text, or None for "".

        None means the first page. Raises ``invalid_request`` for a text that
        is none of our cursors.
        """
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
        """Return the cursor as an opaque text for callers."""
        return sealed(asdict(self))

    @property
    def sum(self) -> _Sum:
        """Return the sum of all ledger entries on this page and later ones.

        The pages list the newest entry first. So the sum is the balance right
        after the first entry of this page.
        """
        return _Sum(self.last, self.balance)

    def start_key(self, user_id: str) -> Item:
        """Return the key after which DynamoDB continues the query."""
        return {
            "user_id": user_id,
            "entry_id": self.entry_id,
            "booked_at": self.booked_at,
        }


def entries(
    books: Books, user_id: str, limit: int, cursor: str
) -> dict[str, Any]:
    """Return one page of a user's ledger.

    ``balance_after`` of an entry is the sum of all entries up to it,
    computed back from the newest. If the last day's use is not an entry
    yet, the first page also has it, as ``not_itemised``: ``{"day",
    "units"}``.

    A process whose clock is behind may book an entry that is older than
    entries on an earlier page. So a cursor has the sum at its place, and
    ``booked_at`` of the entry that was booked last. If another entry was
    booked since, the sum is stale and is computed again.
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
    """Return the running balance at the start of a page of the ledger.

    It is the sum of all entries older than the one that ``place`` names, the
    last of the page before. If ``place`` is None, it is the sum of all.
    """
    account = read_account(books.store, user_id)
    before = _units_before(books, user_id, place) if place else 0
    return _Sum(account.booked_at, account.ledger_units - before)


def _units_before(books: Books, user_id: str, place: _Cursor) -> int:
    """Return the sum of the units in the ledger entries of earlier pages.

    The pages list the newest entry first, and ``place`` names the last entry
    of the page before. That entry is included, unless a restore has lost it.
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
    """Return ``not_itemised``: the use that is in no ledger entry yet.

    It is all of one day, because the first debit of a new day books the
    last day's use. {} if there is none.
    """
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
