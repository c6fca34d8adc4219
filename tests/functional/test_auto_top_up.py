"""Automatic top-ups through the handlers, over moto, with the Stripe simulator beside them."""

import itertools
import json
from typing import Any

import pytest
from billing.storage.keys import TOP_UP
from billing.top_up import messages
from functional.lab import Lab, Said, forget
from simulator.lab import Lab as Stripe

ROUTE = "/quota/auto-top-up"
TERMS: dict[str, Any] = {"plan": "starter", "when_below": 150, "max_per_month": 2, "agreed": True}
SCHEDULE = {"sweep": True}
CREATE = "POST /v1/payment_intents"
UNITS = 100


_numbers = itertools.count(1)
_users = [""]


def _user() -> str:
    """A customer of this test alone: the simulator remembers those of others."""
    return _users[0]


@pytest.fixture(autouse=True)
def _new_customer() -> None:
    _users[0] = f"customer-{next(_numbers)}"


@pytest.fixture
def offered(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """The template's AutoTopUp is true."""
    monkeypatch.setenv("AUTO_TOP_UP", "true")
    messages._client.cache_clear()
    forget()
    return lab


def _call(lab: Lab, method: str, path: str, body: Any = None, **how: Any) -> Said:
    """One call of this test's customer's."""
    return lab.call(method, path, sub=_user(), body=body, **how)


def _checkout(lab: Lab, **members: Any) -> Said:
    return _call(lab, "POST", "/payments/checkout", {"plan": "starter", **members})


def _agree(lab: Lab, **members: Any) -> Said:
    return _call(lab, "PUT", ROUTE, TERMS | members)


def _save_a_card(lab: Lab, stripe: Stripe) -> dict[str, Any]:
    """A checkout that keeps the card. Returns its session at Stripe."""
    said = _checkout(lab, remember_card=True)
    assert said.status == 201, said.json
    name = said.json["session_id"]
    stripe.control(f"sessions/{name}/pay", method="card")
    _call(lab, "POST", f"/payments/{name}/confirm")
    found: dict[str, Any] = stripe.client.v1.checkout.sessions.retrieve(name).to_dict()
    return found


def _sweep(lab: Lab) -> None:
    """The minute's schedule, and the messages that it sends."""
    lab.ask("auto_top_up", SCHEDULE)
    lab.ask("auto_top_up", {"Records": [{"body": json.dumps({"user_id": _user()})}]})


def _automatic(lab: Lab) -> list[dict[str, Any]]:
    """Automatic payments, newest first."""
    found = _call(lab, "GET", "/payments").json["payments"]
    return [row for row in found if row["session_id"] is None]


def test_where_it_is_not_offered_the_routes_are_not_there(lab: Lab) -> None:
    """404, as a thing that does not exist, and no card is saved."""
    for method, body in (("GET", None), ("PUT", TERMS), ("DELETE", None)):
        said = _call(lab, method, ROUTE, body)
        assert (said.status, said.code) == (404, "not_found")
    said = _checkout(lab, remember_card=True)
    assert (said.status, said.code) == (400, "invalid_request")


def test_it_is_off_until_a_customer_asks_for_it(offered: Lab) -> None:
    said = _call(offered, "GET", ROUTE)
    assert said.json == {
        "on": False,
        "plan": None,
        "when_below": None,
        "max_per_month": None,
        "used_this_month": 0,
        "card": None,
        "agreed_at": None,
        "paused": None,
    }


@pytest.mark.parametrize(
    "members",
    [
        {"agreed": False},
        {"agreed": "true"},
        {"when_below": 0},
        {"when_below": 1.5},
        {"max_per_month": 31},
        {"max_per_month": 0},
        {"plan": "gold"},
        {"more": 1},
    ],
)
def test_nothing_but_whole_terms_that_are_agreed_to_switches_it_on(
    offered: Lab, members: dict[str, Any]
) -> None:
    assert _agree(offered, **members).status == 400
    assert _call(offered, "GET", ROUTE).json["on"] is False


def test_a_customer_without_a_saved_card_is_told_so(offered: Lab, stripe_side: Stripe) -> None:
    """Also one whose checkout saved none, and one whose checkout was left."""
    assert (_agree(offered).status, _agree(offered).code) == (409, "no_saved_card")
    bought = _checkout(offered)
    stripe_side.control(f"sessions/{bought.json['session_id']}/pay", method="card")
    assert _agree(offered).code == "no_saved_card"
    _checkout(offered, remember_card=True)
    assert _agree(offered).code == "no_saved_card"


def test_a_checkout_that_remembers_saves_the_card_to_one_customer(
    offered: Lab, stripe_side: Stripe
) -> None:
    first, second = (_save_a_card(offered, stripe_side) for _ in range(2))
    assert first["customer"] == second["customer"]
    shown = _agree(offered).json
    assert shown["on"] is True
    assert shown["card"]["last4"] == "4242"
    assert shown["paused"] is None
    assert _call(offered, "GET", ROUTE).json == shown


def test_asked_for_below_the_threshold_it_charges_at_once(
    offered: Lab, stripe_side: Stripe
) -> None:
    """The payment has no session, its ledger entry names the intent, and one message is enough."""
    _save_a_card(offered, stripe_side)
    _agree(offered)
    _sweep(offered)
    (payment,) = _automatic(offered)
    assert payment["status"] == "completed"
    assert payment["payment_intent_id"].startswith("pi_")
    assert offered.quota(_user())["remaining"] == 2 * UNITS
    entries = _call(offered, "GET", "/quota/ledger").json["entries"]
    assert entries[0]["reference_id"] == payment["payment_intent_id"]
    assert _call(offered, "GET", ROUTE).json["used_this_month"] == 1
    _sweep(offered)
    assert len(_automatic(offered)) == 1


def test_the_event_of_a_charge_whose_answer_was_lost_credits_it_once(
    offered: Lab, stripe_side: Stripe
) -> None:
    _save_a_card(offered, stripe_side)
    _agree(offered)
    stripe_side.control("faults", route=CREATE, status=500, times=1, after=True)
    _sweep(offered)
    events = stripe_side.client.v1.events.list({"type": "payment_intent.succeeded", "limit": 1})
    event = events.data[0].to_dict()
    assert offered.deliver(event).json["status"] in ("settled", "duplicate")
    assert offered.deliver(event).json["status"] == "duplicate"
    assert offered.quota(_user())["remaining"] == 2 * UNITS


@pytest.mark.parametrize(
    ("word", "paused"),
    [
        ("insufficient_funds", None),
        ("lost_card", "card_declined"),
        ("expired_card", "card_declined"),
        ("authentication_required", "authentication_required"),
    ],
)
def test_a_card_that_does_not_pay_is_shown_with_its_reason(
    offered: Lab, stripe_side: Stripe, word: str, paused: str | None
) -> None:
    session = _save_a_card(offered, stripe_side)
    cards = stripe_side.client.v1.customers.payment_methods.list(session["customer"])
    stripe_side.control(f"payment_methods/{cards.data[0].id}/behave", next=[word])
    _agree(offered)
    _sweep(offered)
    assert _call(offered, "GET", ROUTE).json["paused"] == paused
    (payment,) = _automatic(offered)
    assert (payment["status"], payment["failure_code"]) == ("failed", word)
    assert offered.quota(_user())["remaining"] == UNITS


def _later(lab: Lab) -> None:
    """As if the pause after a decline were over."""
    lab.boto("dynamodb").update_item(
        TableName="QuotasTable",
        Key={"user_id": {"S": _user()}, "item": {"S": TOP_UP}},
        UpdateExpression="SET charge.due = :now, due = :now",
        ExpressionAttributeValues={":now": {"N": "1"}},
    )


def test_a_card_that_pays_at_the_second_try_pays_the_intent_of_the_first(
    offered: Lab, stripe_side: Stripe
) -> None:
    """And at the third: an intent succeeds at most once, so no customer pays twice."""
    session = _save_a_card(offered, stripe_side)
    cards = stripe_side.client.v1.customers.payment_methods.list(session["customer"])
    words = ["insufficient_funds", "insufficient_funds"]
    stripe_side.control(f"payment_methods/{cards.data[0].id}/behave", next=words)
    _agree(offered)
    for status in ("failed", "failed", "completed"):
        _sweep(offered)
        (payment,) = _automatic(offered)
        assert payment["status"] == status
        if status == "failed":
            _later(offered)
    intents = stripe_side.client.v1.payment_intents.list({"customer": session["customer"]}).data
    assert [one.id for one in intents if "automatic" in one.metadata.to_dict()] == [
        payment["payment_intent_id"]
    ]
    assert offered.quota(_user())["remaining"] == 2 * UNITS


def test_switching_off_is_idempotent_and_forgets_the_card_if_asked(
    offered: Lab, stripe_side: Stripe
) -> None:
    session = _save_a_card(offered, stripe_side)
    _agree(offered, when_below=1)
    assert _call(offered, "DELETE", ROUTE, query={"forget_card": "yes"}).code == "invalid_request"
    assert _call(offered, "GET", ROUTE).json["on"]
    for query in ({}, {"forget_card": "true"}, {"forget_card": "true"}):
        said = _call(offered, "DELETE", ROUTE, query=query)
        assert (said.status, said.json) == (200, {"on": False})
    shown = _call(offered, "GET", ROUTE).json
    assert (shown["on"], shown["card"]) == (False, None)
    cards = stripe_side.client.v1.customers.payment_methods.list(session["customer"])
    assert not cards.data
    assert _agree(offered).code == "no_saved_card"


def test_a_customer_that_was_deleted_at_stripe_is_made_again(
    offered: Lab, stripe_side: Stripe
) -> None:
    first = _save_a_card(offered, stripe_side)
    stripe_side.client.v1.customers.delete(first["customer"])
    assert _agree(offered).code == "no_saved_card"
    second = _save_a_card(offered, stripe_side)
    assert second["customer"] != first["customer"]
    assert _agree(offered).status == 200


def test_a_repeat_under_one_key_with_and_without_the_card_is_another_body(offered: Lab) -> None:
    path, body = "/payments/checkout", {"plan": "starter", "remember_card": True}
    first = _call(offered, "POST", path, body, idempotency_key="k")
    again = _call(offered, "POST", path, body, idempotency_key="k")
    assert first.json == again.json
    other = _call(offered, "POST", path, {"plan": "starter"}, idempotency_key="k")
    assert other.code == "idempotency_conflict"


def test_a_message_that_cannot_be_read_stops_nothing(offered: Lab) -> None:
    records = [{"body": "no JSON"}, {"body": "[]"}, {"body": '{"user_id":"bob"}'}]
    assert offered.ask("auto_top_up", {"Records": records}) == {"done": 1, "failed": 0}


def test_another_plan_that_is_agreed_to_is_charged_at_once_in_place_of_the_declined_one(
    offered: Lab, stripe_side: Stripe
) -> None:
    """Below the threshold, with the first charge waiting an hour for its next try."""
    session = _save_a_card(offered, stripe_side)
    cards = stripe_side.client.v1.customers.payment_methods.list(session["customer"])
    behave = f"payment_methods/{cards.data[0].id}/behave"
    stripe_side.control(behave, next=["insufficient_funds"])
    _agree(offered)
    _sweep(offered)
    _agree(offered, plan="pro")
    _sweep(offered)
    second, first = _automatic(offered)
    assert (first["plan"], first["status"]) == ("starter", "failed")
    assert (second["plan"], second["status"]) == ("pro", "completed")
    assert _call(offered, "GET", ROUTE).json["used_this_month"] == 1


def test_agreeing_again_to_the_same_is_no_further_attempt_on_a_declined_card(
    offered: Lab, stripe_side: Stripe
) -> None:
    """However often it is asked for: the next try is an hour after the one before."""
    session = _save_a_card(offered, stripe_side)
    cards = stripe_side.client.v1.customers.payment_methods.list(session["customer"])
    behave = f"payment_methods/{cards.data[0].id}/behave"
    stripe_side.control(behave, next=["insufficient_funds"])
    _agree(offered)
    for _ in range(3):
        _sweep(offered)
        assert _agree(offered).status == 200
    assert [row["status"] for row in _automatic(offered)] == ["failed"]


def test_a_request_that_never_arrived_is_not_sent_after_switching_off(
    offered: Lab, stripe_side: Stripe
) -> None:
    """Stripe has no charge, and gets none."""
    session = _save_a_card(offered, stripe_side)
    stripe_side.control("faults", route=CREATE, status=500, times=1)
    _agree(offered)
    _sweep(offered)
    assert _call(offered, "DELETE", ROUTE).json == {"on": False}
    _sweep(offered)
    intents = stripe_side.client.v1.payment_intents.list({"customer": session["customer"]})
    assert ["automatic" in intent.to_dict()["metadata"] for intent in intents.data] == [False]
    assert offered.quota(_user())["remaining"] == UNITS
