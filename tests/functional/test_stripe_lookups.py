"""What recovery and reconciliation ask Stripe for, by the product's own gateway, and what they make
of the answers.
"""

import time
from typing import Any

import pytest
from billing.errors import AwsRefusedError, OutcomeUnknownError
from billing.parked import records
from billing.payments import fact_queue
from billing.settlement.settlement import apply
from billing.stripe_api.client import Gateway
from billing.wiring import container, secrets, stripe
from botocore.exceptions import EndpointConnectionError
from functional.lab import Lab
from simulator.lab import Lab as Stripe
from support.builders import dispute, fact, pending, refunded


@pytest.fixture
def bought(lab: Lab, stripe_side: Stripe) -> Any:
    """A session that alice has paid at Stripe; no webhook has reported it."""
    said = lab.call("POST", "/payments/checkout", sub="alice", body={"plan": "starter"})
    stripe_side.control(f"sessions/{said.json['session_id']}/pay", method="card")
    return stripe_side.session(said.json["session_id"])


def _gateway() -> Gateway:
    return stripe.gateway()


def test_the_session_of_a_payment_intent_is_found_among_others(
    bought: Any, stripe_side: Stripe
) -> None:
    """And none for an intent that no session has."""
    stripe_side.pay()
    found = _gateway().session_of_intent(bought.payment_intent.id)
    assert found is not None
    assert found["id"] == bought.id
    assert _gateway().session_of_intent("pi_of_nobody") is None


def test_a_session_is_read_with_its_payment_intent(bought: Any) -> None:
    """Its status tells a delayed payment that failed from one that is under way."""
    found = _gateway().session(bought.id)
    assert (found["id"], found["payment_intent"]["status"]) == (bought.id, "succeeded")


def test_the_disputes_of_a_payment_intent_are_its_own(bought: Any, stripe_side: Stripe) -> None:
    """Another payment's are not among them."""
    other = stripe_side.pay()
    for paid in (bought, other):
        stripe_side.control(
            f"charges/{paid.payment_intent.latest_charge.id}/dispute", kind="chargeback"
        )
    (found,) = _gateway().disputes_of(bought.payment_intent.id)
    assert found["charge"] == bought.payment_intent.latest_charge.id


def test_the_refunds_of_a_payment_intent_are_its_own(bought: Any, stripe_side: Stripe) -> None:
    """However many: they come page after page."""
    other = stripe_side.pay()
    stripe_side.client.v1.refunds.create({"payment_intent": other.payment_intent.id, "amount": 5})
    made = [
        stripe_side.client.v1.refunds.create(
            {"payment_intent": bought.payment_intent.id, "amount": 1}
        ).id
        for _ in range(3)
    ]
    assert sorted(one["id"] for one in _gateway().refunds_of(bought.payment_intent.id)) == sorted(
        made
    )


def _parked_refund(lab: Lab, bought: Any, stripe_side: Stripe) -> None:
    """A refund of a purchase that no webhook has reported, to be tried now."""
    charge = bought.payment_intent.latest_charge.id
    event = refunded(pending(lab.books, "bob"), 500)
    event["data"]["object"] |= {
        "id": charge,
        "payment_intent": bought.payment_intent.id,
        "amount": 999,
    }
    stripe_side.client.v1.refunds.create(
        {"payment_intent": bought.payment_intent.id, "amount": 500}
    )
    apply(lab.books, fact(event))
    (record,) = records.all_parked(lab.books)
    assert record.kind == "ahead"
    lab.boto("dynamodb").update_item(
        TableName="WebhookEventsTable",
        Key={"subject": {"S": "parked"}, "fact_id": {"S": record.name}},
        UpdateExpression="SET next_try = :now",
        ExpressionAttributeValues={":now": {"N": "1"}},
    )


def test_a_refund_ahead_of_its_lost_purchase_is_taken_back_with_it(
    lab: Lab, bought: Any, stripe_side: Stripe
) -> None:
    """Recovery asks Stripe whose it is, credits the purchase, and takes back what was refunded."""
    _parked_refund(lab, bought, stripe_side)
    done = lab.ask("recover", {"source": "aws.events"})
    assert (done["settled"], done["waiting"]) == (1, 0)
    assert lab.quota("alice")["remaining"] == 50


def test_recovery_and_reconciliation_report_a_permanent_refusal_of_stripe(
    lab: Lab, bought: Any, stripe_side: Stripe, capsys: pytest.CaptureFixture[str]
) -> None:
    """A key without a right looks like nothing to do otherwise: the facts wait, and one alarm fires
    at the first.
    """
    _parked_refund(lab, bought, stripe_side)
    routes = ("GET /v1/payment_intents/{id}", "GET /v1/refunds")
    for route in routes:
        stripe_side.control("faults", route=route, status=403, times=50)
    try:
        capsys.readouterr()
        assert lab.ask("recover", {"source": "aws.events"})["waiting"] == 1
        assert '"stripe_refused":[1.0]' in capsys.readouterr().out
        with pytest.raises(Exception, match="not compared"):
            lab.ask("reconcile", {"since_hours": 1})
        assert '"stripe_refused":[1.0]' in capsys.readouterr().out
    finally:
        for route in routes:
            stripe_side.control("faults", route=route, status=403, times=0)


