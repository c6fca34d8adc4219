"""What recovery and reconciliation ask Stripe for, by the product's own gateway, and what they make of the answers."""

import time
from typing import Any

import pytest
from billing.errors import OutcomeUnknownError, ServiceFaultError
from billing.payments import fact_queue, parking
from billing.payments.settlement import apply
from billing.stripe_api.client import Gateway
from billing.wiring import stripe
from botocore.exceptions import EndpointConnectionError
from functional.lab import Lab
from simulator.lab import Lab as Stripe
from support.builders import dispute, fact, pending, refunded


@pytest.fixture
def bought(lab: Lab, stripe_side: Stripe) -> Any:
    """A session that alice has paid at Stripe; no webhook has told of it."""
    said = lab.call("POST", "/payments/checkout", sub="alice", body={"plan": "starter"})
    stripe_side.control(f"sessions/{said.json['session_id']}/pay", method="card")
    return stripe_side.session(said.json["session_id"])


def _gateway() -> Gateway:
    return stripe.gateway()


def test_the_session_of_a_payment_intent_is_found_among_others(bought: Any, stripe_side: Stripe) -> None:
    """And none for an intent that no session has."""
    stripe_side.pay()
    found = _gateway().session_of_intent(bought.payment_intent.id)
    assert found is not None
    assert found["id"] == bought.id
    assert _gateway().session_of_intent("pi_of_nobody") is None


def test_the_disputes_of_a_payment_intent_are_its_own(bought: Any, stripe_side: Stripe) -> None:
    """Another payment's are not among them."""
    other = stripe_side.pay()
    for paid in (bought, other):
        stripe_side.control(f"charges/{paid.payment_intent.latest_charge.id}/dispute", kind="chargeback")
    (found,) = _gateway().disputes_of(bought.payment_intent.id)
    assert found["charge"] == bought.payment_intent.latest_charge.id


def test_the_refunds_of_a_payment_intent_are_its_own(bought: Any, stripe_side: Stripe) -> None:
    """However many: they come page after page."""
    other = stripe_side.pay()
    stripe_side.client.v1.refunds.create({"payment_intent": other.payment_intent.id, "amount": 5})
    made = [stripe_side.client.v1.refunds.create({"payment_intent": bought.payment_intent.id, "amount": 1}).id for _ in range(3)]
    assert sorted(one["id"] for one in _gateway().refunds_of(bought.payment_intent.id)) == sorted(made)


def test_a_refund_ahead_of_its_lost_purchase_is_taken_back_with_it(lab: Lab, bought: Any, stripe_side: Stripe) -> None:
    """Recovery asks Stripe whose it is, credits the purchase, and takes back what was refunded."""
    stripe_side.client.v1.refunds.create({"payment_intent": bought.payment_intent.id, "amount": 500})
    charge = stripe_side.client.v1.charges.retrieve(bought.payment_intent.latest_charge.id)
    event = refunded(pending(lab.books, "bob"), 500)
    event["data"]["object"] |= {"id": charge.id, "payment_intent": bought.payment_intent.id, "amount": 999}
    apply(lab.books, fact(event))
    (record,) = parking.all_parked(lab.books)
    assert record.kind == "ahead"
    lab.boto("dynamodb").update_item(
        TableName="WebhookEventsTable",
        Key={"subject": {"S": "parked"}, "fact_id": {"S": record.name}},
        UpdateExpression="SET next_try = :now",
        ExpressionAttributeValues={":now": {"N": "1"}},
    )
    done = lab.ask("recover", {"source": "aws.events"})
    assert (done["settled"], done["waiting"]) == (1, 0)
    assert lab.quota("alice")["remaining"] == 50


def test_a_queue_that_refuses_for_good_is_told_from_one_that_does_not_answer(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing queue is a fault that an operator must see; a lost connection passes."""
    payment = pending(lab.books)
    late = fact(dispute(payment, "created", "needs_response"))
    with pytest.raises(ServiceFaultError):
        fact_queue.Queue("https://sqs.us-east-1.amazonaws.com/123456789012/missing").keep(late)
    client = fact_queue._client()

    def away(*_: object, **__: object) -> None:
        raise EndpointConnectionError(endpoint_url="sqs")

    monkeypatch.setattr(client, "send_message", away)
    with pytest.raises(OutcomeUnknownError) as unknown:
        fact_queue.Queue("https://sqs.us-east-1.amazonaws.com/123456789012/missing").keep(late)
    assert not isinstance(unknown.value, ServiceFaultError)


@pytest.mark.parametrize("name", ["sessions", "refunds", "disputes"])
def test_a_list_begins_where_it_is_asked_to(bought: Any, stripe_side: Stripe, name: str) -> None:
    """At an epoch second, and behind a row; with what the payment intents say."""
    for paid in (stripe_side.pay(), bought):
        stripe_side.client.v1.refunds.create({"payment_intent": paid.payment_intent.id, "amount": 5})
        stripe_side.control(f"charges/{paid.payment_intent.latest_charge.id}/dispute", kind="chargeback")
    listed = getattr(_gateway(), name)
    first, second, *_ = rows = listed(bought.created - 60)["data"]
    assert all(isinstance(row["payment_intent"], dict) for row in rows[:2])
    assert listed(int(time.time()) + 3600)["data"] == []
    assert listed(bought.created - 60, first["id"])["data"][0]["id"] == second["id"]
