from typing import Any

import pytest
from billing.books import Books
from billing.buying import confirmation
from billing.clock import epoch
from billing.errors import OutcomeUnknownError
from billing.facts import RefundsFact, SessionFact
from billing.holds.placing import place
from billing.parked import dropping, records
from billing.payments.payment import Payment
from billing.reconciliation import hold_sweep, lost_payments, retry_parked
from billing.reconciliation import run as reconciliation
from billing.reconciliation.job import Run
from billing.reconciliation.report import Report
from billing.settlement import settlement
from billing.spending import debits
from billing.spending.meter import Meter
from billing.storage.keys import user_key
from billing.storage.reader import Page
from billing.storage.writes import Write
from billing.stripe_api import objects
from support import builders, laws
from support.builders import Clock, fact, intent_of, pending
from support.fakes.memory_store import MemoryStore
from support.fakes.stripe_twin import Stripe


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
    report = reconciliation.run(job, epoch(builders.START) - 30 * 24 * 3600)
    assert not report.failed, report
    return report


def _recover(books: Books, stripe: Stripe) -> retry_parked.Recovered:
    return retry_parked.run(books, stripe)  # type: ignore[arg-type]


def _units(books: Books, user_id: str = "alice") -> int:
    laws.check(books.store)
    return debits.read(books, user_id).remaining


def _status(books: Books, payment: Payment) -> str:
    item = books.store.get("payments", (user_key(payment.user_id), payment.payment_id))
    assert item is not None
    return Payment.from_item(item).status


@pytest.mark.parametrize("age", [0, 30, 3600, 20 * 24 * 3600])
def test_a_paid_session_whose_webhooks_were_lost_is_credited_however_young(
    books: Books, stripe: Stripe, age: int
) -> None:
    payment = pending(books)
    stripe.sell(payment, epoch(books.clock()) - age)
    report = _reconcile(books, stripe)
    assert (report.counts, report.repaired, report.finished) == ({"missing_here": 1}, 1, True)
    assert _reconcile(books, stripe).counts == {}
    settlement.apply(books, fact(builders.completed(payment)))
    assert _units(books) == 100


def test_a_dry_run_touches_nothing(books: Books, store: MemoryStore, stripe: Stripe) -> None:
    stripe.sell(pending(books), epoch(books.clock()))
    report = _reconcile(books, stripe, repair=False)
    assert (report.counts, report.repaired) == ({"missing_here": 1}, 0)
    assert _units(books) == 0
    assert store.tables["ledger"] == {}


def test_a_run_that_was_stopped_is_gone_on_with_until_all_is_settled(
    books: Books, stripe: Stripe
) -> None:
    """One page a run: five sessions, in some ten runs."""
    for _ in range(5):
        stripe.sell(pending(books), epoch(books.clock()))
    runs = [_reconcile(books, stripe, pages=1) for _ in range(10)]
    assert _units(books) == 500
    assert sum(run.repaired for run in runs) == 5


def test_a_run_that_is_killed_is_gone_on_with_behind_its_last_page(
    books: Books, stripe: Stripe
) -> None:
    """Lambda gives no warning: what was looked at before is not looked at again."""
    for _ in range(3):
        stripe.sell(pending(books), epoch(books.clock()))
    looked_at: list[str] = []
    lister = stripe.sessions

    def dies_at_the_third(since: int, after: str = "") -> dict[str, Any]:
        if len(looked_at) == 2:
            raise KeyboardInterrupt
        looked_at.append(after)
        return lister(since, after)

    stripe.sessions = dies_at_the_third  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        _reconcile(books, stripe)
    stripe.sessions = lister  # type: ignore[method-assign]
    assert _reconcile(books, stripe, pages=1).repaired == 1
    assert _units(books) == 300


