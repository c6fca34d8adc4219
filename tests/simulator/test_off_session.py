"""Charges of saved cards while the customer is away.

https://docs.stripe.com/payments/save-and-reuse
"""

from typing import Any

import pytest
import stripe
from simulator.lab import Lab
from simulator.saved_cards import CHARGE, charge, decline, remember, since
from support.typed import faults, lacking

INTENTS = "/v1/payment_intents"
SUCCEEDED = ["payment_intent.created", "charge.succeeded", "payment_intent.succeeded"]
FAILED = ["payment_intent.created", "charge.failed", "payment_intent.payment_failed"]
PROCESSING = ["payment_intent.created", "charge.pending", "payment_intent.processing"]


def test_a_saved_card_is_charged_without_its_owner(stripe_lab: Lab) -> None:
    """The intent has succeeded, and it and its charge bear the metadata and the customer."""
    customer, method = remember(stripe_lab)
    before = stripe_lab.types()
    intent = charge(stripe_lab, customer, method, expand=["latest_charge"])
    assert (intent.status, intent.amount_received, intent.customer, intent.payment_method) == (
        "succeeded",
        999,
        customer,
        method,
    )
    paid = intent.latest_charge
    assert (paid.status, paid.customer, paid.payment_method, paid.metadata["payment_id"]) == (
        "succeeded",
        customer,
        method,
        "pay_1",
    )
    assert since(stripe_lab, before) == SUCCEEDED
    assert stripe_lab.client.v1.balance_transactions.list({"source": paid.id}).data[0].amount == 999


@pytest.mark.parametrize(
    ("word", "code", "decline_code", "advice"),
    [
        ("insufficient_funds", "card_declined", "insufficient_funds", "try_again_later"),
        ("generic_decline", "card_declined", "generic_decline", "try_again_later"),
        ("lost_card", "card_declined", "lost_card", "do_not_try_again"),
        ("expired_card", "expired_card", None, None),
        ("authentication_required", "authentication_required", "authentication_required", None),
    ],
)
def test_a_scripted_card_declines_with_stripes_codes(
    stripe_lab: Lab, word: str, code: str, decline_code: str | None, advice: str | None
) -> None:
    """402, with the intent in the error: it asks for another payment method. The next succeeds."""
    customer, method = remember(stripe_lab)
    stripe_lab.control(f"payment_methods/{method}/behave", next=[word])
    before = stripe_lab.types()
    error = decline(stripe_lab, customer, method)
    assert (error["type"], error["code"]) == ("card_error", code)
    assert (error.get("decline_code"), error.get("advice_code")) == (decline_code, advice)
    intent = error["payment_intent"]
    assert (intent["status"], intent["payment_method"]) == ("requires_payment_method", None)
    assert intent["last_payment_error"]["code"] == code
    assert error["payment_method"]["id"] == method
    failed = stripe_lab.client.v1.charges.retrieve(error["charge"])
    assert (failed.status, failed.failure_code, failed.payment_intent) == (
        "failed",
        code,
        intent["id"],
    )
    assert since(stripe_lab, before) == FAILED
    assert stripe_lab.call("GET", f"{INTENTS}/{intent['id']}").json() == intent
    assert charge(stripe_lab, customer, method).status == "succeeded"


def test_a_script_runs_word_by_word_and_ends(stripe_lab: Lab) -> None:
    """It is of one card, and on-session charges do not use it up."""
    customer, method = remember(stripe_lab)
    other = stripe_lab.client.v1.payment_methods.attach("pm_card_visa", {"customer": customer}).id
    words = ["lost_card", "succeed", "expired_card"]
    assert stripe_lab.control(f"payment_methods/{method}/behave", next=words)["next"] == words
    assert charge(stripe_lab, customer, other).status == "succeeded"
    assert charge(stripe_lab, customer, method, off_session=False).status == "succeeded"
    assert decline(stripe_lab, customer, method)["decline_code"] == "lost_card"
    assert charge(stripe_lab, customer, method).status == "succeeded"
    assert decline(stripe_lab, customer, method)["code"] == "expired_card"
    assert charge(stripe_lab, customer, method).status == "succeeded"


