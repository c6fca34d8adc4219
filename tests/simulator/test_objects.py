"""Objects are as Stripe's own library describes them, and have ids of Stripe's forms."""

import re
from typing import Any

import stripe
from simulator.lab import Lab
from support.payloads import PARTS
from support.typed import faults, lacking, members

TYPES = {**PARTS, "webhook_endpoint": stripe.WebhookEndpoint, "item": stripe.LineItem}
LEFT_OUT = {
    "checkout.session": {
        *(
            "branding_settings",
            "line_items",
            "name_collection",
            "optional_items",
            "presentment_details",
            "redirect_on_completion",
        ),
        *("return_url", "tax_id_collection"),
    },
    "payment_intent": {
        "allowed_payment_method_types",
        "hooks",
        "payment_details",
        "payment_record",
        "presentment_details",
    },
    # The list of refunds is not embedded since 2022-11-15:
    # https://docs.stripe.com/upgrades#2022-11-15
    "charge": {
        "authorization_code",
        "level3",
        "presentment_details",
        "radar_options",
        "refunds",
        "transfer",
    },
    "refund": {
        *(
            "description",
            "failure_balance_transaction",
            "failure_reason",
            "instructions_email",
            "next_action",
            "pending_reason",
        ),
        "presentment_details",
    },
    "dispute": {"intended_submission_method", "network_reason_code"},
    "event": {"account", "context"},
    "webhook_endpoint": {"deleted", "secret"},
    "item": {"discounts", "taxes"},
}
"""Members that may be missing, and are where they say nothing."""
FORMS = {
    "checkout.session": r"cs_test_a1[A-Za-z0-9]{56}",
    "payment_intent": r"pi_3[A-Za-z0-9]{23}",
    "charge": r"ch_3[A-Za-z0-9]{23}",
    "refund": r"re_3[A-Za-z0-9]{23}",
    "dispute": r"du_1[A-Za-z0-9]{23}",
    "balance_transaction": r"txn_1[A-Za-z0-9]{23}",
    "event": r"evt_1[A-Za-z0-9]{23}",
    "webhook_endpoint": r"we_1[A-Za-z0-9]{23}",
    "item": r"li_1[A-Za-z0-9]{23}",
}


def _each(lab: Lab) -> dict[str, dict[str, Any]]:
    """One of every kind, as it goes over the wire."""
    session = lab.pay()
    charge = session.payment_intent.latest_charge.id
    lab.client.v1.refunds.create({"charge": charge, "amount": 100})
    lab.control(f"charges/{charge}/dispute", amount=200)
    lab.client.v1.webhook_endpoints.create({"url": "http://127.0.0.1:9/", "enabled_events": ["*"]})
    paths = {
        "checkout.session": "/v1/checkout/sessions",
        "payment_intent": "/v1/payment_intents",
        "charge": "/v1/charges",
        "refund": "/v1/refunds",
        "dispute": "/v1/disputes",
        "balance_transaction": "/v1/balance_transactions",
        "event": "/v1/events",
        "webhook_endpoint": "/v1/webhook_endpoints",
        "item": f"/v1/checkout/sessions/{session.id}/line_items",
    }
    return {kind: lab.call("GET", path).json()["data"][0] for kind, path in paths.items()}


def test_objects_are_what_stripes_own_library_describes(stripe_lab: Lab) -> None:
    """Every member but those that Stripe leaves out, no other, and none of another type; in their
    parts too.
    """
    for kind, thing in _each(stripe_lab).items():
        assert [*faults(TYPES[kind], thing), *lacking(TYPES[kind], thing)] == [], kind
        assert members(TYPES[kind]).keys() - thing.keys() == LEFT_OUT.get(kind, set()), kind


def test_ids_look_like_stripes_and_nothing_is_live(stripe_lab: Lab) -> None:
    """Also the ids that objects refer to each other by."""
    for kind, thing in _each(stripe_lab).items():
        assert re.fullmatch(FORMS[kind], thing["id"]), thing["id"]
        assert thing["object"] == kind
        assert thing.get("livemode", False) is False


def test_events_are_written_in_the_version_of_the_pinned_library(stripe_lab: Lab) -> None:
    """With what they are about as it was then."""
    session = stripe_lab.pay()
    event = stripe_lab.event("checkout.session.completed")
    assert event["api_version"] == stripe.api_version
    assert (
        event["data"]["object"]
        == stripe_lab.call("GET", f"/v1/checkout/sessions/{session.id}").json()
    )
    created = stripe_lab.event("payment_intent.created")
    assert created["data"]["object"]["status"] == "requires_payment_method"


def test_metadata_reaches_the_charge_only_by_way_of_the_intent(stripe_lab: Lab) -> None:
    """That of the session stays on the session: https://docs.stripe.com/metadata."""
    session = stripe_lab.pay(
        metadata={"where": "session"}, payment_intent_data={"metadata": {"where": "intent"}}
    )
    assert dict(session.metadata.to_dict()) == {"where": "session"}
    assert (
        session.payment_intent.metadata.to_dict()
        == session.payment_intent.latest_charge.metadata.to_dict()
        == {"where": "intent"}
    )
    bare = stripe_lab.pay(payment_intent_data={})
    assert (
        bare.payment_intent.metadata.to_dict()
        == bare.payment_intent.latest_charge.metadata.to_dict()
        == {}
    )


def test_an_event_names_the_request_that_caused_it(stripe_lab: Lab) -> None:
    """What buyers and banks do has none."""
    charge = stripe_lab.pay().payment_intent.latest_charge.id
    answer = stripe_lab.call("POST", "/v1/refunds", {"charge": charge}, idempotency_key="k")
    assert stripe_lab.event("refund.created")["request"] == {
        "id": answer.headers["request-id"],
        "idempotency_key": "k",
    }
    assert stripe_lab.event("charge.succeeded")["request"] == {"id": None, "idempotency_key": None}