def test_a_run_that_ends_within_a_page_is_gone_on_with_at_the_next_row(
    books: Books, stripe: Stripe
) -> None:
    """A page of a hundred rows may take longer than a function has left."""
    stripe.rows_a_page = 4
    for _ in range(6):
        stripe.sell(pending(books), epoch(books.clock()))
    repaired = []
    for _ in range(3):
        looks = iter([True, True, True])  # one before the page, two before its first rows
        job = Run(books, stripe, repair=True, has_time=lambda looks=looks: next(looks, False))  # type: ignore[arg-type, misc]
        repaired.append(reconciliation.run(job, 0).repaired)
    assert repaired == [2, 2, 2]
    assert _units(books) == 600


def test_our_own_records_are_asked_for_once(books: Books, stripe: Stripe) -> None:
    """A listing or an answer of Stripe is not asked for again by every later run."""
    listed, old = pending(books), pending(books)
    stripe.sell(listed, epoch(books.clock()))
    stripe.sell(old, 1)
    for payment in (listed, old):
        settlement.apply(books, fact(builders.completed(payment)))
    for _ in range(3):
        assert _reconcile(books, stripe).counts == {}
    assert stripe.asked_for == [old.session_id]


@pytest.mark.parametrize("pages", [1, 1000])
def test_all_our_own_records_are_asked_for_page_after_page(
    books: Books, stripe: Stripe, pages: int
) -> None:
    """More of them than the index shows at once; in one run, or in as many as it takes."""
    old = [pending(books) for _ in range(5)]
    for payment in old:
        stripe.sell(payment, 1)
        settlement.apply(books, fact(builders.completed(payment)))
    for _ in range(8):
        assert _reconcile(books, stripe, pages).counts == {}
    assert sorted(stripe.asked_for) == sorted(payment.session_id for payment in old)


def test_the_index_of_what_was_not_seen_is_believed_in_nothing(
    books: Books, store: MemoryStore, stripe: Stripe
) -> None:
    """It lags: it shows what has been seen since, and what is there no more.

    The record itself says what is to be asked for.
    """
    seen, gone = pending(books), pending(books)
    for payment in (seen, gone):
        stripe.sell(payment, epoch(books.clock()))
        settlement.apply(books, fact(builders.completed(payment)))
    shown = store.unseen("").items
    assert {row["id"] for row in shown} == {seen.payment_id, gone.payment_id}
    _reconcile(books, stripe)
    stripe.sold.pop(0)
    del store.tables["payments"][user_key("alice"), gone.payment_id]
    store.unseen = lambda *_: Page(shown, None)  # type: ignore[method-assign]
    assert _reconcile(books, stripe).counts == {}
    assert stripe.asked_for == []


@pytest.mark.parametrize("kind", ["refund", "dispute"])
def test_a_payment_intent_that_leads_nowhere_leads_to_its_payment_again(
    books: Books, store: MemoryStore, stripe: Stripe, kind: str
) -> None:
    """A restore lost that one row; the intent's own metadata says whose it is.

    A stranger's stays a stranger's.
    """
    payment = pending(books)
    stripe.sell(payment, epoch(books.clock()))
    settlement.apply(books, fact(builders.completed(payment)))
    del store.tables["payments"][f"ref#{intent_of(payment)}", "reference"]
    if kind == "refund":
        stripe.refund(payment, "re_1", 999)
    else:
        stripe.dispute(builders.dispute(payment, "funds_withdrawn", "needs_response", -999))
    assert _reconcile(books, stripe, repair=False).counts == {"missing_here": 1, "status": 1}
    assert _reconcile(books, stripe).counts == {"missing_here": 1, "status": 1}
    assert _units(books) == 0
    assert _reconcile(books, stripe).counts == {}


