"""Figures that alarms and dashboards go by, and the lines that an operator looks for, each by what
somebody did.
"""

import json
from collections import Counter
from typing import Any

import pytest
from billing.facts import to_item
from billing.settlement import settlement
from billing.telemetry import metrics
from billing.wiring import container
from botocore.exceptions import ClientError, ReadTimeoutError
from functional.lab import Lab
from support import builders
from support.builders import completed, fact, pending

Counted = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def counting(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bench in the same process switches figures off."""
    monkeypatch.delenv("POWERTOOLS_METRICS_DISABLED", raising=False)
    metrics.clear_metrics()


def _counted(capsys: Counted) -> Counter[str]:
    """How often each figure was written since the last call."""
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if '"_aws"' in line]
    return Counter(
        metric["Name"]
        for line in lines
        for told in line["_aws"]["CloudWatchMetrics"]
        for metric in told["Metrics"]
    )


def _without_the_right_to_write(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """As AWS answers when a grant is missing."""
    client = lab.books.store._client

    def answer(**_: object) -> None:
        refused = {
            "Error": {"Code": "AccessDeniedException"},
            "ResponseMetadata": {"HTTPStatusCode": 400},
        }
        raise ClientError(refused, "TransactWriteItems")

    monkeypatch.setattr(client, "transact_write_items", answer)


def test_a_forged_delivery_is_counted_and_a_broken_one_is_not(lab: Lab, capsys: Counted) -> None:
    """Only one of them looks like an attempt to guess keys."""
    body = json.dumps(completed(pending(lab.books)))
    capsys.readouterr()
    assert lab.webhook(body, lab.sign(body.encode(), secret="whsec_of_another")).status == 400
    assert _counted(capsys) == {"refused_signatures": 1}
    assert lab.webhook("no JSON").status == 400
    assert _counted(capsys) == {}


def test_an_event_that_is_not_ours_is_counted_as_ignored(lab: Lab, capsys: Counted) -> None:
    event = completed(pending(lab.books), metadata={})
    capsys.readouterr()
    assert lab.deliver(event).json == {"status": "ignored"}
    assert _counted(capsys) == {"ignored": 1}


def test_an_event_of_ours_that_cannot_be_read_is_counted_apart(
    lab: Lab, capsys: Counted, caplog: pytest.LogCaptureFixture
) -> None:
    """Money may have moved: it is not one of the many events of other products."""
    event = completed(pending(lab.books), amount_total=None)
    capsys.readouterr()
    assert lab.deliver(event).json == {"status": "ignored"}
    assert _counted(capsys) == {"unreadable": 1}
    assert [getattr(line, "reason", "") for line in caplog.records][-1:] == ["unreadable"]


@pytest.mark.parametrize("path", ["/quota/debits", "/quota/holds"])
def test_only_a_customer_without_units_is_counted_as_refused(
    lab: Lab, capsys: Counted, path: str
) -> None:
    """A request that makes no sense says nothing of customers."""
    backend: dict[str, Any] = {"sub": "backend", "scope": "quota.write"}
    asked = {"user_id": "alice", "units": 1} | (
        {"expires_in_seconds": 60} if path == "/quota/holds" else {}
    )
    capsys.readouterr()
    assert lab.call("POST", path, body=asked, **backend).status == 402
    assert _counted(capsys) == {"refused_debits": 1}
    assert lab.call("POST", path, body=asked | {"units": -1}, **backend).status == 400
    assert _counted(capsys) == {}


def test_a_used_key_with_another_body_is_no_customer_without_units(
    lab: Lab, capsys: Counted
) -> None:
    """It is the seller's own mistake."""
    lab.fund("alice", 10)
    backend: dict[str, Any] = {"sub": "backend", "scope": "quota.write", "idempotency_key": "k"}
    assert (
        lab.call("POST", "/quota/debits", body={"user_id": "alice", "units": 1}, **backend).status
        == 200
    )
    capsys.readouterr()
    assert (
        lab.call("POST", "/quota/debits", body={"user_id": "alice", "units": 2}, **backend).status
        == 409
    )
    assert _counted(capsys) == {}


def test_the_line_of_a_delivery_that_fails_names_its_event(
    lab: Lab, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An operator can find it in the log by Stripe's id alone."""
    event = completed(pending(lab.books), "evt_failing")
    _without_the_right_to_write(lab, monkeypatch)
    assert lab.deliver(event).status == 500
    (line,) = [vars(record) for record in caplog.records if record.getMessage() == "request"]
    assert (line["event_id"], line["type"]) == ("evt_failing", "checkout.session.completed")


def test_a_rest_api_gets_a_policy_that_it_can_read(lab: Lab) -> None:
    """https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-lambda-authorizer-output.html."""
    event = {
        "type": "REQUEST",
        "methodArn": "arn:aws:execute-api:us-east-1:1:a/b/GET/c",
        "headers": {"x-api-key": "none"},
    }
    found = lab.ask("authorize", event)
    statement = {"Action": "execute-api:Invoke", "Effect": "Deny", "Resource": event["methodArn"]}
    assert found["policyDocument"] == {"Version": "2012-10-17", "Statement": [statement]}


def test_a_parked_event_that_waits_because_of_an_internal_error_is_counted(
    lab: Lab, capsys: Counted, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A missing grant does not pass by itself."""
    parked = fact(builders.refunded(pending(lab.books), 500))
    settlement.apply(lab.books, parked)
    lab.boto("dynamodb").update_item(
        TableName="WebhookEventsTable",
        Key={
            "subject": {"S": "parked"},
            "fact_id": {"S": next(row["fact_id"]["S"] for row in lab.rows("WebhookEventsTable"))},
        },
        UpdateExpression="SET next_try = :now",
        ExpressionAttributeValues={":now": {"N": "1"}},
    )
    _without_the_right_to_write(lab, monkeypatch)
    capsys.readouterr()
    assert lab.ask("recover", {})["waiting"] == 1
    (line,) = [
        vars(record)
        for record in caplog.records
        if record.getMessage() == "a parked event stays parked: internal error"
    ]
    assert line["event_id"] == parked.fact_id
    assert _counted(capsys) == {"internal_errors": 1, "parked_age_seconds": 1}


@pytest.mark.parametrize("is_envelope", [True, False])
def test_a_message_that_cannot_be_settled_comes_again_and_its_line_names_the_event(
    lab: Lab,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    *,
    is_envelope: bool,
) -> None:
    """Whether we put it into the queue, or EventBridge did."""
    event = completed(pending(lab.books), "evt_failing")
    envelope = {"source": "aws.partner/stripe.com/ed_1", "detail": event}
    body = json.dumps(envelope if is_envelope else to_item(fact(event)))
    _without_the_right_to_write(lab, monkeypatch)
    done = lab.ask(
        "recover",
        {"Records": [{"messageId": "m1", "body": body}, {"messageId": "m2", "body": "no JSON"}]},
    )
    assert done == {"batchItemFailures": [{"itemIdentifier": "m1"}, {"itemIdentifier": "m2"}]}
    lines = {record.getMessage(): vars(record) for record in caplog.records}
    assert lines["a message stays in the queue: internal error"]["event_id"] == "evt_failing"
    assert "a message that cannot be read stays in the queue" in lines


def test_a_keyed_debit_whose_answer_was_lost_is_resolved_in_the_same_request(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was taken: the same request finds that out, and the caller gets the answer."""
    lab.fund("alice", 10)
    client = lab.books.store._client
    ask, lost = client.transact_write_items, [True]

    def answer(**request: object) -> Any:
        done = ask(**request)
        if "debit#" in str(request) and lost:
            lost.clear()
            raise ReadTimeoutError(endpoint_url="dynamodb")
        return done

    monkeypatch.setattr(client, "transact_write_items", answer)
    backend: dict[str, Any] = {"sub": "backend", "scope": "quota.write", "idempotency_key": "k"}
    assert (
        lab.call("POST", "/quota/debits", body={"user_id": "alice", "units": 3}, **backend).status
        == 200
    )
    assert not lost
    assert lab.quota("alice")["used"] == 3


def test_an_authorizer_has_its_own_time_however_old_its_function_is(lab: Lab) -> None:
    """Lambda keeps a process for hours; the time of the request before is long over."""
    lab.fund("alice", 5)
    key = lab.call("POST", "/keys", sub="alice", body={"name": "n"}).json["key"]
    container.deadline()._deadline = float("-inf")
    event = {"version": "2.0", "type": "REQUEST", "routeArn": "arn", "headers": {"x-api-key": key}}
    assert lab.ask("authorize", event)["isAuthorized"] is True
