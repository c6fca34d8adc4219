"""Where a run of reconciliation begins, where it stops, and what it leaves for the next one."""

from dataclasses import replace
from typing import Any

import pytest
from billing.books import Books
from billing.clock import epoch
from billing.errors import ConditionFailedError
from billing.holds import placing
from billing.parked import dropping, records, retries
from billing.reconciliation import run
from billing.reconciliation.job import CURSORS, LAST, PHASES, Run
from billing.reconciliation.pages import FAILED_IN_A_ROW_MAX
from billing.reconciliation.report import Report
from billing.settlement import settlement
from billing.spending import debits, memory
from billing.spending.meter import Meter
from billing.stripe_api.outcomes import StripeServerError
from support import builders, laws
from support.builders import START, Clock, fact, pending
from support.fakes.memory_store import Meddled
from support.fakes.stripe_twin import Stripe


@pytest.fixture
def books() -> Books:
    """Nothing was sold."""
    return builders.books_on(Meddled(), clock=Clock())


@pytest.fixture
def stripe() -> Stripe:
    """Nothing was sold."""
    return Stripe()


def _run(books: Books, stripe: Stripe, since: int = 0, **bounds: Any) -> Report:
    return run.run(Run(books, stripe, **{"repair": True, **bounds}), since)  # type: ignore[arg-type]


def _times(count: int) -> Any:
    left = iter([True] * count)
    return lambda: next(left, False)


def test_a_run_that_resumes_nothing_starts_over_and_leaves_the_cursor(
    books: Books, stripe: Stripe
) -> None:
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
    whole = _run(books, stripe, resumes=False)
    assert (whole.finished, whole.matched, whole.repaired) == (True, 1, 2)
    assert books.store.get("events", CURSORS[True]) == kept
    assert books.store.get("events", LAST) is None


def test_a_finished_run_says_when_and_what_it_found(books: Books, stripe: Stripe) -> None:
    """It shows that the books are still compared."""
    stripe.sell(pending(books), epoch(START))
    _run(books, stripe)
    last = books.store.get("events", LAST) or {}
    assert last["finished_at"].startswith("2026-01-02T03:04:05")
    assert (last["counts"], last["matched"]) == ({"missing_here": 1}, 0)
    assert books.store.get("events", CURSORS[True]) is None


def test_a_dry_run_that_stops_among_our_own_records_goes_on_behind_them(
    books: Books, stripe: Stripe
) -> None:
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
    """What is listed cannot be read, but for what is ``spared``."""

    listed = 0
    spared: frozenset[str] = frozenset()

    def sessions(self, since: int, after: str = "") -> dict[str, Any]:
        """Rows that make nothing but trouble."""
        page = super().sessions(since, after)
        self.listed += 1
        rows = [
            row if row["id"] in self.spared else {**row, "created": "?"} for row in page["data"]
        ]
        return {**page, "data": rows}


def test_a_run_that_has_given_up_asks_for_no_further_page(books: Books) -> None:
    """Ten in a row: whatever it is, it is not one customer's."""
    stripe = Faulty()
    stripe.rows_a_page = FAILED_IN_A_ROW_MAX
    for _ in range(FAILED_IN_A_ROW_MAX + 1):
        stripe.sell(pending(books), epoch(START))
    report = _run(books, stripe)
    assert (report.given_up, report.failed, stripe.listed) == (True, FAILED_IN_A_ROW_MAX, 1)
    assert {row.stripe_id for row in report.differences} == {
        row["id"] for row in stripe.sold[:FAILED_IN_A_ROW_MAX]
    }
    assert {row.payment_id for row in report.differences} == {""}
    assert books.store.get("events", LAST) is None


def test_a_refund_whose_purchase_is_settled_while_it_is_parked_is_settled_immediately(
    books: Books,
) -> None:
    """It does not wait for a purchase that has come."""
    payment = pending(books)
    books.store.first = lambda: settlement.apply(books, fact(builders.completed(payment)))  # type: ignore[attr-defined]
    outcome = settlement.apply(books, fact(builders.refunded(payment, 500)))
    assert (outcome.status, outcome.units) == ("settled", -50)
    assert not list(records.all_parked(books))


