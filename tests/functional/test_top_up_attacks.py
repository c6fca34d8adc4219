"""Attempts to break automatic top-ups from outside: through the handlers, Stripe's simulator and
its events, by what the contract says alone.
"""

from dataclasses import replace
from typing import Any

import pytest
from billing.payments import plans
from functional.lab import Lab
from functional.top_ups import (
    CREATE,
    ROUTE,
    TERMS,
    UNITS,
    agree,
    automatic,
    call,
    save_a_card,
    sweep,
    user,
)
from simulator.lab import Lab as Stripe


def _cards(stripe: Stripe, session: dict[str, Any]) -> list[str]:
    found = stripe.client.v1.customers.payment_methods.list(session["customer"])
    return [card.id for card in found.data]


def _charges(stripe: Stripe, session: dict[str, Any]) -> int:
    """Automatic intents of the customer that took money."""
    found = stripe.client.v1.payment_intents.list({"customer": session["customer"]})
    rows = [row.to_dict() for row in found.data]
    paid = [row for row in rows if row["status"] == "succeeded"]
    return sum("automatic" in row["metadata"] for row in paid)


def _events(stripe: Stripe, *kinds: str) -> list[dict[str, Any]]:
    """Stripe's events of these kinds, oldest first."""
    rows = [row.to_dict() for row in stripe.client.v1.events.list({"limit": 100}).data]
    return [row for row in reversed(rows) if row["type"] in kinds]


def _last(stripe: Stripe, *kinds: str) -> dict[str, Any]:
    return _events(stripe, *kinds)[-1]


def test_a_lost_answer_two_deliveries_and_two_sweeps_credit_once(
    offered: Lab, stripe_side: Stripe
) -> None:
    session = save_a_card(offered, stripe_side)
    agree(offered)
    stripe_side.control("faults", route=CREATE, status=500, times=1, after=True)
    offered.ask("auto_top_up", {"sweep": True})
    event = _last(stripe_side, "payment_intent.succeeded")
    for _ in range(2):
        assert offered.deliver(event).status == 200
    sweep(offered)
    sweep(offered)
    assert offered.deliver(event).status == 200
    assert (_charges(stripe_side, session), len(automatic(offered))) == (1, 1)
    assert offered.quota(user())["remaining"] == 2 * UNITS
    assert offered.quota(user())["total"] == 2 * UNITS


def test_repeated_agreements_and_repeated_sweeps_are_one_charge(
    offered: Lab, stripe_side: Stripe
) -> None:
    """The last terms hold, and each sweep is followed by its message."""
    session = save_a_card(offered, stripe_side)
    for most in (1, 2, 3):
        assert agree(offered, max_per_month=most).status == 200
        sweep(offered)
    assert call(offered, "GET", ROUTE).json["max_per_month"] == 3
    assert (_charges(stripe_side, session), len(automatic(offered))) == (1, 1)


def test_no_more_is_charged_than_the_months_limit_however_often_it_is_asked_for(
    offered: Lab, stripe_side: Stripe
) -> None:
    """Switched off and on again, with another limit, while the account stays below."""
    session = save_a_card(offered, stripe_side)
    for _ in range(3):
        agree(offered, when_below=10_000, max_per_month=1)
        sweep(offered)
        call(offered, "DELETE", ROUTE)
    assert _charges(stripe_side, session) == 1
    assert call(offered, "GET", ROUTE).json["used_this_month"] == 1
    agree(offered, when_below=10_000, max_per_month=2)
    sweep(offered)
    sweep(offered)
    assert _charges(stripe_side, session) == 2


@pytest.mark.parametrize("kind", ["refund", "dispute"])
def test_money_of_an_automatic_payment_that_goes_back_switches_it_off(
    offered: Lab, stripe_side: Stripe, kind: str
) -> None:
    """The units go too, and nothing is charged for them until the customer agrees again."""
    session = save_a_card(offered, stripe_side)
    agree(offered)
    sweep(offered)
    (payment,) = automatic(offered)
    intent = stripe_side.client.v1.payment_intents.retrieve(payment["payment_intent_id"])
    if kind == "refund":
        stripe_side.client.v1.refunds.create({"payment_intent": intent.id})
        told = _events(stripe_side, "refund.created", "charge.refunded", "refund.updated")
    else:
        stripe_side.control(f"charges/{intent.latest_charge}/dispute")
        told = _events(stripe_side, "charge.dispute.created", "charge.dispute.funds_withdrawn")
    for event in told:
        offered.deliver(event)
    reason = {"refund": "refunded", "dispute": "disputed"}[kind]
    shown = call(offered, "GET", ROUTE).json
    assert (shown["on"], shown["paused"], shown["used_this_month"]) == (False, reason, 1)
    sweep(offered)
    assert _charges(stripe_side, session) == 1
    assert offered.quota(user())["remaining"] == UNITS
    assert agree(offered).json["paused"] is None