def test_a_refund_after_one_that_failed_is_taken_back_by_reconciliation(
    books: Books, stripe: Stripe
) -> None:
    """Its event alone cannot tell: the highest figure less what failed is nothing, which is what
    the contract says to take.
    """
    payment = pending(books)
    stripe.sell(payment, epoch(books.clock()))
    stripe.refund(payment, "re_1", 999, status="failed")
    stripe.refund(payment, "re_2", 999)
    told = [
        builders.completed(payment),
        builders.refunded(payment, 999),
        builders.refund(payment, "re_1", 999),
    ]
    for event in (*told, builders.refunded(payment, 999)):
        settlement.apply(books, fact(event))
    assert _units(books) == 100
    _reconcile(books, stripe)
    assert (_units(books), _status(books, payment)) == (0, "refunded")


def test_what_an_operator_has_dropped_is_no_difference(books: Books, stripe: Stripe) -> None:
    """Otherwise the alarm would fire each hour about a purchase that was refunded by hand."""
    payment = pending(books)
    stripe.sell(payment, epoch(books.clock()), currency="eur")
    assert _reconcile(books, stripe).counts == {"currency": 1}
    (record,) = records.all_parked(books)
    dropping.drop(books, record, "refunded by hand")
    report = _reconcile(books, stripe)
    assert (report.counts, report.dropped) == ({}, 1)


def test_recovery_makes_a_lost_way_from_a_payment_intent_again(
    books: Books, store: MemoryStore, stripe: Stripe, clock: Clock
) -> None:
    """A refund is parked as if it were early; its payment is there all the time."""
    payment = pending(books)
    stripe.sell(payment, epoch(books.clock()))
    settlement.apply(books, fact(builders.completed(payment)))
    del store.tables["payments"][f"ref#{intent_of(payment)}", "reference"]
    assert settlement.apply(books, fact(builders.refunded(payment, 999))).status == "parked"
    clock.advance(seconds=61)
    assert _recover(books, stripe).settled == 1
    assert _units(books) == 0


def test_what_agreed_before_costs_no_write(
    books: Books, store: MemoryStore, stripe: Stripe
) -> None:
    """A purchase is looked at each hour for a month: each look is one read."""
    payment = pending(books)
    stripe.sell(payment, epoch(books.clock()))
    stripe.refund(payment, "re_1", 300)
    _reconcile(books, stripe)
    written: list[str] = []
    commit = store.commit

    def noted(*writes: Write) -> None:
        written.extend(write.table for write in writes)
        commit(*writes)

    store.commit = noted  # type: ignore[method-assign]
    assert _reconcile(books, stripe).counts == {}
    assert set(written) == {"events"}, "the cursor and the last run's time"


def test_what_became_of_an_old_refund_or_dispute_is_looked_at_for_longer(
    books: Books, stripe: Stripe
) -> None:
    """A dispute is decided after months; a refund fails after weeks."""
    payments = [pending(books), pending(books)]
    for payment in payments:
        settlement.apply(books, fact(builders.completed(payment)))
    day, now = 24 * 3600, epoch(books.clock())
    stripe.refund(payments[0], "re_1", 500)
    stripe.returned[0]["created"] = now - 50 * day
    stripe.dispute(builders.dispute(payments[1], "closed", "lost", -999))
    stripe.disputed[0]["created"] = now - 150 * day
    _reconcile(books, stripe)
    assert _units(books) == 50


def test_a_second_refund_of_a_payment_is_found_beside_the_known_one(
    books: Books, stripe: Stripe
) -> None:
    """Stripe is asked for a payment's refunds when one is new, and not each hour again."""
    payment = pending(books)
    stripe.sell(payment, epoch(books.clock()))
    stripe.refund(payment, "re_1", 300)
    _reconcile(books, stripe)
    stripe.refund(payment, "re_2", 200)
    assert _reconcile(books, stripe).counts == {"status": 1}
    assert _units(books) == 50
    stripe.asked_for.clear()
    assert _reconcile(books, stripe).counts == {}
    assert stripe.asked_for == []


def _look(books: Books, stripe: Stripe) -> Report:
    job = Run(books, stripe, repair=True)  # type: ignore[arg-type]
    return reconciliation.run(job, epoch(builders.START) - 30 * 24 * 3600)