def test_a_permanent_error_of_the_queue_differs_from_a_timeout(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A missing queue is a fault that an operator must see; a lost connection passes."""
    payment = pending(lab.books)
    late = fact(dispute(payment, "created", "needs_response"))
    with pytest.raises(AwsRefusedError):
        fact_queue.Queue("https://sqs.us-east-1.amazonaws.com/123456789012/missing").keep(late)
    client = fact_queue._client()

    def away(*_: object, **__: object) -> None:
        raise EndpointConnectionError(endpoint_url="sqs")

    monkeypatch.setattr(client, "send_message", away)
    with pytest.raises(OutcomeUnknownError) as unknown:
        fact_queue.Queue("https://sqs.us-east-1.amazonaws.com/123456789012/missing").keep(late)
    assert not isinstance(unknown.value, AwsRefusedError)


@pytest.mark.parametrize("name", ["sessions", "refunds", "disputes"])
def test_a_list_begins_where_it_is_asked_to(bought: Any, stripe_side: Stripe, name: str) -> None:
    """At an epoch second, and behind a row; with what the payment intents say."""
    for paid in (stripe_side.pay(), bought):
        stripe_side.client.v1.refunds.create(
            {"payment_intent": paid.payment_intent.id, "amount": 5}
        )
        stripe_side.control(
            f"charges/{paid.payment_intent.latest_charge.id}/dispute", kind="chargeback"
        )
    listed = getattr(_gateway(), name)
    first, second, *_ = rows = listed(bought.created - 60)["data"]
    assert all(isinstance(row["payment_intent"], dict) for row in rows[:2])
    assert listed(int(time.time()) + 3600)["data"] == []
    assert listed(bought.created - 60, first["id"])["data"][0]["id"] == second["id"]


def test_a_session_that_stripe_does_not_know_confirms_nothing_and_is_reported(
    lab: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    """The key must be another account's: the buyer sees what we know, and an operator is informed
    at the first.
    """
    payment = pending(lab.books)
    said = lab.call("POST", f"/payments/{payment.payment_id}/confirm", sub="alice")
    assert (said.status, said.json["status"]) == (200, "pending")
    assert '"stripe_refused":[1.0]' in capsys.readouterr().out


def test_a_secret_that_cannot_be_reached_is_an_unknown_outcome(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stripe delivers again; a secret that is not there is an internal error."""
    reader = secrets._provider()

    def away(*_: object, **__: object) -> None:
        raise EndpointConnectionError(endpoint_url="secretsmanager")

    with monkeypatch.context() as patch:
        patch.setattr(reader, "get", away)
        with pytest.raises(OutcomeUnknownError):
            secrets.webhook_secrets(False)  # noqa: FBT003 - the protocol of signatures
    lab.boto("secretsmanager").delete_secret(
        SecretId="WebhookSecretsSecret", ForceDeleteWithoutRecovery=True
    )
    reader.store.clear()
    with pytest.raises(AwsRefusedError):
        secrets.webhook_secrets(False)  # noqa: FBT003 - the protocol of signatures


def test_a_dry_run_of_reconciliation_writes_nothing(lab: Lab, bought: Any) -> None:
    """The next one credits what it found."""

    def status() -> str:
        return str(lab.call("GET", f"/payments/{bought.id}", sub="alice").json["status"])

    assert lab.ask("reconcile", {"since_hours": 1, "repair": False})["counts"]["missing_here"] > 0
    assert (status(), lab.quota("alice")["total"]) == ("pending", 0)
    lab.ask("reconcile", {"since_hours": 1})
    assert status() == "completed"


@pytest.mark.parametrize("act", ["capture", "release"])
def test_a_hold_that_there_was_no_time_to_close_is_busy(lab: Lab, act: str) -> None:
    """Nothing was done, and the answer says so."""
    lab.fund("alice", 10)
    backend: dict[str, Any] = {"sub": "backend", "scope": "quota.write"}
    held = lab.call(
        "POST",
        "/quota/holds",
        body={"user_id": "alice", "units": 5, "expires_in_seconds": 60},
        **backend,
    ).json["hold_id"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(container.deadline(), "_budget_seconds", -1)
        body = {"units": 5} if act == "capture" else None
        said = lab.call("POST", f"/quota/holds/{held}/{act}", body=body, **backend)
    assert (said.status, said.code) == (503, "busy")
    assert lab.quota("alice")["held"] == 5
