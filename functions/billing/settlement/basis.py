"""Defines the basis of a settlement's decision: the event's own claims, or stored rows."""

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
    """Claims of the event, without a read of the payment. The write's conditions check them."""

    payment: Payment
    holdings: Holdings | None = None
    """Read where the units expire: such a lot may burn before others."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """Rows that were read. The write is refused if the payment's version has changed since.

    ``payment`` is None without a stored payment.
    """

    payment: Payment | None
    stored: Payment | None = None
    """The record as it is stored. It differs from ``payment`` after a restore (restores.py)."""
    balance: Balance = Balance()  # noqa: RUF009 - frozen
    reference: Reference = NO_REFERENCE
    """Of a paid session or a reversal: the row of its payment intent."""
    linked: bool = False
    """Stripe's id leads to a payment of ours, whether or not that payment is there."""
    is_funded: bool = False
    """The ledger has this purchase's units already, and the payment does not show them."""
    holdings: Holdings | None = None
    """The account's lots, read where this settlement may change other lots than a new one."""
    units_expired: int = 0
    """How many of the payment's units expired, ever."""


Basis = Assumed | Loaded


def begin(books: Books, fact: Fact) -> Basis:
    """Return the basis of the first attempt.

    It is Assumed if the event carries our metadata, which saves reads. Otherwise, and wherever
    events go out, it is Loaded: events out show the payment and the balance, and take the account's
    next sequence number.
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
    """Read the payment, the reference row and the balance of an event."""
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
    """Read the account's lots too, and what expired of this payment's.

    Accounts from before there were lots have none to read.
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
