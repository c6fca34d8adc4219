"""Debits, plain and under an idempotency key."""

from dataclasses import replace

import pytest
from billing.books import Books
from billing.settlement import settlement
from billing.spending import debits
from billing.spending.meter import Meter
from support import builders, quotas
from support.builders import START, fact, pending


def test_a_keyed_debit_is_taken_once_and_its_answer_kept(books: Books, meter: Meter) -> None:
    """The repeat is the first answer, marked as such."""
    first = debits.debit_once(meter, "alice", 30, "backend", "k")
    again = debits.debit_once(meter, "alice", 30, "backend", "k")
    assert again == replace(first, idempotent_replayed=True)
    assert quotas.three(books) == (30, 0, 70)


@pytest.mark.parametrize(("user_id", "units"), [("alice", 31), ("bob", 30)])
def test_a_key_with_another_body_is_a_conflict(
    books: Books, meter: Meter, user_id: str, units: int
) -> None:
    settlement.apply(books, fact(builders.completed(pending(books, "bob"))))
    debits.debit_once(meter, "alice", 30, "backend", "k")
    assert (
        quotas.refused(lambda: debits.debit_once(meter, user_id, units, "backend", "k"))
        == "idempotency_conflict"
    )
    assert quotas.three(books) == (30, 0, 70)
    assert debits.read(books, "bob").used == 0


def test_two_callers_keys_are_their_own(books: Books, meter: Meter) -> None:
    debits.debit_once(meter, "alice", 30, "backend", "k")
    debits.debit_once(meter, "alice", 30, "another", "k")
    assert quotas.three(books) == (60, 0, 40)


MORNING = int(START.timestamp())


def test_a_keyed_debit_is_replayed_for_thirty_days(meter: Meter) -> None:
    """Its row says when DynamoDB may forget it."""
    debits.debit_once(meter, "alice", 1, "backend", "k")
    rows = meter.books.store.tables["quotas"]  # type: ignore[attr-defined]
    (kept,) = (row for (name, _), row in rows.items() if name.startswith("debit#"))
    assert kept["ttl"] == MORNING + 30 * 24 * 3600
