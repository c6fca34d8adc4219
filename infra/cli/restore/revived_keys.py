"""API keys that were revoked after the moment of a restore: in the restored table they are alive again."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from billing.books import Books
from billing.errors import BillingError
from billing.quota import api_keys

from infra.cli.restore.restoration import describe
from infra.cli.target import TargetStack

PREFIX: Final = "key#"
"""The rows by which a key is found when it is presented: functions/billing/quota/api_keys.py."""


@dataclass(frozen=True, slots=True, order=True)
class Revived:
    """A live key of the new table that the old one does not have."""

    user_id: str
    key_id: str


def revived(old: TargetStack, new: TargetStack) -> list[Revived]:
    """Compare the two tables.

    What is only in the old one was made since, and is gone. Of a table that is gone nothing is
    known.
    """
    if (
        old.suffix == new.suffix
        or describe(old.client("dynamodb"), old.settings.tables["keys"]) is None
    ):
        return []
    return sorted(set(_live(new.books())) - set(_live(old.books())))


def revoke_again(new: TargetStack, found: list[Revived]) -> None:
    """By the product's own act. One that is revoked already is no trouble."""
    books = new.books()
    for key in found:
        books.store.deadline.begin()
        with suppress(BillingError):
            api_keys.revoke(books, key.user_id, key.key_id)


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