@pytest.mark.parametrize("member", ["amount_total", "amount_subtotal", "currency"])
def test_a_paid_session_of_ours_that_cannot_be_read_is_a_failure(
    books: Books, stripe: Stripe, member: str
) -> None:
    """A customer paid and was not credited, so an operator must look.

    The others have their turn.
    """
    payment, other = pending(books), pending(books)
    stripe.sell(payment, epoch(books.clock()), **{member: None})
    stripe.sell(other, epoch(books.clock()))
    report = _look(books, stripe)
    assert report.counts == {"failed": 1, "missing_here": 1}
    failed = next(row for row in report.differences if row.kind == "failed")
    assert (failed.stripe_id, failed.payment_id) == (payment.session_id, payment.payment_id)
    assert report.not_ours == 0
    assert _units(books) == 100


def test_a_session_that_cannot_be_read_and_is_not_ours_or_not_paid_is_no_failure(
    books: Books, stripe: Stripe
) -> None:
    """It owes nothing here."""
    stripe.sell(pending(books), epoch(books.clock()), amount_total=None, metadata={})
    unpaid = {"status": "expired", "payment_status": "unpaid", "payment_intent": None}
    stripe.sell(pending(books), epoch(books.clock()), amount_total=None, **unpaid)
    elsewhere = pending(builders.books_on(MemoryStore()))
    old = builders.old_metadata(elsewhere)
    stripe.sell(elsewhere, epoch(books.clock()), amount_total=None, metadata=old)
    report = _look(books, stripe)
    assert (report.counts, report.not_ours) == ({}, 3)


def test_a_credited_session_that_cannot_be_read_any_more_is_a_failure(
    books: Books, stripe: Stripe
) -> None:
    """Whether it agrees is not known; it is not reported as missing at Stripe."""
    payment = pending(books)
    settlement.apply(books, fact(builders.completed(payment)))
    stripe.sell(payment, epoch(builders.START) - 90 * 24 * 3600, amount_total=None)
    assert _look(books, stripe).counts == {"failed": 1}


def test_an_unpaid_session_is_not_credited(books: Books, stripe: Stripe) -> None:
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
    payment = pending(books)
    stripe.sell(payment, epoch(books.clock()))
    stripe.disputed.append(
        builders.dispute(payment, "created", "needs_response", -999)["data"]["object"]
    )
    _reconcile(books, stripe)
    assert (_units(books), _status(books, payment)) == (0, "disputed")


def test_what_is_credited_here_and_unknown_at_stripe_is_reported(
    books: Books, stripe: Stripe
) -> None:
    """Forged, or of another Stripe account: an operator must look."""
    payment = pending(books)
    settlement.apply(books, fact(builders.completed(payment)))
    assert _reconcile(books, stripe).counts == {"missing_there": 1}
    assert _units(books) == 100


def test_a_payments_record_that_was_lost_is_rebuilt_and_credited_once(
    books: Books, store: MemoryStore, stripe: Stripe
) -> None:
    payment, odd = pending(books), pending(books)
    for lost in (payment, odd):
        stripe.sell(lost, epoch(books.clock()), **({"amount_subtotal": 1} if lost is odd else {}))
    store.tables["payments"].clear()
    _reconcile(books, stripe)
    _reconcile(books, stripe)
    assert _units(books) == 100
    assert _status(books, payment) == "completed"


def test_recovery_finds_the_session_that_a_refund_belongs_to(books: Books, stripe: Stripe) -> None:
    """Its own webhooks were lost. It need not wait for reconciliation."""
    payment = pending(books)
    stripe.sell(payment, epoch(books.clock()))
    settlement.apply(books, fact(builders.refunded(payment, 500)))
    books.clock.advance(seconds=61)  # type: ignore[attr-defined]
    assert _recover(books, stripe).settled == 1
    assert (_units(books), _status(books, payment)) == (50, "partially_refunded")
    assert not list(records.all_parked(books))


