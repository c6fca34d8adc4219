"""``topup events`` and the doctor's ping, on the tests' own stack."""

import json
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from billing.notices.rows import new_row
from standardwebhooks import Webhook
from support.stand import Stand

from infra.cli.find_target import find_target

Topup = Callable[..., tuple[int, Any]]
NEXT_RUN_SECONDS = 150
"""The schedule's next minute, and a busy machine."""


@pytest.fixture
def receiver(stand: Stand) -> Iterator[Callable[[str], None]]:
    """How the receiver behaves; well afterwards."""
    url = stand.facts["notify_url"].replace("/_events", "/_control/received")

    def behave(how: str) -> None:
        assert stand.http.post(url, json={"behave": how}).status_code == 200

    yield behave
    behave("ok")


def _received(stand: Stand, customer: str) -> list[dict[str, Any]]:
    """What the receiver was sent of the customer's, oldest first."""
    url = stand.facts["notify_url"].replace("/_events", "/_control/received")
    rows: list[dict[str, Any]] = stand.http.get(url).json()["received"]
    return [row for row in rows if json.loads(row["body"])["user_id"] == customer]


def _ended(topup: Topup, customer: str, state: str, seconds: int = 30) -> dict[str, Any]:
    """The customer's one event, in that state."""
    found: dict[str, Any] = {}

    def holds() -> bool:
        _, answer = topup("events", "list", "--user", customer)
        found.update(answer["events"][0] if answer["events"] else {})
        return found.get("state") == state

    Stand.until(holds, seconds)
    return found


def test_an_event_is_listed_shown_and_sent_again(
    topup: Topup, stand: Stand, receiver: Callable[[str], None]
) -> None:
    """One that the receiver has refused for good."""
    customer = f"ops-{uuid.uuid4().hex[:8]}"
    receiver("410")
    stand.purchase(customer)
    event = _ended(topup, customer, "dead")
    assert (event["type"], event["last_error"]) == ("payment.completed", "url: 410 Gone")
    code, listed = topup("events", "list", "--state", "dead")
    assert (code, event["id"] in [row["id"] for row in listed["events"]]) == (1, True)
    code, shown = topup("events", "show", event["id"])
    assert (code, shown["body"]["user_id"], shown["body"]["id"]) == (0, customer, event["id"])
    receiver("ok")
    code, would = topup("events", "resend", event["id"], "--dry-run")
    assert (code, would["status"]) == (0, "would_be_sent_again")
    code, sent = topup("events", "resend", event["id"], "--user", customer, "--yes")
    assert (code, sent["status"]) == (0, "sent_again")
    assert _ended(topup, customer, "delivered", NEXT_RUN_SECONDS)["id"] == event["id"]
    first, *_, last = _received(stand, customer)
    assert (first["answered"], last["answered"]) == ("410", "ok")
    assert first["headers"]["webhook-id"] == last["headers"]["webhook-id"] == event["id"]
    assert first["body"] == last["body"]
    Webhook(stand.facts["notify_secret"]).verify(last["body"], last["headers"])


def test_an_event_that_is_not_there_is_not_sent(topup: Topup) -> None:
    code, answer = topup("events", "resend", "evt_nothing", "--yes")
    assert (code, "there is no event" in answer["error"]) == (1, True)


def test_the_doctor_sends_a_ping(
    topup: Topup, stand: Stand, receiver: Callable[[str], None]
) -> None:
    def found() -> list[tuple[str, str]]:
        _, answer = topup("doctor")
        rows = [row for row in answer["findings"] if row["check"] == "events out"]
        return [(row["level"], row["what"]) for row in rows]

    assert [level for level, _ in found()] == ["ok", "ok"]
    received = stand.http.get(stand.facts["notify_url"].replace("/_events", "/_control/received"))
    types = [json.loads(row["body"])["type"] for row in received.json()["received"]]
    assert "ping" in types
    receiver("500")
    level, what = found()[-1]
    assert (level, what.endswith("was not taken: url: HTTP 500")) == ("wrong", True)


def test_watch_counts_deliveries(topup: Topup, stand: Stand) -> None:
    customer = f"ops-{uuid.uuid4().hex[:8]}"
    stand.purchase(customer)
    _ended(topup, customer, "delivered")
    _, answer = topup("watch", "--once", "--minutes", "60")
    assert sum(minute["events_delivered"] for minute in answer["minutes"]) > 0


def test_an_operators_write_tells_as_a_functions_does(topup: Topup) -> None:
    """The command line knows from the stack that events are on."""
    del topup
    books = find_target("", "", "").books()
    assert books.telling.is_on
    assert new_row("alice", 1, "ping", {}, books.clock()).table == "notices"
