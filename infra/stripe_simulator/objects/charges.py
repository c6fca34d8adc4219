"""Builds charges, with their payment method and outcome."""

from infra.stripe_simulator.ids import new_id
from infra.stripe_simulator.objects.attributes import CARD_NULLS, CHARGE_NULLS
from infra.stripe_simulator.objects.cards import Decline
from infra.stripe_simulator.store import Store, Thing


def charge(
    store: Store,
    intent: Thing,
    base_url: str,
    method: Thing,
    status: str,
    *,
    decline: Decline | None = None,
) -> Thing:
    """Return a new charge of a payment method, with a copy of the intent's metadata.

    ``status`` is ``succeeded``, ``pending`` or ``failed``.
    """
    name, good = new_id("charge"), status == "succeeded"
    failure = {"code": decline.code, "message": decline.message} if decline else {}
    return {
        "id": name,
        "object": "charge",
        **dict.fromkeys(CHARGE_NULLS),
        "amount": intent["amount"],
        "amount_captured": intent["amount"] if good else 0,
        "amount_refunded": 0,
        "billing_details": method["billing_details"],
        "calculated_statement_descriptor": "TOPUP DEMO",
        "captured": good,
        "created": store.now(),
        "currency": intent["currency"],
        "customer": intent["customer"],
        "disputed": False,
        "failure_code": failure.get("code"),
        "failure_message": failure.get("message"),
        "fraud_details": {},
        "livemode": False,
        "metadata": dict(intent["metadata"]),
        "outcome": outcome(status, decline),
        "paid": good,
        "payment_intent": intent["id"],
        "payment_method": method["id"],
        "payment_method_details": {"type": method["type"], method["type"]: _shown(method)},
        "receipt_url": f"{base_url}/receipts/{name}" if good else None,
        "refunded": False,
        "status": status,
    }


def outcome(status: str, decline: Decline | None = None) -> Thing:
    """Return the attribute ``outcome`` of a charge with this status.

    https://docs.stripe.com/api/charges/object#charge_object-outcome
    """
    outcomes = {
        "succeeded": ("approved_by_network", "Payment complete.", "authorized"),
        "pending": ("approved_by_network", "The payment is under way.", "authorized"),
        "failed": ("declined_by_network", _seller_message(decline), "issuer_declined"),
    }
    network, message, kind = outcomes[status]
    return {
        "advice_code": (decline and decline.advice_code) or None,
        "network_advice_code": None,
        "network_decline_code": (decline and decline.network_decline_code) or None,
        "network_status": network,
        "reason": decline.reason if decline else None,
        "seller_message": message,
        "type": kind,
    }


def _seller_message(decline: Decline | None) -> str:
    if decline is None or decline.reason == "generic_decline":
        return "The bank did not return any further details with this decline."
    return f"The bank returned the decline code `{decline.reason}`."


def _shown(method: Thing) -> Thing:
    return _card(method["card"]) if method["type"] == "card" else _bank(method["us_bank_account"])


def _card(card: Thing) -> Thing:
    copied = ("brand", "checks", "country", "exp_month", "exp_year", "fingerprint", "funding")
    shown = {name: card[name] for name in (*copied, "last4")}
    marks = {"network": card["brand"], "network_token": {"used": False}}
    return {**dict.fromkeys(CARD_NULLS), **shown, **marks}


def _bank(bank: Thing) -> Thing:
    copied = ("account_holder_type", "account_type", "bank_name", "fingerprint", "last4")
    shown = {name: bank[name] for name in (*copied, "routing_number")}
    return {**dict.fromkeys(("expected_debit_date", "mandate", "payment_reference")), **shown}
