"""Builds charges, with their payment method and outcome."""

from infra.stripe_simulator.ids import new_id
from infra.stripe_simulator.objects.attributes import CARD_NULLS, CHARGE_NULLS
from infra.stripe_simulator.store import Store, Thing


def charge(store: Store, intent: Thing, base_url: str, method: str, status: str) -> Thing:
    """Return a new charge that is ``succeeded``, ``pending`` or ``failed``.

    It has a copy of the payment intent's metadata at this moment.
    """
    name, good = new_id("charge"), status == "succeeded"
    nowhere = dict.fromkeys(("city", "country", "line1", "line2", "postal_code", "state"))
    return {
        "id": name,
        "object": "charge",
        **dict.fromkeys(CHARGE_NULLS),
        "amount": intent["amount"],
        "amount_captured": intent["amount"] if good else 0,
        "amount_refunded": 0,
        "billing_details": {
            "address": nowhere,
            "email": "buyer@example.com",
            "name": "Jenny Rosen",
            "phone": None,
            "tax_id": None,
        },
        "calculated_statement_descriptor": "TOPUP DEMO",
        "captured": good,
        "created": store.now(),
        "currency": intent["currency"],
        "disputed": False,
        "fraud_details": {},
        "livemode": False,
        "metadata": dict(intent["metadata"]),
        "outcome": _outcome(status),
        "paid": good,
        "payment_intent": intent["id"],
        "payment_method": new_id("payment_method"),
        "payment_method_details": {
            "type": method,
            method: _card(good) if method == "card" else _bank(),
        },
        "receipt_url": f"{base_url}/receipts/{name}" if good else None,
        "refunded": False,
        "status": status,
    }


def _outcome(status: str) -> Thing:
    outcomes = {
        "succeeded": ("approved_by_network", "Payment complete.", "authorized"),
        "pending": ("approved_by_network", "The payment is under way.", "authorized"),
        "failed": (
            "declined_by_network",
            "The bank did not return any further details with this decline.",
            "issuer_declined",
        ),
    }
    network, message, kind = outcomes[status]
    nulls = dict.fromkeys(("advice_code", "network_advice_code", "network_decline_code"))
    reason = "generic_decline" if status == "failed" else None
    return {
        **nulls,
        "network_status": network,
        "reason": reason,
        "seller_message": message,
        "type": kind,
    }


def _card(good: bool) -> Thing:  # noqa: FBT001 - the one thing that differs
    checks = {
        "address_line1_check": None,
        "address_postal_code_check": None,
        "cvc_check": "pass" if good else None,
    }
    named = {
        "brand": "visa",
        "country": "US",
        "exp_month": 12,
        "exp_year": 2034,
        "funding": "credit",
        "network": "visa",
    }
    marks = {
        "checks": checks,
        "fingerprint": "SimulatedPrint00",
        "last4": "4242" if good else "0002",
        "network_token": {"used": False},
    }
    return {**dict.fromkeys(CARD_NULLS), **named, **marks}


def _bank() -> Thing:
    named = {
        "account_holder_type": "individual",
        "account_type": "checking",
        "bank_name": "STRIPE TEST BANK",
        "last4": "6789",
    }
    marks = {
        "expected_debit_date": None,
        "fingerprint": "SimulatedPrint01",
        "mandate": None,
        "payment_reference": None,
    }
    return {**named, **marks, "routing_number": "110000000"}
