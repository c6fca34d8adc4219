"""Reads and changes one customer's threshold of the event ``quota.low``.

That event tells the seller that the customer has few units left.
"""

from dataclasses import dataclass
from typing import Final

from billing.answers import Count
from billing.books import Books
from billing.money import UNITS_MAX
from billing.quota.balance import read_account
from billing.storage.writes import Write

LOW_AT_MAX: Final = UNITS_MAX


@dataclass(frozen=True, slots=True)
class Alert:
    """Holds the number of units at which a customer is reported as low.

    When fewer than ``low_at`` units remain, the event ``quota.low`` is sent to
    the seller. 0 means that it is never sent. ``is_default`` means that the
    customer has set no number, so that the deployment's applies.
    """

    low_at: Count
    is_default: bool


def read(books: Books, user_id: str) -> Alert:
    """Return the number of units at which this customer is reported as low.

    The event ``quota.low`` is then sent to the seller. If the customer has set
    no number, it is the deployment's.
    """
    low_at = read_account(books.store, user_id).low_at
    if low_at is None:
        return Alert(books.telling.low_at, is_default=True)
    return Alert(low_at, is_default=False)


def change(books: Books, user_id: str, low_at: int | None) -> Alert:
    """Store a customer's own threshold for the event ``quota.low``.

    Returns the threshold that is then in force. With ``low_at`` None, the
    customer's own is removed, and the default set in template.yaml is in
    force. Idempotent.
    """
    key = (user_id, "quota")
    if low_at is None:
        books.store.update(Write("quotas", key, remove=("low_at",)))
        return Alert(books.telling.low_at, is_default=True)
    books.store.update(Write("quotas", key, set={"low_at": low_at}))
    return Alert(low_at, is_default=False)
