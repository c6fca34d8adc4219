"""Reference rows lead from Stripe's ids to payments, and hold early refunds."""

from typing import Any

import pytest
from billing.audit.repair import repair_account
from billing.books import Books
from billing.buying import queries
from billing.clock import epoch
from billing.parked import dropping, records
from billing.reconciliation import retry_parked
from billing.reconciliation.job import Run
from billing.settlement import settlement
from billing.storage.keys import REFERENCE, reference_key
from billing.storage.writes import Write
from support import builders, laws
from support.builders import Clock, fact, intent_of, pending
from support.fakes.memory_store import MemoryStore
from support.fakes.stripe_twin import Stripe
from support.lost_records import Shop


@pytest.fixture
def shop() -> Shop:
    """One."""
    return Shop()


def test_a_lost_way_from_a_payment_intent_is_written_again(shop: Shop) -> None:
    """It is not only reported: a later refund is settled immediately."""
    shop.payment = pending(shop.books)
    settlement.apply(shop.books, fact(builders.completed(shop.payment)))
    del shop.store.tables["payments"][reference_key(intent_of(shop.payment)), REFERENCE]
    shop.stripe.sell(shop.payment, epoch(shop.clock()))
    job = Run(shop.books, shop.stripe, repair=True, resumes=False)  # type: ignore[arg-type]
    assert repair_account(job, "alice").acts == (
        f"{intent_of(shop.payment)}: leads to its payment again",
    )
    assert (
        settlement.apply(shop.books, fact(builders.refunded(shop.payment, 500))).status == "settled"
    )
    assert repair_account(job, "alice").acts == ()


@pytest.fixture
def books(clock: Clock) -> Books:
    """Nothing was sold."""
    return builders.books_on(MemoryStore(), clock=clock)


def _settle(books: Books, *events: dict[str, Any]) -> None:
    for event in events:
        settlement.apply(books, fact(event))


def test_two_refunds_that_were_dropped_with_a_purchase_come_back_before_it_is_credited() -> None:
    """One after the other: the purchase is credited once none is left aside, less both."""
    books = builders.books_on(MemoryStore())
    payment = pending(books)
    for number in (1, 2):
        _settle(books, builders.refund(payment, f"re_{number}", 300, "succeeded"))
    for record in list(records.all_parked(books)):
        intent = builders.intent_of(payment)
        assert dropping.drop_with_purchase(books, record, payment.session_id, intent)
    _settle(books, builders.completed(payment))
    found = queries.find(books, "alice", payment.payment_id)
    assert (found.status, found.units_clawed_back) == ("partially_refunded", 60)
    assert not list(records.all_parked(books))
    laws.check(books.store)


def test_a_refund_that_is_brought_back_waits_as_any_other(books: Books, clock: Clock) -> None:
    """Recovery leaves it to the purchase that is being credited."""
    payment = pending(books)
    _settle(books, builders.refund(payment, "re_1", 300, "succeeded"))
    (record,) = records.all_parked(books)
    intent = builders.intent_of(payment)
    assert dropping.drop_with_purchase(books, record, payment.session_id, intent)
    dropping.bring_back(books, intent, frozenset({record.name}))
    (again,) = records.all_parked(books)
    assert again.next_try == epoch(clock.now) + 30


class ReferredStore(MemoryStore):
    """A concurrent request credits a purchase just before it is dropped: its row leads to it."""

    rows: tuple[str, ...] = ()

    def commit(self, *writes: Write) -> None:
        """See MemoryStore."""
        rows, self.rows = self.rows, ()
        if rows and any(write.delete for write in writes):
            self.tables["payments"][rows[0], "reference"]["payment_id"] = rows[1]
        elif rows:
            self.rows = rows
        super().commit(*writes)


def test_a_refund_of_a_purchase_that_is_credited_as_it_is_dropped_is_not_counted_as_settled() -> (
    None
):
    """It stays parked for the next run, which takes it back."""
    store, clock, stripe = ReferredStore(), Clock(), Stripe()
    books = builders.books_on(store, clock=clock)
    payment = pending(books)
    stripe.sell(payment, epoch(books.clock()), amount_subtotal=1)
    _settle(books, builders.completed(payment, amount_subtotal=1))
    (record,) = records.all_parked(books)
    dropping.drop(books, record, "paid back by hand")
    _settle(books, builders.refund(payment, "re_1", 300, "succeeded"))
    store.rows = (f"ref#{builders.intent_of(payment)}", payment.payment_id)
    clock.advance(seconds=61)
    done = retry_parked.run(books, stripe)  # type: ignore[arg-type]
    assert (done.settled, done.waiting) == (0, 1)
    assert len(list(records.all_parked(books))) == 1
