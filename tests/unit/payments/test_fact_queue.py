import json
from collections.abc import Callable
from typing import Any

import pytest
from billing.errors import OutcomeUnknownError
from billing.payments.payment import Payment
from billing.payments.plans import catalogue
from support import builders
from support.builders import fact, pending
from support.slow import STRIPES_SOURCE, Recovery, bridged, kept


@pytest.fixture
def recovery(monkeypatch: pytest.MonkeyPatch) -> Recovery:
    """Nothing is slow here."""
    return Recovery(monkeypatch)


def test_an_event_from_eventbridge_is_settled_once(recovery: Recovery) -> None:
    """However often it comes, by that way or as a fact that the webhook kept."""
    event = builders.completed(pending(recovery.books))
    assert recovery.answer(bridged(event), bridged(event, id="another"), kept(event)) == []
    assert recovery.answer(bridged(event)) == []
    assert recovery.settle(event) == "duplicate"
    assert recovery.units() == 100
    assert recovery.counted.keys() == {"settled", "duplicate", "settle_latency_seconds"}
    assert (recovery.counted["settled"], recovery.counted["duplicate"]) == ([1], [1, 1]), (
        "what the webhook kept, it has counted"
    )


def test_an_event_stays_in_the_queue_while_its_outcome_is_unknown(recovery: Recovery) -> None:
    """DynamoDB gives no answer: the message is the only copy."""
    event = builders.completed(pending(recovery.books))
    recovery.store.fault_of = {"evt_": OutcomeUnknownError("injected")}
    assert recovery.answer(bridged(event)) == ["0"]
    recovery.store.fault_of = {}
    assert recovery.answer(bridged(event)) == []
    assert recovery.units() == 100


def test_an_event_ahead_of_its_payment_is_parked_before_its_message_goes(
    recovery: Recovery,
) -> None:
    """Where the schedule and `topup parked` find it; until that is written the message stays."""
    payment = pending(recovery.books)
    ahead = builders.refunded(payment, 500)
    recovery.store.fault_of = {"parked": OutcomeUnknownError("injected")}
    assert recovery.answer(bridged(ahead)) == ["0"]
    recovery.store.fault_of = {}
    assert recovery.answer(bridged(ahead)) == []
    assert [record.fact for record in recovery.parked()] == [fact(ahead)]
    assert recovery.answer(bridged(builders.completed(payment))) == []
    assert recovery.units() == 50


@pytest.mark.parametrize(
    "event",
    [
        builders.event("customer.created", {"id": "cus_1"}),
        builders.event("checkout.session.completed", {"id": "cs_1"}),
        {**builders.event("charge.refunded", {}), "livemode": True},
        {"id": "evt_1", "object": "v2.core.event", "type": "v2.core.event_destination.ping"},
        {},
        [],
        None,
        "text",
    ],
)
def test_an_event_that_is_not_for_us_is_counted_and_goes(recovery: Recovery, event: Any) -> None:
    """Not ours, of no interest, or thin: it would be the same if it came again."""
    assert recovery.answer(bridged(event)) == []
    assert recovery.counted == {"ignored": [1]}
    assert recovery.parked() == []


SOLD = Payment.of(catalogue()["starter"], "pay_1", "alice", "")


@pytest.mark.parametrize(
    "event",
    [
        builders.completed(SOLD, amount_total=None),
        builders.completed(SOLD, payment_status=None),
        builders.event("charge.refunded", {"payment_intent": "pi_1"}),
        builders.event("charge.refunded", {"payment_intent": "pi_1"}, created=""),
    ],
)
def test_an_event_that_cannot_be_read_is_counted_apart_and_goes(
    recovery: Recovery, event: Any
) -> None:
    """It would be the same if it came again, but money may have moved."""
    assert recovery.answer(bridged(event)) == []
    assert recovery.counted == {"unreadable": [1]}
    assert recovery.parked() == []


@pytest.mark.parametrize(
    "change",
    [
        lambda event: bridged(event, source="aws.partner/stripe.com.example.net/ed_1"),
        lambda event: bridged(event, source="made.up"),
        lambda event: bridged(event, source=None),
        lambda event: bridged(event, source=[STRIPES_SOURCE]),
        json.dumps,
        lambda event: json.dumps([bridged(event)]),
        lambda event: json.dumps(bridged(event)),
        lambda event: bridged(event)[:-1],
        lambda _: "",
        lambda _: "null",
        lambda _: "5",
        lambda _: "[]",
        lambda _: '"text"',
        lambda _: '{"fact": ["session"]}',
        lambda _: '{"fact": "session"}',
    ],
)
def test_an_unknown_message_stays_in_the_queue(
    recovery: Recovery, change: Callable[[dict[str, Any]], str]
) -> None:
    """It goes to the dead-letter queue, where an operator sees it; the message
    beside it is settled.
    """
    odd, good = (
        builders.completed(pending(recovery.books)),
        builders.completed(pending(recovery.books)),
    )
    assert recovery.answer(change(odd), bridged(good)) == ["0"]
    assert recovery.units() == 100


def test_an_internal_error_in_one_message_returns_no_other_to_the_queue(recovery: Recovery) -> None:
    """It alone stays in the queue, and the alarm on internal errors fires."""
    bad, good = pending(recovery.books), pending(recovery.books)
    recovery.store.fault_of = {bad.payment_id: KeyError("an internal error")}
    assert recovery.answer(bridged(builders.completed(bad)), bridged(builders.completed(good))) == [
        "0"
    ]
    assert recovery.counted["internal_errors"] == [1]
    recovery.store.fault_of = {}
    assert recovery.units() == 100
