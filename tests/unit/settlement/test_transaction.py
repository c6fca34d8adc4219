"""The transaction of a settlement: what it writes."""

from typing import Any

import pytest
from billing.books import Books
from billing.buying import queries
from billing.settlement import settlement
from support import builders, laws
from support.builders import Clock, fact, pending
from support.fakes.memory_store import MemoryStore


@pytest.fixture
def books(clock: Clock) -> Books:
    """Nothing was sold."""
    return builders.books_on(MemoryStore(), clock=clock)


def _settle(books: Books, *events: dict[str, Any]) -> None:
    for event in events:
        settlement.apply(books, fact(event))


def test_every_event_of_a_payment_is_written_as_dynamodb_takes_it() -> None:
    """From the first decline to the last word about its money."""
    books = builders.books_on(MemoryStore(), "write_off")
    payment = pending(books)
    story = (
        builders.declined(payment), builders.completed_unpaid(payment),
        builders.async_succeeded(payment), *builders.refund_made(payment, "re_1", 300, 300),
        *builders.refund_changed(payment, "re_1", 300, "failed"),
        builders.dispute(payment, "created", "needs_response"),
        builders.dispute(payment, "funds_withdrawn", "needs_response", -999),
        builders.dispute(payment, "closed", "won", -999, 999),
    )  # fmt: skip
    _settle(books, *story)
    found = queries.find(books, "alice", payment.payment_id)
    assert (found.status, found.units_clawed_back) == ("completed", 0)
    laws.check(books.store)


def test_an_events_mark_says_what_it_was_and_did(books: Books) -> None:
    """It shows later what became of a delivery."""
    payment = pending(books)
    event = builders.completed(payment, "evt_1")
    _settle(books, event)
    mark = books.store.get("events", (payment.payment_id, "evt_1")) or {}
    assert mark.pop("booked_at").startswith("2026-01-02T03:04:05")
    told = {"type": "checkout.session.completed", "units": 100, "created": event["created"]}
    assert mark == {"subject": payment.payment_id, "fact_id": "evt_1", **told}
