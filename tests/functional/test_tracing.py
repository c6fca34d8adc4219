"""What a sampled request tells X-Ray's daemon, and that any other tells it nothing."""

import json
import subprocess
import sys

import pytest
from billing import tracing
from functional.lab import Lab
from support.builders import completed, pending
from support.xray_daemon import LAMBDAS, TRACE, Sent

from infra.local.paths import ROOT


def test_a_sampled_delivery_shows_its_one_transaction_and_is_found_by_its_ids(
    lab: Lab, daemon: Sent
) -> None:
    """Beneath the segment that Lambda made.

    The container has read the deployment's id for an event before.
    """
    lab.books.ours.deployment.known()
    payment = pending(lab.books, "alice")
    event = completed(payment)
    assert lab.deliver(event).json == {"status": "settled"}
    call, request = daemon()
    assert (call["name"], call["aws"], call["namespace"]) == (
        "DynamoDB",
        {"operation": "TransactWriteItems"},
        "aws",
    )
    assert (call["trace_id"], call["parent_id"], request["parent_id"]) == (
        TRACE,
        request["id"],
        LAMBDAS,
    )
    ids = {
        "payment_id": payment.payment_id,
        "session_id": payment.session_id,
        "event_id": event["id"],
    }
    assert request["name"] == "webhook"
    assert request["annotations"] == {
        "request_id": "req-1",
        "status": "200",
        "outcome": "settled",
        **ids,
    }


def test_a_checkout_shows_what_it_waited_for(lab: Lab, daemon: Sent) -> None:
    """The payment is recorded, Stripe is asked, the session is kept.

    The container has read the deployment's id before.
    """
    lab.books.ours.deployment.known()
    assert (
        lab.call("POST", "/payments/checkout", sub="alice", body={"plan": "starter"}).status == 201
    )
    assert [made["name"] for made in daemon()] == [
        "DynamoDB",
        "Stripe",
        "DynamoDB",
        "create_checkout",
    ]


def test_a_failed_call_is_marked_in_the_trace_without_its_message(lab: Lab, daemon: Sent) -> None:
    """Messages of exceptions may hold anything."""
    lab.boto("dynamodb").delete_table(TableName="QuotasTable")
    assert lab.call("GET", "/quota", sub="alice").status == 500
    call, request = daemon()
    assert call["error"]
    assert "cause" not in call
    assert request["annotations"]["status"] == "500"
    assert "ResourceNotFound" not in json.dumps([call, request])


def test_a_trace_holds_ids_and_no_personal_data(lab: Lab, daemon: Sent) -> None:
    """Neither the user nor what Stripe knows of the buyer."""
    event = completed(
        pending(lab.books, "somebody-of-flesh"),
        customer_details={"email": "buyer@example.com", "name": "A Buyer"},
    )
    lab.deliver(event)
    lab.call("POST", "/keys", sub="somebody-of-flesh", body={"name": "a-name-of-theirs"})
    text = json.dumps(sent := daemon())
    assert [made["name"] for made in sent if made["namespace"] == "local"] == [
        "webhook",
        "manage_keys",
    ]
    assert not [
        word
        for word in ("somebody-of-flesh", "buyer@", "A Buyer", "a-name-of-theirs", lab.secret)
        if word in text
    ]


def test_a_request_that_is_not_sampled_sends_nothing(
    lab: Lab, daemon: Sent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(tracing.HEADER, f"Root={TRACE};Parent={LAMBDAS};Sampled=0")
    assert lab.deliver(completed(pending(lab.books))).json == {"status": "settled"}
    assert not daemon()


@pytest.mark.parametrize(("sampled", "loaded"), [("0", False), ("1", True)])
def test_the_sdk_is_loaded_by_the_first_request_that_is_sampled(sampled: str, loaded: bool) -> None:  # noqa: FBT001 - a column of the table
    """A cold start without tracing does not pay for it."""
    program = (
        "import sys, public.list_plans; public.list_plans.handler({}, None);"
        " print('aws_xray_sdk.core' in sys.modules)"
    )
    environment = {
        "PYTHONPATH": str(ROOT / "functions"),
        tracing.HEADER: f"Root={TRACE};Parent={LAMBDAS};Sampled={sampled}",
    }
    done = subprocess.run(
        [sys.executable, "-B", "-c", program],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == str(loaded)
