"""Customers and their saved cards: https://docs.stripe.com/api/customers."""

from typing import Any

import pytest
import stripe
from simulator.lab import FORM, Lab
from simulator.saved_cards import charge, remember, since
from support.typed import faults, lacking

CUSTOMERS, METHODS = "/v1/customers", "/v1/payment_methods"


def test_a_customer_is_made_changed_found_and_deleted(stripe_lab: Lab) -> None:
    """With an event for each change, and none where nothing changed."""
    made: Any = stripe_lab.client.v1.customers.create(
        {"email": "alice@example.com", "metadata": {"user_id": "alice", "old": "1"}}
    )
    changes: Any = {"name": "Alice", "metadata": {"old": ""}}
    changed: Any = stripe_lab.client.v1.customers.update(made.id, changes)
    stripe_lab.client.v1.customers.update(made.id, changes)
    assert (changed.name, changed.metadata.to_dict()) == ("Alice", {"user_id": "alice"})
    event = stripe_lab.event("customer.updated")
    assert event["data"]["previous_attributes"] == {
        "name": None,
        "metadata": {"user_id": "alice", "old": "1"},
    }
    stripe_lab.client.v1.customers.create({"email": "bob@example.com"})
    listed = stripe_lab.client.v1.customers.list({"email": "alice@example.com"}).data
    assert [row.id for row in listed] == [made.id]
    assert stripe_lab.client.v1.customers.delete(made.id).deleted is True
    gone: Any = stripe_lab.client.v1.customers.retrieve(made.id)
    assert gone.to_dict() == {"id": made.id, "object": "customer", "deleted": True}
    assert stripe_lab.client.v1.customers.list({"email": "alice@example.com"}).data == []
    assert stripe_lab.types() == [
        "customer.created",
        "customer.updated",
        "customer.created",
        "customer.deleted",
    ]


def test_a_deleted_customer_pays_nothing_more(stripe_lab: Lab) -> None:
    """Neither the customer nor the card exists for a charge, and the card says that it went."""
    customer, method = remember(stripe_lab)
    before = stripe_lab.types()
    stripe_lab.client.v1.customers.delete(customer)
    assert since(stripe_lab, before) == ["payment_method.detached", "customer.deleted"]
    with pytest.raises(stripe.InvalidRequestError) as refused:
        charge(stripe_lab, customer, method)
    assert (refused.value.code, refused.value.param) == ("resource_missing", "customer")
    assert stripe_lab.error("POST", "/v1/checkout/sessions", {**FORM, "customer": customer})[
        "code"
    ] == ("resource_missing")
    assert stripe_lab.error("POST", f"{CUSTOMERS}/{customer}", {}, 404)["param"] == "id"


@pytest.mark.parametrize(
    ("method", "path", "form", "param"),
    [
        ("POST", CUSTOMERS, {"foo": "1"}, "foo"),
        ("POST", CUSTOMERS, {"email": "alice"}, "email"),
        ("POST", CUSTOMERS, {"metadata[k]": "v" * 501}, "metadata[k]"),
        ("POST", CUSTOMERS, {"balance": "much"}, "balance"),
        ("POST", CUSTOMERS, {"source": "tok_visa"}, "source"),
        ("GET", f"{CUSTOMERS}?limit=0", None, "limit"),
        ("GET", f"{CUSTOMERS}?name=Alice", None, "name"),
        ("POST", f"{METHODS}/pm_card_visa/attach", {}, "customer"),
        ("POST", f"{METHODS}/pm_card_visa/attach", {"customer": "cus_none"}, "customer"),
        ("GET", f"{METHODS}?type=gold", None, "type"),
        ("GET", f"{METHODS}?customer=cus_none", None, "customer"),
    ],
)
def test_what_stripe_would_refuse_is_refused(
    barren_lab: Lab, method: str, path: str, form: dict[str, str] | None, param: str
) -> None:
    assert barren_lab.error(method, path, form)["param"] == param
    assert barren_lab.types() == []


def test_a_session_keeps_the_card_on_the_customer(stripe_lab: Lab) -> None:
    """Only where the seller asked: https://docs.stripe.com/payments/save-during-payment."""
    customer, method = remember(stripe_lab)
    assert stripe_lab.types() == [
        "customer.created",
        "payment_intent.created",
        "charge.succeeded",
        "payment_method.attached",
        "payment_intent.succeeded",
        "checkout.session.completed",
    ]
    session: Any = stripe_lab.client.v1.checkout.sessions.list({"customer": customer}).data[0]
    intent: Any = stripe_lab.client.v1.payment_intents.retrieve(session.payment_intent)
    assert (intent.customer, intent.setup_future_usage, intent.payment_method) == (
        customer,
        "off_session",
        method,
    )
    assert session.customer_details.email == "alice@example.com"
    saved: Any = stripe_lab.client.v1.payment_methods.retrieve(method)
    card = saved.card
    assert (card.brand, card.last4, card.exp_month, card.exp_year) == ("visa", "4242", 12, 2034)
    other = stripe_lab.pay(customer=customer)
    assert other.payment_intent.customer == customer
    assert len(stripe_lab.client.v1.customers.payment_methods.list(customer).data) == 1


