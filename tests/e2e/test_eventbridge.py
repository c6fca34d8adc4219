"""Stripe's events by Amazon EventBridge, beside the webhook: switched on by the template's
parameter, and off again.
"""

import json
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import pytest
from billing.stripe_api.events import SUBSCRIBED
from support.stand import Stand

from infra.local import deploy

BUS: Final = "aws.partner/stripe.com/ed_test_of_the_stand"
CARRIER: Final = "the.stand"
TIMES: Final = 4


class Bridge:
    """The bus as Stripe's destination makes it, and the stack with ``StripeEventBus`` set to it."""

    def __init__(self, stand: Stand) -> None:
        """The bus is there first: the template only refers to it."""
        self.stand = stand
        self.events = stand.boto("events")
        self.queue = stand.resources()["ParkedQueue"]
        self.events.create_event_bus(Name=BUS, EventSourceName=BUS)

    def switch(self, bus: str) -> None:
        """A stack update, nothing else."""
        paths = self.stand.paths()
        deploy.update(paths, paths.stripe_url, event_bus=bus)

    def queue_attribute(self, name: str) -> str:
        """Of the queue that facts are kept in."""
        told = self.stand.boto("sqs").get_queue_attributes(
            QueueUrl=self.queue, AttributeNames=[name]
        )
        found: str = told.get("Attributes", {}).get(name, "")
        return found

    def carry(self) -> None:
        """A way for the stand to act as Stripe: no account may put events of a partner's source, so
        they come inside another event.
        """
        pattern = json.dumps({"source": [CARRIER]})
        self.events.put_rule(Name="carrier", EventBusName=BUS, EventPattern=pattern)
        target = {"Id": "queue", "Arn": self.queue_attribute("QueueArn"), "InputPath": "$.detail"}
        self.events.put_targets(Rule="carrier", EventBusName=BUS, Targets=[target])

    def send(self, event: dict[str, Any]) -> None:
        """As Stripe's destination would: without a signature."""
        entry = {
            "EventBusName": BUS,
            "Source": CARRIER,
            "DetailType": "carried",
            "Detail": json.dumps(enveloped(event)),
        }
        assert self.events.put_events(Entries=[entry])["FailedEntryCount"] == 0

    def drained(self) -> bool:
        """No message is waiting or being processed."""
        names = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
        return all(self.queue_attribute(name) == "0" for name in names)


def enveloped(event: dict[str, Any]) -> dict[str, Any]:
    """https://docs.stripe.com/event-destinations/eventbridge#event-structure."""
    names = {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": event["type"],
        "source": BUS,
        "account": "000000000000",
    }
    return {
        **names,
        "time": "2026-11-24T00:00:00Z",
        "region": "us-east-1",
        "resources": [],
        "detail": event,
    }


@pytest.fixture(scope="module")
def bridge(stand: Stand) -> Iterator[Bridge]:
    """Switched on; off again afterwards, as the other tests know the stand."""
    found = Bridge(stand)
    found.switch(BUS)
    found.carry()
    try:
        yield found
    finally:
        if "StripeEventsRule" in stand.resources(anew=True):
            found.switch("")


@pytest.fixture
def paid(stand: Stand) -> tuple[str, dict[str, Any]]:
    """A user whose purchase Stripe has been paid for, and the event of it, which no webhook
    brought.
    """
    buyer = f"bridged-{uuid.uuid4().hex[:8]}"
    bought = stand.buy(buyer)
    stand.control("deliveries", drop=1)
    stand.control(f"sessions/{bought['session_id']}/pay", method="card")
    stand.control("deliveries", drop=0)
    (event,) = stand.events("checkout.session.completed", bought["session_id"])
    assert stand.quota(buyer)["remaining"] == 0
    return buyer, event


