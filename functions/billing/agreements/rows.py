"""Reads and writes the row of a customer's agreement to automatic top-ups.

The row is ``quotas (user, "top_up")``. Each write is on the condition that the
row's version has not changed since it was read.
"""

from typing import Literal

from billing.agreements.agreement import Agreement
from billing.books import Books
from billing.storage.keys import TOP_UP
from billing.storage.writes import Must, Write, absent, equals


def row(user_id: str) -> tuple[Literal["quotas"], tuple[str, str]]:
    """Return the table and the key of a user's row for automatic top-ups.

    The row is the customer's agreement to them.
    """
    return "quotas", (user_id, TOP_UP)


def read(books: Books, user_id: str) -> Agreement:
    """Return a customer's stored agreement to automatic top-ups.

    If none is stored, the result is an agreement that is switched off.
    """
    return Agreement.from_item(user_id, books.store.get(*row(user_id)))


def change(before: Agreement, after: Agreement, *must: Must) -> Write:
    """Return the write that replaces an agreement by another.

    DynamoDB refuses it if the stored agreement has changed since it was
    read. ``must`` are further conditions.
    """
    old, new = before.to_item(), after.to_item()
    table, key = row(after.user_id)
    return Write(
        table,
        key,
        set={
            name: value for name, value in new.items() if old.get(name) != value
        },
        add={"version": 1},
        remove=tuple(name for name in old if name not in new),
        must=(_same_version(before), *must),
    )


def pin(seen: Agreement) -> Write:
    """Return a write that changes nothing but the agreement's version.

    DynamoDB refuses it if the stored agreement has changed since it was read
    as ``seen``. A ConditionCheck could do the same, but all Lambda functions
    that take units would then need another permission.
    """
    return change(seen, seen)


def watch(agreement: Agreement) -> Write:
    """Return the write that sets or removes the balance's ``top_up_at``.

    It is the threshold that the customer agreed to (``when_below``). A debit
    that takes the account below it reads the agreement, to see whether to
    charge the card. It is set while the agreement is switched on, and removed
    otherwise. It stays set while charges are paused, because only the
    agreement says that they are.
    """
    key = (agreement.user_id, "quota")
    if agreement.on:
        return Write("quotas", key, set={"top_up_at": agreement.when_below})
    return Write("quotas", key, remove=("top_up_at",))


def _same_version(before: Agreement) -> Must:
    if before.version:
        return equals("version", before.version)
    return absent("version")
