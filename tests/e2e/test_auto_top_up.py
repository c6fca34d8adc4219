"""Automatic top-ups on the stand: a checkout saves the card, which is charged when it is needed."""

import uuid
from typing import Any

import pytest
from support.stand import Stand

ROUTE = "/quota/auto-top-up"
TERMS = {"plan": "starter", "when_below": 150, "max_per_month": 2, "agreed": True}
UNITS = 100


@pytest.fixture
def buyer(stand: Stand) -> str:
    """A user of this test alone, who has bought once and let the card be saved."""
    name = f"buyer-{uuid.uuid4().hex[:8]}"
    body = {"plan": "starter", "remember_card": True}
    bought = stand.call("POST", "/payments/checkout", sub=name, body=body).json()
    stand.pay(bought["session_id"])
    stand.until(lambda: stand.quota(name)["remaining"] == UNITS)
    return name


def _put(stand: Stand, buyer: str) -> dict[str, Any]:
    said = stand.call("PUT", ROUTE, sub=buyer, body=TERMS)
    assert said.status_code == 200, said.text
    found: dict[str, Any] = said.json()
    return found


def _automatic(stand: Stand, buyer: str) -> list[dict[str, Any]]:
    rows = stand.call("GET", "/payments", sub=buyer).json()["payments"]
    return [row for row in rows if row["session_id"] is None]


def test_an_agreement_below_its_threshold_is_charged_once_and_credited(
    stand: Stand, buyer: str
) -> None:
    """The message starts it; Stripe's answer and Stripe's event credit it once."""
    assert _put(stand, buyer)["card"]["last4"] == "4242"
    stand.until(lambda: stand.quota(buyer)["remaining"] == 2 * UNITS, seconds=90)
    stand.control("idle")
    (payment,) = _automatic(stand, buyer)
    assert payment["status"] == "completed"
    assert stand.quota(buyer)["total"] == 2 * UNITS
    assert stand.call("GET", ROUTE, sub=buyer).json()["used_this_month"] == 1


def test_a_debit_below_the_threshold_opens_a_charge_that_is_credited(
    stand: Stand, buyer: str
) -> None:
    """Above it nothing is charged. The debit that goes below writes the payment's row itself."""
    assert stand.call("PUT", ROUTE, sub=buyer, body={**TERMS, "when_below": 50}).status_code == 200
    for units in (50, 10):
        assert _automatic(stand, buyer) == []
        body = {"user_id": buyer, "units": units}
        said = stand.call("POST", "/quota/debits", sub="backend", scope="quota.write", body=body)
        assert said.status_code == 200
    assert len(_automatic(stand, buyer)) == 1
    stand.until(lambda: stand.quota(buyer)["remaining"] == 2 * UNITS - 60, seconds=90)
    stand.control("idle")
    (payment,) = _automatic(stand, buyer)
    assert payment["status"] == "completed"


def test_a_charge_whose_answer_is_lost_is_credited_once(stand: Stand, buyer: str) -> None:
    """It was carried out: the event, the list or the replay say so, and nothing is doubled."""
    stand.control("faults", route="POST /v1/payment_intents", status=500, times=1, after=True)
    _put(stand, buyer)
    stand.until(lambda: stand.quota(buyer)["remaining"] == 2 * UNITS, seconds=90)
    stand.control("idle")
    assert len(_automatic(stand, buyer)) == 1
    assert stand.quota(buyer)["total"] == 2 * UNITS


def test_a_card_that_must_be_authenticated_pauses_and_charges_nothing(
    stand: Stand, buyer: str
) -> None:
    (bought,) = stand.call("GET", "/payments", sub=buyer).json()["payments"]
    session = stand.stripe.v1.checkout.sessions.retrieve(bought["session_id"])
    cards = stand.stripe.v1.customers.payment_methods.list(str(session.customer))
    stand.control(f"payment_methods/{cards.data[0].id}/behave", next=["authentication_required"])
    _put(stand, buyer)
    paused = "authentication_required"
    stand.until(lambda: stand.call("GET", ROUTE, sub=buyer).json()["paused"] == paused, seconds=90)
    assert stand.quota(buyer)["total"] == UNITS
    assert [row["status"] for row in _automatic(stand, buyer)] == ["failed"]
