"""Finds API keys that a restore makes valid again: they were revoked after its time."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from billing.books import Books
from billing.errors import BillingError
from billing.keys import revocation

from infra.cli.restore.restoration import describe
from infra.cli.target import TargetStack

PREFIX: Final = "key#"
"""The prefix of the rows that exist for each valid API key: functions/billing/keys/holders.py."""


@dataclass(frozen=True, slots=True, order=True)
class Revived:
    """Names an API key that a restore makes valid again.

    It is valid in the restored tables, but not in the tables used until now.
    """

    user_id: str
    key_id: str


def revived(old: TargetStack, new: TargetStack) -> list[Revived]:
    """Return the API keys that are valid in the tables of ``new``, but not in those of ``old``.

    The list is empty if both are the same, or if the old table of keys no longer exists.
    """
    if old.suffix == new.suffix:
        return []
    if describe(old.client("dynamodb"), old.settings.tables["keys"]) is None:
        return []
    return sorted(set(_live(new.books())) - set(_live(old.books())))


def revoke_again(new: TargetStack, found: list[Revived]) -> None:
    """Revoke the API keys ``found`` in the restored tables, those of ``new``.

    Nothing changes for a key that is revoked there already.
    """
    books = new.books()
    for key in found:
        books.store.deadline.begin()
        with suppress(BillingError):
            revocation.revoke(books, key.user_id, key.key_id)


def _live(books: Books) -> Iterator[Revived]:
    after = None
    while True:
        books.store.deadline.begin()
        page = books.store.scan("keys", after=after)
        for row in page.items:
            if row["owner"].startswith(PREFIX):
                yield Revived(row["user_id"], f"key_{row['owner'].removeprefix(PREFIX)}")
        if (after := page.after) is None:
            return