@pytest.mark.parametrize(
    ("word", "status", "later"),
    [
        ("processing_then_succeed", "succeeded", ["charge.succeeded", "payment_intent.succeeded"]),
        (
            "processing_then_fail",
            "requires_payment_method",
            ["charge.failed", "payment_intent.payment_failed"],
        ),
    ],
)
def test_a_charge_may_be_processing_first(
    stripe_lab: Lab, word: str, status: str, later: list[str]
) -> None:
    """It is not an error, and nothing has been paid; its end comes by itself and as an event."""
    customer, method = remember(stripe_lab)
    stripe_lab.control(f"payment_methods/{method}/behave", next=[word])
    before = stripe_lab.types()
    intent = charge(stripe_lab, customer, method)
    assert (intent.status, intent.amount_received) == ("processing", 0)
    assert since(stripe_lab, before) == PROCESSING
    stripe_lab.control("clock", advance_seconds=2)
    ended = stripe_lab.client.v1.payment_intents.retrieve(intent.id)
    assert ended.status == status
    assert since(stripe_lab, before) == [*PROCESSING, *later]
    stripe_lab.control(f"payment_intents/{intent.id}/settle", 409, outcome="succeeded")


def test_a_processing_charge_ends_by_itself(stripe_lab: Lab) -> None:
    """The clock need not be moved."""
    customer, method = remember(stripe_lab)
    stripe_lab.control(f"payment_methods/{method}/behave", next=["processing_then_succeed"])
    intent = charge(stripe_lab, customer, method)
    retrieve = stripe_lab.client.v1.payment_intents.retrieve
    stripe_lab.until(lambda: retrieve(intent.id).status == "succeeded")


def test_a_processing_charge_can_be_ended_by_hand(stripe_lab: Lab) -> None:
    customer, method = remember(stripe_lab)
    stripe_lab.control(f"payment_methods/{method}/behave", next=["processing_then_fail"])
    intent = charge(stripe_lab, customer, method)
    ended = stripe_lab.control(f"payment_intents/{intent.id}/settle", outcome="succeeded")
    assert (ended["status"], ended["amount_received"]) == ("succeeded", 999)


def test_a_decline_is_replayed_under_its_key(stripe_lab: Lab) -> None:
    """Not tried again: the script goes on only for another key. One failed charge, one intent.

    https://docs.stripe.com/api/idempotent_requests
    """
    customer, method = remember(stripe_lab)
    stripe_lab.control(f"payment_methods/{method}/behave", next=["insufficient_funds"])
    before = stripe_lab.types()
    first = decline(stripe_lab, customer, method, "k")
    assert decline(stripe_lab, customer, method, "k") == first
    assert since(stripe_lab, before) == FAILED
    assert charge(stripe_lab, customer, method, "another").status == "succeeded"


def test_a_lost_answer_hides_a_charge_that_was_made(stripe_lab: Lab) -> None:
    """The connection closes without an answer. The same key finds the charge; there is one."""
    customer, method = remember(stripe_lab)
    stripe_lab.control("faults", route=f"POST {INTENTS}", after=True)
    with pytest.raises(stripe.APIConnectionError):
        charge(stripe_lab, customer, method, "k")
    made = stripe_lab.client.v1.payment_intents.list({"customer": customer, "limit": 1}).data[0]
    assert (made.status, made.metadata["payment_id"]) == ("succeeded", "pay_1")
    assert charge(stripe_lab, customer, method, "k").id == made.id
    assert len(stripe_lab.client.v1.payment_intents.list({"customer": customer}).data) == 2


def test_a_lost_answer_may_have_a_status_of_its_own(stripe_lab: Lab) -> None:
    """What is kept under the key is the answer that was lost: here a decline. Replays can be lost
    too.
    """
    customer, method = remember(stripe_lab)
    stripe_lab.control(f"payment_methods/{method}/behave", next=["lost_card"])
    stripe_lab.control("faults", route=f"POST {INTENTS}", after=True, status=503, times=2)
    for _ in range(2):
        with pytest.raises(stripe.APIError) as lost:
            charge(stripe_lab, customer, method, "k")
        assert lost.value.http_status == 503
    assert decline(stripe_lab, customer, method, "k")["decline_code"] == "lost_card"
    assert stripe_lab.types().count("charge.failed") == 1


def test_a_refusal_can_be_lost_too(stripe_lab: Lab) -> None:
    stripe_lab.control("faults", route=f"POST {INTENTS}", after=True)
    with pytest.raises(stripe.APIConnectionError):
        charge(stripe_lab, "cus_none", "pm_none")


