"""Events out on a whole stack: the table's stream, the schedule, the receiver, the bus."""

import json
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest
from billing.api.description.event_schemas import schema_of_event
from billing.api.openapi import document
from jsonschema_rs import Draft202012Validator
from standardwebhooks import Webhook
from support.stand import Stand

SECONDS_MAX: Final = 150
"""A retry waits 30 s, and then for the next minute's schedule."""


class Receiver:
    """The local stack's receiver of events out."""

    def __init__(self, stand: Stand) -> None:
        """As the contract says, at ``notify_url``."""
        self.stand = stand
        origin = stand.facts["notify_url"].rpartition("/")[0]
        self.url = f"{origin}/_control/received"

    def behave(self, how: str) -> None:
        """Answer like this from now on."""
        assert self.stand.http.post(self.url, json={"behave": how}).status_code == 200

    def of(self, user_id: str) -> list[dict[str, Any]]:
        """Deliveries of one user's events, oldest first."""
        received: list[dict[str, Any]] = self.stand.http.get(self.url).json()["received"]
        return [row for row in received if json.loads(row["body"])["user_id"] == user_id]

    def wait(self, user_id: str, count: int) -> list[dict[str, Any]]:
        """Return them when there are that many."""
        until(lambda: len(self.of(user_id)) >= count)
        return self.of(user_id)


def until(holds: Callable[[], object]) -> None:
    """Return when it holds."""
    deadline = time.monotonic() + SECONDS_MAX
    while not holds():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.2)  # deliveries are made by other processes


@pytest.fixture
def receiver(stand: Stand) -> Iterator[Receiver]:
    """It answers 204, also afterwards."""
    found = Receiver(stand)
    found.behave("ok")
    yield found
    found.behave("ok")


def _customer() -> str:
    return f"told-{uuid.uuid4().hex[:8]}"


def test_a_purchase_is_told_signed_and_as_the_api_shows_it(
    stand: Stand, receiver: Receiver
) -> None:
    """Within moments, by the stream; checked by the official package and by the description."""
    customer = _customer()
    payment_id = stand.purchase(customer)["payment_id"]
    (delivery, *more) = receiver.wait(customer, 1)
    assert more == []
    event = Webhook(stand.facts["notify_secret"]).verify(delivery["body"], delivery["headers"])
    shown = stand.call("GET", f"/payments/{payment_id}", sub=customer).json()
    assert (event["type"], event["sequence"], event["data"]) == ("payment.completed", 1, shown)
    assert event["id"] == delivery["headers"]["webhook-id"]
    schema = {**schema_of_event(event["type"]), "components": document()["components"]}
    Draft202012Validator(schema, validate_formats=True).validate(event)


def test_what_was_not_taken_comes_again_under_its_id(stand: Stand, receiver: Receiver) -> None:
    """After a 500, and after a redirect, which is not followed. Then by the schedule."""
    customers = {"500": _customer(), "redirect": _customer()}
    first = {}
    for how, customer in customers.items():
        receiver.behave(how)
        stand.purchase(customer)
        (first[how],) = receiver.wait(customer, 1)
        assert first[how]["answered"] == how
    receiver.behave("ok")
    for how, customer in customers.items():
        again = receiver.wait(customer, 2)[1]
        assert again["headers"]["webhook-id"] == first[how]["headers"]["webhook-id"]
        assert (again["body"], again["answered"]) == (first[how]["body"], "ok")
        Webhook(stand.facts["notify_secret"]).verify(again["body"], again["headers"])


def test_customers_set_where_a_low_balance_begins(stand: Stand) -> None:
    customer = _customer()
    alert = {"low_at": 0, "is_default": True}
    assert stand.call("GET", "/quota/alert", sub=customer).json() == alert
    answer = stand.call("PUT", "/quota/alert", sub=customer, body={"low_at": 25})
    assert (answer.status_code, answer.json()) == (200, {"low_at": 25, "is_default": False})
    for bad in ("{}", '{"low_at":-1}', '{"low_at":1.5}', '{"low_at":"5"}', '{"low_at":1e30}'):
        body = json.loads(bad)
        refused = stand.call("PUT", "/quota/alert", sub=customer, body=body)
        assert refused.json()["code"] == "invalid_request"
    assert stand.call("GET", "/quota/alert", sub=customer).json()["low_at"] == 25
    assert stand.call("PUT", "/quota/alert", sub=customer, body={"low_at": None}).json() == alert


def test_a_debit_over_the_threshold_is_told_once_with_the_quota(
    stand: Stand, receiver: Receiver
) -> None:
    """At the customer's own threshold, and then at zero; what crosses nothing tells nothing."""
    customer = _customer()
    stand.purchase(customer)
    stand.call("PUT", "/quota/alert", sub=customer, body={"low_at": 25})
    shown = {}
    for units in (70, 6, 4, 20):
        body = {"user_id": customer, "units": units}
        answer = stand.call("POST", "/quota/debits", sub="backend", scope="quota.write", body=body)
        assert answer.status_code == 200
        quota = stand.quota(customer)
        shown[quota["remaining"]] = quota
    refused = stand.call(
        "POST",
        "/quota/debits",
        sub="backend",
        scope="quota.write",
        body={"user_id": customer, "units": 1},
    )
    assert refused.status_code == 402
    deliveries = receiver.wait(customer, 3)
    told = {}
    for delivery in deliveries:
        event = Webhook(stand.facts["notify_secret"]).verify(delivery["body"], delivery["headers"])
        schema = {**schema_of_event(event["type"]), "components": document()["components"]}
        Draft202012Validator(schema, validate_formats=True).validate(event)
        told[event["type"]] = (event["sequence"], event["data"])
    assert len(deliveries) == 3
    assert told["quota.low"] == (2, shown[24])
    assert told["quota.depleted"] == (3, shown[0])