def test_a_card_that_is_detached_at_stripe_pauses_until_another_is_saved(
    offered: Lab, stripe_side: Stripe
) -> None:
    session = save_a_card(offered, stripe_side)
    agree(offered)
    for card in _cards(stripe_side, session):
        stripe_side.client.v1.payment_methods.detach(card)
    sweep(offered)
    shown = call(offered, "GET", ROUTE).json
    assert (shown["paused"], shown["used_this_month"]) == ("card_gone", 0)
    assert agree(offered).code == "no_saved_card"
    save_a_card(offered, stripe_side)
    assert agree(offered, when_below=500).status == 200
    sweep(offered)
    assert _charges(stripe_side, session) == 1


def test_a_decline_whose_answer_was_lost_is_one_attempt(offered: Lab, stripe_side: Stripe) -> None:
    """Stripe declines, and the 402 never arrives: the next run learns of it, and tries no more."""
    session = save_a_card(offered, stripe_side)
    (card,) = _cards(stripe_side, session)
    stripe_side.control(f"payment_methods/{card}/behave", next=["insufficient_funds"])
    agree(offered)
    stripe_side.control("faults", route=CREATE, status=500, times=1, after=True)
    for _ in range(3):
        sweep(offered)
    (payment,) = automatic(offered)
    assert payment["failure_code"] == "insufficient_funds"
    assert _charges(stripe_side, session) == 0
    assert call(offered, "GET", ROUTE).json["paused"] is None


def test_a_bank_that_wants_the_customer_charges_nothing_and_a_checkout_still_works(
    offered: Lab, stripe_side: Stripe
) -> None:
    """The pause ends by agreeing again, not by the purchase."""
    session = save_a_card(offered, stripe_side)
    (card,) = _cards(stripe_side, session)
    stripe_side.control(f"payment_methods/{card}/behave", next=["authentication_required"])
    agree(offered, when_below=5000)
    sweep(offered)
    save_a_card(offered, stripe_side)
    for _ in range(2):
        sweep(offered)
    assert _charges(stripe_side, session) == 0
    assert call(offered, "GET", ROUTE).json["paused"] == "authentication_required"
    assert offered.quota(user())["remaining"] == 2 * UNITS


def test_a_plan_that_was_repriced_after_the_agreement_is_not_charged(
    offered: Lab, stripe_side: Stripe, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = save_a_card(offered, stripe_side)
    agree(offered)
    sold = dict(plans.catalogue())
    sold["starter"] = replace(sold["starter"], amount_minor=1)
    monkeypatch.setattr(plans, "catalogue", lambda: sold)
    sweep(offered)
    shown = call(offered, "GET", ROUTE).json
    assert (shown["on"], shown["paused"]) == (False, "price_changed")
    assert (_charges(stripe_side, session), automatic(offered)) == (0, [])


def test_another_customers_card_and_charges_are_out_of_reach(
    offered: Lab, stripe_side: Stripe
) -> None:
    """The routes know no user but the token's, and take no card or customer from the body."""
    save_a_card(offered, stripe_side)
    agree(offered)
    sweep(offered)
    (payment,) = automatic(offered)
    for more in ({"user_id": "bob"}, {"customer": "cus_1"}, {"card": "pm_1"}):
        assert call(offered, "PUT", ROUTE, {**TERMS, **more}).status == 400
    assert offered.call("GET", ROUTE, sub="somebody else").json["on"] is False
    found = offered.call("GET", f"/payments/{payment['payment_id']}", sub="somebody else")
    assert found.status == 404


def test_an_intent_that_claims_to_be_an_automatic_charge_credits_nobody(
    offered: Lab, stripe_side: Stripe
) -> None:
    """An event that names a payment of ours with an amount that is not its price."""
    save_a_card(offered, stripe_side)
    agree(offered)
    sweep(offered)
    event = _last(stripe_side, "payment_intent.succeeded")
    intent = event["data"]["object"]
    forged = {**intent, "id": "pi_forged", "amount": 1, "amount_received": 1}
    offered.deliver({**event, "id": "evt_forged", "data": {"object": forged}})
    assert offered.quota(user())["remaining"] == 2 * UNITS
