"""Finds payments in the stack's tables: the newest, or one by any of its ids."""

import heapq
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from itertools import islice
from typing import Any, Final

from billing.books import Books
from billing.errors import Item
from billing.payments import references
from billing.payments.payment import Payment
from billing.storage.keys import user_key
from billing.stripe_api.client import Gateway

from infra.cli.errors import not_found, usage
from infra.cli.output import Bar

REFERENCES: Final = ("pi_", "ch_")


def newest(books: Books, user_id: str, status: str, limit: int, bar: Bar) -> list[Payment]:
    """Return at most ``limit`` payments, newest first.

    ``user_id`` "" means all users, and ``status`` "" any status. Never more than ``limit`` payments
    are in memory.
    """
    rows = _payments_of(books, user_id) if user_id else every_payment(books, bar)
    wanted = (row for row in map(Payment.from_item, rows) if status in ("", row.status))
    if user_id:
        return list(islice(wanted, limit))
    return heapq.nlargest(limit, wanted, key=lambda row: (row.created_at, row.payment_id))


def find(books: Books, gateway: Gateway, name: str, user_id: str, bar: Bar) -> Payment:
    """Return the payment with the id ``name``: pay_..., cs_..., pi_... or ch_....

    ``user_id`` "" searches all users. Raises OperatorError if the books have no such payment.
    """
    if not name.startswith("pay_"):
        known = _metadata(books, gateway, name)
        user_id = user_id or str(known.get("user_id", ""))
        name = str(known.get("payment_id", ""))
    item = _find_item(books, user_id, name, bar) if name else None
    if item is None:
        repair = "`topup reconcile` finds payments that Stripe knows and the books do not"
        raise not_found("there is no such payment in the books", repair)
    return Payment.from_item(item)


def _find_item(books: Books, user_id: str, name: str, bar: Bar) -> Item | None:
    if user_id:
        return books.store.get("payments", (user_key(user_id), name))
    return next((row for row in every_payment(books, bar) if row["payment_id"] == name), None)


def _metadata(books: Books, gateway: Gateway, name: str) -> Mapping[str, Any]:
    """Return the ``user_id`` and ``payment_id`` of the payment with a Stripe id.

    ``name`` is the id of a session (cs_...), payment intent (pi_...) or charge (ch_...). Both
    values are missing if the object is not ours. Raises OperatorError for an id with another
    prefix.
    """
    if name.startswith("cs_"):
        return gateway.session(name).get("metadata") or {}
    if not name.startswith(REFERENCES):
        repair = "give pay_..., cs_..., pi_... or ch_..."
        raise usage(f"{name!r} is not an id of a payment", repair)
    row = references.find(books, name)
    return asdict(row) if row.payment_id else _metadata_at_stripe(gateway, name)


def _metadata_at_stripe(gateway: Gateway, name: str) -> Mapping[str, Any]:
    """Return the metadata, at Stripe, of the session of a payment intent or charge.

    Without a session it is the payment intent's metadata, and {} for a charge without an intent.
    Stripe is asked because the books have these ids only once the payment is settled.
    """
    intent = gateway.charge(name).get("payment_intent") if name.startswith("ch_") else name
    if not intent:
        return {}
    session = gateway.session_of_intent(str(intent))
    return (session or gateway.payment_intent(str(intent))).get("metadata") or {}


def every_payment(books: Books, bar: Bar) -> Iterator[Item]:
    """Yield every payment, page by page."""
    after = None
    while True:
        books.store.deadline.begin()
        page = books.store.scan("payments", after=after)
        bar(len(page.items))
        yield from (
            row for row in page.items if "payment_id" in row and row["id"].startswith("pay_")
        )
        if (after := page.after) is None:
            return


def _payments_of(books: Books, user_id: str) -> Iterator[Item]:
    after = None
    while True:
        page = books.store.query(
            "payments", user_key(user_id), prefix="pay_", newest_first=True, after=after
        )
        yield from page.items
        if (after := page.after) is None:
            return