def test_a_parked_event_survives_an_outage_of_stripe(
    books: Books, stripe: Stripe, clock: Clock
) -> None:
    payment = pending(books)
    stripe.sell(payment, epoch(books.clock()))
    settlement.apply(books, fact(builders.refunded(payment, 500)))
    stripe.is_down = True
    clock.advance(seconds=61)
    assert _recover(books, stripe).waiting == 1
    assert len(list(records.all_parked(books))) == 1
    stripe.is_down = False
    clock.advance(hours=1)
    assert _recover(books, stripe).settled == 1
    assert _units(books) == 50


def test_an_event_that_is_not_ours_is_no_longer_parked(
    books: Books, stripe: Stripe, clock: Clock
) -> None:
    """A refund of another product on the same Stripe account."""
    stranger = pending(builders.books_on(MemoryStore()))
    stripe.sell(stranger, epoch(books.clock()), metadata={})
    settlement.apply(books, fact(builders.refunded(stranger, 500)))
    clock.advance(seconds=61)
    _recover(books, stripe)
    assert not list(records.all_parked(books))


def test_what_waits_for_an_operator_is_not_retried(
    books: Books, stripe: Stripe, clock: Clock
) -> None:
    """It stays until an operator has looked."""
    settlement.apply(books, fact(builders.completed(pending(books), currency="eur")))
    clock.advance(days=30)
    assert _recover(books, stripe).waiting == 1
    assert len(list(records.all_parked(books))) == 1


def test_one_parked_event_that_cannot_be_settled_does_not_stop_the_others(
    books: Books, stripe: Stripe, clock: Clock
) -> None:
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


def test_a_sweep_releases_expired_holds_of_idle_accounts(books: Books, clock: Clock) -> None:
    """The row goes, the units come back, once."""
    settlement.apply(books, fact(builders.completed(pending(books))))
    place(Meter(books, ""), "alice", 40, 60)
    clock.advance(seconds=61)
    assert hold_sweep.sweep_holds(books) == 1
    assert hold_sweep.sweep_holds(books) == 0
    item = books.store.get("quotas", ("alice", "quota"))
    assert item is not None
    assert (item["held"], item["remaining"], item.get("holds_due")) == (0, 100, None)
    laws.check(books.store)


def test_confirm_credits_what_stripe_says_is_paid_and_nothing_else(
    books: Books, stripe: Stripe
) -> None:
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
    listed = objects.refunds(intent_of(payment), "usd", [row], "reconcile")
    assert isinstance(listed, RefundsFact)
    assert settlement.apply(books, listed).units == 0
    assert _units(books) == 50


def test_a_retry_that_ends_unknown_keeps_the_record(
    books: Books, stripe: Stripe, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
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
    assert len(list(records.all_parked(books))) == 1
    clock.advance(hours=1)
    assert _recover(books, stripe).settled == 1
    assert _units(books) == 50


def test_a_record_that_was_rebuilt_has_its_session_before_anything_is_settled(
    books: Books, store: MemoryStore, stripe: Stripe
) -> None:
    """The run may end in between."""
    payment = pending(books)
    stripe.sell(payment, epoch(books.clock()))
    store.tables["payments"].clear()
    paid = fact(builders.completed(payment))
    assert isinstance(paid, SessionFact)
    rebuilt = lost_payments.rebuild(books, paid, {"created": epoch(books.clock())})
    assert rebuilt is not None
    (item,) = [row for key, row in store.tables["payments"].items() if key[1] == payment.payment_id]
    assert Payment.from_item(item) == rebuilt
    assert (rebuilt.session_id, rebuilt.payment_intent) == (payment.session_id, "")
    leads = store.tables["payments"]["user#alice", payment.session_id]
    assert leads["payment_id"] == payment.payment_id
