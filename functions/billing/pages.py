"""Lists, a page at a time: payments newest first, and the ledger with its running balance."""

import base64
import binascii
import json
from typing import Any, Final

from billing import ledger, quota
from billing.balances import Balance
from billing.books import Books
from billing.errors import BillingError, Item, OutcomeUnknownError
from billing.identity import user_key
from billing.payments import Payment

LIMIT_DEFAULT: Final = 20
LIMIT_MAX: Final = 100


def payments(books: Books, user_id: str, limit: int, cursor: str) -> dict[str, Any]:
    """One page of a user's payments. Payment ids sort by time, so that no index is needed."""
    after = {"owner": user_key(user_id), "id": _opened(cursor, "id", str)["id"]} if cursor else None
    page = books.store.query("payments", user_key(user_id), prefix="pay_", limit=limit, newest_first=True, after=after)
    answers = [Payment.from_item(item).as_answer() for item in page.items]
    return {"payments": answers, "next_cursor": _sealed({"id": page.after["id"]}) if page.after else None}


def entries(books: Books, user_id: str, limit: int, cursor: str) -> dict[str, Any]:
    """One page of a user's ledger. ``balance_after`` is the running sum of the entries' units, worked back from the newest."""
    if cursor:
        seen = _opened(cursor, "balance", int)
        after = {"user_id": user_id, "entry_id": str(seen.get("entry_id")), "booked_at": str(seen.get("booked_at"))}
        return _page(books, user_id, limit, after, seen["balance"])
    for _ in books.store.patience.attempts():
        before = quota.read(books, user_id)
        page = _page(books, user_id, limit, None, before.ledger_units)
        if _same_ledger(before, quota.read(books, user_id)):
            return page
    message = f"the ledger of {user_id} kept growing until the time was up"
    raise OutcomeUnknownError(message)


def _page(books: Books, user_id: str, limit: int, after: Item | None, balance: int) -> dict[str, Any]:
    page = books.store.query("ledger", user_id, limit=limit, newest_first=True, after=after, index="by_time")
    shown = []
    for item in page.items:
        shown.append(ledger.as_answer(item, balance))
        balance -= item["units"]
    rest = _sealed({"entry_id": page.after["entry_id"], "booked_at": page.after["booked_at"], "balance": balance}) if page.after else None
    return {"entries": shown, "next_cursor": rest}


def _same_ledger(one: Balance, other: Balance) -> bool:
    return (one.total, one.itemised) == (other.total, other.itemised)


def _sealed(place: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(place, separators=(",", ":")).encode()).decode().rstrip("=")


def _opened(cursor: str, name: str, kind: type) -> dict[str, Any]:
    """The cursor names a place in the caller's own list only: the owner comes from the token."""
    try:
        place = json.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
    except (ValueError, binascii.Error) as error:
        raise _bad_cursor() from error
    if not isinstance(place, dict) or type(place.get(name)) is not kind or "" in place.values():
        raise _bad_cursor()
    return place


def _bad_cursor() -> BillingError:
    return BillingError("invalid_request", "cursor must be a next_cursor of an earlier answer")
