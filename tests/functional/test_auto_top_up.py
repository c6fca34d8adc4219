"""Automatic top-ups through the handlers, over moto, with the Stripe simulator beside them."""

from typing import Any

import pytest
from billing.storage.keys import TOP_UP
from functional.lab import Lab
from functional.top_ups import (
    CREATE,
    ROUTE,
    TERMS,
    UNITS,
    agree,
    automatic,
    call,
    checkout,
    save_a_card,
    sweep,
    user,
)
from simulator.lab import Lab as Stripe


def test_where_it_is_not_offered_the_routes_are_not_there(lab: Lab) -> None:
    """404, as a thing that does not exist, and no card is saved."""
    for method, body in (("GET", None), ("PUT", TERMS), ("DELETE", None)):
        said = call(lab, method, ROUTE, body)
        assert (said.status, said.code) == (404, "not_found")
    said = checkout(lab, remember_card=True)
    assert (said.status, said.code) == (400, "invalid_request")


def test_it_is_off_until_a_customer_asks_for_it(offered: Lab) -> None:
    said = call(offered, "GET", ROUTE)
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
    assert agree(offered, **members).status == 400
    assert call(offered, "GET", ROUTE).json["on"] is False


def test_a_customer_without_a_saved_card_is_told_so(offered: Lab, stripe_side: Stripe) -> None:
    """Also one whose checkout saved none, and one whose checkout was left."""
    assert (agree(offered).status, agree(offered).code) == (409, "no_saved_card")
    bought = checkout(offered)
    stripe_side.control(f"sessions/{bought.json['session_id']}/pay", method="card")
    assert agree(offered).code == "no_saved_card"
    checkout(offered, remember_card=True)
    assert agree(offered).code == "no_saved_card"


def test_a_checkout_that_remembers_saves_the_card_to_one_customer(
    offered: Lab, stripe_side: Stripe
) -> None:
    first, second = (save_a_card(offered, stripe_side) for _ in range(2))
    assert first["customer"] == second["customer"]
    shown = agree(offered).json
    assert shown["on"] is True
    assert shown["card"]["last4"] == "4242"
    assert shown["paused"] is None
    assert call(offered, "GET", ROUTE).json == shown


def test_asked_for_below_the_threshold_it_charges_at_once(
    offered: Lab, stripe_side: Stripe
) -> None:
    """The payment has no session, its ledger entry names the intent, and one message is enough."""
    save_a_card(offered, stripe_side)
    agree(offered)
    sweep(offered)
    (payment,) = automatic(offered)
    assert payment["status"] == "completed"
    assert payment["payment_intent_id"].startswith("pi_")
    assert offered.quota(user())["remaining"] == 2 * UNITS
    entries = call(offered, "GET", "/quota/ledger").json["entries"]
    assert entries[0]["reference_id"] == payment["payment_intent_id"]
    assert call(offered, "GET", ROUTE).json["used_this_month"] == 1
    sweep(offered)
    assert len(automatic(offered)) == 1


def test_the_event_of_a_charge_whose_answer_was_lost_credits_it_once(
    offered: Lab, stripe_side: Stripe
) -> None:
    save_a_card(offered, stripe_side)
    agree(offered)
    stripe_side.control("faults", route=CREATE, status=500, times=1, after=True)
    sweep(offered)
    events = stripe_side.client.v1.events.list({"type": "payment_intent.succeeded", "limit": 1})
    event = events.data[0].to_dict()
    assert offered.deliver(event).json["status"] in ("settled", "duplicate")
    assert offered.deliver(event).json["status"] == "duplicate"
    assert offered.quota(user())["remaining"] == 2 * UNITS


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
    session = save_a_card(offered, stripe_side)
    cards = stripe_side.client.v1.customers.payment_methods.list(session["customer"])
    stripe_side.control(f"payment_methods/{cards.data[0].id}/behave", next=[word])
    agree(offered)
    sweep(offered)
    assert call(offered, "GET", ROUTE).json["paused"] == paused
    (payment,) = automatic(offered)
    assert (payment["status"], payment["failure_code"]) == ("failed", word)
    assert offered.quota(user())["remaining"] == UNITS


def _later(lab: Lab) -> None:
    """As if the pause after a decline were over."""
    lab.boto("dynamodb").update_item(
        TableName="QuotasTable",
        Key={"user_id": {"S": user()}, "item": {"S": TOP_UP}},
        UpdateExpression="SET charge.due = :now, due = :now",
        ExpressionAttributeValues={":now": {"N": "1"}},
    )


