"""Reads and changes the threshold of ``quota.low`` for one customer."""

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
    """A customer's threshold for ``quota.low``.

    ``low_at`` 0 means that the event is never sent. ``is_default`` means
    that it is the template's.
    """

    low_at: Count
    is_default: bool


def read(books: Books, user_id: str) -> Alert:
    """Return the customer's threshold for ``quota.low``."""
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