def test_a_session_may_make_its_customer(stripe_lab: Lab) -> None:
    """With customer_creation=always; a given one excludes that and an email."""
    session = stripe_lab.pay(
        customer_creation="always", payment_intent_data={"setup_future_usage": "off_session"}
    )
    methods = stripe_lab.client.v1.payment_methods.list({"customer": session.customer}).data
    assert len(methods) == 1
    assert stripe_lab.pay().customer is None
    for name, value in (("customer_email", "a@example.com"), ("customer_creation", "always")):
        form = {**FORM, "customer": str(session.customer), name: value}
        assert stripe_lab.error("POST", "/v1/checkout/sessions", form)["param"] == name


def test_a_declined_card_is_not_kept(stripe_lab: Lab) -> None:
    """At the checkout, and by attaching it: then no customer's card comes to be."""
    customer = stripe_lab.client.v1.customers.create().id
    session = stripe_lab.create(
        customer=customer, payment_intent_data={"setup_future_usage": "off_session"}
    )
    for card in ("4000000000009995", "pm_card_chargeCustomerFail"):
        stripe_lab.control(f"sessions/{session.id}/pay", method="card", card=card)
        assert stripe_lab.session(session.id).status == "open"
    token = "pm_card_visa_chargeDeclinedStolenCard"
    with pytest.raises(stripe.CardError) as refused:
        stripe_lab.client.v1.payment_methods.attach(token, {"customer": customer})
    assert refused.value.code == "card_declined"
    assert stripe_lab.client.v1.payment_methods.list({"customer": customer}).data == []
    assert "payment_method.attached" not in stripe_lab.types()


def test_a_card_is_attached_and_detached_once(stripe_lab: Lab) -> None:
    """A detached one cannot be attached again, and the customer's default forgets it."""
    customer = stripe_lab.client.v1.customers.create().id
    other = stripe_lab.client.v1.customers.create().id
    method = stripe_lab.client.v1.payment_methods.attach("pm_card_amex", {"customer": customer}).id
    default: Any = {"invoice_settings": {"default_payment_method": method}}
    stripe_lab.client.v1.customers.update(customer, default)
    taken = stripe_lab.error("POST", f"{METHODS}/{method}/attach", {"customer": other})
    assert "already been attached" in taken["message"]
    with pytest.raises(stripe.InvalidRequestError):
        stripe_lab.client.v1.customers.update(other, default)
    assert stripe_lab.client.v1.payment_methods.detach(method).customer is None
    event = stripe_lab.event("payment_method.detached")
    assert event["data"]["previous_attributes"] == {"customer": customer}
    found: Any = stripe_lab.client.v1.customers.retrieve(customer)
    assert found.invoice_settings.default_payment_method is None
    for act, told in (("attach", "may not be used again"), ("detach", "not attached")):
        form = {"customer": customer} if act == "attach" else {}
        assert told in stripe_lab.error("POST", f"{METHODS}/{method}/{act}", form)["message"]


def test_a_created_customer_is_replayed_under_its_key(stripe_lab: Lab) -> None:
    """So a retry makes no second one."""
    form = {"email": "alice@example.com"}
    first = stripe_lab.call("POST", CUSTOMERS, form, idempotency_key="k").json()
    assert stripe_lab.call("POST", CUSTOMERS, form, idempotency_key="k").json() == first
    assert len(stripe_lab.client.v1.customers.list().data) == 1


def test_customers_and_cards_are_what_stripes_own_library_describes(stripe_lab: Lab) -> None:
    """No other members, none of another type, and none missing that Stripe always sends."""
    customer, method = remember(stripe_lab)
    stripe_lab.pay("delayed", customer=customer)
    kinds: list[tuple[Any, str]] = [
        (stripe.Customer, f"{CUSTOMERS}/{customer}"),
        (stripe.PaymentMethod, f"{METHODS}/{method}"),
    ]
    bank = stripe_lab.call("GET", "/v1/charges?limit=1").json()["data"][0]["payment_method"]
    kinds.append((stripe.PaymentMethod, f"{METHODS}/{bank}"))
    for kind, path in kinds:
        found = stripe_lab.call("GET", path).json()
        assert [*faults(kind, found), *lacking(kind, found)] == [], path
    intent = stripe_lab.call(
        "GET", "/v1/payment_intents?limit=1&expand[]=data.customer&expand[]=data.payment_method"
    ).json()["data"][0]
    assert intent["customer"]["object"] == "customer"
    assert intent["payment_method"]["object"] == "payment_method"


@pytest.mark.parametrize(
    ("number", "status", "told"),
    [
        ("4000 0000 0000 9995", 402, "declined"),
        ("1234", 402, "none of Stripe"),
        ("5555 5555 5555 4444", 303, ""),
    ],
)
def test_the_hosted_page_takes_test_cards_by_number(
    stripe_lab: Lab, number: str, status: int, told: str
) -> None:
    """https://docs.stripe.com/testing#cards."""
    session = stripe_lab.create()
    url = str(session.url)
    assert "Another test card" in stripe_lab.http.get(url).text
    answer = stripe_lab.http.post(url, data={"method": "card", "card": number})
    assert answer.status_code == status
    assert told in answer.text
    paid = stripe_lab.session(session.id).payment_status == "paid"
    assert paid == (status == 303)
