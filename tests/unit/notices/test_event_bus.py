"""Events put on an EventBridge bus, with every answer that PutEvents can give."""

import json
from typing import Any

import pytest
from billing.notices.delivery import Answer, Failed, Sent
from billing.notices.event_bus import EventBus
from billing.notices.rows import Row
from botocore.stub import Stubber

ROW = Row(
    user_id="alice",
    notice="000000000001#evt_1",
    id="evt_1",
    type="payment.completed",
    created="2026-01-02T03:04:05Z",
    sequence=1,
    data={"quota": 100, "name": "Zoë"},
    state="pending",
    attempts=0,
    since=0,
)


@pytest.fixture
def bus(monkeypatch: pytest.MonkeyPatch) -> EventBus:
    """One of the account's."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    return EventBus("events-out")


def _put(bus: EventBus, answer: dict[str, Any]) -> Answer:
    """One event, the request checked against AWS's own model of it."""
    entry = {
        "Source": "topup",
        "DetailType": "payment.completed",
        "Detail": json.dumps(ROW.body(), separators=(",", ":")),
        "EventBusName": "events-out",
    }
    with Stubber(bus.client) as stubber:
        stubber.add_response("put_events", answer, {"Entries": [entry]})
        found = bus(ROW)
        stubber.assert_no_pending_responses()
    return found


def test_an_entry_that_the_bus_took_is_delivered(bus: EventBus) -> None:
    assert _put(bus, {"FailedEntryCount": 0, "Entries": [{"EventId": "1"}]}) == Sent()


@pytest.mark.parametrize(
    "code", ["InternalFailure", "ThrottlingException", "NotAuthorizedForSource"]
)
def test_a_200_that_refuses_the_entry_is_a_failed_try(bus: EventBus, code: str) -> None:
    """https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEventsResultEntry.html."""
    refused = {"FailedEntryCount": 1, "Entries": [{"ErrorCode": code, "ErrorMessage": "no"}]}
    assert _put(bus, refused) == Failed(code)


def test_an_entry_that_is_refused_without_a_code_is_a_failed_try(bus: EventBus) -> None:
    assert _put(bus, {"FailedEntryCount": 1, "Entries": [{}]}) == Failed("refused")
    assert _put(bus, {"FailedEntryCount": 1, "Entries": []}) == Failed("refused")


@pytest.mark.parametrize(
    "code", ["ValidationException", "AccessDeniedException", "ResourceNotFoundException"]
)
def test_a_refused_request_is_a_failed_try_and_raises_nothing(bus: EventBus, code: str) -> None:
    """So one event that is too large for the bus does not stop the sweep of the others."""
    with Stubber(bus.client) as stubber:
        stubber.add_client_error("put_events", code, http_status_code=400)
        assert bus(ROW) == Failed(code)


def test_a_bus_that_does_not_answer_is_a_failed_try(
    bus: EventBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    assert EventBus("events-out")(ROW) == Failed("EndpointConnectionError")
    del bus