def test_a_card_that_pays_at_the_second_try_pays_the_intent_of_the_first(
    offered: Lab, stripe_side: Stripe
) -> None:
    """And at the third: an intent succeeds at most once, so no customer pays twice."""
    session = save_a_card(offered, stripe_side)
    cards = stripe_side.client.v1.customers.payment_methods.list(session["customer"])
    words = ["insufficient_funds", "insufficient_funds"]
    stripe_side.control(f"payment_methods/{cards.data[0].id}/behave", next=words)
    agree(offered)
    for status in ("failed", "failed", "completed"):
        sweep(offered)
        (payment,) = automatic(offered)
        assert payment["status"] == status
        if status == "failed":
            _later(offered)
    intents = stripe_side.client.v1.payment_intents.list({"customer": session["customer"]}).data
    assert [one.id for one in intents if "automatic" in one.metadata.to_dict()] == [
        payment["payment_intent_id"]
    ]
    assert offered.quota(user())["remaining"] == 2 * UNITS


def test_switching_off_is_idempotent_and_forgets_the_card_if_asked(
    offered: Lab, stripe_side: Stripe
) -> None:
    session = save_a_card(offered, stripe_side)
    agree(offered, when_below=1)
    assert call(offered, "DELETE", ROUTE, query={"forget_card": "yes"}).code == "invalid_request"
    assert call(offered, "GET", ROUTE).json["on"]
    for query in ({}, {"forget_card": "true"}, {"forget_card": "true"}):
        said = call(offered, "DELETE", ROUTE, query=query)
        assert (said.status, said.json) == (200, {"on": False})
    shown = call(offered, "GET", ROUTE).json
    assert (shown["on"], shown["card"]) == (False, None)
    cards = stripe_side.client.v1.customers.payment_methods.list(session["customer"])
    assert not cards.data
    assert agree(offered).code == "no_saved_card"


def test_a_customer_that_was_deleted_at_stripe_is_made_again(
    offered: Lab, stripe_side: Stripe
) -> None:
    first = save_a_card(offered, stripe_side)
    stripe_side.client.v1.customers.delete(first["customer"])
    assert agree(offered).code == "no_saved_card"
    second = save_a_card(offered, stripe_side)
    assert second["customer"] != first["customer"]
    assert agree(offered).status == 200


def test_a_repeat_under_one_key_with_and_without_the_card_is_another_body(offered: Lab) -> None:
    path, body = "/payments/checkout", {"plan": "starter", "remember_card": True}
    first = call(offered, "POST", path, body, idempotency_key="k")
    again = call(offered, "POST", path, body, idempotency_key="k")
    assert first.json == again.json
    other = call(offered, "POST", path, {"plan": "starter"}, idempotency_key="k")
    assert other.code == "idempotency_conflict"


def test_a_message_that_cannot_be_read_stops_nothing(offered: Lab) -> None:
    records = [{"body": "no JSON"}, {"body": "[]"}, {"body": '{"user_id":"bob"}'}]
    assert offered.ask("auto_top_up", {"Records": records}) == {"done": 1, "failed": 0}


def test_another_plan_that_is_agreed_to_is_charged_at_once_in_place_of_the_declined_one(
    offered: Lab, stripe_side: Stripe
) -> None:
    """Below the threshold, with the first charge waiting an hour for its next try."""
    session = save_a_card(offered, stripe_side)
    cards = stripe_side.client.v1.customers.payment_methods.list(session["customer"])
    behave = f"payment_methods/{cards.data[0].id}/behave"
    stripe_side.control(behave, next=["insufficient_funds"])
    agree(offered)
    sweep(offered)
    agree(offered, plan="pro")
    sweep(offered)
    second, first = automatic(offered)
    assert (first["plan"], first["status"]) == ("starter", "failed")
    assert (second["plan"], second["status"]) == ("pro", "completed")
    assert call(offered, "GET", ROUTE).json["used_this_month"] == 1


def test_agreeing_again_to_the_same_is_no_further_attempt_on_a_declined_card(
    offered: Lab, stripe_side: Stripe
) -> None:
    """However often it is asked for: the next try is an hour after the one before."""
    session = save_a_card(offered, stripe_side)
    cards = stripe_side.client.v1.customers.payment_methods.list(session["customer"])
    behave = f"payment_methods/{cards.data[0].id}/behave"
    stripe_side.control(behave, next=["insufficient_funds"])
    agree(offered)
    for _ in range(3):
        sweep(offered)
        assert agree(offered).status == 200
    assert [row["status"] for row in automatic(offered)] == ["failed"]


def test_a_request_that_never_arrived_is_not_sent_after_switching_off(
    offered: Lab, stripe_side: Stripe
) -> None:
    """Stripe has no charge, and gets none."""
    session = save_a_card(offered, stripe_side)
    stripe_side.control("faults", route=CREATE, status=500, times=1)
    agree(offered)
    sweep(offered)
    assert call(offered, "DELETE", ROUTE).json == {"on": False}
    sweep(offered)
    intents = stripe_side.client.v1.payment_intents.list({"customer": session["customer"]})
    assert ["automatic" in intent.to_dict()["metadata"] for intent in intents.data] == [False]
    assert offered.quota(user())["remaining"] == UNITS
