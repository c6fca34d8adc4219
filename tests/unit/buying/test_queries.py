"""Reading payments: one by any of its ids."""

import pytest
from billing.books import Books
from billing.buying import queries
from billing.errors import BillingError, OutcomeUnknownError
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


def test_a_paid_payment_is_shown_whole(books: Books) -> None:
    """Also when it was paid, and no more given back than was paid."""
    payment = pending(books)
    before = queries.find(books, "alice", payment.payment_id).as_answer()
    assert (before["status"], before["completed_at"], before["failure_code"]) == (
        "pending",
        None,
        None,
    )
    settlement.apply(books, fact(builders.completed(payment, amount_total=500)))
    paid = queries.find(books, "alice", payment.session_id).as_answer()
    assert (paid["status"], paid["completed_at"][:19]) == ("completed", "2026-01-02T03:04:05")
    assert (paid["session_id"], paid["amount_minor"], paid["units_clawed_back"]) == (
        payment.session_id,
        999,
        0,
    )
    settlement.apply(books, fact(builders.refunded(payment, 999)))
    after = queries.find(books, "alice", payment.payment_id).as_answer()
    assert (after["status"], after["refunded_minor"], after["units_clawed_back"]) == (
        "refunded",
        500,
        100,
    )


def test_a_name_that_no_payment_can_have_is_not_looked_for(books: Books, store: Rough) -> None:
    """DynamoDB would refuse such a key."""
    for name in ("pay_" + "x" * 252, "pay_ü", "cs_" + "x" * 300, "cs_ü"):
        calls = store.calls
        with pytest.raises(BillingError):
            queries.find(books, "alice", name)
        assert store.calls == calls
    longest = pending(books, payment_id="pay_" + "x" * 251)
    assert queries.find(books, "alice", longest.payment_id) == longest