def test_a_refund_of_a_second_payment_for_one_purchase_takes_nothing_back(
    books: Books, stripe: Stripe
) -> None:
    """The buyer paid twice, and the seller gave the second payment back by hand: the purchase stays
    bought.
    """
    payment = pending(books)
    settlement.apply(books, fact(builders.completed(payment)))
    stripe.sell(payment, epoch(START))
    stripe.sell(replace(payment, session_id="cs_other"), epoch(START), payment_intent="pi_other")
    stripe.refund(payment, "re_1", 999)
    stripe.returned[0]["payment_intent"] = "pi_other"
    for _ in range(2):
        assert "nothing led" not in " ".join(row.detail for row in _run(books, stripe).differences)
    assert debits.read(books, "alice").remaining == 100
    assert books.store.get("payments", ("ref#pi_other", "reference")) is None
    assert [record.kind for record in records.all_parked(books)] == ["paid_twice"]


def test_a_second_session_of_one_purchase_is_not_taken_for_the_first(
    books: Books, stripe: Stripe
) -> None:
    """Stripe is still asked for the one that was credited."""
    payment = pending(books)
    settlement.apply(books, fact(builders.completed(payment)))
    stripe.sell(replace(payment, session_id="cs_other"), epoch(START), payment_intent="pi_other")
    report = _run(books, stripe)
    assert [row.stripe_id for row in report.differences if str(row.kind) == "missing_there"] == [
        payment.session_id
    ]


def test_a_refund_that_stripe_lists_without_its_payment_intent_is_passed_over(
    books: Books, stripe: Stripe
) -> None:
    """Nothing shows that it is ours; the others are compared."""
    stripe.refund(pending(books), "re_1", 500)
    lister = stripe.refunds

    def plain(since: int, after: str = "") -> dict[str, Any]:
        page = lister(since, after)
        return {**page, "data": [{**row, "payment_intent": "pi_plain"} for row in page["data"]]}

    stripe.refunds = plain  # type: ignore[method-assign]
    report = _run(books, stripe)
    assert (report.failed, report.not_ours, report.counts) == (0, 1, {})


def test_what_agrees_is_counted(books: Books, stripe: Stripe) -> None:
    """Each session, refund and dispute once: the report shows that something was
    compared.
    """
    payment = pending(books)
    stripe.sell(payment, epoch(START))
    stripe.refund(payment, "re_1", 100)
    event = builders.dispute(payment, "funds_withdrawn", "needs_response", -200, amount=200)
    stripe.dispute(event)
    settlement.apply(books, fact(builders.completed(payment)))
    settlement.apply(books, fact(builders.refund(payment, "re_1", 100, "succeeded")))
    settlement.apply(books, fact(event))
    report = _run(books, stripe)
    assert (report.matched, report.counts) == (3, {})


def test_an_event_that_is_delivered_again_waits_as_long(books: Books) -> None:
    """Stripe delivers it again while it is parked: when it is tried next stays as it is."""
    event = builders.refunded(pending(books), 500)
    settlement.apply(books, fact(event))
    (record,) = records.all_parked(books)
    retries.postpone(books, record)
    (before,) = records.all_parked(books)
    settlement.apply(books, fact(event))
    assert list(records.all_parked(books)) == [before]


def test_what_was_settled_meanwhile_is_not_dropped(books: Books) -> None:
    """The operator is informed that it does not exist any more."""
    event = builders.completed(pending(books), currency="eur")
    settlement.apply(books, fact(event))
    (record,) = records.all_parked(books)
    retries.resolve(books, record)
    with pytest.raises(ConditionFailedError):
        dropping.drop(books, record, "paid back by hand")
    assert not list(records.all_dropped(books))


def test_concurrent_requests_restore_a_dropped_refund_once(books: Books) -> None:
    """The one that is late has nothing to do."""
    payment = pending(books)
    event = builders.refunded(payment, 500)
    settlement.apply(books, fact(event))
    (record,) = records.all_parked(books)
    assert dropping.drop_with_purchase(
        books, record, payment.session_id, builders.intent_of(payment)
    )
    gone = frozenset({record.name})
    intent = builders.intent_of(payment)
    books.store.first = lambda: dropping.bring_back(books, intent, gone)  # type: ignore[attr-defined]
    dropping.bring_back(books, builders.intent_of(payment), gone)
    assert [one.name for one in records.all_parked(books)] == [record.name]
    assert settlement.apply(books, fact(builders.completed(payment))).status == "settled"
    assert debits.read(books, "alice").remaining == 50


class Away(Stripe):
    """Stripe lists, and answers every look at one object with a fault."""

    def session(self, session_id: str) -> dict[str, Any]:
        """See the gateway."""
        raise StripeServerError(session_id)


def test_an_outage_of_stripe_is_not_reported_as_an_unknown_purchase(
    books: Books,
) -> None:
    """It was not compared, and is asked for again."""
    settlement.apply(books, fact(builders.completed(pending(books))))
    report = _run(books, Away(), epoch(START) - 60)
    assert (report.failed, report.counts) == (1, {"failed": 1})


