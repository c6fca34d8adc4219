"""Shows an API key to the caller who has its secret.

It does not show the user's id or other keys.
"""

from dataclasses import dataclass

from billing.answers import Count
from billing.books import Books
from billing.clock import day
from billing.errors import BillingError, Item
from billing.expiry import present
from billing.keys.figures import LimitRemaining, ResetsAt, remaining
from billing.keys.holders import Holder, holder
from billing.keys.limits import Limit
from billing.quota.key_bookmarks import Bookmark, read_both
from billing.quota.key_use import name_of
from billing.spending.meter import Meter
from billing.storage.keys import user_key


@dataclass(frozen=True, slots=True)
class HeldKey:
    """What a caller who sends an API key's secret is shown of that key.

    ``remaining`` is how many units can be taken with it.
    """

    key_id: str
    name: str
    limit: Limit | None
    limit_remaining: LimitRemaining | None
    resets_at: ResetsAt | None
    remaining: Count
    top_up_url: str


def show_held(meter: Meter, stage: str, presented: str) -> HeldKey:
    """Return the API key whose secret is ``presented``, and what it has left.

    ``stage`` is the deployment's stage, which the secret must name. Raises
    ``unauthorized`` if no live key has this secret. It reads the key, then the
    account.
    """
    books = meter.books
    found = holder(books, stage, presented)
    if found is None:
        detail = (
            "send a live key in x-api-key, or in Authorization after Bearer"
        )
        raise BillingError("unauthorized", detail)
    row = _named(books, found)
    limit = Limit.from_item(row)
    units, of_limit = units_left(books, found, limit)
    return HeldKey(
        key_id=found.key_id,
        name=row["name"],
        limit=limit,
        limit_remaining=of_limit,
        resets_at=limit.resets_at(books.clock()) if limit else None,
        remaining=units,
        top_up_url=meter.top_up_url,
    )


def units_left(
    books: Books, found: Holder, limit: Limit | None
) -> tuple[int, int | None]:
    """Return the units left in the account, and the units left of ``limit``.

    ``limit`` is the API key's. The second number is None without a limit.
    """
    balance, uses = read_both(books.store, found.user_id)
    balance = present.read(books, found.user_id, balance)
    bookmark = uses.live.get(name_of(found.key_id), Bookmark(found.key_id))
    today = day(books.clock())
    return balance.remaining, remaining(limit, balance, bookmark, today)


def _named(books: Books, found: Holder) -> Item:
    """Return the stored row that has the API key's name.

    Each key has a row by its secret, which ``found`` has, and a row in its
    user's list. In old keys only the second one has the name. The result has
    the name "" if neither row has it.
    """
    if "name" in found.row:
        return found.row
    row = books.store.get("keys", (user_key(found.user_id), found.key_id))
    return row or {"name": ""}
