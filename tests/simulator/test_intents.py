"""Payment intents without a session: what is refused, confirmed, canceled and listed.

https://docs.stripe.com/api/payment_intents
"""

from typing import Any

import pytest
from simulator.lab import Lab
from simulator.saved_cards import charge, decline, remember, since

INTENTS = "/v1/payment_intents"
FORM = {
    "amount": "999",
    "currency": "usd",
    "confirm": "true",
    "payment_method": "pm_card_visa",
    "automatic_payment_methods[enabled]": "true",
    "automatic_payment_methods[allow_redirects]": "never",
}
REFUSED: list[tuple[dict[str, str | None], str | None, str | None]] = [
    ({"foo": "1"}, "parameter_unknown", "foo"),
    ({"payment_method_types[0]": "card"}, "parameter_unknown", "payment_method_types"),
    ({"amount": None}, "parameter_missing", "amount"),
    ({"currency": None}, "parameter_missing", "currency"),
    ({"amount": "9.99"}, "parameter_invalid_integer", "amount"),
    ({"amount": "0"}, "parameter_invalid_integer", "amount"),
    ({"amount": "49"}, "amount_too_small", "amount"),
    ({"amount": "100000000"}, "amount_too_large", "amount"),
    ({"currency": "xxx"}, None, "currency"),
    ({"off_session": "yes"}, None, "off_session"),
    ({"error_on_requires_action": "1"}, None, "error_on_requires_action"),
    ({"confirm": None, "off_session": "true"}, None, "off_session"),
    (
        {"confirm": None, "error_on_requires_action": "true"},
        None,
        "error_on_requires_action",
    ),
    ({"automatic_payment_methods[allow_redirects]": "always"}, None, "return_url"),
    ({"return_url": "here"}, "url_invalid", "return_url"),
    ({"payment_method": None}, "payment_intent_unexpected_state", "payment_method"),
    ({"payment_method": "pm_none"}, "resource_missing", "payment_method"),
    ({"customer": "cus_none"}, "resource_missing", "customer"),
    ({"metadata[k]": "v" * 501}, None, "metadata[k]"),
    ({"capture_method": "manual"}, None, "capture_method"),
    ({"setup_future_usage": "sometimes"}, None, "setup_future_usage"),
]


@pytest.mark.parametrize(("change", "code", "param"), REFUSED, ids=lambda value: str(value)[:40])
def test_an_intent_that_stripe_would_refuse_is_refused(
    barren_lab: Lab, change: dict[str, str | None], code: str | None, param: str
) -> None:
    """Each complaint names the parameter, and no intent is made."""
    form = {name: value for name, value in {**FORM, **change}.items() if value is not None}
    error = barren_lab.error("POST", INTENTS, form)
    assert (error["type"], error.get("code"), error.get("param")) == (
        "invalid_request_error",
        code,
        param,
    )
    assert barren_lab.call("GET", INTENTS).json()["data"] == []
    assert barren_lab.types() == []


def test_an_intent_is_confirmed_in_a_second_call(stripe_lab: Lab) -> None:
    """And only once: https://docs.stripe.com/error-codes#payment-intent-unexpected-state."""
    customer, method = remember(stripe_lab)
    params: Any = {
        "amount": 999,
        "currency": "usd",
        "customer": customer,
        "payment_method": method,
        "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
    }
    intent = stripe_lab.client.v1.payment_intents.create(params)
    assert intent.status == "requires_confirmation"
    paid = stripe_lab.client.v1.payment_intents.confirm(intent.id, {"off_session": True})
    assert paid.status == "succeeded"
    error = stripe_lab.error("POST", f"{INTENTS}/{intent.id}/confirm", {})
    assert error["code"] == "payment_intent_unexpected_state"
    assert (error["payment_intent"]["id"], error["payment_intent"]["status"]) == (
        intent.id,
        "succeeded",
    )


def test_a_declined_intent_can_be_confirmed_with_another_card(stripe_lab: Lab) -> None:
    """It keeps its id; without a card it says what is missing."""
    customer, method = remember(stripe_lab)
    stripe_lab.control(f"payment_methods/{method}/behave", next=["lost_card"])
    name = decline(stripe_lab, customer, method)["payment_intent"]["id"]
    error = stripe_lab.error("POST", f"{INTENTS}/{name}/confirm", {"off_session": "true"})
    assert "missing a payment method" in error["message"]
    again = stripe_lab.client.v1.payment_intents.confirm(
        name, {"payment_method": method, "off_session": True}
    )
    assert (again.status, again.last_payment_error) == ("succeeded", None)


