"""Cursors carry a place in a list, and are checked when they return."""

from typing import Any

import pytest
from billing import cursors
from billing.account import history
from billing.books import Books
from billing.errors import BillingError, OutcomeUnknownError
from billing.payments.payment import Payment
from billing.settlement import settlement
from billing.spending import memory
from billing.storage.writes import Write
from support import builders
from support.builders import Clock, fact, pending
from support.fakes.memory_store import MemoryStore


class Rough(MemoryStore):
    """``loses``: the outcome of a transaction is unknown."""

    loses = False

    def commit(self, *writes: Write) -> None:
        """See the store."""
        if self.loses:
            raise OutcomeUnknownError("no answer in time")
        super().commit(*writes)


@pytest.fixture
def store() -> Rough:
    """An empty one."""
    return Rough()


@pytest.fixture
def books(clock: Clock, store: Rough) -> Books:
    """Nothing was sold."""
    memory._seen.clear()
    return builders.books_on(store, clock=clock)


def test_a_key_is_as_long_as_dynamodb_takes_it() -> None:
    """In bytes of UTF-8.
    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html.
    """
    lengths = ("", "x", "x" * 1024, "x" * 1025, "ü" * 512, "ü" * 513)
    assert [cursors.is_key(key) for key in lengths] == [
        False,
        True,
        True,
        False,
        True,
        False,
    ]


@pytest.mark.parametrize(
    ("balance", "is_right"),
    [(2**53 - 1, True), (-(2**53) + 1, True), (2**53, False), (True, False), ("5", False)],
)
def test_a_cursors_sum_is_a_number_that_every_reader_carries(
    books: Books, balance: object, *, is_right: bool
) -> None:
    """Anything else is no cursor of ours."""
    place = {"entry_id": "e", "booked_at": "b", "last": "l", "balance": balance}
    if is_right:
        assert history.entries(books, "alice", 1, cursors.sealed(place))["entries"] == []
        return
    with pytest.raises(BillingError):
        history.entries(books, "alice", 1, cursors.sealed(place))


def _settle(books: Books, event: dict[str, Any]) -> str:
    return settlement.apply(books, fact(event)).status


def _bought(books: Books) -> Payment:
    payment = pending(books)
    _settle(books, builders.completed(payment))
    return payment


def test_a_place_between_two_entries_leads_on_from_there(books: Books, clock: Clock) -> None:
    """The entry that a cursor names may be gone after a restore."""
    for _ in range(3):
        clock.advance(hours=1)
        _bought(books)
    first = history.entries(books, "alice", 1, "")
    members = dict.fromkeys(("entry_id", "booked_at", "balance", "last"), lambda _: True)
    place = cursors.opened(first["next_cursor"], members) | {"entry_id": "gone", "last": "long ago"}
    newest = first["entries"][0]["booked_at"]
    between = cursors.sealed(place | {"booked_at": newest[:-7] + "000001Z"})
    assert [
        row["balance_after"] for row in history.entries(books, "alice", 10, between)["entries"]
    ] == [200, 100]