def test_a_dispute_that_cannot_be_read_is_a_failure(books: Books, stripe: Stripe) -> None:
    """The money that is out is not known: an operator must look."""
    payment = pending(books)
    stripe.sell(payment, epoch(START))
    settlement.apply(books, fact(builders.completed(payment)))
    event = builders.dispute(payment, "funds_withdrawn", "needs_response", -999)
    event["data"]["object"]["amount"] = "999"
    stripe.dispute(event)
    report = _run(books, stripe)
    assert report.counts == {"failed": 1}
    (failed,) = report.differences
    assert (failed.stripe_id, failed.payment_id) == ("du_1", payment.payment_id)


def test_a_record_that_two_concurrent_requests_rebuild_is_credited_once(
    books: Books, stripe: Stripe
) -> None:
    """The other one was quicker: its record is gone on with."""
    payment = pending(books)
    stripe.sell(payment, epoch(START))
    rows = books.store.tables["payments"]  # type: ignore[attr-defined]
    lost = dict(rows)
    rows.clear()
    _run(books, stripe, repair=False)
    books.store.first = lambda: rows.update(lost)  # type: ignore[attr-defined]
    report = _run(books, stripe)
    assert (report.failed, report.repaired) == (0, 2)
    assert debits.read(books, "alice").remaining == 100
    laws.check(books.store)


def test_two_refunds_in_one_moment_owe_held_units_once() -> None:
    """Of two purchases of one customer, under ``write_off``: what a hold promises is owed by the
    first, and used up by then.
    """
    memory._seen.clear()
    books = builders.books_on(Meddled(), "write_off", Clock())
    payments = [pending(books), pending(books)]
    for payment in payments:
        settlement.apply(books, fact(builders.completed(payment)))
    debits.debit(Meter(books, ""), "alice", 180)
    placing.place(Meter(books, ""), "alice", 20, 600)
    first, second = (fact(builders.refunded(payment, 999)) for payment in payments)
    books.store.first = lambda: settlement.apply(books, first)  # type: ignore[attr-defined]
    settlement.apply(books, second)
    balance = debits.read(books, "alice")
    assert (balance.remaining, balance.held, balance.debt) == (0, 20, 20)
    laws.check(books.store)
    laws.check_what_was_given_up(books.store)


def test_a_dry_run_looks_at_all_our_own_records_and_counts_for_no_run(
    books: Books, stripe: Stripe
) -> None:
    """Page after page to the end, though none leaves the index."""
    for _ in range(5):
        payment = pending(books)
        stripe.sell(payment, 1)
        settlement.apply(books, fact(builders.completed(payment)))
    report = _run(books, stripe, epoch(START) - 60, repair=False, go_on=_times(50))
    assert report.finished
    assert len(stripe.asked_for) == 5
    assert books.store.get("events", LAST) is None


def test_a_lost_dispute_ahead_of_its_purchase_is_kept(books: Books) -> None:
    """It is closed, and its money is gone."""
    event = builders.dispute(pending(books), "closed", "lost")
    assert settlement.apply(books, fact(event)).status == "parked"


@pytest.mark.parametrize("good", [0, 1])
def test_a_run_gives_up_after_as_many_failures_in_a_row_wherever_they_begin(
    books: Books, good: int
) -> None:
    """Also behind a row that was compared."""
    stripe = Faulty()
    stripe.rows_a_page = 100
    sold = [pending(books) for _ in range(good + FAILED_IN_A_ROW_MAX + 2)]
    for payment in sold:
        stripe.sell(payment, epoch(START))
    listed = Stripe.sessions(stripe, 0)["data"]
    stripe.spared = frozenset(row["id"] for row in listed[:good])
    report = _run(books, stripe)
    assert (report.given_up, report.failed) == (True, FAILED_IN_A_ROW_MAX)
    assert report.repaired == good


def test_the_rows_that_were_compared_are_told_after_each_page(books: Books, stripe: Stripe) -> None:
    """Those that agree and those that do not, with the list that comes next."""
    for number in range(3):
        payment = pending(books)
        stripe.sell(payment, epoch(START))
        if number == 1:
            settlement.apply(books, fact(builders.completed(payment)))
    told: list[tuple[str, int]] = []
    job = Run(books, stripe, repair=True)  # type: ignore[arg-type]
    run.run(job, 0, progress=lambda name, rows: told.append((name, rows)))
    lists = [("sessions", 1), ("sessions", 2)]
    lists += [(name, 3) for name in PHASES[1:]]
    assert told == [*lists, ("done", 3)]
