"""Where a run of reconciliation begins, where it stops, and what it leaves for the next one."""

from dataclasses import replace
from typing import Any

import builders
import pytest
from billing import parking, quota, reconciliation, settlement
from billing.books import Books
from billing.differences import Report
from billing.reconciliation import CURSORS, FAILED_IN_A_ROW_MAX, LAST, Run
from billing.times import epoch
from billing.writes import Write
from builders import START, Clock, fact, pending
from memory_store import MemoryStore
from stripe_twin import Stripe


class Meddled(MemoryStore):
    """A store on which something else happens just before the next transaction."""

    first: Any = None

    def commit(self, *writes: Write) -> None:
        """Meddle, once, then carry on."""
        if (first := self.first) is not None:
            self.first = None
            first()
        super().commit(*writes)


@pytest.fixture
def books() -> Books:
    """Nothing was sold."""
    return builders.books_on(Meddled(), clock=Clock())


@pytest.fixture
def stripe() -> Stripe:
    """Nothing was sold."""
    return Stripe()


def _run(books: Books, stripe: Stripe, since: int = 0, **bounds: Any) -> Report:
    return reconciliation.run(Run(books, stripe, **{"repair": True, **bounds}), since)  # type: ignore[arg-type]


def _times(count: int) -> Any:
    left = iter([True] * count)
    return lambda: next(left, False)


def test_a_run_that_resumes_nothing_begins_anew_and_leaves_the_cursor(books: Books, stripe: Stripe) -> None:
    """An operator's own look takes nothing from the scheduled one, which goes on where it was."""
    for _ in range(3):
        stripe.sell(pending(books), epoch(START))
    assert _run(books, stripe, go_on=_times(1)).repaired == 1
    kept = books.store.get("events", CURSORS[True])
    assert kept is not None
    mine = _run(books, stripe, repair=False, resumes=False)
    assert (mine.finished, mine.matched, mine.counts) == (True, 1, {"missing_here": 2})
    assert books.store.get("events", CURSORS[True]) == kept
    assert books.store.get("events", CURSORS[False]) is None
    assert books.store.get("events", LAST) is None
    assert _run(books, stripe).repaired == 2


def test_a_finished_run_says_when_and_what_it_found(books: Books, stripe: Stripe) -> None:
    """For whoever asks whether the books are still compared."""
    stripe.sell(pending(books), epoch(START))
    _run(books, stripe)
    last = books.store.get("events", LAST) or {}
    assert last["finished_at"].startswith("2026-01-02T03:04:05")
    assert (last["counts"], last["matched"]) == ({"missing_here": 1}, 0)
    assert books.store.get("events", CURSORS[True]) is None


def test_a_dry_run_that_stops_among_our_own_records_goes_on_behind_them(books: Books, stripe: Stripe) -> None:
    """It takes none out of the index, so that only its place tells which were looked at."""
    sold = [pending(books) for _ in range(3)]
    for payment in sold:
        stripe.sell(payment, 1)
        settlement.apply(books, fact(builders.completed(payment)))
    _run(books, stripe, epoch(START) - 60, repair=False, go_on=_times(3))
    stripe.asked_for.clear()
    for _ in range(5):
        _run(books, stripe, epoch(START) - 60, repair=False, has_time=_times(2), go_on=_times(1))
    assert sorted(set(stripe.asked_for)) == sorted(payment.session_id for payment in sold)


class Faulty(Stripe):
    """What is listed cannot be read."""

    listed = 0

    def sessions(self, since: int, after: str = "") -> dict[str, Any]:
        """Rows that make nothing but trouble."""
        page = super().sessions(since, after)
        self.listed += 1
        return {**page, "data": [{**row, "created": "?"} for row in page["data"]]}


def test_a_run_that_has_given_up_asks_for_no_further_page(books: Books) -> None:
    """Ten in a row: whatever it is, it is not one customer's."""
    stripe = Faulty()
    stripe.rows_a_page = FAILED_IN_A_ROW_MAX
    for _ in range(FAILED_IN_A_ROW_MAX + 1):
        stripe.sell(pending(books), epoch(START))
    report = _run(books, stripe)
    assert (report.given_up, report.failed, stripe.listed) == (True, FAILED_IN_A_ROW_MAX, 1)
    assert books.store.get("events", LAST) is None


def test_a_refund_whose_purchase_is_settled_as_it_is_parked_is_taken_back_at_once(books: Books) -> None:
    """It does not wait for a purchase that has come."""
    payment = pending(books)
    books.store.first = lambda: settlement.apply(books, fact(builders.completed(payment)))  # type: ignore[attr-defined]
    outcome = settlement.apply(books, fact(builders.refunded(payment, 500)))
    assert (outcome.status, outcome.units) == ("settled", -50)
    assert not list(parking.all_parked(books))


def test_a_refund_of_a_second_payment_for_one_purchase_takes_nothing_back(books: Books, stripe: Stripe) -> None:
    """The buyer paid twice, and the seller gave the second payment back by hand: the purchase stays bought."""
    payment = pending(books)
    settlement.apply(books, fact(builders.completed(payment)))
    stripe.sell(payment, epoch(START))
    stripe.sell(replace(payment, session_id="cs_other"), epoch(START), payment_intent="pi_other")
    stripe.refund(payment, "re_1", 999)
    stripe.returned[0]["payment_intent"] = "pi_other"
    for _ in range(2):
        _run(books, stripe)
    assert quota.read(books, "alice").remaining == 100
    assert books.store.get("payments", ("ref#pi_other", "reference")) is None
    assert [record.kind for record in parking.all_parked(books)] == ["paid_twice"]


def test_a_second_session_of_one_purchase_is_not_taken_for_the_first(books: Books, stripe: Stripe) -> None:
    """Stripe is still asked for the one that was credited."""
    payment = pending(books)
    settlement.apply(books, fact(builders.completed(payment)))
    stripe.sell(replace(payment, session_id="cs_other"), epoch(START), payment_intent="pi_other")
    report = _run(books, stripe)
    assert [row.stripe_id for row in report.differences if str(row.kind) == "missing_there"] == [payment.session_id]


def test_a_refund_that_stripe_lists_without_its_payment_intent_is_passed_over(books: Books, stripe: Stripe) -> None:
    """Nothing shows that it is ours; the others are compared."""
    stripe.refund(pending(books), "re_1", 500)
    lister = stripe.refunds

    def plain(since: int, after: str = "") -> dict[str, Any]:
        page = lister(since, after)
        return {**page, "data": [{**row, "payment_intent": "pi_plain"} for row in page["data"]]}

    stripe.refunds = plain  # type: ignore[method-assign]
    report = _run(books, stripe)
    assert (report.failed, report.not_ours, report.counts) == (0, 1, {})