def test_the_bus_has_one_rule_and_the_queue_lets_in_that_rule_alone(
    bridge: Bridge,
) -> None:
    """Every event that we act on passes it, no other, and none of another source."""
    (rule,) = [
        row
        for row in bridge.events.list_rules(EventBusName=BUS)["Rules"]
        if row["Name"] != "carrier"
    ]
    (target,) = bridge.events.list_targets_by_rule(Rule=rule["Name"], EventBusName=BUS)["Targets"]
    assert target["Arn"] == bridge.queue_attribute("QueueArn")
    (statement,) = json.loads(bridge.queue_attribute("Policy"))["Statement"]
    assert statement["Principal"] == {"Service": "events.amazonaws.com"}
    assert statement["Condition"] == {"ArnEquals": {"aws:SourceArn": rule["Arn"]}}

    def passes(kind: str, **members: str) -> bool:
        event = json.dumps(enveloped({"type": kind}) | members)
        return bool(
            bridge.events.test_event_pattern(EventPattern=rule["EventPattern"], Event=event)[
                "Result"
            ]
        )

    assert all(passes(kind) for kind in SUBSCRIBED)
    assert not any(
        passes(kind)
        for kind in ("customer.created", "checkout.session", "charge.refund.created", "")
    )
    assert not passes(SUBSCRIBED[0], source="aws.partner/example.com/ed_1")
    assert not passes(SUBSCRIBED[0], source=CARRIER)


def test_no_one_in_the_account_can_put_an_event_under_stripes_source(bridge: Bridge) -> None:
    """Not even with an administrator's rights: sources that begin with `aws.` are not theirs to
    use.
    """
    entry = {"EventBusName": BUS, "Source": BUS, "DetailType": SUBSCRIBED[0], "Detail": "{}"}
    told = bridge.events.put_events(Entries=[entry])
    assert (told["FailedEntryCount"], told["Entries"][0]["ErrorCode"]) == (
        1,
        "NotAuthorizedForSourceException",
    )


def test_an_event_that_eventbridge_brings_is_credited_once(
    bridge: Bridge, stand: Stand, paid: tuple[str, dict[str, Any]]
) -> None:
    """Its webhook was lost.

    What comes later, by either way, is a duplicate; and the message is gone when all is done.
    """
    buyer, event = paid
    bridge.send(event)
    stand.until(lambda: stand.quota(buyer)["remaining"] == 100)
    assert stand.deliver(event).json() == {"status": "duplicate"}
    bridge.send(event)
    bridge.send({**event, "id": f"evt_twin_{buyer}"})
    stand.until(bridge.drained)
    assert stand.quota(buyer)["total"] == 100
    entries = stand.call("GET", "/quota/ledger", sub=buyer).json()["entries"]
    assert [entry["units"] for entry in entries] == [100]


def test_the_same_event_by_both_ways_at_the_same_time_is_credited_once(
    bridge: Bridge, stand: Stand, paid: tuple[str, dict[str, Any]]
) -> None:
    """Four by EventBridge, four by the webhook, all concurrently."""
    buyer, event = paid
    with ThreadPoolExecutor(2 * TIMES) as pool:
        by_webhook = [pool.submit(stand.deliver, event) for _ in range(TIMES)]
        by_bridge = [pool.submit(bridge.send, event) for _ in range(TIMES)]
    statuses = [one.result().json()["status"] for one in by_webhook]
    assert set(statuses) <= {"settled", "duplicate"}
    assert all(one.result() is None for one in by_bridge)
    stand.until(bridge.drained)
    assert stand.quota(buyer)["total"] == 100


def test_switched_off_it_leaves_no_way_in(bridge: Bridge, stand: Stand) -> None:
    """The rule and the queue's policy go with the parameter.

    The last test here: nothing comes by the bridge afterwards.
    """
    bridge.switch("")
    assert [row["Name"] for row in bridge.events.list_rules(EventBusName=BUS)["Rules"]] == [
        "carrier"
    ]
    assert not bridge.queue_attribute("Policy")
    assert "StripeEventsRule" not in stand.resources(anew=True)
