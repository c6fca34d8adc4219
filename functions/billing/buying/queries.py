"""Reads a user's own payments: one by its id, or a page of them, newest first."""

from typing import Any, Final

from billing.books import Books
from billing.cursors import is_key, opened, sealed
from billing.errors import BillingError
from billing.payments import references
from billing.payments.payment import Payment
from billing.storage.keys import user_key

ID_CHARS_MAX: Final = 255
"""The most characters of the id of a payment, session or payment intent.
Stripe's ids are not longer: https://docs.stripe.com/upgrades
"""


def payments(
    books: Books, user_id: str, limit: int, cursor: str
) -> dict[str, Any]:
    """Return one page of a user's payments, newest first.

    ``cursor`` is "" for the first page. Payment ids sort by time, so no
    index is needed.
    """
    after = None
    if cursor:
        place = opened(cursor, {"id": _is_payments})
        after = {"owner": user_key(user_id), **place}
    page = books.store.query(
        "payments",
        user_key(user_id),
        prefix="pay_",
        limit=limit,
        newest_first=True,
        after=after,
    )
    answers = [Payment.from_item(item).as_answer() for item in page.items]
    return {
        "payments": answers,
        "next_cursor": sealed({"id": page.after["id"]}) if page.after else None,
    }


def find(books: Books, user_id: str, name: str) -> Payment:
    """Return a user's own payment.

    ``name`` is the payment's id, or the id of its session or payment intent. A
    payment intent is found only once it is paid. Raises ``not_found`` if there
    is no such payment, or if it is another user's.
    """
    owner = user_key(user_id)
    if not name.isascii() or len(name) > ID_CHARS_MAX:
        name = ""
    if name.startswith("cs_"):
        link = books.store.get("payments", (owner, name))
        name = link["payment_id"] if link else ""
    elif name.startswith("pi_"):
        row = references.find(books, name)
        name = row.payment_id if row.user_id == user_id else ""
    item = (
        books.store.get("payments", (owner, name))
        if name.startswith("pay_")
        else None
    )
    if item is None:
        raise BillingError("not_found", "you have no such payment")
    return Payment.from_item(item)


def _is_payments(value: object) -> bool:
    """Return whether a page of payments can start after this value.

    It must be a payment id. DynamoDB refuses others.
    """
    return is_key(value) and str(value).startswith("pay_")
