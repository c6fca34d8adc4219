"""The welcome where storage refuses, and where many ask at the same time."""

from collections.abc import Mapping
from typing import Any

import pytest
from billing.errors import BillingError, NotDoneError
from billing.grants import welcome
from billing.payments.plan import Welcome
from billing.storage.writes import Write
from support import builders
from support.fakes.memory_store import MemoryStore

FREE = Welcome(3, needs_verified_email=False, daily_max=2)
NOBODY: Mapping[str, Any] = {}


class Refusing(MemoryStore):
    """``is_busy``: no entry of a ledger is written."""

    is_busy = False

    def commit(self, *writes: Write) -> None:
        """See the store."""
        if self.is_busy and any(write.table == "ledger" for write in writes):
            raise NotDoneError("no time is left")
        super().commit(*writes)


def test_a_welcome_that_was_not_given_is_not_counted() -> None:
    """The day's count is written with the units or not at all."""
    store = Refusing()
    books = builders.books_on(store)
    store.is_busy = True
    for user in ("alice", "bob", "carol"):
        with pytest.raises(NotDoneError):
            welcome.claim(books, user, FREE, NOBODY)
    assert store.tables["quotas"] == {}
    store.is_busy = False
    assert welcome.claim(books, "alice", FREE, NOBODY).is_new


def test_a_new_day_opens_the_welcome_again() -> None:
    clock = builders.Clock()
    books = builders.books_on(MemoryStore(), clock=clock)
    for user in ("alice", "bob"):
        assert welcome.claim(books, user, FREE, NOBODY).is_new
    with pytest.raises(BillingError) as refused:
        welcome.claim(books, "carol", FREE, NOBODY)
    assert refused.value.code == "welcome_closed_today"
    clock.advance(days=1)
    assert welcome.claim(books, "carol", FREE, NOBODY).is_new
    assert not welcome.claim(books, "alice", FREE, NOBODY).is_new
