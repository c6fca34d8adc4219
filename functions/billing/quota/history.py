"""Lists by the page: the cursors that lead from one to the next, and a user's ledger with its running balance."""

from typing import Any, Final

from billing.books import Books
from billing.cursors import is_key, opened, sealed
from billing.errors import Item, NotDoneError
from billing.quota import ledger
from billing.quota.balance import Balance
from billing.storage.dynamodb import PAGE_MAX, Page

BALANCE_MAX: Final = 2**53 - 1
"""What every reader of JSON can carry exactly."""


def entries(books: Books, user_id: str, limit: int, cursor: str) -> dict[str, Any]:
    """One page of a user's ledger.

    ``balance_after`` is the running sum of the entries' units, worked back from the newest.

    An entry may be booked late, by a clock that is behind, before what an earlier page has shown.
    So a cursor carries the sum at its place and which entry had been booked last; where that is
    another one now, the sum is worked out anew. The first page also has ``not_itemised``, ``{"day",
    "units"}``, while the use of the last day is no entry yet.
    """
    place = (
        opened(
            cursor,
            {"entry_id": is_key, "booked_at": is_key, "balance": _is_balance, "last": is_key},
        )
        if cursor
        else None
    )
    known = (place["last"], place["balance"]) if place else None
    for _ in books.store.deadline.attempts():
        last, balance = known or _anchored(books, user_id, place)
        page = _newest_first(books, user_id, limit, place)
        account = _account(books, user_id)
        if account.booked_at == last:
            return _shown(page, last, balance) | ({} if place else _not_itemised(account))
        known = None
    raise NotDoneError(f"the ledger of {user_id} kept growing until the time was up")


def _anchored(books: Books, user_id: str, place: Item | None) -> tuple[str, int]:
    """Which entry was booked last, and the sum of all entries after ``place``."""
    account = _account(books, user_id)
    return account.booked_at, account.ledger_units - (
        _units_before(books, user_id, place) if place else 0
    )


def _units_before(books: Books, user_id: str, place: Item) -> int:
    """The sum of what earlier pages would show now: everything down to ``place``, whether or not such an entry is there."""
    units: int = 0
    after: Item | None = None
    while True:
        page = _newest_first(books, user_id, PAGE_MAX, after)
        for row in page.items:
            if row["booked_at"] < place["booked_at"]:
                return units
            units += row["units"]
            if row["entry_id"] == place["entry_id"]:
                return units
        if (after := page.after) is None:
            return units


def _newest_first(books: Books, user_id: str, limit: int, place: Item | None) -> Page:
    after = (
        {"user_id": user_id, "entry_id": place["entry_id"], "booked_at": place["booked_at"]}
        if place
        else None
    )
    return books.store.query(
        "ledger", user_id, limit=limit, newest_first=True, after=after, index="by_time"
    )


def _account(books: Books, user_id: str) -> Balance:
    return Balance.from_item(books.store.get("quotas", (user_id, "quota")))


def _shown(page: Page, last: str, balance: int) -> dict[str, Any]:
    shown = []
    for item in page.items:
        shown.append(ledger.as_answer(item, balance))
        balance -= item["units"]
    if page.after is None:
        return {"entries": shown, "next_cursor": None}
    place = {
        "entry_id": page.after["entry_id"],
        "booked_at": page.after["booked_at"],
        "balance": balance,
        "last": last,
    }
    return {"entries": shown, "next_cursor": sealed(place)}


def _not_itemised(balance: Balance) -> dict[str, Any]:
    """All of it is of one day: another day's first debit itemises it before it is taken."""
    units = balance.used - balance.itemised
    return {"not_itemised": {"day": balance.use_day, "units": units}} if units else {}


def _is_balance(value: object) -> bool:
    return type(value) is int and abs(value) <= BALANCE_MAX
