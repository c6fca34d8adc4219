"""What the webhook answers, logs and counts of each delivery."""

import time
from typing import Any

import pytest
from billing.errors import OutcomeUnknownError
from billing.payments.payment import Payment
from support import builders
from support.builders import pending
from support.webhook_desk import Desk


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Desk:
    """A quiet one."""
    return Desk(monkeypatch, caplog)


def _sold(desk: Desk) -> Payment:
    return pending(desk.books, payment_id="pay_1", session_id="cs_1")


def _now(event: dict[str, Any]) -> dict[str, Any]:
    """Made later than now by Stripe's clock: the latency is no less than nothing."""
    return {**event, "created": int(time.time()) + 1000}


def test_a_settled_event_is_logged_with_its_payment_and_counted(desk: Desk) -> None:
    event = _now(builders.completed(_sold(desk), "evt_1"))
    assert desk.deliver(event) == (200, {"status": "settled"})
    assert desk.line() == {
        "status": 200,
        "request_id": "r1",
        "outcome": "settled",
        "event_id": "evt_1",
        "type": "checkout.session.completed",
        "units": 100,
        "why": "",
        "payment_id": "pay_1",
        "session_id": "cs_1",
    }
    assert desk.counted == {"settled": ("Count", 1), "settle_latency_seconds": ("Seconds", 0)}
    assert desk.kept == []


def test_a_refund_counts_the_units_that_it_takes_back(desk: Desk) -> None:
    payment = _sold(desk)
    desk.deliver(builders.completed(payment))
    desk.counted.clear()
    assert desk.deliver(_now(builders.refunded(payment, 999))) == (200, {"status": "settled"})
    assert desk.line()["units"] == -100
    assert desk.counted == {
        "settled": ("Count", 1),
        "clawed_back_units": ("Count", 100),
        "settle_latency_seconds": ("Seconds", 0),
    }


@pytest.mark.parametrize(
    ("make", "times", "status"),
    [(builders.completed, 2, "duplicate"), (builders.completed_unpaid, 1, "recorded")],
)
def test_an_event_that_moves_nothing_is_counted_by_its_outcome_alone(
    desk: Desk, make: Any, times: int, status: str
) -> None:
    event = make(_sold(desk))
    for _ in range(times):
        desk.counted.clear()
        answer = desk.deliver(event)
    assert answer == (200, {"status": status})
    assert desk.counted == {status: ("Count", 1)}
    assert (desk.line()["payment_id"], desk.line()["units"]) == ("pay_1", 0)


def test_an_event_of_no_interest_is_logged_with_the_reason(desk: Desk) -> None:
    """And the beginning of its id, whatever that is."""
    event = builders.event("customer.created", {"id": "cus_1"}, "e" * 200)
    assert desk.deliver(event) == (200, {"status": "ignored"})
    assert desk.line() == {
        "status": 200,
        "request_id": "r1",
        "outcome": "ignored",
        "reason": "not_of_interest",
        "event_id": "e" * 100,
    }
    assert desk.counted == {"ignored": ("Count", 1)}


def test_an_event_that_cannot_be_read_is_counted_apart(desk: Desk) -> None:
    """Money may have moved."""
    event = builders.completed(_sold(desk), amount_total=None)
    assert desk.deliver(event) == (200, {"status": "ignored"})
    assert desk.line()["reason"] == "unreadable"
    assert desk.counted == {"unreadable": ("Count", 1)}


def test_a_parked_event_without_a_payment_is_logged_without_one(desk: Desk) -> None:
    """The reason is for operators; the event is in the queue too."""
    event = builders.refunded(_sold(desk), 500)
    assert desk.deliver(event) == (200, {"status": "parked"})
    assert desk.line() == {
        "status": 200,
        "request_id": "r1",
        "outcome": "parked",
        "event_id": event["id"],
        "type": "charge.refunded",
        "units": 0,
        "why": "a refund came before the payment it takes back",
    }
    assert desk.counted == {"parked": ("Count", 1)}
    assert [fact.fact_id for fact in desk.kept] == [event["id"]]


@pytest.mark.parametrize(
    ("fails", "status", "metric"),
    [
        (OutcomeUnknownError("injected"), 503, "outcome_unknown"),
        (KeyError("ours"), 500, "internal_errors"),
    ],
)
def test_a_failure_is_logged_with_the_event_and_keeps_it(
    desk: Desk, fails: Exception, status: int, metric: str
) -> None:
    """Once, in the queue: Stripe gives up after three days, the queue ends in an alarm."""
    event = builders.completed(_sold(desk), "evt_1")
    desk.store.fails = fails
    assert desk.deliver(event)[0] == status
    line = desk.line()
    assert (line["event_id"], line["type"]) == ("evt_1", "checkout.session.completed")
    assert desk.counted == {metric: ("Count", 1)}
    assert [fact.fact_id for fact in desk.kept] == ["evt_1"]


def test_a_forged_delivery_is_refused_and_counted(desk: Desk) -> None:
    event = builders.completed(_sold(desk))
    status, problem = desk.deliver(event, "whsec_another_secret")
    assert (status, problem["code"]) == (400, "invalid_signature")
    assert desk.counted == {"refused_signatures": ("Count", 1)}
    assert desk.kept == []


@pytest.mark.parametrize(("body", "code"), [([], "invalid_payload"), ("x" * 262_200, None)])
def test_a_delivery_that_is_no_event_is_refused_and_is_no_forgery(
    desk: Desk, body: Any, code: str | None
) -> None:
    """256 KiB are the most."""
    status, problem = desk.deliver(body)
    assert (status, problem["code"]) == ((400, code) if code else (413, "payload_too_large"))
    assert desk.counted == {}
