"""Reads the data from which it is decided what a Stripe event changes.

This data is called the basis. It is the payment as the event's own metadata
describes it (Assumed), or rows that were read from the tables (Loaded).
"""

from dataclasses import dataclass, replace
from typing import assert_never

from billing.books import Books
from billing.expiry import upkeep
from billing.facts import (
    DeclinedFact,
    DisputeFact,
    Fact,
    RefundsFact,
    SessionFact,
)
from billing.payments import references
from billing.payments.payment import Payment
from billing.payments.references import NO_REFERENCE, Reference
from billing.quota import lot_rows
from billing.quota.balance import Balance
from billing.quota.ledger import expired_id
from billing.quota.lot_rows import Holdings
from billing.storage.keys import user_key


@dataclass(frozen=True, slots=True)
class Assumed:
    """The payment as the event's metadata describes it, without a read.

    The transaction's conditions check that the stored payment agrees.
    """

    payment: Payment
    holdings: Holdings | None = None
    """The account's lots, read only if the purchase's units expire. They may
    expire before those of other lots.
    """


@dataclass(frozen=True, slots=True)
class Loaded:
    """Holds the stored rows that decide what a Stripe event changes.

    If the payment's row has changed since it was read, DynamoDB refuses the
    write. ``payment`` is None if none is stored.
    """

    payment: Payment | None
    stored: Payment | None = None
    """The payment as it is stored. After a restore from a backup it may differ
    from ``payment``: see restores.py.
    """
    balance: Balance = Balance()  # noqa: RUF009 - frozen
    reference: Reference = NO_REFERENCE
    """For a paid session, refund or dispute: the row that leads from its
    payment intent to our payment, and lists the events that wait for it.
    """
    linked: bool = False
    """Whether a reference row leads from Stripe's id to a payment of ours,
    even if that payment is missing.
    """
    is_funded: bool = False
    """Whether the ledger has credited this purchase although the payment is
    not shown as paid.
    """
    holdings: Holdings | None = None
    """The account's lots, read only if the settlement may change lots other
    than a new one.
    """
    units_expired: int = 0
    """How many of the payment's units have ever expired."""


Basis = Assumed | Loaded


def begin(books: Books, fact: Fact) -> Basis:
    """Return the data on which the first attempt to settle an event is based.

    It is Assumed, the payment as the event's metadata describes it, if the
    event has our metadata. That saves reads. It is Loaded, the stored rows,
    for a refund or a dispute. It is also Loaded if events are sent to the
    seller, because these show the payment and the balance, and need the
    account's next sequence number.
    """
    if books.telling.is_on:
        return load(books, fact)
    match fact:
        case SessionFact() if fact.kind == "paid" and fact.expires_after_days:
            holdings = upkeep.read_to_change(books, fact.user_id)
            return Assumed(Payment.claimed_by(fact), holdings)
        case SessionFact() | DeclinedFact():
            return Assumed(Payment.claimed_by(fact))
        case RefundsFact() | DisputeFact():
            return load(books, fact)
        case _:
            assert_never(fact)


def load(books: Books, fact: Fact) -> Loaded:
    """Return the stored rows on which the settlement of an event decides.

    They are its payment, the balance, and the reference row, which leads from
    the payment intent to the payment. If the settlement may change them, the
    account's lots are read too: a lot is the units of one purchase or grant.
    If no payment is stored, the result's ``payment`` is None.
    """
    match fact:
        case RefundsFact() | DisputeFact():
            row = references.find(books, fact.payment_intent or fact.charge)
            if not row.payment_id:
                return Loaded(None)
            loaded = _load(books, row.user_id, row.payment_id, row, linked=True)
            return _with_lots(books, loaded)
        case SessionFact():
            intent = fact.payment_intent if fact.kind == "paid" else None
            row = references.find(books, intent)
            loaded = _load(books, fact.user_id, fact.payment_id, row)
            if loaded.payment and loaded.payment.expires_after_days:
                return _with_lots(books, loaded)
            return loaded
        case DeclinedFact():
            return _load(books, fact.user_id, fact.payment_id, NO_REFERENCE)
        case _:
            assert_never(fact)


def _load(
    books: Books,
    user_id: str,
    payment_id: str,
    row: Reference,
    *,
    linked: bool = False,
) -> Loaded:
    item = books.store.get("payments", (user_key(user_id), payment_id))
    balance = Balance.from_item(books.store.get("quotas", (user_id, "quota")))
    payment = Payment.from_item(item) if item else None
    return Loaded(payment, payment, balance, row, linked)


def _with_lots(books: Books, loaded: Loaded) -> Loaded:
    """Return the rows in ``loaded`` with the account's lots added.

    A lot is the units of one purchase or grant. The number of units of this
    payment that have expired is added too. Returns ``loaded`` unchanged if
    there is no payment, or if the account has no lots stored and this
    payment's units never expire.
    """
    payment = loaded.payment
    if payment is None:
        return loaded
    is_dated = bool(payment.expires_after_days)
    if not is_dated and not loaded.balance.lots_version:
        return loaded
    holdings = upkeep.read_to_change(books, payment.user_id, lot_rows.ALL)
    expired = 0
    if is_dated:
        entries = expired_id(f"purchase:{payment.payment_id}:")
        rows = books.store.pages("ledger", payment.user_id, entries)
        expired = -sum(row["units"] for row in rows)
    return replace(
        loaded,
        balance=holdings.balance,
        holdings=holdings,
        units_expired=expired,
    )
