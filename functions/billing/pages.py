"""Lists by the page: the cursors that lead from one to the next, and a user's ledger with its running balance."""

import base64
import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from billing import ledger
from billing.balances import Balance
from billing.books import Books
from billing.errors import BillingError, BusyError, Item
from billing.store import PAGE_MAX, Page

LIMIT_DEFAULT: Final = 20
LIMIT_MAX: Final = 100
CURSOR_CHARS_MAX: Final = 4096
KEY_BYTES_MAX: Final = 1024
"""Of a sort key. https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html"""
BALANCE_MAX: Final = 2**53 - 1
"""What every reader of JSON can carry exactly."""


def entries(books: Books, user_id: str, limit: int, cursor: str) -> dict[str, Any]:
    """One page of a user's ledger. ``balance_after`` is the running sum of the entries' units, worked back from the newest.

    An entry may be booked late, by a clock that is behind, before what an earlier page has shown. So a cursor carries the sum at
    its place and which entry had been booked last; where that is another one now, the sum is worked out anew. The first page also
    has ``not_itemised``, ``{"day", "units"}``, while the use of the last day is no entry yet.
    """
    place = opened(cursor, {"entry_id": is_key, "booked_at": is_key, "balance": _is_balance, "last": is_key}) if cursor else None
    known = (place["last"], place["balance"]) if place else None
    for _ in books.store.patience.attempts():
        last, balance = known or _anchored(books, user_id, place)
        page = _newest_first(books, user_id, limit, place)
        account = _account(books, user_id)
        if account.booked_at == last:
            return _shown(page, last, balance) | ({} if place else _not_itemised(account))
        known = None
    raise BusyError(f"the ledger of {user_id} kept growing until the time was up")


def _anchored(books: Books, user_id: str, place: Item | None) -> tuple[str, int]:
    """Which entry was booked last, and the sum of all entries after ``place``."""
    account = _account(books, user_id)
    return account.booked_at, account.ledger_units - (_units_before(books, user_id, place) if place else 0)


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
    after = {"user_id": user_id, "entry_id": place["entry_id"], "booked_at": place["booked_at"]} if place else None
    return books.store.query("ledger", user_id, limit=limit, newest_first=True, after=after, index="by_time")


def _account(books: Books, user_id: str) -> Balance:
    return Balance.from_item(books.store.get("quotas", (user_id, "quota")))


def _shown(page: Page, last: str, balance: int) -> dict[str, Any]:
    shown = []
    for item in page.items:
        shown.append(ledger.as_answer(item, balance))
        balance -= item["units"]
    if page.after is None:
        return {"entries": shown, "next_cursor": None}
    place = {"entry_id": page.after["entry_id"], "booked_at": page.after["booked_at"], "balance": balance, "last": last}
    return {"entries": shown, "next_cursor": sealed(place)}


def _not_itemised(balance: Balance) -> dict[str, Any]:
    """All of it is of one day: another day's first debit itemises it before it is taken."""
    units = balance.used - balance.itemised
    return {"not_itemised": {"day": balance.use_day, "units": units}} if units else {}


def sealed(place: dict[str, Any]) -> str:
    """A cursor: opaque to callers."""
    return base64.urlsafe_b64encode(json.dumps(place, separators=(",", ":")).encode()).decode().rstrip("=")


def opened(cursor: str, members: Mapping[str, Callable[[Any], bool]]) -> dict[str, Any]:
    """Those members of the place that a cursor names, each tested.

    It is not signed: it names a place in the caller's own list only, the owner comes from the token. Who forges a sum is the only one
    to be shown it.
    """
    try:
        place = json.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
        found = {name: place[name] for name in members}
        is_right = all(is_such(found[name]) for name, is_such in members.items())
    except (ValueError, TypeError, LookupError, RecursionError) as error:
        raise _bad_cursor() from error
    if not is_right:
        raise _bad_cursor()
    return found


def _is_balance(value: object) -> bool:
    return type(value) is int and abs(value) <= BALANCE_MAX


def is_key(value: object) -> bool:
    """A text that DynamoDB takes for a key. Raises ValueError for one that cannot be encoded."""
    return isinstance(value, str) and 0 < len(value.encode()) <= KEY_BYTES_MAX


def _bad_cursor() -> BillingError:
    return BillingError("invalid_request", "cursor must be a next_cursor of an earlier answer")
