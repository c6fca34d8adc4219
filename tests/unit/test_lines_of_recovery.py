"""What recovery logs and counts, line by line and to the last member."""

import logging
from types import SimpleNamespace
from typing import Any, Final

import pytest
from billing.errors import AwsRefusedError, BillingError, OutcomeUnknownError, StripeRefusedError
from billing.holds.placing import place
from billing.spending.meter import Meter
from billing.telemetry import metrics
from support import builders
from support.builders import pending
from support.lines import lines, printed
from support.slow import Recovery, bridged, kept

REFUSAL: Final = {"code": "api_key_expired", "request_id": "req_1"}


@pytest.fixture
def recovery(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Recovery:
    """Nothing is slow here, and every line is kept."""
    caplog.set_level(logging.INFO)
    return Recovery(monkeypatch)


def test_a_message_that_is_settled_has_one_line(
    recovery: Recovery, caplog: pytest.LogCaptureFixture
) -> None:
    """What the webhook kept was counted there."""
    payment = pending(recovery.books)
    event = builders.completed(payment)
    assert recovery.answer(kept(event)) == []
    assert lines(caplog) == [
        {
            "level": "INFO",
            "message": "settled",
            "event_id": event["id"],
            "type": "checkout.session.completed",
            "units": 100,
            "payment_id": payment.payment_id,
            "session_id": payment.session_id,
        }
    ]
    assert recovery.counted == {}


def test_an_event_of_the_bus_has_one_line_and_is_counted(
    recovery: Recovery, caplog: pytest.LogCaptureFixture
) -> None:
    """It was not counted before."""
    payment = pending(recovery.books)
    event = builders.completed(payment)
    assert recovery.answer(bridged(event)) == []
    assert [line["message"] for line in lines(caplog)] == ["settled"]
    latency = recovery.counted.pop("settle_latency_seconds")
    assert recovery.counted == {"settled": [1]}
    assert latency[0] > 0
    assert recovery.answer(bridged(builders.refunded(payment, 500))) == []
    (line,) = lines(caplog)
    assert (line["message"], line["units"]) == ("settled", -50)
    assert recovery.counted["clawed_back_units"] == [50]


def test_an_event_without_a_payment_names_none(
    recovery: Recovery, caplog: pytest.LogCaptureFixture
) -> None:
    event = builders.refunded(pending(recovery.books), 500)
    assert recovery.answer(bridged(event)) == []
    assert lines(caplog) == [
        {
            "level": "INFO",
            "message": "parked",
            "event_id": event["id"],
            "type": "charge.refunded",
            "units": 0,
        }
    ]
    assert recovery.counted == {"parked": [1]}


@pytest.mark.parametrize(
    ("members", "reason", "metric"),
    [
        ({"metadata": {}}, "not_ours", "ignored"),
        ({"amount_total": None}, "unreadable", "unreadable"),
    ],
)
def test_an_event_of_the_bus_that_is_ignored_says_why(
    recovery: Recovery,
    caplog: pytest.LogCaptureFixture,
    members: dict[str, Any],
    reason: str,
    metric: str,
) -> None:
    event = builders.completed(pending(recovery.books), **members)
    assert recovery.answer(bridged(event)) == []
    assert lines(caplog) == [
        {"level": "INFO", "message": "ignored", "reason": reason, "event_id": event["id"]}
    ]
    assert recovery.counted == {metric: [1]}


@pytest.mark.parametrize(("length", "shown"), [(100, 100), (101, 100)])
def test_a_line_has_the_first_hundred_letters_of_an_events_name(
    recovery: Recovery, caplog: pytest.LogCaptureFixture, length: int, shown: int
) -> None:
    """It is a stranger's until it is read."""
    event = builders.completed(pending(recovery.books), "e" * length, metadata={})
    recovery.answer(bridged(event))
    assert [line["event_id"] for line in lines(caplog)] == ["e" * shown]
    event = builders.completed(pending(recovery.books), "e" * length)
    recovery.store.fault_of = {"pay_": KeyError("an internal error")}
    recovery.answer(bridged(event))
    assert [line["event_id"] for line in lines(caplog)] == ["e" * shown]


@pytest.mark.parametrize("body", ["no JSON", "[]", "{}", '{"fact": "of a later version"}', "null"])
def test_a_message_that_cannot_be_read_stays_between_others_that_are_settled(
    recovery: Recovery, caplog: pytest.LogCaptureFixture, body: str
) -> None:
    """At last it is a dead letter, and an operator looks."""
    first, last = (kept(builders.completed(pending(recovery.books))) for _ in range(2))
    assert recovery.answer(first, body, last) == ["1"]
    found = lines(caplog)
    assert [line["message"] for line in found] == [
        "settled",
        "a message that cannot be read stays in the queue",
        "settled",
    ]
    assert found[1]["traceback"]
    assert recovery.units() == 200


@pytest.mark.parametrize("is_news", [True, False])
@pytest.mark.parametrize(
    ("fault", "message", "counted"),
    [
        (OutcomeUnknownError("injected"), "a message stays in the queue", {}),
        (
            KeyError("an internal error"),
            "a message stays in the queue: internal error",
            {"internal_errors": [1]},
        ),
        (
            AwsRefusedError("injected"),
            "a message stays in the queue: internal error",
            {"internal_errors": [1]},
        ),
    ],
)
def test_a_message_that_fails_stays_between_others_that_are_settled(
    recovery: Recovery,
    caplog: pytest.LogCaptureFixture,
    fault: Exception,
    message: str,
    counted: dict[str, list[int]],
    *,
    is_news: bool,
) -> None:
    """What passes by itself is no internal error."""
    first, odd, last = (pending(recovery.books, user) for user in ("alice", "hot", "alice"))
    recovery.store.fault_of = {"hot": fault}
    event = builders.completed(odd)
    bodies = [kept(builders.completed(one)) for one in (first, last)]
    body = bridged(event) if is_news else kept(event)
    assert recovery.answer(bodies[0], body, bodies[1]) == ["1"]
    found = lines(caplog)
    assert [line["message"] for line in found] == ["settled", message, "settled"]
    assert found[1] == {
        "level": "ERROR",
        "message": message,
        "event_id": event["id"],
        "traceback": True,
    }
    assert recovery.counted == counted
    assert recovery.units() == 200


def test_messages_for_which_no_time_is_left_are_counted_in_one_line(
    recovery: Recovery, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One is settled, three come again."""
    bodies = [kept(builders.completed(pending(recovery.books))) for _ in range(4)]
    left = iter([20_001, 20_000, 0, 0, 1, 1])
    context = SimpleNamespace(get_remaining_time_in_millis=lambda: next(left))
    monkeypatch.setattr("support.slow.Context", lambda *_: context)
    assert recovery.answer(*bodies) == ["1", "2", "3"]
    assert lines(caplog)[-1] == {
        "level": "WARNING",
        "message": "out of time: messages come again",
        "left": 3,
    }


def test_a_batch_with_time_for_all_has_no_line_about_time(
    recovery: Recovery, caplog: pytest.LogCaptureFixture
) -> None:
    assert recovery.answer(kept(builders.completed(pending(recovery.books)))) == []
    assert [line["message"] for line in lines(caplog)] == ["settled"]
    assert recovery.answer() == []
    assert lines(caplog) == []


def test_a_run_of_recovery_has_one_line(
    recovery: Recovery, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of three refunds one is settled, one gets no answer, one has no turn; a hold is swept."""
    recovery.park_refunds(3)
    first, second, _ = recovery.parked()
    recovery.stripe.hangs_for = {second.fact.payment_intent or ""}  # type: ignore[union-attr]
    recovery.settle(builders.completed(pending(recovery.books, "bob")))
    place(Meter(recovery.books, ""), "bob", 1, 1)
    recovery.clock.advance(seconds=61)
    left = iter([300_000] * 6)  # for the hold, three records, and two tries
    context = SimpleNamespace(get_remaining_time_in_millis=lambda: next(left, 1))
    monkeypatch.setattr("support.slow.Context", lambda *_: context)
    caplog.clear()
    assert recovery.run() == {"settled": 1, "waiting": 2, "left": 1, "swept_holds": 1}
    assert lines(caplog)[-1] == {
        "level": "INFO",
        "message": "recovered",
        "settled": 1,
        "waiting": 2,
        "left": 1,
        "swept": 1,
    }
    age = int(recovery.clock.now.timestamp()) - second.parked_epoch
    assert recovery.counted == {"parked_age_seconds": [age]}
    assert first.name not in {record.name for record in recovery.parked()}


def test_where_nothing_waits_its_age_is_nothing(recovery: Recovery) -> None:
    assert recovery.run() == {"settled": 0, "waiting": 0, "left": 0, "swept_holds": 0}
    assert recovery.counted == {"parked_age_seconds": [0]}


@pytest.mark.parametrize(
    ("error", "line", "counted"),
    [
        (
            StripeRefusedError(REFUSAL),
            {"level": "ERROR", "message": "stripe refused", "stripe": REFUSAL},
            {"stripe_refused": [1]},
        ),
        (
            AwsRefusedError("no grant"),
            {
                "level": "ERROR",
                "message": "a parked event stays parked: internal error",
                "traceback": True,
            },
            {"internal_errors": [1]},
        ),
        (
            BillingError("stripe_unavailable", "no answer"),
            {
                "level": "WARNING",
                "message": "a parked event stays parked",
                "why": "BillingError: stripe_unavailable: no answer",
            },
            {},
        ),
        (
            OutcomeUnknownError("no answer"),
            {
                "level": "WARNING",
                "message": "a parked event stays parked",
                "why": "OutcomeUnknownError: no answer",
            },
            {},
        ),
    ],
)
def test_a_parked_event_that_stays_says_why(  # noqa: PLR0917
    recovery: Recovery,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    line: dict[str, Any],
    counted: dict[str, list[int]],
) -> None:
    """And is counted where no later run can change it. The one before and after it are settled."""
    recovery.park_refunds(3)
    odd = recovery.parked()[1]
    answer = recovery.stripe.payment_intent

    def payment_intent(name: str) -> dict[str, Any]:
        if name == odd.fact.payment_intent:  # type: ignore[union-attr]
            raise error
        return answer(name)

    monkeypatch.setattr(recovery.stripe, "payment_intent", payment_intent)
    caplog.clear()
    assert recovery.run()["settled"] == 2
    found = [one for one in lines(caplog) if one["message"] != "recovered"]
    assert found == [{**line, "event_id": odd.fact.fact_id}]
    age = recovery.counted.pop("parked_age_seconds")
    assert age[0] > 0
    assert recovery.counted == counted


def _with_real_metrics(monkeypatch: pytest.MonkeyPatch) -> Recovery:
    add = metrics.add_metric
    made = Recovery(monkeypatch)
    monkeypatch.setattr(metrics, "add_metric", add)
    return made


def test_metrics_are_written_at_the_end_of_each_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Lambda may freeze the container right after."""
    at_work = _with_real_metrics(monkeypatch)
    at_work.run()
    (shown,) = printed(capsys)
    assert shown["parked_age_seconds"] == [0.0]
    at_work.answer(bridged(builders.completed(pending(at_work.books), metadata={})))
    (shown,) = printed(capsys)
    assert shown["ignored"] == [1.0]
    at_work.store.fault_of = {"due": KeyError("an internal error")}
    with pytest.raises(KeyError):
        at_work.run()
    assert [row["parked_age_seconds"] for row in printed(capsys)] == [[0.0]]


def test_a_batch_that_counts_nothing_writes_no_metric(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    recwarn: pytest.WarningsRecorder,
) -> None:
    """The library would warn of an empty set."""
    at_work = _with_real_metrics(monkeypatch)
    at_work.answer(kept(builders.completed(pending(at_work.books))))
    assert printed(capsys) == []
    assert not recwarn.list
