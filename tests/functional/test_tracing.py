"""What a sampled request tells X-Ray's daemon, and that any other tells it nothing."""

import json
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest
from aws_lambda_powertools import Tracer
from aws_xray_sdk import global_sdk_config
from aws_xray_sdk.core import xray_recorder
from aws_xray_sdk.core.emitters.udp_emitter import UDPEmitter
from aws_xray_sdk.core.lambda_launcher import LambdaContext
from billing import tracing
from functional.lab import Lab
from support.builders import completed, pending

from infra.local.paths import ROOT

TRACE: Final = "1-5759e988-bd862e3fe1be46a994272793"
LAMBDAS: Final = "53995c3f42cd8ad8"
"""The segment that Lambda made."""
Sent = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def daemon(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sent]:
    """X-Ray's daemon as Lambda runs it beside a function: a socket.

    Gives what has been sent to it since the last call.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.setblocking(False)  # noqa: FBT003 - the standard library's own form
        _as_in_lambda(monkeypatch, f"127.0.0.1:{listening.getsockname()[1]}")
        yield lambda: list(_received(listening))
        xray_recorder.emitter._socket.close()
        Tracer._reset_config()  # type: ignore[no-untyped-call]
        tracing.tracer.cache_clear()


def _as_in_lambda(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    """The SDK looks at the environment when it is imported; that was long ago here."""
    monkeypatch.setenv("LAMBDA_TASK_ROOT", "/var/task")
    monkeypatch.setenv("POWERTOOLS_TRACE_DISABLED", "false")
    monkeypatch.setenv(tracing.HEADER, f"Root={TRACE};Parent={LAMBDAS};Sampled=1")
    Tracer._reset_config()  # type: ignore[no-untyped-call]
    tracing.tracer.cache_clear()
    global_sdk_config.set_sdk_enabled(True)
    xray_recorder.configure(context=LambdaContext(), emitter=UDPEmitter(address))


def _received(listening: socket.socket) -> Iterator[dict[str, Any]]:
    while True:
        try:
            header, _, document = listening.recv(65_536).partition(b"\n")
        except BlockingIOError:
            return
        assert json.loads(header) == {"format": "json", "version": 1}
        yield json.loads(document)


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
