"""What becomes of a payment's state and of long ledgers, event by event."""

from typing import Any

import pytest
from billing.account import history
from billing.audit.readings import settled_tally
from billing.books import Books
from billing.buying import queries
from billing.clock import epoch
from billing.grants.booking import book
from billing.grants.grant import Grant
from billing.reconciliation import run as reconciliation
from billing.reconciliation.compare import look_again
from billing.reconciliation.job import Run
from billing.reconciliation.report import Report
from billing.settlement import settlement
from billing.stripe_api.claims import Ignored
from billing.stripe_api.events import parse
from support import builders, laws
from support.builders import OURS, Clock, fact, pending
from support.fakes.memory_store import MemoryStore
from support.fakes.stripe_twin import Stripe
from support.slow import Slow


@pytest.fixture
def books(clock: Clock) -> Books:
    """Nothing was sold."""
    return builders.books_on(MemoryStore(), clock=clock)


def _settle(books: Books, *events: dict[str, Any]) -> None:
    for event in events:
        settlement.apply(books, fact(event))


def _status(books: Books, payment_id: str) -> str:
    return queries.find(books, "alice", payment_id).status


def test_a_dispute_without_money_yet_stays_open_when_it_is_updated(books: Books) -> None:
    """Evidence was added before Stripe had withdrawn anything: the dispute is not over."""
    payment = pending(books)
    _settle(books, builders.completed(payment))
    _settle(books, builders.dispute(payment, "created", "needs_response"))
    assert _status(books, payment.payment_id) == "disputed"
    _settle(books, builders.dispute(payment, "updated", "under_review"))
    assert _status(books, payment.payment_id) == "disputed"
    _settle(books, builders.dispute(payment, "closed", "won"))
    assert _status(books, payment.payment_id) == "completed"


@pytest.mark.parametrize(
    ("event", "member"),
    [
        (builders.completed, "amount_total"),
        (builders.completed, "amount_subtotal"),
        (lambda payment: builders.refunded(payment, 1), "amount_refunded"),
        (lambda payment: builders.refund(payment, "re_1", 1, "succeeded"), "amount"),
        (lambda payment: builders.dispute(payment, "created", "lost"), "amount"),
    ],
)
def test_an_amount_below_zero_is_a_shape_that_cannot_be_read(
    books: Books, event: Any, member: str
) -> None:
    """Stripe's amounts are whole numbers; a negative refund would be a gift."""
    sent = event(pending(books))
    sent["data"]["object"][member] = -1
    assert parse(sent, OURS) == Ignored("unreadable")
    sent["data"]["object"][member] = 0
    assert not isinstance(parse(sent, OURS), Ignored)


def test_refunds_that_are_known_are_not_asked_for_again(books: Books) -> None:
    """One that stands and one that failed: each hour's run would ask Stripe for both."""
    stripe, payments = Stripe(), [pending(books), pending(books)]
    for number, (payment, status) in enumerate(zip(payments, ("succeeded", "failed"), strict=True)):
        stripe.sell(payment, epoch(books.clock()))
        _settle(books, builders.completed(payment))
        _settle(books, builders.refund(payment, f"re_{number}", 300, status))
        stripe.refund(payment, f"re_{number}", 300, status)
    job = Run(books, stripe, repair=True)  # type: ignore[arg-type]
    report = reconciliation.run(job, 0)
    assert (report.finished, report.counts) == (True, {})
    assert not [name for name in stripe.asked_for if name.startswith("pi_")]


@pytest.mark.parametrize(("here", "there"), [("succeeded", "failed"), ("failed", "succeeded")])
def test_a_refund_that_is_known_in_another_state_is_asked_for(
    books: Books, here: str, there: str
) -> None:
    """It failed after it had succeeded, and the webhook was lost; or Stripe's list is stale."""
    stripe, payment = Stripe(), pending(books)
    stripe.sell(payment, epoch(books.clock()))
    _settle(books, builders.completed(payment), builders.refund(payment, "re_1", 300, here))
    stripe.refund(payment, "re_1", 300, there)
    reconciliation.run(Run(books, stripe, repair=True), 0)  # type: ignore[arg-type]
    assert builders.intent_of(payment) in stripe.asked_for
    assert queries.find(books, "alice", payment.payment_id).units_clawed_back == 0
    laws.check(books.store)


def test_a_payment_of_ours_that_cannot_be_compared_is_named_by_its_own_id(books: Books) -> None:
    """A session of Stripe's that cannot be compared is named by Stripe's."""
    stripe, payment = Stripe(), pending(books)
    _settle(books, builders.completed(payment))

    def lost(session_id: str) -> Any:
        raise KeyError(session_id)

    stripe.session = lost  # type: ignore[method-assign]
    report = reconciliation.run(Run(books, stripe, repair=True), 0)  # type: ignore[arg-type]
    (failed,) = report.differences
    assert (failed.kind, failed.stripe_id, failed.payment_id) == ("failed", "", payment.payment_id)


def test_a_place_far_down_a_long_ledger_has_the_right_sum_after_a_late_entry(
    books: Books, clock: Clock
) -> None:
    """The sum of all that stands above is computed again, over several pages of the store."""
    for number in range(230):
        clock.advance(minutes=1)
        book(books, Grant(f"grant-{number}", "alice", number % 7 + 1, "a test"))
    whole, cursor = [], ""
    for limit in (100, 100, 10):
        page = history.entries(books, "alice", limit, cursor)
        whole += page["entries"]
        cursor = page["next_cursor"]
    book(books, Grant("late", "alice", 1000, "a test"))
    rest = history.entries(books, "alice", 100, cursor)["entries"]
    units = [number % 7 + 1 for number in range(230)]
    assert [row["balance_after"] for row in rest] == [sum(units[: 20 - n]) for n in range(20)]


def test_a_purchase_that_cost_nothing_is_compared_without_a_payment_intent(books: Books) -> None:
    """Stripe has no refunds and no disputes of it, and is not asked for those of nothing."""
    stripe, payment = Stripe(), pending(books)
    free = {"payment_intent": None, "payment_status": "no_payment_required", "amount_total": 0}
    stripe.sell(payment, epoch(books.clock()), **free)
    job, report = Run(books, stripe, repair=True), Report()  # type: ignore[arg-type]
    look_again(job.comparison, payment.session_id, report)
    assert _status(books, payment.payment_id) == "completed"
    assert stripe.asked_for == [payment.session_id]
    assert report.counts == {"missing_here": 1}


def test_an_account_is_read_until_it_holds_still_though_each_reading_takes_its_time() -> None:
    """Each reading has time of its own: a large account can be verified, too."""
    store = Slow()
    books = builders.books_on(store)
    payment = pending(books)
    _settle(books, builders.completed(payment))
    store.seconds = 1.5
    store.deadline.begin()
    tally = settled_tally(store, "alice")  # type: ignore[arg-type]
    store.seconds = 0
    assert tally
    assert list(tally.differences("alice")) == []


@pytest.mark.parametrize("paid", [1, 2])
def test_a_purchase_that_cost_a_cent_is_taken_back_with_that_cent(books: Books, paid: int) -> None:
    """A promotion code left so little to pay; all of it went back."""
    payment = pending(books)
    _settle(books, builders.completed(payment, amount_total=paid))
    _settle(books, builders.refunded(payment, paid))
    found = queries.find(books, "alice", payment.payment_id)
    assert (found.status, found.units_clawed_back) == ("refunded", 100)
    laws.check(books.store)
