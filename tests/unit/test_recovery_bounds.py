"""How much one run of recovery does, to the last one."""

import pytest
from billing.holds import placing
from billing.reconciliation.hold_sweep import SWEEP_PAGES_MAX
from billing.reconciliation.retry_parked import TRIES_A_RUN_MAX
from billing.spending.meter import Meter
from support import builders
from support.builders import pending
from support.fakes.memory_store import MARKED_A_PAGE
from support.slow import Recovery


@pytest.fixture
def recovery(monkeypatch: pytest.MonkeyPatch) -> Recovery:
    """Nothing is slow here."""
    return Recovery(monkeypatch)


def test_a_run_tries_two_hundred_events_and_leaves_the_rest_to_the_next(
    recovery: Recovery,
) -> None:
    """The longest due first."""
    assert TRIES_A_RUN_MAX == 200
    recovery.park_refunds(201)
    youngest = recovery.parked()[-1].name
    assert recovery.run() == {"settled": 200, "waiting": 1, "left": 1, "swept_holds": 0}
    assert [record.name for record in recovery.parked()] == [youngest]
    assert recovery.run() == {"settled": 1, "waiting": 0, "left": 0, "swept_holds": 0}


def test_a_sweep_reads_ten_pages(recovery: Recovery) -> None:
    """Of accounts whose holds have expired; the next run goes on."""
    assert SWEEP_PAGES_MAX == 10
    for number in range(10 * MARKED_A_PAGE + 1):
        name = f"user{number:02}"
        recovery.settle(builders.completed(pending(recovery.books, name)))
        placing.place(Meter(recovery.books, ""), name, 1, 60)
    recovery.clock.advance(seconds=61)
    assert recovery.run()["swept_holds"] == 10 * MARKED_A_PAGE
    assert recovery.run()["swept_holds"] == 1


@pytest.mark.parametrize(("seconds", "tries"), [(29, 0), (30, 1)])
def test_a_parked_event_is_tried_half_a_minute_later(
    recovery: Recovery, seconds: int, tries: int
) -> None:
    """To the second."""
    payment = pending(recovery.books)
    recovery.stripe.sell(payment, 1767323045, status="open", payment_status="unpaid")
    recovery.settle(builders.refunded(payment, 500))
    recovery.clock.advance(seconds=seconds)
    recovery.run()
    assert [record.tries for record in recovery.parked()] == [tries]


def test_what_passes_by_itself_is_no_internal_error(
    recovery: Recovery, caplog: pytest.LogCaptureFixture
) -> None:
    """Stripe did not answer in time: the line says why the event still waits. No alarm fires."""
    recovery.park_refunds(1)
    (record,) = recovery.parked()
    recovery.stripe.hangs_for = {record.fact.payment_intent or ""}  # type: ignore[union-attr]
    recovery.run()
    assert "internal_errors" not in recovery.counted
    lines = [vars(line) for line in caplog.records if "stays parked" in line.getMessage()]
    assert [(line["levelname"], line["event_id"]) for line in lines] == [
        ("WARNING", record.fact.fact_id)
    ]
    assert "stripe_unavailable" in lines[0]["why"]
