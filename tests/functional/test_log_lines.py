"""What handlers write to their logs: the metrics in CloudWatch's embedded format, and one line for
each request.
"""

import json
from typing import Any

import pytest
from billing.facts import to_item
from billing.telemetry import logger, metrics
from functional.lab import Context, Lab
from functional.template import Template
from support.builders import completed, fact, pending, refunded


def _written(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """Metrics since the last call."""
    return [
        line
        for text in capsys.readouterr().out.splitlines()
        if "_aws" in (line := json.loads(text))
    ]


def _requests(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    """The members of every request's line since the last call."""
    found = [vars(record) for record in caplog.records if record.getMessage() == "request"]
    caplog.clear()
    return found


@pytest.fixture(autouse=True)
def counting(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bench in the same process switches figures off; a test of one act alone leaves some behind
    that no handler wrote.
    """
    monkeypatch.delenv("POWERTOOLS_METRICS_DISABLED", raising=False)
    metrics.clear_metrics()


def test_metrics_carry_the_one_dimension_that_dashboard_and_alarms_ask_for(
    lab: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    """One more, such as a function's name, would make other metrics of them:
    https://github.com/aws-powertools/powertools-lambda-python.
    """
    payment = pending(lab.books)
    capsys.readouterr()
    lab.deliver(completed(payment))
    lab.deliver(refunded(payment, 999))
    lab.call(
        "POST",
        "/quota/debits",
        sub="backend",
        scope="quota.write",
        body={"user_id": "alice", "units": 1},
    )
    lab.ask("recover", {})
    lab.ask("reconcile", {"since_hours": 1})
    written = _written(capsys)
    assert len(written) == 5
    assert [
        (told["Namespace"], told["Dimensions"])
        for line in written
        for told in line["_aws"]["CloudWatchMetrics"]
    ] == [("Topup", [["service"]])] * 5
    names = {
        metric["Name"]
        for line in written
        for told in line["_aws"]["CloudWatchMetrics"]
        for metric in told["Metrics"]
    }
    assert names == {
        *(
            "settled",
            "settle_latency_seconds",
            "clawed_back_units",
            "refused_debits",
            "parked_age_seconds",
            "reconcile_differences",
        )
    }


def test_a_run_of_a_schedule_always_counts(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    """Once, with nothing to do, too: RecoverMissingAlarm and ReconcileMissingAlarm fire when
    nothing was counted.
    """
    for function, metric in (
        ("recover", "parked_age_seconds"),
        ("reconcile", "reconcile_differences"),
    ):
        capsys.readouterr()
        lab.ask(function, {})
        assert [len(line[metric]) for line in _written(capsys)] == [1]


@pytest.mark.parametrize(
    "module", sorted(Template("any", "any").handlers() - {"reconcile", "recover", "notify"})
)
def test_every_call_of_a_handler_leaves_one_line(
    lab: Lab, caplog: pytest.LogCaptureFixture, module: str
) -> None:
    """Whatever was asked: here nothing that a gateway would send."""
    lab.ask(module, {})
    (line,) = _requests(caplog)
    assert line["request_id"] == Context.aws_request_id


def test_the_line_of_a_hold_does_not_spell_the_user(
    lab: Lab, caplog: pytest.LogCaptureFixture
) -> None:
    """Enough of the id to find it, and nothing of what follows."""
    lab.fund("buyer@example.com", 10)
    holder: dict[str, Any] = {"sub": "backend", "scope": "quota.write"}
    ids = [
        lab.call(
            "POST",
            "/quota/holds",
            body={"user_id": "buyer@example.com", "units": 1, "expires_in_seconds": 60},
            **holder,
        ).json["hold_id"]
        for _ in range(2)
    ]
    lines = [line["hold_id"] for line in _requests(caplog)]
    assert [id_.startswith(line) for id_, line in zip(ids, lines, strict=True)] == [True, True]
    assert lines[0] != lines[1]
    assert not any("ZXhhbXBsZS5jb2" in line for line in lines)


def test_a_delivery_that_failed_is_found_by_its_event(
    lab: Lab, caplog: pytest.LogCaptureFixture
) -> None:
    """That is what Stripe's dashboard shows of it."""
    event = completed(pending(lab.books))
    lab.boto("dynamodb").delete_table(TableName="QuotasTable")
    assert lab.deliver(event).status == 500
    (line,) = _requests(caplog)
    assert (line["status"], line["event_id"], line["type"]) == (
        500,
        event["id"],
        "checkout.session.completed",
    )


def test_a_call_of_the_authorizer_leaves_one_line(
    lab: Lab, caplog: pytest.LogCaptureFixture
) -> None:
    """Allowed or not; with the key's id, never the key."""
    made = lab.call("POST", "/keys", sub="alice", body={"name": "laptop"}).json
    lab.fund("alice", 1)
    caplog.clear()
    for key in (made["key"], made["key"], "tk_local_nobody"):
        lab.ask("authorize", {"headers": {"x-api-key": key}})
    lines = _requests(caplog)
    assert [(line["outcome"], line.get("code")) for line in lines] == [
        ("allowed", None),
        ("denied", "quota_exhausted"),
        ("denied", "no_such_key"),
    ]
    assert [line.get("key_id") for line in lines] == [made["key_id"], made["key_id"], None]
    assert all(line["request_id"] == Context.aws_request_id for line in lines)


@pytest.mark.parametrize("odd", ["no JSON", "[]", '["x"]', '{"kind": "unheard of"}', "7"])
def test_an_odd_message_stays_in_the_queue_and_the_others_of_its_batch_are_settled(
    lab: Lab, odd: str
) -> None:
    """It is not the whole batch's fault."""
    good = json.dumps(to_item(fact(completed(pending(lab.books)))))
    records = [{"messageId": "odd", "body": odd}, {"messageId": "good", "body": good}]
    assert lab.ask("recover", {"Records": records}) == {
        "batchItemFailures": [{"itemIdentifier": "odd"}]
    }
    assert lab.quota("alice")["remaining"] == 100


def test_the_line_of_an_ignored_delivery_says_so_and_why(
    lab: Lab, caplog: pytest.LogCaptureFixture
) -> None:
    """An event that moved nothing can be found."""
    event = completed(pending(lab.books), metadata={})
    lab.deliver(event)
    (line,) = _requests(caplog)
    assert (line["outcome"], line["reason"], line["event_id"]) == (
        "ignored",
        "not_ours",
        event["id"],
    )


def test_the_line_of_a_settled_delivery_names_all_that_it_touched(
    lab: Lab, caplog: pytest.LogCaptureFixture
) -> None:
    """From Stripe's id to ours, and what came of it."""
    payment = pending(lab.books)
    event = completed(payment)
    lab.deliver(event)
    (line,) = _requests(caplog)
    wanted = {
        "outcome": "settled",
        "units": 100,
        "event_id": event["id"],
        "type": "checkout.session.completed",
        "payment_id": payment.payment_id,
        "session_id": payment.session_id,
    }
    assert wanted.items() <= line.items()


@pytest.mark.parametrize("module", ["recover", "reconcile"])
def test_every_line_of_a_scheduled_run_names_its_request(
    lab: Lab, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, module: str
) -> None:
    """Also in a process that has served another one before."""
    formatter = logger.registered_formatter
    for request_id in ("first", "second"):
        monkeypatch.setattr(Context, "aws_request_id", request_id)
        caplog.clear()
        lab.ask(module, {})
        lines = [json.loads(formatter.format(record)) for record in caplog.records]
        ours = [line for line in lines if line["message"] in ("recovered", "reconciled")]
        assert [line["request_id"] for line in ours] == [request_id]


@pytest.mark.parametrize("door", ["webhook", "queue"])
def test_of_an_odd_id_a_line_has_a_hundred_characters(
    lab: Lab, caplog: pytest.LogCaptureFixture, door: str
) -> None:
    """Whatever stands there: what is ignored fills no log."""
    event = completed(pending(lab.books), "evt_" + "x" * 200, metadata={})
    if door == "webhook":
        lab.deliver(event)
    else:
        body = json.dumps({"source": "aws.partner/stripe.com/ed_1", "detail": event})
        lab.ask("recover", {"Records": [{"messageId": "m", "body": body}]})
    lines = [vars(record) for record in caplog.records if "event_id" in vars(record)]
    assert [line["event_id"] for line in lines] == [event["id"][:100]]


def test_the_line_of_a_message_that_was_settled_names_all_that_it_touched(
    lab: Lab, caplog: pytest.LogCaptureFixture
) -> None:
    """As the line of a delivery does."""
    payment = pending(lab.books)
    event = completed(payment)
    body = json.dumps(to_item(fact(event)))
    lab.ask("recover", {"Records": [{"messageId": "m", "body": body}]})
    (line,) = [vars(record) for record in caplog.records if record.getMessage() == "settled"]
    wanted = {
        "units": 100,
        "event_id": event["id"],
        "type": "checkout.session.completed",
        "payment_id": payment.payment_id,
        "session_id": payment.session_id,
    }
    assert wanted.items() <= line.items()