@pytest.mark.parametrize(
    ("card", "code", "decline_code"),
    [
        ("pm_card_chargeCustomerFail", "card_declined", "generic_decline"),
        ("pm_card_authenticationRequired", "authentication_required", "authentication_required"),
        (
            "pm_card_authenticationRequiredOnSetup",
            "authentication_required",
            "authentication_required",
        ),
    ],
)
def test_a_test_card_that_was_only_attached_is_declined(
    stripe_lab: Lab, card: str, code: str, decline_code: str
) -> None:
    """https://docs.stripe.com/testing#declined-payments and
    https://docs.stripe.com/testing#regulatory-cards.
    """
    customer = stripe_lab.client.v1.customers.create().id
    method = stripe_lab.client.v1.payment_methods.attach(card, {"customer": customer}).id
    error = decline(stripe_lab, customer, method)
    assert (error["code"], error["decline_code"]) == (code, decline_code)
    assert error["payment_intent"]["status"] == "requires_payment_method"


@pytest.mark.parametrize(
    ("card", "code"),
    [
        ("4000002500003155", ""),
        ("4000 0038 0000 0446", ""),
        ("4000002760003184", "authentication_required"),
        ("4242424242424242", ""),
        ("5555555555554444", ""),
    ],
)
def test_a_card_that_was_set_up_at_checkout_may_need_its_owner_or_not(
    stripe_lab: Lab, card: str, code: str
) -> None:
    """By its number, as the buyer types it: https://docs.stripe.com/testing#regulatory-cards."""
    customer, method = remember(stripe_lab, card)
    if code:
        assert decline(stripe_lab, customer, method)["code"] == code
    else:
        assert charge(stripe_lab, customer, method).status == "succeeded"


def test_on_session_a_bank_may_ask_for_its_customer(stripe_lab: Lab) -> None:
    """The intent waits and nothing is charged; with error_on_requires_action it is a decline.

    https://docs.stripe.com/payments/payment-intents/upgrade-to-handle-actions
    """
    customer, method = remember(stripe_lab, "pm_card_authenticationRequired")
    before = stripe_lab.types()
    away: Any = {"off_session": False, "error_on_requires_action": False}
    intent = charge(stripe_lab, customer, method, **away)
    assert (intent.status, intent.next_action.type) == ("requires_action", "use_stripe_sdk")
    assert intent.latest_charge is None
    assert since(stripe_lab, before) == [
        "payment_intent.created",
        "payment_intent.requires_action",
    ]
    error = decline(stripe_lab, customer, method, off_session=False)
    assert error["decline_code"] == "authentication_not_handled"
    assert error["payment_intent"]["status"] == "requires_payment_method"


def test_every_state_of_an_intent_is_what_stripes_own_library_describes(stripe_lab: Lab) -> None:
    """Also a card's error, with the method and the intent inside."""
    customer, method = remember(stripe_lab)
    words = ["processing_then_fail", "expired_card", "lost_card", "succeed"]
    stripe_lab.control(f"payment_methods/{method}/behave", next=words)
    charge(stripe_lab, customer, method)
    decline(stripe_lab, customer, method)
    error = decline(stripe_lab, customer, method)
    charge(stripe_lab, customer, method)
    third: Any = stripe_lab.client.v1.payment_methods.attach(
        "pm_card_authenticationRequired", {"customer": customer}
    )
    asks: Any = {"off_session": False, "error_on_requires_action": False}
    charge(stripe_lab, customer, third.id, **asks)
    params: Any = {"amount": 999, "currency": "usd"}
    idle = stripe_lab.client.v1.payment_intents.create(params)
    stripe_lab.client.v1.payment_intents.cancel(idle.id, {"cancellation_reason": "duplicate"})
    rows = stripe_lab.call("GET", f"{INTENTS}?limit=100").json()["data"]
    assert {row["status"] for row in rows} == {
        "canceled",
        "processing",
        "requires_action",
        "requires_payment_method",
        "succeeded",
    }
    kept: Any = stripe.PaymentIntent
    for row in rows:
        assert [*faults(kept, row), *lacking(kept, row)] == [], row["status"]
    for row in stripe_lab.call("GET", "/v1/charges?limit=100").json()["data"]:
        assert [*faults(stripe.Charge, row), *lacking(stripe.Charge, row)] == []
    assert [*faults(stripe.PaymentIntent, error["payment_intent"])] == []


def test_the_form_of_an_automatic_charge_is_the_clients(stripe_lab: Lab) -> None:
    """What goes over the wire passes without the client too."""
    customer, method = remember(stripe_lab)
    form = {
        "amount": str(CHARGE["amount"]),
        "currency": "usd",
        "confirm": "true",
        "off_session": "true",
        "error_on_requires_action": "true",
        "automatic_payment_methods[enabled]": "true",
        "automatic_payment_methods[allow_redirects]": "never",
        "customer": customer,
        "payment_method": method,
    }
    answer = stripe_lab.call("POST", INTENTS, form)
    assert (answer.status_code, answer.json()["status"]) == (200, "succeeded")