@pytest.mark.parametrize("end", ["succeed", "processing_then_succeed"])
def test_what_is_paid_or_under_way_cannot_be_canceled(stripe_lab: Lab, end: str) -> None:
    """https://docs.stripe.com/api/payment_intents/cancel."""
    customer, method = remember(stripe_lab)
    stripe_lab.control(f"payment_methods/{method}/behave", next=[end])
    intent = charge(stripe_lab, customer, method)
    error = stripe_lab.error("POST", f"{INTENTS}/{intent.id}/cancel", {})
    assert error["code"] == "payment_intent_unexpected_state"
    assert f"status of {intent.status}" in error["message"]


def test_a_canceled_intent_is_never_charged(stripe_lab: Lab) -> None:
    """Canceled once, with its reason and an event."""
    customer, method = remember(stripe_lab)
    stripe_lab.control(f"payment_methods/{method}/behave", next=["expired_card"])
    name = decline(stripe_lab, customer, method)["payment_intent"]["id"]
    before = stripe_lab.types()
    canceled = stripe_lab.client.v1.payment_intents.cancel(
        name, {"cancellation_reason": "abandoned"}
    )
    assert (canceled.status, canceled.cancellation_reason) == ("canceled", "abandoned")
    assert canceled.canceled_at
    assert since(stripe_lab, before) == ["payment_intent.canceled"]
    form = {"payment_method": method, "off_session": "true"}
    for act in ("confirm", "cancel"):
        sent = form if act == "confirm" else {}
        error = stripe_lab.error("POST", f"{INTENTS}/{name}/{act}", sent)
        assert error["code"] == "payment_intent_unexpected_state"


def test_the_intent_of_a_session_belongs_to_checkout(stripe_lab: Lab) -> None:
    """The seller expires the session: https://docs.stripe.com/api/payment_intents/cancel."""
    intent = stripe_lab.pay("declined").payment_intent.id
    assert "Checkout" in stripe_lab.error("POST", f"{INTENTS}/{intent}/cancel", {})["message"]


def test_metadata_is_merged_and_no_event_tells(stripe_lab: Lab) -> None:
    """https://docs.stripe.com/api/payment_intents/update."""
    customer, method = remember(stripe_lab)
    intent = charge(stripe_lab, customer, method)
    before = stripe_lab.types()
    changed: Any = stripe_lab.client.v1.payment_intents.update(
        intent.id, {"metadata": {"note": "x", "payment_id": ""}}
    )
    assert changed.metadata.to_dict() == {"note": "x"}
    assert stripe_lab.types() == before


def test_intents_are_listed_by_customer_and_time_newest_first(stripe_lab: Lab) -> None:
    """With cursor and has_more, as reconciliation reads them."""
    customer, method = remember(stripe_lab)
    other, of_other = remember(stripe_lab)
    made = []
    for _ in range(3):
        stripe_lab.control("clock", advance_seconds=100)
        made.append(charge(stripe_lab, customer, method))
        charge(stripe_lab, other, of_other)
    listed = stripe_lab.client.v1.payment_intents.list
    since_second: Any = {"customer": customer, "created": {"gte": made[1].created}}
    assert [row.id for row in listed(since_second).data] == [made[2].id, made[1].id]
    page = listed({"customer": customer, "limit": 1, "starting_after": made[2].id})
    assert ([row.id for row in page.data], page.has_more) == ([made[1].id], True)
    assert len(list(listed({"limit": 2}).auto_paging_iter())) == 8


def test_a_card_of_another_customer_or_of_nobody_is_refused(stripe_lab: Lab) -> None:
    """A saved card needs its customer; a detached one is used up for good."""
    customer, method = remember(stripe_lab)
    other, _ = remember(stripe_lab)
    for form in ({**FORM, "payment_method": method}, {**FORM, "payment_method": method}):
        for owner in ({}, {"customer": other}):
            error = stripe_lab.error("POST", INTENTS, {**form, **owner})
            assert f"belongs to the Customer {customer}" in error["message"]
    stripe_lab.client.v1.payment_methods.detach(method)
    error = stripe_lab.error(
        "POST", INTENTS, {**FORM, "payment_method": method, "customer": customer}
    )
    assert "It may not be used again" in error["message"]


def test_a_card_that_is_not_saved_pays_once(stripe_lab: Lab) -> None:
    """Each use of pm_card_visa is a new payment method."""
    first = stripe_lab.call("POST", INTENTS, FORM).json()
    second = stripe_lab.call("POST", INTENTS, FORM).json()
    assert (first["status"], second["status"]) == ("succeeded", "succeeded")
    assert first["payment_method"] != second["payment_method"]
    again = {**FORM, "payment_method": first["payment_method"]}
    assert "It may not be used again" in stripe_lab.error("POST", INTENTS, again)["message"]
