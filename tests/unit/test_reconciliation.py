from typing import Any

import builders
import laws
import pytest
from billing import confirmation, observed, parking, quota, reconciliation, recovery, settlement
from billing.books import Books
from billing.errors import OutcomeUnknownError
from billing.facts import RefundsFact
from billing.holds import place
from billing.identity import user_key
from billing.payments import Payment
from billing.reconciliation import Report, Run
from billing.spending import Meter
from billing.times import epoch
from builders import Clock, fact, intent_of, pending
from memory_store import MemoryStore
from stripe_twin import Stripe


@pytest.fixture
def clock() -> Clock:
    """Moved by hand."""
    return Clock()


@pytest.fixture
def store() -> MemoryStore:
    """An empty one."""
    return MemoryStore()


@pytest.fixture
def books(clock: Clock, store: MemoryStore) -> Books:
    """The test stack's."""
    return builders.books_on(store, clock=clock)


@pytest.fixture
def stripe() -> Stripe:
    """Nothing was sold."""
    return Stripe()


def _reconcile(books: Books, stripe: Stripe, pages: int = 1000, *, repair: bool = True) -> Report:
    left = iter(range(pages))
    job = Run(books, stripe, repair, lambda: next(left, None) is not None)  # type: ignore[arg-type]
    return reconciliation.run(job, epoch(builders.START) - 30 * 24 * 3600)


def _recover(books: Books, stripe: Stripe) -> recovery.Recovered:
    return recovery.run(books, stripe)  # type: ignore[arg-type]


def _units(books: Books, user_id: str = "alice") -> int:
    laws.check(books.store)
    return quota.read(books, user_id).remaining


def _status(books: Books, payment: Payment) -> str:
    item = books.store.get("payments", (user_key(payment.user_id), payment.payment_id))
    assert item is not None
    return Payment.from_item(item).status


@pytest.mark.parametrize("age", [0, 30, 3600, 20 * 24 * 3600])
def test_a_paid_session_whose_webhooks_were_lost_is_credited_however_young(books: Books, stripe: Stripe, age: int) -> None:
    """And never twice, whoever else settles it afterwards."""
    payment = pending(books)
    stripe.sell(payment, epoch(books.clock()) - age)
    report = _reconcile(books, stripe)
    assert (report.counts, report.repaired, report.finished) == ({"missing_here": 1}, 1, True)
    assert _reconcile(books, stripe).counts == {}
    settlement.apply(books, fact(builders.completed(payment)))
    assert _units(books) == 100


def test_a_dry_run_touches_nothing(books: Books, store: MemoryStore, stripe: Stripe) -> None:
    """It tells the difference."""
    stripe.sell(pending(books), epoch(books.clock()))
    report = _reconcile(books, stripe, repair=False)
    assert (report.counts, report.repaired) == ({"missing_here": 1}, 0)
    assert _units(books) == 0
    assert store.tables["ledger"] == {}


def test_a_run_that_was_stopped_is_gone_on_with_until_all_is_settled(books: Books, stripe: Stripe) -> None:
    """One page a run: five sessions, in some ten runs."""
    for _ in range(5):
        stripe.sell(pending(books), epoch(books.clock()))
    runs = [_reconcile(books, stripe, pages=1) for _ in range(10)]
    assert _units(books) == 500
    assert sum(run.repaired for run in runs) == 5


def test_an_unpaid_session_is_not_credited(books: Books, stripe: Stripe) -> None:
    """Complete is not paid."""
    payment = pending(books)
    stripe.sell(payment, epoch(books.clock()), payment_status="unpaid")
    _reconcile(books, stripe)
    assert (_units(books), _status(books, payment)) == (0, "processing")


def test_a_refund_whose_webhooks_were_lost_is_taken_back(books: Books, stripe: Stripe) -> None:
    """All of an intent's refunds together, those that failed left out."""
    payment = pending(books)
    stripe.sell(payment, epoch(books.clock()))
    stripe.refund(payment, "re_1", 300)
    stripe.refund(payment, "re_2", 200)
    stripe.refund(payment, "re_3", 400, status="failed")
    _reconcile(books, stripe)
    assert (_units(books), _status(books, payment)) == (50, "partially_refunded")


def test_a_dispute_whose_webhooks_were_lost_is_taken_back(books: Books, stripe: Stripe) -> None:
    """By the money that is out."""
    payment = pending(books)
    stripe.sell(payment, epoch(books.clock()))
    stripe.disputed.append(builders.dispute(payment, "created", "needs_response", -999)["data"]["object"])
    _reconcile(books, stripe)
    assert (_units(books), _status(books, payment)) == (0, "disputed")


def test_what_is_credited_here_and_unknown_at_stripe_is_told(books: Books, stripe: Stripe) -> None:
    """Forged, or of another Stripe account: a person must look."""
    payment = pending(books)
    settlement.apply(books, fact(builders.completed(payment)))
    assert _reconcile(books, stripe).counts == {"missing_there": 1}
    assert _units(books) == 100


def test_a_payments_record_that_was_lost_is_rebuilt_and_credited_once(books: Books, store: MemoryStore, stripe: Stripe) -> None:
    """At the catalogue's price only."""
    payment, odd = pending(books), pending(books)
    for lost in (payment, odd):
        stripe.sell(lost, epoch(books.clock()), **({"amount_subtotal": 1} if lost is odd else {}))
    store.tables["payments"].clear()
    _reconcile(books, stripe)
    _reconcile(books, stripe)
    assert _units(books) == 100
    assert _status(books, payment) == "completed"


def test_recovery_finds_the_session_that_a_refund_belongs_to(books: Books, stripe: Stripe) -> None:
    """Its own webhooks were lost; nobody needs to wait for reconciliation."""
    payment = pending(books)
    stripe.sell(payment, epoch(books.clock()))
    settlement.apply(books, fact(builders.refunded(payment, 500)))
    books.clock.advance(seconds=61)  # type: ignore[attr-defined]
    assert _recover(books, stripe).settled == 1
    assert (_units(books), _status(books, payment)) == (50, "partially_refunded")
    assert not list(parking.all_parked(books))


def test_a_parked_fact_outlives_trouble_at_stripe(books: Books, stripe: Stripe, clock: Clock) -> None:
    """It is tried again later."""
    payment = pending(books)
    stripe.sell(payment, epoch(books.clock()))
    settlement.apply(books, fact(builders.refunded(payment, 500)))
    stripe.is_down = True
    clock.advance(seconds=61)
    assert _recover(books, stripe).waiting == 1
    assert len(list(parking.all_parked(books))) == 1
    stripe.is_down = False
    clock.advance(hours=1)
    assert _recover(books, stripe).settled == 1
    assert _units(books) == 50


def test_a_fact_that_is_nobodys_is_let_go(books: Books, stripe: Stripe, clock: Clock) -> None:
    """A refund of another product on the same Stripe account."""
    stranger = pending(builders.books_on(MemoryStore()))
    stripe.sell(stranger, epoch(books.clock()), metadata={})
    settlement.apply(books, fact(builders.refunded(stranger, 500)))
    clock.advance(seconds=61)
    _recover(books, stripe)
    assert not list(parking.all_parked(books))


def test_what_waits_for_a_person_is_not_tried(books: Books, stripe: Stripe, clock: Clock) -> None:
    """It stays until somebody has looked."""
    settlement.apply(books, fact(builders.completed(pending(books), currency="eur")))
    clock.advance(days=30)
    assert _recover(books, stripe).waiting == 1
    assert len(list(parking.all_parked(books))) == 1


def test_one_parked_fact_that_cannot_be_settled_does_not_stop_the_others(books: Books, stripe: Stripe, clock: Clock) -> None:
    """The first's payment is not paid yet, the second's is."""
    first, second = pending(books), pending(books)
    for payment in (first, second):
        settlement.apply(books, fact(builders.refunded(payment, 500)))
    stripe.sell(first, epoch(books.clock()), payment_status="unpaid")
    stripe.sell(second, epoch(books.clock()))
    clock.advance(seconds=61)
    found = _recover(books, stripe)
    assert (found.settled, found.waiting) == (1, 1)
    assert _units(books) == 50


def test_a_sweep_gives_back_what_nobody_asked_for_since(books: Books, clock: Clock) -> None:
    """The row goes, the units come back, once."""
    settlement.apply(books, fact(builders.completed(pending(books))))
    place(Meter(books, ""), "alice", 40, 60)
    clock.advance(seconds=61)
    assert recovery.sweep_holds(books) == 1
    assert recovery.sweep_holds(books) == 0
    item = books.store.get("quotas", ("alice", "quota"))
    assert item is not None
    assert (item["held"], item["remaining"], item.get("holds_due")) == (0, 100, None)
    laws.check(books.store)


def test_confirm_credits_what_stripe_says_is_paid_and_nothing_else(books: Books, stripe: Stripe) -> None:
    """By the webhook's own path, so that the webhook later is a duplicate."""
    paid, unpaid = pending(books), pending(books)
    stripe.sell(paid, epoch(books.clock()))
    stripe.sell(unpaid, epoch(books.clock()), payment_status="unpaid")
    for payment, status in ((paid, "completed"), (unpaid, "processing")):
        assert confirmation.confirm(books, stripe, "alice", payment.session_id).status == status  # type: ignore[arg-type]
    assert settlement.apply(books, fact(builders.completed(paid))).status == "duplicate"
    assert _units(books) == 100


def test_refunds_as_the_api_lists_them_and_as_events_tell_them_count_once(books: Books) -> None:
    """The cumulative figure and the list are two readings of the same money."""
    payment = pending(books)
    settlement.apply(books, fact(builders.completed(payment)))
    settlement.apply(books, fact(builders.refunded(payment, 500)))
    row = {"id": "re_1", "amount": 500, "currency": "usd", "status": "succeeded", "created": 1}
    listed = observed.refunds(intent_of(payment), "usd", [row], "reconcile")
    assert isinstance(listed, RefundsFact)
    assert settlement.apply(books, listed).units == 0
    assert _units(books) == 50


def test_a_retry_that_ends_unknown_keeps_the_record(books: Books, stripe: Stripe, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unknown is not failed, and not settled."""
    payment = pending(books)
    settlement.apply(books, fact(builders.refunded(payment, 500)))
    stripe.sell(payment, epoch(books.clock()))
    clock.advance(seconds=61)
    commit = books.store.commit

    def lost(*writes: Any) -> None:
        if any(write.table == "ledger" for write in writes):
            raise OutcomeUnknownError("injected")
        commit(*writes)

    with monkeypatch.context() as patch:
        patch.setattr(books.store, "commit", lost)
        assert _recover(books, stripe).waiting == 1
    assert len(list(parking.all_parked(books))) == 1
    clock.advance(hours=1)
    assert _recover(books, stripe).settled == 1
    assert _units(books) == 50
